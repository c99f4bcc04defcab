//! Which packages are vulnerable, according to an [`AdvisoryStore`].
//!
//! Distributions fix vulnerabilities without changing the upstream version that others compare: so a distribution's
//! package is judged by the advisories of the image's own distribution and release alone, in that distribution's order
//! of versions. They speak of its source package (Debian, Ubuntu, Alpine, Wolfi, Photon, Azure Linux) or of the package
//! itself (Red Hat and what derives from it, Amazon, SUSE, Arch), and may hold in one module stream or on some
//! architectures only. A derivative is judged by its own advisories, never by those of the distribution it derives
//! from, whose versions say nothing about it.
//!
//! A programming language's package is judged by its ecosystem's advisories, by name and version. Where its files
//! belong to a distribution's package, that one is judged in its place.

mod inquiry;
mod scopes;
mod state;
mod subject;

use patchkit_core::{Distribution, Finding, Package, Result};
use serde::Serialize;

use self::{inquiry::Inquiry, scopes::Scopes};
use crate::advisory::AdvisoryStore;

/// Whether findings are reported that say that a package is not affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unaffected {
    /// They are left out.
    #[default]
    Omit,
    /// They are reported, with [`FixState::NotAffected`](patchkit_core::FixState::NotAffected): for statements about what was looked at.
    Report,
}

/// What a [`Matcher`] found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// A finding for each vulnerability of each package, sorted.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub warnings: Vec<String>,
}

/// Matches packages with advisories.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    advisories: &'a AdvisoryStore,
    unaffected: Unaffected,
}

impl<'a> Matcher<'a> {
    /// A matcher by the given advisories.
    #[must_use]
    pub fn new(advisories: &'a AdvisoryStore) -> Self {
        Self { advisories, unaffected: Unaffected::default() }
    }

    /// The same, with another choice about what is not affected.
    #[must_use]
    pub fn with_unaffected(self, unaffected: Unaffected) -> Self {
        Self { unaffected, ..self }
    }

    /// Judges the packages of an image of the given distribution.
    ///
    /// A package whose files belong to another package is passed over, and so is one that is only guessed where nothing
    /// is known about its ecosystem. What else cannot be judged is said in a warning: packages of which no advisory
    /// speaks, versions that cannot be read.
    ///
    /// # Errors
    /// As [`AdvisoryStore::claims`]: where the advisories cannot be read.
    pub fn judge(&self, distribution: Option<&Distribution>, packages: &[Package]) -> Result<Matches> {
        let mut scopes = Scopes::new(self.advisories, distribution);
        let mut inquiry = Inquiry::new(self.advisories, self.unaffected);
        for package in packages.iter().filter(|package| package.owner.is_none()) {
            if let Some(scope) = scopes.of(package) {
                inquiry.judge(&scope, package)?;
            }
        }
        let (findings, unread) = inquiry.finish();
        let warnings = scopes.warnings().into_iter().chain(unread).collect();
        Ok(Matches { findings, warnings })
    }
}

#[cfg(test)]
mod tests;
