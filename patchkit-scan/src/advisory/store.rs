mod builder;
mod database;
mod join;
pub(crate) mod parts;
mod record;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
    time::Duration,
};

use jiff::{Timestamp, civil::Date};
use patchkit_core::{AdvisoryId, CvssScore, Digest, Exploitation, Result, Severity};

pub use builder::Builder;
pub use source::SourceInfo;

use super::{Scope, Status};
use database::Table;
use record::{Head, Key};

/// All advisories that a scanner knows, joined and indexed by scope and package; immutable, and shared by cloning an
/// `Arc` of it.
///
/// It is a compiled database, in memory or in a [file](Self::write) that is read in place: opening reads the index, and
/// a question the few blocks that it touches, each of which is checked against the index. Of blocks that were read,
/// some MB are kept.
///
/// Sources may overlap. What they say about one vulnerability in one package of one release becomes one [`Claim`]:
/// "not affected" outweighs a fix (an announcement lists all its CVEs for all its releases, the tracker knows better),
/// a fix outweighs that there is none yet, and of several fixes the highest version counts. Names of one vulnerability
/// are joined: a CVE id stands for all of them, else the first. The order in which things were added makes no
/// difference to anything, also not to the [`digest`](Self::digest).
#[derive(Debug)]
pub struct AdvisoryStore {
    table: Table,
    head: Head,
    sources: Vec<SourceInfo>,
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

    /// Opens a compiled database in place; or reads files and folders of advisories in whatever known formats they
    /// are, compiled databases among them, and compiles them in memory.
    ///
    /// # Errors
    /// As [`Builder::path`].
    pub fn open<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self> {
        let paths: Vec<P> = paths.into_iter().collect();
        if let [path] = paths.as_slice()
            && database::is_table(path.as_ref())
        {
            return Self::open_compiled(path.as_ref());
        }
        let mut builder = Self::builder();
        for path in paths {
            builder.path(path.as_ref())?;
        }
        Ok(builder.build())
    }

    /// Opens a compiled database in place, and nothing else.
    ///
    /// # Errors
    /// `NotFound`; `Corrupt` where it is cut off or altered, `Unsupported` for another version of the format or for
    /// something else; each names the file.
    pub fn open_compiled(path: &Path) -> Result<Self> {
        let store = Self::of(Table::open(path)?)?;
        // What is named otherwise than images are now would never be found, and nobody would know.
        let renamed = store.scopes().find(|scope| !scope.is_normalised());
        let error = renamed.map(|scope| store.table.outdated(scope));
        error.map_or(Ok(store), Err)
    }

    /// The store that these bytes are: those of a file that was [written](Self::write).
    ///
    /// # Errors
    /// `Corrupt` where they are cut off or altered, `Unsupported` for another version of the format or something else.
    pub fn of_bytes(bytes: Vec<u8>) -> Result<Self> {
        Self::of(Table::of_bytes(bytes)?)
    }

    fn of(table: Table) -> Result<Self> {
        let head = Head::parse(table.head()).map_err(|malformed| table.malformed("head", malformed))?;
        let sources = source::parse(table.facts()).map_err(|malformed| table.malformed("sources", malformed))?;
        Ok(Self { table, head, sources })
    }

    /// Writes the compiled database to a file, which is there as a whole or not at all: what reads an older file of
    /// the name goes on reading that one.
    ///
    /// The same statements of the same sources make the same bytes, in whatever order they came.
    ///
    /// # Errors
    /// `NotFound`, `Denied` or `Unexpected` where the file cannot be written; as [`claims`](Self::claims) where the
    /// store is a file itself.
    pub fn write(&self, path: &Path) -> Result<()> {
        self.table.write(path)
    }

    /// What is known about a package in a scope, sorted by vulnerability. What is said about every release counts
    /// where nothing is said about the scope's own.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) naming the file and the block that is not what was written.
    pub fn claims(&self, scope: &Scope, package: &str) -> Result<Vec<Claim>> {
        let mut claims = self.own_claims(scope, package)?;
        if scope.release().is_some() {
            let general = self.own_claims(&scope.any_release(), package)?;
            let own = claims.len();
            let overridden = |claim: &Claim| claims[..own].binary_search_by(|other| other.id.cmp(&claim.id)).is_ok();
            let general: Vec<Claim> = general.into_iter().filter(|claim| !overridden(claim)).collect();
            if !general.is_empty() {
                claims.extend(general);
                claims.sort_by(|a, b| a.id.cmp(&b.id));
            }
        }
        Ok(claims)
    }

    fn own_claims(&self, scope: &Scope, package: &str) -> Result<Vec<Claim>> {
        let Some(number) = self.head.number(scope) else { return Ok(Vec::new()) };
        let Some(value) = self.table.find(&Key::Claims(number, package).encode())? else { return Ok(Vec::new()) };
        let claims = record::claims(&value, &self.head.origins);
        claims.map_err(|malformed| self.table.malformed(&format!("{scope} {package}"), malformed))
    }

    /// Whether anything at all is known about a scope.
    #[must_use]
    pub fn covers(&self, scope: &Scope) -> bool {
        self.head.number(scope).is_some() || self.head.number(&scope.any_release()).is_some()
    }

    /// The scopes that something is known about, sorted.
    pub fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.head.scopes.iter()
    }

    /// How many claims there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.head.claims
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head.claims == 0
    }

    /// How many bytes the compiled database has.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.table.len()
    }

    /// The sources that it was built from, sorted by name.
    #[must_use]
    pub fn sources(&self) -> &[SourceInfo] {
        &self.sources
    }

    /// The sources that were [retrieved](SourceInfo::as_of) longer ago than the limit. A source that does not tell
    /// when is not among them.
    pub fn stale(&self, now: Timestamp, limit: Duration) -> impl Iterator<Item = &SourceInfo> {
        self.sources.iter().filter(move |source| source.age(now).is_some_and(|age| age > limit))
    }

    /// The date of the newest advisory that has one.
    #[must_use]
    pub fn newest(&self) -> Option<Date> {
        self.sources.iter().filter_map(|source| source.newest).max()
    }

    /// The identity of all that is known: the same for the same content, however it was put together, and whenever its
    /// sources were retrieved.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.table.digest()
    }

    /// What is known about a claim's vulnerability wherever it is.
    ///
    /// # Errors
    /// As [`claims`](Self::claims).
    pub(crate) fn vulnerability(&self, claim: &Claim) -> Result<Option<Vulnerability>> {
        let Some(value) = self.table.find(&Key::Vulnerability(&claim.id).encode())? else { return Ok(None) };
        let known = record::vulnerability(&value);
        known.map(Some).map_err(|malformed| self.table.malformed(&claim.id, malformed))
    }

    /// Reads everything.
    ///
    /// # Errors
    /// As [`claims`](Self::claims).
    fn walk(&self, mut each: impl FnMut(Entry)) -> Result<()> {
        self.table.walk(|key, value| {
            let entry = self.head.entry(key, value);
            entry.map(&mut each).map_err(|malformed| self.table.malformed("entry", malformed))
        })
    }

    /// Reads everything, to find out whether it is what was written.
    ///
    /// # Errors
    /// As [`claims`](Self::claims).
    pub fn verify(&self) -> Result<()> {
        let mut claims = 0;
        self.walk(|entry| {
            if let Entry::Claims(_, _, found) = entry {
                claims += found.len();
            }
        })?;
        if claims == self.len() { Ok(()) } else { Err(self.table.miscounted(self.len(), claims)) }
    }
}

/// One thing that is known.
enum Entry {
    Claims(Scope, Arc<str>, Vec<Claim>),
    Vulnerability(Arc<str>, Vulnerability),
}

#[cfg(test)]
mod tests;
