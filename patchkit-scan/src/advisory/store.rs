mod builder;
mod digest;
mod join;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, CvssScore, Digest, Exploitation, Result, Severity};

pub use builder::Builder;

use super::{Scope, Status};

/// All advisories that a scanner knows, joined and indexed by scope and package; immutable, and shared by cloning an
/// `Arc` of it.
///
/// Sources may overlap. What they say about one vulnerability in one package of one release becomes one [`Claim`]:
/// "not affected" outweighs a fix (an announcement lists all its CVEs for all its releases, the tracker knows better),
/// a fix outweighs that there is none yet, and of several fixes the highest version counts. The order in which they
/// were added makes no difference, also not to the [`digest`](Self::digest).
#[derive(Debug)]
pub struct AdvisoryStore {
    scopes: BTreeMap<Scope, Packages>,
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    newest: Option<Date>,
    claims: usize,
    digest: Digest,
}

type Packages = BTreeMap<Arc<str>, Vec<Claim>>;

/// What is known about one vulnerability in one package of one release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    id: Arc<str>,
    module: Option<Arc<str>>,
    architectures: Vec<Arc<str>>,
    bulletins: Vec<Arc<str>>,
    status: Status,
    urgency: Severity,
    symbols: Vec<Arc<str>>,
    source: Arc<str>,
}

impl Claim {
    /// The vulnerability.
    #[must_use]
    pub fn id(&self) -> AdvisoryId {
        self.id.parse().expect("it was an id before")
    }

    /// The vendor's announcements that fix it, sorted.
    pub fn bulletins(&self) -> impl Iterator<Item = AdvisoryId> {
        self.bulletins.iter().map(|id| id.parse().expect("it was an id before"))
    }

    /// Which versions have it.
    #[must_use]
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// How bad the package's vendor finds it.
    #[must_use]
    pub fn urgency(&self) -> Severity {
        self.urgency
    }

    /// The name of the source that the status comes from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The module stream that it holds in; `None` for packages outside of modules.
    #[must_use]
    pub fn module(&self) -> Option<&str> {
        self.module.as_deref()
    }

    /// The architectures that have it, sorted; none for all.
    #[must_use]
    pub fn architectures(&self) -> &[Arc<str>] {
        &self.architectures
    }

    /// The functions that have it, sorted; none where no source tells.
    #[must_use]
    pub fn symbols(&self) -> &[Arc<str>] {
        &self.symbols
    }
}

/// What is known about a vulnerability wherever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vulnerability {
    pub(crate) aliases: BTreeSet<Arc<str>>,
    pub(crate) severity: Severity,
    pub(crate) cvss: BTreeSet<CvssScore>,
    pub(crate) exploitation: Exploitation,
    pub(crate) title: Option<Arc<str>>,
}

impl AdvisoryStore {
    /// Starts an empty store.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Reads files and folders of advisories in whatever known formats they are.
    ///
    /// # Errors
    /// As [`Builder::path`].
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self> {
        let mut builder = Self::builder();
        for path in paths {
            builder.path(path.as_ref())?;
        }
        Ok(builder.build())
    }

    /// What is known about a package in a scope, sorted by vulnerability. What is said about every release counts
    /// where nothing is said about the scope's own.
    pub fn claims(&self, scope: &Scope, package: &str) -> impl Iterator<Item = &Claim> {
        let find = |scope: &Scope| self.scopes.get(scope)?.get(package);
        let own = find(scope).map_or(&[][..], Vec::as_slice);
        let general = scope.release().and_then(|_| find(&scope.any_release())).map_or(&[][..], Vec::as_slice);
        let overridden = |claim: &Claim| own.binary_search_by(|other| other.id.cmp(&claim.id)).is_ok();
        let mut all: Vec<&Claim> = own.iter().chain(general.iter().filter(|claim| !overridden(claim))).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all.into_iter()
    }

    /// Whether anything at all is known about a scope.
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        self.scopes.contains_key(scope) || self.scopes.contains_key(&scope.any_release())
    }

    /// The scopes that something is known about, sorted.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.scopes.keys()
    }

    /// How many claims there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.claims
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.claims == 0
    }

    /// The date of the newest advisory that has one.
    #[must_use]
    pub fn newest(&self) -> Option<Date> {
        self.newest
    }

    /// The identity of all that is known: the same for the same content, however it was put together.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    pub(crate) fn vulnerability(&self, claim: &Claim) -> Option<&Vulnerability> {
        self.vulnerabilities.get(&claim.id)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::advisory::{Advisory, End, Range};

    fn advisory(id: &str, release: Option<&str>, status: Status) -> Advisory {
        let scope = Scope::new("debian", release);
        Advisory::new(id.parse().unwrap(), scope, "curl".parse().unwrap(), status, "test")
    }

    fn fixed(version: &str) -> Status {
        Status::up_to(End::Fixed(version.into()))
    }

    fn store(advisories: impl IntoIterator<Item = Advisory>) -> AdvisoryStore {
        let mut builder = AdvisoryStore::builder();
        advisories.into_iter().for_each(|advisory| builder.add(advisory));
        builder.build()
    }

    fn statuses(store: &AdvisoryStore, release: &str) -> Vec<Status> {
        store.claims(&Scope::new("debian", Some(release)), "curl").map(|claim| claim.status.clone()).collect()
    }

    #[test]
    fn a_fix_outweighs_none_and_not_affected_outweighs_both() {
        let id = "CVE-2024-1000";
        let both = Status::Affected(vec![Range::up_to(End::Fixed("1".into())), Range::up_to(End::Fixed("2".into()))]);
        let open = || advisory(id, Some("11"), Status::up_to(End::NotFixed));
        let fixes = || [advisory(id, Some("11"), fixed("2")), advisory(id, Some("bullseye"), fixed("1"))];
        assert_eq!(statuses(&store(fixes().into_iter().chain([open()])), "11"), [both]);
        let unaffected = advisory(id, Some("11"), Status::NotAffected);
        assert_eq!(statuses(&store(fixes().into_iter().chain([unaffected, open()])), "11"), [Status::NotAffected]);
    }

    #[test]
    fn every_release_is_said_only_where_nothing_is_said_of_its_own() {
        let store = store([
            advisory("CVE-2024-1000", None, Status::up_to(End::FixedElsewhere("9".into()))),
            advisory("CVE-2024-1001", None, Status::up_to(End::NotFixed)),
            advisory("CVE-2024-1000", Some("11"), fixed("3")),
        ]);
        assert_eq!(statuses(&store, "11"), [fixed("3"), Status::up_to(End::NotFixed)]);
        assert_eq!(statuses(&store, "12").len(), 2);
        assert!(store.covers(&Scope::new("debian", Some("13"))) && !store.covers(&Scope::new("ubuntu", None)));
    }

    #[test]
    fn names_of_one_vulnerability_are_joined() {
        let ghsa = Advisory { severity: Severity::High, ..advisory("GHSA-1", Some("11"), fixed("2")) };
        let cve =
            Advisory { aliases: vec!["GHSA-1".parse().unwrap()], ..advisory("CVE-2024-1000", Some("12"), fixed("1")) };
        let store = store([ghsa, cve]);
        let scope = Scope::new("debian", Some("11"));
        let claim = store.claims(&scope, "curl").next().unwrap();
        assert_eq!(claim.id().as_str(), "CVE-2024-1000");
        let vulnerability = store.vulnerability(claim).unwrap();
        assert_eq!(vulnerability.severity, Severity::High);
        assert_eq!(vulnerability.aliases.iter().map(|name| &**name).collect::<Vec<_>>(), ["GHSA-1"]);
    }

    #[test]
    fn the_digest_is_of_the_content_not_of_its_order() {
        let (a, b) =
            (advisory("CVE-2024-1000", Some("11"), fixed("1")), advisory("CVE-2024-1001", Some("12"), fixed("2")));
        let one = store([a.clone(), b.clone()]);
        assert_eq!(one.digest(), store([b.clone(), a.clone(), b.clone()]).digest());
        assert_ne!(one.digest(), store([a.clone()]).digest());
        let other = Advisory { urgency: Severity::Low, ..b };
        assert_ne!(one.digest(), store([a, other]).digest());
    }
}
