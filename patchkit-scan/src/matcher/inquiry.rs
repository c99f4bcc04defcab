//! One judging of one image's packages.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    rc::Rc,
};

use patchkit_core::{AdvisoryId, CvssScore, Finding, FixState, Package, Purl, Result, Severity};

use super::{
    Unaffected,
    state::{self, Unreadable},
    subject::Subject,
};
use crate::{
    advisory::{AdvisoryStore, Claim, Scope, store::Vulnerability},
    version::Parsed,
};

/// What was asked so far, and what came of it. Packages of one source ask for the same claims.
pub(super) struct Inquiry<'a, 'p> {
    advisories: &'a AdvisoryStore,
    unaffected: Unaffected,
    claims: HashMap<(Scope, String), Rc<Vec<Claim>>>,
    vulnerabilities: HashMap<AdvisoryId, Rc<Vulnerability>>,
    findings: Vec<Finding>,
    unread: BTreeMap<&'p Purl, BTreeSet<String>>,
}

impl<'a, 'p> Inquiry<'a, 'p> {
    pub(super) fn new(advisories: &'a AdvisoryStore, unaffected: Unaffected) -> Self {
        let (claims, vulnerabilities) = (HashMap::new(), HashMap::new());
        Self { advisories, unaffected, claims, vulnerabilities, findings: Vec::new(), unread: BTreeMap::new() }
    }

    /// Judges a package by all that is known in a scope.
    pub(super) fn judge(&mut self, scope: &Scope, package: &'p Package) -> Result<()> {
        let subjects = Subject::all(scope, package);
        // What is said of the package itself counts more than what is said of its source.
        let mut decided = BTreeSet::new();
        for subject in &subjects {
            let claims = self.claims(scope, &subject.name)?;
            let open = |claim: &&Claim| decided.is_empty() || !decided.contains(&claim.id());
            let claims: Vec<_> = claims.iter().filter(|claim| subject.is_meant_by(claim)).filter(open).collect();
            for claim in &claims {
                match subject.state(claim) {
                    Ok(state) => self.report(claim, package, state)?,
                    Err(why) => self.note(&package.purl, claim, why),
                }
            }
            if subjects.len() > 1 {
                decided.extend(claims.iter().map(|claim| claim.id()));
            }
        }
        Ok(())
    }

    /// The findings, sorted, one for each vulnerability of each package; and a warning for each package that could not
    /// be judged by all that is known.
    pub(super) fn finish(self) -> (Vec<Finding>, Vec<String>) {
        let mut findings = self.findings;
        findings.sort_by(|a, b| (&a.id, &a.package).cmp(&(&b.id, &b.package)));
        findings.dedup_by(|later, first| {
            let same = (&later.id, &later.package) == (&first.id, &first.package);
            if same {
                join(first, later);
            }
            same
        });
        (findings, self.unread.iter().map(|(purl, whys)| warning(purl, whys)).collect())
    }

    fn report(&mut self, claim: &Claim, package: &Package, state: Option<FixState>) -> Result<()> {
        let wanted = |state: &FixState| *state != FixState::NotAffected || self.unaffected == Unaffected::Report;
        if let Some(fix) = state.filter(wanted) {
            let finding = self.finding(claim, package, fix)?;
            self.findings.push(finding);
        }
        Ok(())
    }

    fn finding(&mut self, claim: &Claim, package: &Package, fix: FixState) -> Result<Finding> {
        let id = claim.id();
        let known = self.vulnerability(claim, &id)?;
        let names = known.aliases.iter().map(|name| name.parse().expect("it was an id before"));
        let mut aliases: Vec<_> = claim.bulletins().chain(names).filter(|name| *name != id).collect();
        aliases.sort();
        aliases.dedup();
        let severity = if claim.urgency() == Severity::Unknown { known.severity } else { claim.urgency() };
        let finding = Finding::new(id, package.purl.clone(), severity, fix, claim.source());
        Ok(Finding {
            aliases,
            cvss: newest_first(&known.cvss),
            exploitation: known.exploitation,
            title: known.title.as_deref().map(Into::into),
            ..finding
        })
    }

    fn note(&mut self, package: &'p Purl, claim: &Claim, why: Unreadable) {
        let what = match why {
            Unreadable::Installed(why) => why,
            Unreadable::Claim(why) => format!("{}: {why}", claim.id()),
        };
        self.unread.entry(package).or_default().insert(what);
    }

    fn claims(&mut self, scope: &Scope, name: &str) -> Result<Rc<Vec<Claim>>> {
        let key = (scope.clone(), name.to_owned());
        if let Some(known) = self.claims.get(&key) {
            return Ok(known.clone());
        }
        let claims = Rc::new(self.advisories.claims(scope, name)?);
        self.claims.insert(key, claims.clone());
        Ok(claims)
    }

    fn vulnerability(&mut self, claim: &Claim, id: &AdvisoryId) -> Result<Rc<Vulnerability>> {
        if let Some(known) = self.vulnerabilities.get(id) {
            return Ok(known.clone());
        }
        let known = Rc::new(self.advisories.vulnerability(claim)?.unwrap_or_default());
        self.vulnerabilities.insert(id.clone(), known.clone());
        Ok(known)
    }
}

/// Adds to a finding what another claim says of the same vulnerability in the same package: that it is fixed outweighs
/// that it is not, and of two fixes the higher counts.
fn join(first: &mut Finding, other: &mut Finding) {
    if weight(&other.fix) > weight(&first.fix) {
        first.fix = other.fix.clone();
    }
    first.aliases.append(&mut other.aliases);
    first.aliases.sort();
    first.aliases.dedup();
    first.severity = first.severity.max(other.severity);
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
fn newest_first<'s>(scores: impl IntoIterator<Item = &'s CvssScore>) -> Vec<CvssScore> {
    fn version(score: &CvssScore) -> &str {
        score.vector.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()).unwrap_or("2.0")
    }
    let mut scores: Vec<_> = scores.into_iter().cloned().collect();
    scores.sort_by(|a, b| version(b).cmp(version(a)));
    scores
}

/// How many reasons a warning names.
const NAMED: usize = 3;

fn warning(purl: &Purl, whys: &BTreeSet<String>) -> String {
    let named: Vec<_> = whys.iter().take(NAMED).map(String::as_str).collect();
    let more = match whys.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    format!("{purl} was not judged by all advisories: {}{more}", named.join("; "))
}
