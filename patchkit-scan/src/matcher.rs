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

mod state;
mod subject;

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{CvssScore, Distribution, Finding, FixState, Package, Presence, Purl, Result, Severity};
use serde::Serialize;

use self::subject::Subject;
use crate::{
    advisory::{AdvisoryStore, Claim, Scope},
    version::Parsed,
};

/// Whether findings are reported that say that a package is not affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unaffected {
    /// They are left out.
    #[default]
    Omit,
    /// They are reported, with [`FixState::NotAffected`]: for statements about what was looked at.
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
        let (mut findings, mut unread) = (Vec::new(), Unread::default());
        for package in packages.iter().filter(|package| package.owner.is_none()) {
            if let Some(scope) = scopes.of(package) {
                self.judge_one(&scope, package, &mut findings, &mut unread)?;
            }
        }
        findings.sort_by(|a: &Finding, b: &Finding| (&a.id, &a.package).cmp(&(&b.id, &b.package)));
        findings
            .dedup_by(|later, first| (&later.id, &later.package) == (&first.id, &first.package) && join(first, later));
        let warnings = scopes.warnings().into_iter().chain(unread.warnings()).collect();
        Ok(Matches { findings, warnings })
    }

    fn judge_one<'p>(
        &self,
        scope: &Scope,
        package: &'p Package,
        found: &mut Vec<Finding>,
        unread: &mut Unread<'p>,
    ) -> Result<()> {
        let subjects = Subject::all(scope, package);
        // What is said of the package itself counts more than what is said of its source.
        let mut decided = BTreeSet::new();
        for subject in &subjects {
            let mut claims = self.advisories.claims(scope, &subject.name)?;
            claims.retain(|claim| subject.is_meant_by(claim) && (decided.is_empty() || !decided.contains(&claim.id())));
            for claim in &claims {
                match subject.state(claim).map(|state| self.reported(state)) {
                    Ok(Some(fix)) => found.push(self.finding(claim, package, fix)?),
                    Ok(None) => {}
                    Err(why) => unread.note(&package.purl, claim, why),
                }
            }
            if subjects.len() > 1 {
                decided.extend(claims.iter().map(Claim::id));
            }
        }
        Ok(())
    }

    fn reported(&self, state: Option<FixState>) -> Option<FixState> {
        state.filter(|state| *state != FixState::NotAffected || self.unaffected == Unaffected::Report)
    }

    fn finding(&self, claim: &Claim, package: &Package, fix: FixState) -> Result<Finding> {
        let known = self.advisories.vulnerability(claim)?.unwrap_or_default();
        let id = claim.id();
        let names = known.aliases.iter().map(|name| name.parse().expect("it was an id before"));
        let mut aliases: Vec<_> = claim.bulletins().chain(names).filter(|name| *name != id).collect();
        aliases.sort();
        aliases.dedup();
        let severity = if claim.urgency() == Severity::Unknown { known.severity } else { claim.urgency() };
        let finding = Finding::new(id, package.purl.clone(), severity, fix, claim.source());
        Ok(Finding {
            aliases,
            cvss: newest_first(known.cvss),
            exploitation: known.exploitation,
            title: known.title.as_deref().map(Into::into),
            ..finding
        })
    }
}

/// Adds to a finding what another claim says of the same vulnerability in the same package: that it is fixed outweighs
/// that it is not, and of two fixes the higher counts. Always `true`.
fn join(first: &mut Finding, other: &mut Finding) -> bool {
    if weight(&other.fix).cmp(&weight(&first.fix)).is_gt() {
        first.fix = other.fix.clone();
    }
    first.aliases.append(&mut other.aliases);
    first.aliases.sort();
    first.aliases.dedup();
    first.severity = first.severity.max(other.severity);
    true
}

fn weight(fix: &FixState) -> (u8, Option<Parsed>) {
    match fix {
        FixState::NotAffected => (0, None),
        FixState::NotFixed => (1, None),
        FixState::WillNotFix => (2, None),
        FixState::Fixed(version) => (3, state::scheme(version).and_then(|scheme| scheme.parse(version.as_str()).ok())),
    }
}

/// The scores by version of CVSS; a vector of version 2 does not name it.
fn newest_first(scores: impl IntoIterator<Item = CvssScore>) -> Vec<CvssScore> {
    fn version(score: &CvssScore) -> &str {
        score.vector.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()).unwrap_or("2.0")
    }
    let mut scores: Vec<_> = scores.into_iter().collect();
    scores.sort_by(|a, b| version(b).cmp(version(a)));
    scores
}

/// The scopes of an image's packages, and how many packages are without advisories.
struct Scopes<'a> {
    advisories: &'a AdvisoryStore,
    distribution: Option<Scope>,
    languages: BTreeMap<String, (Scope, bool)>,
    uncovered: BTreeSet<Scope>,
    homeless: bool,
}

impl<'a> Scopes<'a> {
    fn new(advisories: &'a AdvisoryStore, distribution: Option<&Distribution>) -> Self {
        let distribution = distribution.map(Scope::of);
        Self { advisories, distribution, languages: BTreeMap::new(), uncovered: BTreeSet::new(), homeless: false }
    }

    /// Where a package is judged; `None` where there is nothing to judge it by, which is remembered.
    fn of(&mut self, package: &Package) -> Option<Scope> {
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

    fn warnings(self) -> Vec<String> {
        let homeless = self.homeless.then(|| "without a distribution, its packages cannot be judged".to_owned());
        let uncovered =
            self.uncovered.iter().map(|scope| format!("no advisories for {scope}: its packages were not judged"));
        homeless.into_iter().chain(uncovered).collect()
    }
}

/// How many claims a warning names.
const NAMED: usize = 3;

/// What could not be judged because a version cannot be read.
#[derive(Default)]
struct Unread<'p>(BTreeMap<&'p Purl, BTreeSet<String>>);

impl<'p> Unread<'p> {
    fn note(&mut self, package: &'p Purl, claim: &Claim, why: state::Unreadable) {
        let what = match why {
            state::Unreadable::Installed(why) => why,
            state::Unreadable::Claim(why) => format!("{}: {why}", claim.id()),
        };
        self.0.entry(package).or_default().insert(what);
    }

    /// One warning for each package.
    fn warnings(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(purl, whys)| {
            let named: Vec<_> = whys.iter().take(NAMED).map(String::as_str).collect();
            let more = match whys.len().saturating_sub(NAMED) {
                0 => String::new(),
                more => format!("; and {more} more"),
            };
            format!("{purl} was not judged by all advisories: {}{more}", named.join("; "))
        })
    }
}

#[cfg(test)]
mod tests;
