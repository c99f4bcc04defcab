//! The notations that lock files are written in, with bounds on what is read.

use serde::{Deserialize, de::DeserializeOwned};
use thiserror::Error;

use crate::inventory::Problem;

/// The longest YAML or TOML that is read, since it takes many times as much memory when parsed. The largest real lock files
/// have some MiB.
const MAX_PARSED: usize = 16 << 20;

/// The most nodes of a YAML file. A package of a lock file has about twenty.
const MAX_NODES: usize = 2_000_000;

/// Why the text of a lock file cannot be read.
#[derive(Debug, Error)]
enum ReadTextError {
    /// It is longer than is read.
    #[error("{0} bytes, more than the {MAX_PARSED} that are read of such a file")]
    Long(usize),
    /// It is not TOML, or lacks the shape of such a file.
    #[error("{message} at line {line}")]
    Toml {
        /// The line, from one.
        line: usize,
        /// What is wrong there.
        message: String,
    },
    /// It is not YAML, or lacks the shape of such a file; the text has the place.
    #[error(transparent)]
    Yaml(#[from] Box<serde_saphyr::Error>),
}

/// Reads JSON. Its nesting is bounded by the library, its length by what is kept of a file.
pub(super) fn json<'a, T: Deserialize<'a>>(content: &'a [u8]) -> Result<T, Problem> {
    Ok(serde_json::from_slice(content)?)
}

/// Reads TOML.
pub(super) fn toml<T: DeserializeOwned>(content: &[u8]) -> Result<T, Problem> {
    let text = bounded(content)?;
    toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start);
        ReadTextError::Toml { line: line_of(content, start), message: error.message().to_owned() }.into()
    })
}

/// Reads all documents of a YAML stream.
pub(super) fn yaml<T: DeserializeOwned>(content: &[u8]) -> Result<Vec<T>, Problem> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 2 * MAX_NODES, max_nodes: MAX_NODES, max_anchors: 0 },
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        emit_comments: false,
        with_snippet: false,
    };
    let documents = serde_saphyr::from_multiple_with_options(bounded(content)?, options);
    Ok(documents.map_err(|error| ReadTextError::from(Box::new(error)))?)
}

fn bounded(content: &[u8]) -> Result<&str, Problem> {
    match content.len() > MAX_PARSED {
        true => Err(ReadTextError::Long(content.len()).into()),
        false => Ok(std::str::from_utf8(content)?),
    }
}

fn line_of(content: &[u8], at: usize) -> usize {
    let before = &content[..at.min(content.len())];
    1 + memchr::memchr_iter(b'\n', before).count()
}

/// What may be of another shape than expected: one odd entry does not spoil the file.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Lenient<T> {
    /// As expected.
    Known(T),
    /// Something else.
    Other(serde::de::IgnoredAny),
}

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self::Other(serde::de::IgnoredAny)
    }
}

impl<T> Lenient<T> {
    /// What is of the expected shape.
    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Other(_) => None,
        }
    }
}

impl Lenient<String> {
    /// The text; empty where there is none.
    pub(super) fn text(&self) -> &str {
        self.known().map_or("", String::as_str)
    }
}
