//! `Packages`: what an archive offers, kept as the text it came in and read where it is asked for.

use std::{cmp::Ordering, ops::Range, sync::Arc};

use patchkit_core::{Algorithm, Digest};
use thiserror::Error;

use super::{release::Release, sources::Source};
use crate::debian::control::{ControlError, Position, Stanza, Stanzas};

/// Larger indexes are not read: Debian's own have 60 MB.
pub const MAX_INDEX_SIZE: usize = 1 << 30;

/// All packages of one index, for one architecture.
///
/// Bookworm's main has 63,000 packages in 48 MB: the text is kept as it is, with some 40 bytes a package to find the
/// names, versions and provided names; every other field is read from the text when it is asked for.
#[derive(Debug)]
pub struct PackageIndex {
    text: Vec<u8>,
    records: Vec<Record>,
    origin: Origin,
}

/// Where packages come from: the source, and what its `Release` file says of itself. Pins look at this.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The repository.
    pub source: Source,
    /// What its `Release` file says.
    pub release: Arc<Release>,
    /// The component, empty for a flat repository.
    pub component: String,
}

/// Where a package's stanza and its fields of every day stand in the text.
#[derive(Clone, Copy, Debug)]
struct Record {
    stanza: Span,
    name: Span,
    version: Span,
    architecture: Span,
    provides: Span,
}

#[derive(Clone, Copy, Debug, Default)]
struct Span {
    start: u32,
    length: u32,
}

/// Why an index cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum IndexError {
    /// The deb822 format is violated.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A field that every package has is missing or wrong.
    #[error("line {line}: {name}: {field} {reason}")]
    Field {
        /// The line where the stanza begins.
        line: usize,
        /// The package, as far as its name is known.
        name: String,
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// More than [`MAX_INDEX_SIZE`].
    #[error("{0} bytes, more than {MAX_INDEX_SIZE}")]
    TooLarge(usize),
}

impl PackageIndex {
    /// Reads an index. Packages of other architectures than `architecture` and `all` are left out.
    ///
    /// # Errors
    /// [`IndexError`] with the line.
    pub fn parse(text: Vec<u8>, architecture: &str, origin: Origin) -> Result<Self, IndexError> {
        if text.len() > MAX_INDEX_SIZE {
            return Err(IndexError::TooLarge(text.len()));
        }
        let mut records = Vec::with_capacity(text.len() / 700);
        for stanza in Stanzas::strict(&text) {
            let record = Record::of(&stanza?, &text)?;
            let own = record.architecture.of(&text);
            if own == architecture.as_bytes() || own == b"all" {
                records.push(record);
            }
        }
        records.sort_by(|left, right| left.name.of(&text).cmp(right.name.of(&text)));
        records.shrink_to_fit();
        Ok(Self { text, records, origin })
    }

    /// How many packages there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there is no package.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Where the packages come from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// All packages, by name.
    pub fn packages(self: &Arc<Self>) -> impl Iterator<Item = AvailablePackage> + use<'_> {
        self.range(0..self.records.len())
    }

    /// The packages of this name: one for each version and architecture.
    pub fn named(self: &Arc<Self>, name: &str) -> impl Iterator<Item = AvailablePackage> + use<'_> {
        let compare = |record: &Record| record.name.of(&self.text).cmp(name.as_bytes());
        let start = self.records.partition_point(|record| compare(record) == Ordering::Less);
        let length = self.records[start..].partition_point(|record| compare(record) == Ordering::Equal);
        self.range(start..start + length)
    }

    /// The packages that have a `Provides` field.
    pub fn providing(self: &Arc<Self>) -> impl Iterator<Item = AvailablePackage> + use<'_> {
        self.packages().filter(|package| package.record().provides.length > 0)
    }

    fn range(self: &Arc<Self>, range: Range<usize>) -> impl Iterator<Item = AvailablePackage> + use<'_> {
        range.map(|number| AvailablePackage { index: Arc::clone(self), number })
    }

    fn text(&self, span: Span) -> &str {
        std::str::from_utf8(span.of(&self.text)).expect("checked when the index was read")
    }
}

impl Record {
    fn of(stanza: &Stanza<'_>, text: &[u8]) -> Result<Self, IndexError> {
        let stanza = Checked { stanza, text };
        Ok(Self {
            stanza: stanza.whole(),
            name: stanza.required("Package", crate::debian::control::dependency::is_package_name)?,
            version: stanza.required("Version", |version| !version.contains(char::is_whitespace))?,
            architecture: stanza.required("Architecture", |name| !name.is_empty())?,
            provides: stanza.span("Provides")?.unwrap_or_default(),
        })
    }
}

/// A stanza whose fields are turned into spans once they are known to be good.
struct Checked<'a> {
    stanza: &'a Stanza<'a>,
    text: &'a [u8],
}

impl Checked<'_> {
    fn whole(&self) -> Span {
        Span::new(self.stanza.position().offset, self.stanza.bytes().len())
    }

    fn required(&self, field: &'static str, good: impl Fn(&str) -> bool) -> Result<Span, IndexError> {
        let value = self.stanza.text(field)?.ok_or_else(|| self.fault(field, "is missing"))?;
        if !good(value) {
            return Err(self.fault(field, "has a value that it cannot have"));
        }
        self.span(field)?.ok_or_else(|| self.fault(field, "is missing"))
    }

    fn span(&self, field: &'static str) -> Result<Option<Span>, IndexError> {
        let Some(value) = self.stanza.text(field)? else {
            return Ok(None);
        };
        // Without comments, which an index does not have, a value is a piece of the file.
        let start = (value.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize);
        let start = start.filter(|start| start + value.len() <= self.text.len());
        start.map(|start| Some(Span::new(start, value.len()))).ok_or_else(|| self.fault(field, "is not in one piece"))
    }

    fn fault(&self, field: &'static str, reason: &'static str) -> IndexError {
        let Position { line, .. } = self.stanza.position();
        let name = self.stanza.field("Package").map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        IndexError::Field { line, name, field, reason }
    }
}

impl Span {
    /// Both fit: an index is smaller than [`MAX_INDEX_SIZE`].
    fn new(start: usize, length: usize) -> Self {
        Self { start: u32::try_from(start).unwrap_or(u32::MAX), length: u32::try_from(length).unwrap_or(0) }
    }

    fn of(self, text: &[u8]) -> &[u8] {
        &text[self.start as usize..self.start as usize + self.length as usize]
    }
}

/// A package that an archive offers: a handle into its index, cheap to clone.
#[derive(Clone)]
pub struct AvailablePackage {
    index: Arc<PackageIndex>,
    number: usize,
}

/// What to download for a package, and how to know that it is the right thing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PackageFile {
    /// Its path below the root of the archive; never leads out of it.
    pub path: String,
    /// Its digest: SHA-256, or SHA-512 where there is no other.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

impl AvailablePackage {
    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.index.text(self.record().name)
    }

    /// The version, as the archive writes it.
    #[must_use]
    pub fn version(&self) -> &str {
        self.index.text(self.record().version)
    }

    /// The architecture, or `all`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        self.index.text(self.record().architecture)
    }

    /// The `Provides` field, empty where there is none.
    #[must_use]
    pub fn provides(&self) -> &str {
        self.index.text(self.record().provides)
    }

    /// The name of the source package.
    #[must_use]
    pub fn source_name(&self) -> String {
        self.source().0
    }

    /// The version of the source package.
    #[must_use]
    pub fn source_version(&self) -> String {
        self.source().1
    }

    /// `Source: name (version)`, where the name or the version may be the package's own and left out.
    fn source(&self) -> (String, String) {
        let source = self.field("Source").unwrap_or_default();
        let (name, version) = source.split_once('(').unwrap_or((&source, ""));
        let or = |value: &str, own: &str| {
            if value.is_empty() { own.to_owned() } else { value.to_owned() }
        };
        (or(name.trim(), self.name()), or(version.trim_end_matches(')').trim(), self.version()))
    }

    /// Any field's value, its lines unfolded as they stand; `None` where it is absent, empty or not UTF-8.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        self.stanza().text(name).ok().flatten().map(str::to_owned)
    }

    /// Whether the package is `Essential`.
    #[must_use]
    pub fn is_essential(&self) -> bool {
        self.field("Essential").is_some_and(|value| value == "yes")
    }

    /// What to download.
    ///
    /// # Errors
    /// [`IndexError::Field`] where the size or every strong hash is missing, or where the path leads out of the archive.
    pub fn file(&self) -> Result<PackageFile, IndexError> {
        let stanza = self.stanza();
        let checked = Checked { stanza: &stanza, text: &self.index.text };
        let text = |field| stanza.text(field).ok().flatten().ok_or_else(|| checked.fault(field, "is missing"));
        let path = text("Filename")?;
        if !stays_inside(path) {
            return Err(checked.fault("Filename", "leads out of the archive"));
        }
        let size = text("Size")?.parse().map_err(|_| checked.fault("Size", "is no number"))?;
        let digest = digest(&stanza).ok_or_else(|| checked.fault("SHA256", "is missing or wrong"))?;
        Ok(PackageFile { path: path.to_owned(), digest, size })
    }

    /// The whole stanza.
    #[must_use]
    pub fn stanza(&self) -> Stanza<'_> {
        let bytes = self.record().stanza.of(&self.index.text);
        Stanzas::strict(bytes).next().and_then(Result::ok).expect("read before")
    }

    /// Where the package comes from.
    #[must_use]
    pub fn origin(&self) -> &Origin {
        &self.index.origin
    }

    fn record(&self) -> &Record {
        &self.index.records[self.number]
    }
}

impl std::fmt::Debug for AvailablePackage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{} {}", self.name(), self.architecture(), self.version())
    }
}

fn digest(stanza: &Stanza<'_>) -> Option<Digest> {
    let of = |field, algorithm: Algorithm| {
        let hex = stanza.text(field).ok().flatten()?.to_ascii_lowercase();
        format!("{}:{hex}", algorithm.as_str()).parse().ok()
    };
    of("SHA256", Algorithm::Sha256).or_else(|| of("SHA512", Algorithm::Sha512))
}

/// Whether a path stays below the folder it is appended to, and is no address of its own.
fn stays_inside(path: &str) -> bool {
    let up = path.split(['/', '\\']).any(|part| part == "..");
    let scheme = path.split('/').next().is_some_and(|first| first.contains(':') && path.contains("://"));
    !path.is_empty() && !path.starts_with('/') && !path.contains('\0') && !up && !scheme
}

#[cfg(test)]
mod tests;
