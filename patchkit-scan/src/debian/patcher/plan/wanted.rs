//! Which findings the user wants to be rid of.

use patchkit_core::{Finding, FixState, ScanReport};

use super::{SCHEME, Selection};

/// A report, and what was chosen of it.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) report: &'a ScanReport,
    pub(super) selection: &'a Selection,
}

impl<'a> Wanted<'a> {
    /// The findings that were chosen.
    pub(super) fn findings(self) -> impl Iterator<Item = &'a Finding> {
        self.report.findings.iter().filter(move |finding| self.has(finding))
    }

    /// Whether a finding was chosen: by one of its ids, or by the name of its package or of the source of that.
    pub(super) fn has(self, finding: &Finding) -> bool {
        let Selection::Only(wanted) = self.selection else { return true };
        let package = self.report.package(&finding.package);
        let source = package.and_then(|package| package.source.as_ref()).map(|source| source.name.as_str());
        let ids = finding.aliases.iter().chain([&finding.id]).map(|id| id.as_str());
        let mut names = ids.chain(package.map(|package| package.name.as_str())).chain(source);
        names.any(|name| wanted.iter().any(|word| word.eq_ignore_ascii_case(name)))
    }

    /// Whether an archive may have something that is wanted.
    pub(super) fn needs_archives(self) -> bool {
        let is_fixed = |finding: &Finding| matches!(&finding.fix, FixState::Fixed(fix) if fix.scheme() == SCHEME);
        *self.selection == Selection::All || self.findings().any(is_fixed)
    }
}
