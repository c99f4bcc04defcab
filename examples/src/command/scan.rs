use patchkit_core::{Context, Finding, FixState, Result, ScanReport, Scanner, Severity, Stop};
use patchkit_scan::{AdvisoryScanner, AdvisoryStore};

use crate::{
    Ended,
    cli::{self, Global},
    looking,
    output::{self, Progress},
    place,
};

/// A scanner over the advisories that were named.
pub(crate) async fn scanner(paths: &[std::path::PathBuf], progress: Progress) -> Result<AdvisoryScanner> {
    let paths = paths.to_vec();
    let read = async {
        let read = tokio::task::spawn_blocking(move || AdvisoryStore::open(paths)).await;
        read.expect("reading advisories does not panic")
    };
    Ok(AdvisoryScanner::new(progress.step("read advisories", read).await?))
}

pub(crate) async fn run(args: &cli::Scan, global: &Global, cx: &Context) -> Result<Ended, Stop> {
    let progress = Progress::of(global);
    let options = looking::options(&args.looking, global, cx).await?;
    let scanner = scanner(&args.advisories.advisories, progress).await?.with_inventory(options);
    let target = place::target(&args.image, global, cx).await?;
    let mut reports = Vec::new();
    for image in place::chosen(&target, &args.platforms)? {
        let name = format!("scan {}", image.platform());
        reports.push(progress.step(&name, scanner.scan(image, cx)).await?);
    }
    output::print(global, &reports, || reports.iter().map(table).collect::<Vec<_>>().join("\n"))?;
    let worst =
        reports.iter().flat_map(|report| &report.findings).filter(|finding| counts(finding)).map(|f| f.severity);
    Ok(match (worst.max(), args.fail_on) {
        (Some(worst), Some(bound)) if worst >= bound => Ended::Findings,
        _ => Ended::Done,
    })
}

fn counts(finding: &Finding) -> bool {
    finding.fix != FixState::NotAffected
}

fn table(report: &ScanReport) -> String {
    let name = report.distribution.as_ref().and_then(|found| found.pretty_name.as_deref()).unwrap_or("?");
    let heading = format!("{} · {name} · {} packages · {}", report.platform, report.packages.len(), tally(report));
    let rows = report.findings.iter().map(|finding| {
        let package = report.package(&finding.package);
        let installed = package.map(|package| [package.name.to_string(), package.version.to_string()]);
        let [name, version] = installed.unwrap_or_else(|| [finding.package.to_string(), String::new()]);
        [finding.id.to_string(), finding.severity.to_string(), name, version, fix(&finding.fix)]
    });
    let warnings = report.warnings.iter().map(|warning| format!("warning: {warning}\n")).collect::<String>();
    format!("{heading}\n{warnings}{}\n", output::table(["Id", "Severity", "Package", "Installed", "Fix"], rows))
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
