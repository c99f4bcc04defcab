use std::fmt;

use thiserror::Error;

/// Why advisories cannot be read: in which input, where in it, and what is wrong there.
#[derive(Debug, Error)]
pub struct AdvisoryError {
    input: String,
    line: Option<usize>,
    kind: AdvisoryErrorKind,
}

/// What is wrong with an input of advisories.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AdvisoryErrorKind {
    /// The bytes cannot be read, or not be decompressed.
    #[error("cannot be read: {0}")]
    Io(#[source] std::io::Error),
    /// It is JSON, but not what the format says.
    #[error("{0}")]
    Json(#[source] serde_json::Error),
    /// It breaks a rule of its format.
    #[error("{0}")]
    Syntax(String),
    /// A record is longer than any honest one.
    #[error("a record is longer than {0} bytes")]
    TooLong(u64),
    /// It has no format that is known.
    #[error("no known format of advisories: {0}")]
    UnknownFormat(&'static str),
}

impl fmt::Display for AdvisoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, line, kind } = self;
        match line {
            Some(line) => write!(f, "{input}: line {line}: {kind}"),
            None => write!(f, "{input}: {kind}"),
        }
    }
}

impl AdvisoryError {
    pub(super) fn new(line: Option<usize>, kind: AdvisoryErrorKind) -> Self {
        Self { input: String::new(), line, kind }
    }

    pub(super) fn syntax(line: usize, message: impl fmt::Display) -> Self {
        Self::new(Some(line), AdvisoryErrorKind::Syntax(message.to_string()))
    }

    /// The same, about the named input; the innermost name stays.
    pub(super) fn of(mut self, input: &str) -> Self {
        if self.input.is_empty() {
            self.input = input.into();
        }
        self
    }

    /// The same, within the named input: an archive's.
    pub(super) fn within(mut self, input: &str) -> Self {
        self.input = if self.input.is_empty() { input.into() } else { format!("{input}: {}", self.input) };
        self
    }

    /// What is wrong.
    #[must_use]
    pub fn kind(&self) -> &AdvisoryErrorKind {
        &self.kind
    }

    /// The line it was noticed on, from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.line
    }
}

impl From<AdvisoryError> for patchkit_core::Error {
    fn from(error: AdvisoryError) -> Self {
        use AdvisoryErrorKind::{Io, Json, Syntax, TooLong, UnknownFormat};
        let make = match &error.kind {
            Io(io) if io.kind() == std::io::ErrorKind::NotFound => patchkit_core::Error::not_found,
            Io(io) if io.kind() == std::io::ErrorKind::PermissionDenied => patchkit_core::Error::denied,
            UnknownFormat(_) => patchkit_core::Error::unsupported,
            Io(_) | Json(_) | Syntax(_) | TooLong(_) => patchkit_core::Error::corrupt,
        };
        make(error.to_string()).during("read advisories").because(error)
    }
}
