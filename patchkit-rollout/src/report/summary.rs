//! A run in figures and short lists, read off the chain.

use std::collections::BTreeMap;

use jiff::Timestamp;
use patchkit_core::{
    AdvisoryId, Change, Descriptor, Digest, Identity, Note, Observation, Patched, Plan, Platform, Reason, Reference,
    Released, ScanReport, Severity, Unfixable,
};
use serde::{Deserialize, Serialize};

/// What a run did, from the target to what runs now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What was asked for.
    pub target: Reference,
    /// The digest before.
    pub before: Digest,
    /// The digest after.
    pub after: Digest,
    /// The time that the patched image bears.
    pub timestamp: Option<Timestamp>,
    /// Each platform's image.
    pub images: Vec<ImageSummary>,
    /// What was proven.
    pub verdicts: Vec<Reason>,
    /// Why it was approved.
    pub approval: Reason,
    /// Who signed.
    pub identity: Identity,
    /// The manifests of the signatures.
    pub signatures: Vec<Descriptor>,
    /// What runs now.
    pub deployment: Observation,
}

/// What was done to one platform's image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSummary {
    /// The platform.
    pub platform: Platform,
    /// The distribution's name.
    pub distribution: Option<String>,
    /// How many packages are installed.
    pub packages: usize,
    /// The digest before.
    pub before: Digest,
    /// The digest after.
    pub after: Digest,
    /// The size in bytes of what was added.
    pub added_bytes: u64,
    /// What changed.
    pub changes: Vec<Change>,
    /// What was fixed, by id.
    pub fixed: Vec<FixedFinding>,
    /// What stays, and why.
    pub left: Vec<Unfixable>,
    /// What a person should know about how it was made.
    pub notes: Vec<Note>,
}

/// A vulnerability that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FixedFinding {
    /// The vulnerability.
    pub id: AdvisoryId,
    /// How bad it was.
    pub severity: Severity,
    /// The names of the packages that had it.
    pub packages: Vec<String>,
}

impl Summary {
    /// Reads the summary off a released image.
    #[must_use]
    pub fn of(released: &Released) -> Self {
        let signed = released.signed();
        let approved = signed.approved();
        let verified = approved.verified();
        let patched = verified.patched();
        let scanned = patched.planned().scanned();
        Self {
            target: scanned.target().reference().clone(),
            before: *scanned.target().images().digest(),
            after: *patched.images().digest(),
            timestamp: patched.planned().plans().first().map(|plan| plan.timestamp),
            images: images(patched),
            verdicts: verified.verdicts().iter().flat_map(|verdict| verdict.reasons.clone()).collect(),
            approval: approved.reason().clone(),
            identity: signed.identity().clone(),
            signatures: signed.signatures().to_vec(),
            deployment: released.observation().clone(),
        }
    }
}

fn images(patched: &Patched) -> Vec<ImageSummary> {
    (0..patched.images().images().len()).map(|place| image(patched, place)).collect()
}

/// What was done to the image in this place; the chain has one of everything for each.
fn image(patched: &Patched, place: usize) -> ImageSummary {
    let planned = patched.planned();
    let scanned = planned.scanned();
    let (before, after) = (&scanned.target().images().images()[place], &patched.images().images()[place]);
    let (plan, report) = (&planned.plans()[place], &scanned.reports()[place]);
    let old: Vec<_> = before.layers().iter().map(|layer| layer.digest()).collect();
    let added = after.layers().iter().filter(|layer| !old.contains(&layer.digest()));
    ImageSummary {
        platform: before.platform().clone(),
        distribution: report.distribution.as_ref().and_then(|found| found.pretty_name.clone()),
        packages: report.packages.len(),
        before: *before.digest(),
        after: *after.digest(),
        added_bytes: added.map(|layer| layer.blob().descriptor().size).sum(),
        changes: plan.changes.clone(),
        fixed: fixed(plan, report),
        left: plan.unfixable.clone(),
        notes: patched.notes()[place].clone(),
    }
}

/// What the plan fixes, the worst first.
fn fixed(plan: &Plan, report: &ScanReport) -> Vec<FixedFinding> {
    let promised = plan.fixes();
    let mut found: BTreeMap<&AdvisoryId, FixedFinding> = BTreeMap::new();
    for finding in report.findings.iter().filter(|finding| promised.contains(&finding.key())) {
        let entry = found.entry(&finding.id).or_insert_with(|| FixedFinding {
            id: finding.id.clone(),
            severity: finding.severity,
            packages: Vec::new(),
        });
        entry.severity = entry.severity.max(finding.severity);
        entry.packages.extend(report.package(&finding.package).map(|package| package.name.to_string()));
    }
    let mut fixed: Vec<_> = found.into_values().collect();
    fixed.sort_by(|a, b| b.severity.cmp(&a.severity).then_with(|| a.id.cmp(&b.id)));
    fixed
}
