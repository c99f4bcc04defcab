use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    io::Read,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, Digest, Error, Hasher, Result, Severity};

use super::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Scope, Status,
    input::{read, read_file},
};

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
    bulletins: Vec<Arc<str>>,
    status: Status,
    urgency: Severity,
    source: &'static str,
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
    pub fn source(&self) -> &'static str {
        self.source
    }
}

/// What is known about a vulnerability wherever it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vulnerability {
    pub(crate) aliases: BTreeSet<Arc<str>>,
    pub(crate) severity: Severity,
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

/// An [`AdvisoryStore`] in the making.
#[derive(Debug, Default)]
pub struct Builder {
    scopes: BTreeMap<Scope, Packages>,
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    newest: Option<Date>,
    strings: HashSet<Arc<str>>,
}

impl Builder {
    /// Adds one advisory.
    pub fn add(&mut self, advisory: Advisory) {
        let Advisory { id, aliases, bulletins, scope, package, status, urgency, severity, title, date, source } =
            advisory;
        let id = self.intern(id.as_str());
        if !aliases.is_empty() || severity != Severity::Unknown || title.is_some() {
            let aliases: Vec<_> = aliases.iter().map(|alias| self.intern(alias.as_str())).collect();
            let vulnerability = self.vulnerabilities.entry(id.clone()).or_default();
            vulnerability.join(Vulnerability { aliases: aliases.into_iter().collect(), severity, title });
        }
        self.newest = self.newest.max(date);
        let bulletins = bulletins.iter().map(|id| self.intern(id.as_str())).collect();
        let status = self.intern_status(status);
        let claim = Claim { id, bulletins, status, urgency, source };
        let package = self.intern(package.as_str());
        self.scopes.entry(scope).or_default().entry(package).or_default().push(claim);
    }

    /// Adds the advisories of an input; the name is for errors.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) naming input and line;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where the format is not known.
    pub fn read(&mut self, name: &str, input: impl Read) -> Result<&mut Self> {
        read(name, input, &mut |advisory| self.add(advisory))?;
        Ok(self)
    }

    /// Adds the advisories of a file, or of all files in a folder and its folders.
    ///
    /// In a folder, hidden files and documents (`.md`) are not read; what is neither JSON nor a table is passed over
    /// where its format is not known.
    ///
    /// # Errors
    /// As [`read`](Self::read); [`NotFound`](patchkit_core::ErrorKind::NotFound) where the path does not exist, and
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a folder without any advisories.
    pub fn path(&mut self, path: &Path) -> Result<&mut Self> {
        if !path.is_dir() {
            read_file(path, &mut |advisory| self.add(advisory))?;
            return Ok(self);
        }
        let mut files = Vec::new();
        collect(path, &mut files).map_err(|error| {
            Error::unexpected(error.to_string()).during("read advisories").on(path.display()).because(error)
        })?;
        files.sort();
        let mut read = 0;
        for file in files {
            read += usize::from(self.file_of_folder(&file)?);
        }
        match read {
            0 => Err(Error::invalid("the folder has no advisories").during("read advisories").on(path.display())),
            _ => Ok(self),
        }
    }

    fn file_of_folder(&mut self, file: &Path) -> Result<bool> {
        match read_file(file, &mut |advisory| self.add(advisory)) {
            Ok(_) => Ok(true),
            Err(error) if is_unknown(&error) && !must_be_known(file) => {
                tracing::warn!(file = %file.display(), "passed over: no known format of advisories");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    fn intern(&mut self, text: &str) -> Arc<str> {
        match self.strings.get(text) {
            Some(known) => known.clone(),
            None => {
                let text: Arc<str> = text.into();
                self.strings.insert(text.clone());
                text
            }
        }
    }

    fn intern_status(&mut self, status: Status) -> Status {
        let Status::Affected(mut ranges) = status else { return status };
        for range in &mut ranges {
            range.from = range.from.take().map(|version| self.intern(&version));
            if let End::Fixed(version) | End::FixedElsewhere(version) | End::Last(version) = &mut range.end {
                *version = self.intern(version);
            }
        }
        Status::Affected(ranges)
    }

    /// Joins what speaks of the same, and ends building.
    #[must_use]
    pub fn build(self) -> AdvisoryStore {
        let Self { mut scopes, vulnerabilities, newest, strings: _ } = self;
        let names = canonical_names(&vulnerabilities);
        let vulnerabilities = renamed(vulnerabilities, &names);
        let mut count = 0;
        for claims in scopes.values_mut().flat_map(BTreeMap::values_mut) {
            *claims = joined(std::mem::take(claims), &names);
            count += claims.len();
        }
        let digest = digest(&scopes, &vulnerabilities);
        AdvisoryStore { scopes, vulnerabilities, newest, claims: count, digest }
    }
}

/// The CVE id of each other name that belongs to exactly one.
fn canonical_names(vulnerabilities: &BTreeMap<Arc<str>, Vulnerability>) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut cves: BTreeMap<&Arc<str>, BTreeSet<&Arc<str>>> = BTreeMap::new();
    for (id, vulnerability) in vulnerabilities {
        let names = || [id].into_iter().chain(&vulnerability.aliases);
        for name in names().filter(|name| !is_cve(name)) {
            cves.entry(name).or_default().extend(names().filter(|name| is_cve(name)));
        }
    }
    let single = cves.into_iter().filter(|(_, cves)| cves.len() == 1);
    single.filter_map(|(name, cves)| Some((name.clone(), (*cves.first()?).clone()))).collect()
}

fn is_cve(name: &str) -> bool {
    name.starts_with("CVE-")
}

fn renamed(
    vulnerabilities: BTreeMap<Arc<str>, Vulnerability>,
    names: &BTreeMap<Arc<str>, Arc<str>>,
) -> BTreeMap<Arc<str>, Vulnerability> {
    let mut result: BTreeMap<Arc<str>, Vulnerability> = BTreeMap::new();
    for (id, mut vulnerability) in vulnerabilities {
        let name = names.get(&id).unwrap_or(&id).clone();
        vulnerability.aliases.insert(id);
        vulnerability.aliases.remove(&name);
        result.entry(name).or_default().join(vulnerability);
    }
    result
}

impl Vulnerability {
    /// Adds what another source says: all names, the highest severity, the longest title.
    fn join(&mut self, other: Self) {
        let Self { aliases, severity, title } = other;
        self.aliases.extend(aliases);
        self.severity = self.severity.max(severity);
        let key = |title: &Option<Arc<str>>| title.as_ref().map(|title| (title.len(), title.clone()));
        if key(&self.title) < key(&title) {
            self.title = title;
        }
    }
}

/// One claim for each vulnerability, sorted.
fn joined(mut claims: Vec<Claim>, names: &BTreeMap<Arc<str>, Arc<str>>) -> Vec<Claim> {
    for claim in &mut claims {
        if let Some(name) = names.get(&claim.id) {
            claim.id = name.clone();
        }
    }
    claims.sort();
    claims.dedup();
    let mut result: Vec<Claim> = Vec::with_capacity(claims.len());
    for claim in claims {
        match result.last_mut().filter(|last| last.id == claim.id) {
            Some(last) => last.join(claim),
            None => result.push(claim),
        }
    }
    result.iter_mut().for_each(Claim::settle);
    result
}

impl Claim {
    /// Adds what another source says of the same. Both orders give the same, as claims are sorted before.
    fn join(&mut self, other: Self) {
        let Self { id: _, bulletins, status, urgency, source } = other;
        self.bulletins.extend(bulletins);
        self.urgency = self.urgency.max(urgency);
        let stronger = strength(&status) > strength(&self.status);
        self.source = if stronger { source } else { self.source };
        match (&mut self.status, status) {
            (Status::Affected(ranges), Status::Affected(more)) => ranges.extend(more),
            (Status::NotAffected, _) => {}
            (own, Status::NotAffected) => *own = Status::NotAffected,
        }
    }

    /// Drops what is outweighed: a range without end, where one from the same version on has an end.
    fn settle(&mut self) {
        self.bulletins.sort();
        self.bulletins.dedup();
        let Status::Affected(ranges) = &mut self.status else { return };
        ranges.sort();
        ranges.dedup();
        let fixed: Vec<_> =
            ranges.iter().filter(|range| matches!(range.end, End::Fixed(_))).map(|range| range.from.clone()).collect();
        ranges.retain(|range| match &range.end {
            End::Fixed(_) | End::Last(_) => true,
            End::FixedElsewhere(_) | End::NotFixed | End::WillNotFix => !fixed.contains(&range.from),
        });
    }
}

fn strength(status: &Status) -> u8 {
    match status {
        Status::NotAffected => 2,
        Status::Affected(ranges) => u8::from(ranges.iter().any(|range| matches!(range.end, End::Fixed(_)))),
    }
}

/// The digest of everything in its order, each text with its length, so that no two contents look the same.
fn digest(scopes: &BTreeMap<Scope, Packages>, vulnerabilities: &BTreeMap<Arc<str>, Vulnerability>) -> Digest {
    let mut content = Content { hasher: Hasher::default(), buffer: Vec::with_capacity(1 << 16) };
    for (scope, packages) in scopes {
        content.list([scope.ecosystem(), scope.release().unwrap_or_default()]);
        for (package, claims) in packages {
            content.text(package);
            claims.iter().for_each(|claim| content.claim(claim));
        }
    }
    for (id, Vulnerability { aliases, severity, title }) in vulnerabilities {
        content.list([id, severity.as_str(), title.as_deref().unwrap_or_default()]);
        content.list(aliases.iter().map(|alias| &**alias));
    }
    content.hasher.update(&content.buffer);
    content.hasher.finish()
}

struct Content {
    hasher: Hasher,
    buffer: Vec<u8>,
}

impl Content {
    fn text(&mut self, text: &str) {
        self.buffer.extend((text.len() as u64).to_le_bytes());
        self.buffer.extend(text.as_bytes());
        if self.buffer.len() > 1 << 16 {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    fn list<'a>(&mut self, texts: impl IntoIterator<Item = &'a str>) {
        texts.into_iter().for_each(|text| self.text(text));
        self.buffer.push(b';');
    }

    fn claim(&mut self, claim: &Claim) {
        let Claim { id, bulletins, status, urgency, source } = claim;
        self.list([id, urgency.as_str(), source]);
        self.list(bulletins.iter().map(|id| &**id));
        let Status::Affected(ranges) = status else { return self.text("not affected") };
        for range in ranges {
            let kind = match range.end {
                End::Fixed(_) => "fixed",
                End::FixedElsewhere(_) => "fixed elsewhere",
                End::Last(_) => "last",
                End::NotFixed => "not fixed",
                End::WillNotFix => "will not fix",
            };
            let version = range.end.version().map_or("", |version| &**version);
            self.list([range.from.as_deref().unwrap_or_default(), kind, version]);
        }
    }
}

/// The files of a folder and its folders, but for hidden ones and documents.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if name.as_encoded_bytes().starts_with(b".") || path.extension().is_some_and(|extension| extension == "md") {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(&path, files)?;
        } else if path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

fn is_unknown(error: &AdvisoryError) -> bool {
    matches!(error.kind(), AdvisoryErrorKind::UnknownFormat(_))
}

/// Whether a file's name promises advisories, so that one of no known format is damaged.
fn must_be_known(file: &Path) -> bool {
    let name = file.to_string_lossy().to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    [".json", ".jsonl", ".ndjson", ".tsv"].iter().any(|extension| name.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advisory::Range;

    fn advisory(id: &str, release: Option<&str>, status: Status) -> Advisory {
        Advisory {
            id: id.parse().unwrap(),
            aliases: vec![],
            bulletins: vec![],
            scope: Scope::new("debian", release),
            package: "curl".parse().unwrap(),
            status,
            urgency: Severity::Unknown,
            severity: Severity::Unknown,
            title: None,
            date: None,
            source: "test",
        }
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
