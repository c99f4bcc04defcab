//! What a plan leaves, and why.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Finding, FindingKey, FixState, Package, Unfixable, UnfixableReason, Version};

use super::{Planning, source_version, version_of};
use crate::debian::{
    solve::{Obstacle, Solution},
    version::DebVersion,
};

impl Planning<'_> {
    /// Every finding that no change fixes, with the reason, sorted.
    pub(super) fn unfixable(&self, solution: &Solution) -> Vec<Unfixable> {
        let fixed: BTreeSet<FindingKey> = solution.changes.iter().flat_map(|change| self.fixes(change)).collect();
        let left = self.asked.report.findings.iter().filter(|finding| !fixed.contains(&finding.key()));
        let left: BTreeMap<FindingKey, UnfixableReason> =
            left.map(|finding| (finding.key(), self.why_left(finding, solution))).collect();
        left.into_iter().map(|(finding, reason)| Unfixable { finding, reason }).collect()
    }

    fn why_left(&self, finding: &Finding, solution: &Solution) -> UnfixableReason {
        let fix = match &finding.fix {
            _ if !self.asked.wanted().has(finding) => return UnfixableReason::NotChosen,
            FixState::Fixed(fix) => fix,
            FixState::NotAffected => return UnfixableReason::Unsupported("the package is not affected".into()),
            FixState::NotFixed => return UnfixableReason::NoFixYet,
            FixState::WillNotFix => return UnfixableReason::WillNotFix,
        };
        let Some(fixed) = version_of(fix) else {
            return UnfixableReason::Unsupported(format!("{} is no Debian package", finding.package));
        };
        let Some(package) = self.package_of(finding) else {
            return UnfixableReason::Unsupported(format!("the report does not list {}", finding.package));
        };
        if let Some(reason) = self.out_of_reach(package, &fixed) {
            return UnfixableReason::Unsupported(reason);
        }
        let unreachable = solution.unreachable.iter().find(|left| left.goal.package == package.name.as_str());
        match unreachable.map(|left| (left.obstacle, left.reason.to_string())) {
            Some((Obstacle::Held | Obstacle::Pinned, reason)) => UnfixableReason::Held(reason),
            Some((Obstacle::Conflict, reason)) => UnfixableReason::Conflict(reason),
            Some((Obstacle::NotAvailable, reason)) => UnfixableReason::NotAvailable(reason),
            Some((Obstacle::NotInstalled, reason)) => UnfixableReason::Unsupported(reason),
            None => UnfixableReason::NotAvailable(self.newest_there_is(package, fix)),
        }
    }

    /// Why no archive could help at all; `None` where one could.
    fn out_of_reach(&self, package: &Package, fix: &DebVersion) -> Option<String> {
        let name = &package.name;
        let has_fix = source_version(package).is_some_and(|source| source >= *fix);
        match () {
            () if has_fix => Some(format!("{name} {} has the fix of {fix} already", package.version)),
            () if !self.is_native(package) => {
                let architecture = package.architecture.as_deref().unwrap_or_default();
                Some(format!("{name} is of another architecture than the image: {architecture}"))
            }
            () => None,
        }
    }

    fn newest_there_is(&self, package: &Package, fix: &Version) -> String {
        let sources = self.archive.named(package.name.as_str()).map(|available| available.source_version());
        match sources.filter_map(|source| DebVersion::parse_lenient(&source).ok()).max() {
            Some(newest) => format!("fixed in {fix}, and the newest {} in the archives is of {newest}", package.name),
            None => format!("fixed in {fix}, and no archive has {}", package.name),
        }
    }
}
