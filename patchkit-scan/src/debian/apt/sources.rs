//! Which repositories an image uses: one-line `sources.list` and deb822 `.sources`.
//!
//! Source: sources.list(5) of apt 2.6 and the readers in apt's `sourcelist.cc` and `debmetaindex.cc`.

mod deb822;
mod one_line;
mod options;

use std::fmt;

use thiserror::Error;
use url::Url;

pub use crate::fetch::without_credentials;
pub use options::{ByHash, SignedBy, SourceOptions};

/// Sources read from one file; real ones have up to some dozens.
const MAX_SOURCES: usize = 10_000;

/// One repository: a type, an address and a suite. A stanza or line with several of them becomes several sources.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Source {
    /// Where it was read.
    pub place: Place,
    /// Binary packages or source packages.
    pub kind: SourceKind,
    /// The root of the archive; its path ends in `/`.
    pub uri: Url,
    /// What to take from the archive.
    pub suite: Suite,
    /// Further settings.
    pub options: SourceOptions,
}

/// A line of a file.
#[derive(Clone, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The file's name as the caller gave it.
    pub file: String,
    /// Line number, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What a source offers.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum SourceKind {
    /// Binary packages (`deb`).
    Binary,
    /// Source packages (`deb-src`), which patching has no use for.
    Source,
}

/// The part of an archive that a source takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Suite {
    /// A suite below `dists/`, and its components in their order; never none.
    Distribution {
        /// The suite or codename: `stable`, `bookworm-security`, `stable/updates`.
        name: String,
        /// The components: `main`.
        components: Vec<String>,
    },
    /// A folder below the root, ending in `/`, which holds the indexes itself ("flat repository").
    Flat(String),
}

/// Why a sources file cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("{place}: {kind}")]
pub struct SourcesError {
    /// The line at fault.
    pub place: Place,
    /// What is wrong with it.
    pub kind: SourcesErrorKind,
}

/// What is wrong with an entry of a sources file.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum SourcesErrorKind {
    /// The deb822 format is violated.
    #[error("{0}")]
    Control(String),
    /// A suite below `dists/` without components.
    #[error("suite {0:?} needs a component such as main (or an exact path that ends in /)")]
    NoComponent(String),
    /// A required word or field is absent.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// An option has a value that it cannot have.
    #[error("option {name}: {value:?} is not {expected}")]
    Option {
        /// The option as it is written.
        name: String,
        /// Its value.
        value: String,
        /// What it may be.
        expected: &'static str,
    },
    /// A suite that is an exact path, and components.
    #[error("suite {0:?} is an exact path, which has no components")]
    SurplusComponent(String),
    /// More sources than anyone has.
    #[error("more than {MAX_SOURCES} sources")]
    TooMany,
    /// The first word is not a type of source.
    #[error("type {0:?} is neither deb nor deb-src")]
    Type(String),
    /// A bracket or a quote is not closed.
    #[error("{0} is not closed")]
    Unclosed(&'static str),
    /// The address cannot be read, or its path leaves the archive.
    #[error("address {0:?}: {1}")]
    Uri(String, String),
    /// A way of access that this client does not have.
    #[error("address {0:?}: only http:, https:, file: and copy: are supported")]
    UnsupportedScheme(String),
}

impl Source {
    /// The folder of the `Release` file: `URI/dists/SUITE/`, or `URI/PATH/` of a flat repository.
    #[must_use]
    pub fn release_folder(&self) -> Url {
        match &self.suite {
            Suite::Distribution { name, .. } => join(&self.uri, &format!("dists/{name}/")),
            Suite::Flat(path) => join(&self.uri, path.trim_start_matches("./").trim_start_matches('/')),
        }
    }

    /// The paths of the package indexes for an architecture, relative to the release folder, without compression
    /// suffix: `main/binary-amd64/Packages`.
    #[must_use]
    pub fn index_paths(&self, architecture: &str) -> Vec<String> {
        match &self.suite {
            Suite::Distribution { components, .. } => {
                components.iter().map(|component| format!("{component}/binary-{architecture}/Packages")).collect()
            }
            Suite::Flat(_) => vec!["Packages".to_owned()],
        }
    }

    /// The address of a file that an index names, such as `pool/main/a/apt/apt_2.6.1_amd64.deb`.
    #[must_use]
    pub fn file_url(&self, filename: &str) -> Url {
        join(&self.uri, filename.trim_start_matches("./"))
    }

    /// Whether packages of this architecture are to be taken, where the image itself is of `native`.
    #[must_use]
    pub fn offers(&self, architecture: &str) -> bool {
        self.options.offers(architecture)
    }
}

/// The line of `sources.list` that means the same, options left out.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            SourceKind::Binary => "deb",
            SourceKind::Source => "deb-src",
        };
        write!(f, "{kind} {} ", without_credentials(&self.uri))?;
        match &self.suite {
            Suite::Distribution { name, components } => {
                write!(f, "{name} {}", components.join(" "))
            }
            Suite::Flat(path) => f.write_str(path),
        }
    }
}

/// Reads a sources file: deb822 where its name ends in `.sources`, else one source a line.
///
/// # Errors
/// [`SourcesError`] with file and line. Nothing is skipped: a source that is not understood is a package not updated.
pub fn parse_sources(file: &str, bytes: &[u8]) -> Result<Vec<Source>, SourcesError> {
    let sources = if file.ends_with(".sources") { deb822::parse(file, bytes)? } else { one_line::parse(file, bytes)? };
    if sources.len() > MAX_SOURCES {
        return Err(SourcesError { place: Place { file: file.to_owned(), line: 1 }, kind: SourcesErrorKind::TooMany });
    }
    Ok(sources)
}

/// Whether apt reads the file of this name below `sources.list.d/` (sources.list(5): `.list` or `.sources`, and only
/// letters, digits, underscore, hyphen and period).
#[must_use]
pub fn is_sources_file(name: &str) -> bool {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
    plain && !name.starts_with('.') && (name.ends_with(".list") || name.ends_with(".sources"))
}

/// An address that may be none, without credentials: nothing up to its last `@` is shown.
pub(super) fn shown(text: &str) -> String {
    match (text.split_once("://"), text.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, rest))) => format!("{scheme}://…@{rest}"),
        _ => text.to_owned(),
    }
}

/// One source of an entry, with everything that its kind of file says about it.
struct Entry<'a> {
    place: Place,
    kind: SourceKind,
    uri: &'a str,
    suite: &'a str,
    components: &'a [String],
    options: &'a SourceOptions,
}

impl Entry<'_> {
    fn source(self) -> Result<Source, SourcesError> {
        let fail = |kind| SourcesError { place: self.place.clone(), kind };
        let uri = root(self.uri).map_err(fail)?;
        let suite = suite(self.suite, self.components).map_err(fail)?;
        Ok(Source { place: self.place.clone(), kind: self.kind, uri, suite, options: self.options.clone() })
    }
}

fn kind(word: &str) -> Result<SourceKind, SourcesErrorKind> {
    match word {
        "deb" => Ok(SourceKind::Binary),
        "deb-src" => Ok(SourceKind::Source),
        _ => Err(SourcesErrorKind::Type(word.to_owned())),
    }
}

fn suite(name: &str, components: &[String]) -> Result<Suite, SourcesErrorKind> {
    if name.split('/').any(|part| part == "..")
        || components.iter().any(|name| name.split('/').any(|part| part == ".."))
    {
        return Err(SourcesErrorKind::Uri(name.to_owned(), "leads out of the archive".to_owned()));
    }
    match (name.ends_with('/'), components.is_empty()) {
        (true, true) => Ok(Suite::Flat(name.to_owned())),
        (true, false) => Err(SourcesErrorKind::SurplusComponent(name.to_owned())),
        (false, true) => Err(SourcesErrorKind::NoComponent(name.to_owned())),
        (false, false) => Ok(Suite::Distribution { name: name.to_owned(), components: components.to_vec() }),
    }
}

/// The root of an archive, its path ending in `/`; `copy:` is `file:`, since nothing is used in place anyway.
///
/// What is fetched is found by adding to its path, which a query or a fragment leaves no place for: apt and an HTTP
/// client would disagree about what such an address means.
fn root(text: &str) -> Result<Url, SourcesErrorKind> {
    let fault = |reason: String| SourcesErrorKind::Uri(shown(text), reason);
    let scheme = text.split(':').next().unwrap_or_default();
    let text_of_file = || format!("file:{}", &text["copy:".len()..]);
    let url = match scheme {
        "http" | "https" | "file" => Url::parse(text),
        "copy" => Url::parse(&text_of_file()),
        _ => return Err(SourcesErrorKind::UnsupportedScheme(shown(text))),
    };
    let mut url = url.map_err(|error| fault(error.to_string()))?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("an archive has no query or fragment (in its path, ? is %3F and # is %23)".to_owned()));
    }
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    Ok(url)
}

/// Appends a relative path to a folder's address; characters that mean something in addresses are encoded.
pub(super) fn join(folder: &Url, path: &str) -> Url {
    let mut url = folder.clone();
    let mut joined = url.path().to_owned();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:+,=@$&'()*!;".contains(&byte) {
            joined.push(char::from(byte));
        } else {
            joined.push_str(&format!("%{byte:02X}"));
        }
    }
    url.set_path(&joined);
    url
}

#[cfg(test)]
mod tests;
