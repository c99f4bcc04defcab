use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use patchkit_core::{Context, Finding, FixState, Image, Result, ScanReport, Severity, Stop};
use patchkit_scan::{
    Sbom,
    matcher::Matcher,
    priority::{self, Priority},
};

use crate::{
    Ended,
    cli::{self, Global, Subject},
    looking,
    output::{self, Progress},
    place,
    scanning::{self, Knowledge},
};

pub(crate) async fn run(args: &cli::Scan, global: &Global, cx: &Context) -> Result<Ended, Stop> {
    let progress = Progress::of(global);
    let known = scanning::knowledge(&args.claims, progress).await?;
    let (reports, time) = match &args.subject {
        Subject::Image(name) => {
            let target = place::target(name, global, cx).await?;
            let images = place::chosen(&target, &args.platforms)?;
            let options = looking::options(&args.looking, global, cx).await?;
            let scanner = scanning::scanner(&args.claims, known, options)?;
            let mut reports = Vec::new();
            for image in &images {
                let name = format!("scan {}", image.platform());
                reports.push(progress.step(&name, scanner.scan(image, cx)).await?);
            }
            (reports, created(&images))
        }
        Subject::Sbom(path) => (vec![judge(path, &known, cx)?], None),
    };
    let name = args.subject.to_string();
    output::print_reports(global, &reports, time, &name, || reports.iter().map(table).collect::<Vec<_>>().join("\n"))?;
    let worst =
        reports.iter().flat_map(|report| &report.findings).filter(|finding| counts(finding)).map(|f| f.severity);
    Ok(match (worst.max(), args.fail_on) {
        (Some(worst), Some(bound)) if worst >= bound => Ended::Findings,
        _ => Ended::Done,
    })
}

/// Scans a bill of materials in place of an image.
fn judge(path: &Path, known: &Knowledge, cx: &Context) -> Result<ScanReport> {
    let sbom = Sbom::read(&scanning::read(path)?).map_err(|error| error.on(path.display()))?;
    let report = known.vex.apply(sbom.judge(&Matcher::new(&Arc::clone(&known.advisories)))?);
    Ok(known.rules.iter().fold(report, |report, rules| rules.apply(report, cx.now())))
}

/// When the newest of the images was made: what documents about them bear.
pub(crate) fn created(images: &[&Image]) -> Option<Timestamp> {
    images.iter().filter_map(|image| image.config().created()?.parse().ok()).max()
}

fn counts(finding: &Finding) -> bool {
    finding.fix != FixState::NotAffected
}

fn table(report: &ScanReport) -> String {
    let name = report.distribution.as_ref().and_then(|found| found.pretty_name.as_deref()).unwrap_or("?");
    let heading = format!("{} · {name} · {} packages · {}", report.platform, report.packages.len(), tally(report));
    let mut findings = report.findings.clone();
    priority::sort(&mut findings);
    let rows = findings.iter().map(|finding| {
        let package = report.package(&finding.package);
        let installed = package.map(|package| [package.name.to_string(), package.version.to_string()]);
        let [name, version] = installed.unwrap_or_else(|| [finding.package.to_string(), String::new()]);
        let level = Priority::of(finding).level.to_string();
        [finding.id.to_string(), finding.severity.to_string(), level, name, version, fix(&finding.fix)]
    });
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect::<String>();
    let header = ["Id", "Severity", "Priority", "Package", "Installed", "Fix"];
    format!("{heading}\n{warnings}{}\n{}", output::table(header, rows), suppressed(report))
}

/// What does not count, and why.
fn suppressed(report: &ScanReport) -> String {
    if report.suppressed.is_empty() {
        return String::new();
    }
    let rows = report.suppressed.iter().map(|suppressed| {
        let package = suppressed.finding.package.parts();
        [suppressed.finding.id.to_string(), package.name, suppressed.by.clone(), suppressed.reason.clone()]
    });
    format!("{}\n", output::table(["Suppressed", "Package", "By", "Why"], rows))
}

fn fix(state: &FixState) -> String {
    match state {
        FixState::Fixed(version) => version.to_string(),
        FixState::NotAffected => "not affected".into(),
        FixState::NotFixed => "not yet fixed".into(),
        FixState::WillNotFix => "will not be fixed".into(),
    }
}

/// How many findings there are of each severity, the worst first.
fn tally(report: &ScanReport) -> String {
    let of = |severity| report.findings.iter().filter(|finding| finding.severity == severity).count();
    let counts = Severity::ALL.into_iter().rev().map(|severity| (of(severity), severity)).filter(|(n, _)| *n > 0);
    let words: Vec<_> = counts.map(|(n, severity)| format!("{n} {severity}")).collect();
    match words.is_empty() {
        true => "no findings".into(),
        false => format!("{} findings ({})", report.findings.len(), words.join(", ")),
    }
}
