//! Which advisories speak of which packages of an image.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Package, Presence};

use super::subject;
use crate::advisory::{AdvisoryStore, Scope};

/// The scopes of an image's packages, and which of them are without advisories.
pub(super) struct Scopes<'a> {
    advisories: &'a AdvisoryStore,
    distribution: Option<Scope>,
    languages: BTreeMap<String, (Scope, bool)>,
    uncovered: BTreeSet<Scope>,
    homeless: bool,
}

impl<'a> Scopes<'a> {
    pub(super) fn new(advisories: &'a AdvisoryStore, distribution: Option<&Distribution>) -> Self {
        let distribution = distribution.map(Scope::of);
        Self { advisories, distribution, languages: BTreeMap::new(), uncovered: BTreeSet::new(), homeless: false }
    }

    /// Where a package is judged; `None` where there is nothing to judge it by, which is remembered.
    pub(super) fn of(&mut self, package: &Package) -> Option<Scope> {
        let kind = subject::purl_type(&package.purl);
        let (scope, covered) = match subject::is_distribution_type(kind) {
            true => {
                self.homeless |= self.distribution.is_none();
                let scope = self.distribution.clone()?;
                let covered = self.advisories.covers(&scope);
                (scope, covered)
            }
            false => self.language(kind),
        };
        if !covered && package.presence != Presence::Guessed {
            self.uncovered.insert(scope.clone());
        }
        covered.then_some(scope)
    }

    fn language(&mut self, kind: &str) -> (Scope, bool) {
        if let Some(known) = self.languages.get(kind) {
            return known.clone();
        }
        let scope = Scope::of_purl_type(kind);
        let covered = self.advisories.covers(&scope);
        self.languages.insert(kind.into(), (scope.clone(), covered));
        (scope, covered)
    }

    /// What could not be judged since no advisory speaks of it.
    pub(super) fn warnings(self) -> Vec<String> {
        let homeless = self.homeless.then(|| "without a distribution, its packages cannot be judged".to_owned());
        let uncovered =
            self.uncovered.iter().map(|scope| format!("no advisories for {scope}: its packages were not judged"));
        homeless.into_iter().chain(uncovered).collect()
    }
}
