//! OpenVEX 0.2.0: a statement a finding.
//!
//! Source: the OpenVEX specification 0.2.0. `affected` carries what to do; `not_affected` the justification that was
//! given; what rests on a guess is `under_investigation`. `fixed` is stated by [`rescan_vex`] alone, which has seen
//! that a finding is gone: a claim of somebody else that something is fixed is passed on as `under_investigation`.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{AdvisoryId, Error, Finding, FixState, Presence, Purl, Result, ScanReport, Suppressed};
use serde_json::{Value, json};

use super::{WriteOptions, address, advice, compact, identity, image_purl, pretty, sorted, uuid};
use crate::{
    alias,
    purl_pattern::{coordinates, find},
};

/// The justifications of the specification.
const JUSTIFICATIONS: [&str; 5] = [
    "component_not_present",
    "inline_mitigations_already_exist",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_not_present",
];

pub(super) fn document(reports: &[ScanReport], options: &WriteOptions) -> Value {
    let statements = reports.iter().flat_map(|report| about(report, options)).collect();
    envelope("openvex", reports, options, statements)
}

/// An OpenVEX document about patched images: `fixed` for each finding of the report from before that is gone in the
/// report of the same platform from after, and the statement that [`write`](super::write) makes for what the latter
/// has. A finding that is gone while the scanner could judge less than before (it has a warning that was not there) is
/// `under_investigation`.
///
/// # Errors
/// [`Invalid`](patchkit_core::ErrorKind::Invalid) without any report, or where the platforms of both are not the same.
pub fn rescan_vex(before: &[ScanReport], after: &[ScanReport], options: &WriteOptions) -> Result<String> {
    let platforms = |reports: &[ScanReport]| reports.iter().map(|r| r.platform.clone()).collect::<BTreeSet<_>>();
    if after.is_empty() || platforms(before) != platforms(after) {
        let message = "the reports from before and after are not about the same platforms";
        return Err(Error::invalid(message).during("write a VEX document"));
    }
    let (before, after): (Vec<_>, Vec<_>) = (sorted(before), sorted(after));
    let mut statements = Vec::new();
    for report in &after {
        let old = before.iter().filter(|old| old.platform == report.platform);
        statements.extend(old.flat_map(|old| gone(old, report, options)));
        statements.extend(about(report, options));
    }
    let both: Vec<_> = before.iter().chain(&after).cloned().collect();
    Ok(pretty(&envelope("openvex-rescan", &both, options, statements)))
}

fn envelope(kind: &str, reports: &[ScanReport], options: &WriteOptions, statements: Vec<Value>) -> Value {
    let uuid = uuid(&identity(kind, reports, options));
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": format!("https://openvex.dev/docs/public/patchkit-{uuid}"),
        "author": options.author,
        "timestamp": options.timestamp.to_string(),
        "version": 1,
        "tooling": format!("patchkit {}", env!("CARGO_PKG_VERSION")),
        "statements": statements,
    })
}

/// A statement for each finding of a report.
fn about(report: &ScanReport, options: &WriteOptions) -> Vec<Value> {
    let found = report.findings.iter().map(|finding| statement(report, options, finding, &judge(report, finding)));
    let dropped = report.suppressed.iter();
    let dropped = dropped.map(|s| statement(report, options, &s.finding, &judge_suppressed(s)));
    found.chain(dropped).collect()
}

/// What is stated of a finding.
enum Judgement {
    Affected(String),
    Fixed(Option<Purl>),
    NotAffected { justification: Option<&'static str>, impact: String },
    UnderInvestigation(String),
}

fn judge(report: &ScanReport, finding: &Finding) -> Judgement {
    let presence = find(&report.packages, &finding.package).map_or(Presence::Installed, |package| package.presence);
    match (&finding.fix, presence) {
        (FixState::NotAffected, _) => {
            let impact = format!("{} says that it is not affected", finding.source);
            Judgement::NotAffected { justification: None, impact }
        }
        (_, Presence::Declared) => {
            Judgement::UnderInvestigation("a lock file asks for the package; that it is installed is not said".into())
        }
        (_, Presence::Guessed) => {
            Judgement::UnderInvestigation("that the package is there is guessed from its files".into())
        }
        _ => Judgement::Affected(advice(report, finding)),
    }
}

fn judge_suppressed(suppressed: &Suppressed) -> Judgement {
    let Suppressed { by, reason, source, .. } = suppressed;
    let word = reason.split([':', ' ']).next().unwrap_or_default();
    let justification = JUSTIFICATIONS.into_iter().find(|known| *known == word);
    let said = format!("{reason} ({by}, {source})");
    match (justification, word) {
        (Some(_), _) | (None, "not_affected") => Judgement::NotAffected { justification, impact: said },
        (None, "fixed") => Judgement::UnderInvestigation(format!("not found to be fixed, but claimed: {said}")),
        (None, _) => Judgement::Affected(format!("Left as it is: {said}")),
    }
}

fn statement(report: &ScanReport, options: &WriteOptions, finding: &Finding, judgement: &Judgement) -> Value {
    let aliases: Vec<&AdvisoryId> = finding.aliases.iter().filter(|id| alias::is_vulnerability(id)).collect();
    let package = match judgement {
        Judgement::Fixed(Some(now)) => now,
        _ => &finding.package,
    };
    let mut statement = json!({
        "vulnerability": compact(json!({
            "@id": address(&finding.id),
            "name": finding.id,
            "description": finding.title,
            "aliases": Some(aliases).filter(|aliases| !aliases.is_empty()),
        })),
        "products": [compact(json!({
            "@id": image_purl(report, options),
            "hashes": {report.subject.algorithm().as_str().replace("sha", "sha-"): report.subject.hex()},
            "subcomponents": [{"@id": package, "identifiers": {"purl": package}}],
        }))],
    });
    let mut set = |name: &str, value: &str| statement[name] = value.into();
    match judgement {
        Judgement::Affected(action) => {
            set("status", "affected");
            set("action_statement", action);
        }
        Judgement::Fixed(now) => {
            set("status", "fixed");
            let of = if now.is_some() { "the installed version does not have it" } else { "the package is gone" };
            set("status_notes", &format!("A scan after patching does not find it any more: {of}"));
        }
        Judgement::NotAffected { justification, impact } => {
            set("status", "not_affected");
            justification.iter().for_each(|justification| set("justification", justification));
            set("impact_statement", impact);
        }
        Judgement::UnderInvestigation(notes) => {
            set("status", "under_investigation");
            set("status_notes", notes);
        }
    }
    statement
}

/// Statements of what the report from before has and the one from after has not.
fn gone(before: &ScanReport, after: &ScanReport, options: &WriteOptions) -> Vec<Value> {
    let ids = |finding: &Finding| -> Vec<String> {
        let place = coordinates(&finding.package);
        let ids = alias::names(finding).filter(|id| finding.id == **id || id.is_cve());
        ids.map(|id| format!("{id} {place}")).collect()
    };
    let dropped = after.suppressed.iter().map(|suppressed| &suppressed.finding);
    let left: BTreeSet<_> = after.findings.iter().chain(dropped).flat_map(ids).collect();
    let blind = after.warnings.iter().find(|warning| !before.warnings.contains(warning));
    let gone = before.findings.iter().filter(|finding| !ids(finding).iter().any(|id| left.contains(id)));
    let mut places = BTreeMap::<_, Vec<&Purl>>::new();
    for package in &after.packages {
        places.entry(coordinates(&package.purl)).or_default().push(&package.purl);
    }
    let state = |finding: &Finding| {
        let qualifiers = finding.package.parts().qualifiers;
        let now = places.get(&coordinates(&finding.package)).into_iter().flatten();
        let now = now.copied().find(|purl| purl.parts().qualifiers == qualifiers);
        let judgement = match (blind, now) {
            (Some(warning), _) => Judgement::UnderInvestigation(format!("the scan after patching warns: {warning}")),
            (None, Some(now)) if *now == finding.package => {
                let why = "not found any more, though the package is the same: the advisories may differ";
                Judgement::UnderInvestigation(why.into())
            }
            (None, now) => Judgement::Fixed(now.cloned()),
        };
        statement(after, options, finding, &judgement)
    };
    gone.map(state).collect()
}
