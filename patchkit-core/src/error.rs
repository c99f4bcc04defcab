//! One opaque error for the whole workspace: what went wrong, with which subject, and whether trying again may help.

use std::{error::Error as StdError, fmt, time::Duration};

/// The result of every fallible operation of patchkit.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is: what a caller can decide on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The run was cancelled or its deadline passed.
    Cancel,
    /// Somebody else changed the subject first.
    Conflict,
    /// Bytes are not what their digest, length, signature or format promises. Never retried, never downgraded.
    Corrupt,
    /// The other side knows who asks and says no, or asks for credentials that we do not have.
    Denied,
    /// The caller's input or configuration is wrong.
    Invalid,
    /// The subject does not exist.
    NotFound,
    /// The other side is not there now: connection refused, time-out, 429, 5xx.
    Unavailable,
    /// Anything else: a bug, or a system call that should not fail.
    Unexpected,
    /// The subject is well-formed, but this implementation cannot handle it.
    Unsupported,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cancel => "cancelled",
            Self::Conflict => "conflict",
            Self::Corrupt => "corrupt",
            Self::Denied => "denied",
            Self::Invalid => "invalid",
            Self::NotFound => "not found",
            Self::Unavailable => "unavailable",
            Self::Unexpected => "unexpected",
            Self::Unsupported => "unsupported",
        })
    }
}

/// Whether the same call may succeed later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Asking again gives the same answer.
    #[default]
    Never,
    /// Asking again may help; not before the given delay, where the other side named one (`Retry-After`).
    After(Option<Duration>),
}

/// An error: we could not tell, or could not do it. A refusal is not an error but a value, see [`Stop`](crate::Stop).
///
/// It prints as one line of what was done, on which subject, and why; [`std::error::Error::source`] has the chain of
/// causes.
///
/// ```
/// use patchkit_core::{Error, ErrorKind};
///
/// let error = Error::corrupt("the digest does not match").during("pull blob").on("sha256:0123");
/// assert_eq!(error.kind(), ErrorKind::Corrupt);
/// assert_eq!(error.to_string(), "pull blob: sha256:0123: the digest does not match");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    retry: Retry,
    operation: Option<String>,
    subject: Option<String>,
    plugin: Option<String>,
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of the given kind. `Unavailable` may be retried, every other kind not.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        let retry = match kind {
            ErrorKind::Unavailable => Retry::After(None),
            _ => Retry::Never,
        };
        Self(Box::new(Inner {
            kind,
            retry,
            operation: None,
            subject: None,
            plugin: None,
            message: message.into(),
            source: None,
        }))
    }

    /// Adds what was being done, a verb phrase: `pull blob`. The innermost caller wins.
    #[must_use]
    pub fn during(mut self, operation: impl Into<String>) -> Self {
        self.0.operation.get_or_insert_with(|| operation.into());
        self
    }

    /// Adds what it was done to: a digest, a reference, a path. The innermost caller wins.
    #[must_use]
    pub fn on(mut self, subject: impl fmt::Display) -> Self {
        self.0.subject.get_or_insert_with(|| subject.to_string());
        self
    }

    /// Adds the name of the plugin that failed. The innermost caller wins.
    #[must_use]
    pub fn by(mut self, plugin: impl Into<String>) -> Self {
        self.0.plugin.get_or_insert_with(|| plugin.into());
        self
    }

    /// Adds the cause.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether trying again may help. Ignored for [`ErrorKind::Corrupt`], which never is retried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        if self.0.kind != ErrorKind::Corrupt {
            self.0.retry = retry;
        }
        self
    }

    /// What kind of failure it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether trying again may help, and when.
    #[must_use]
    pub fn retryable(&self) -> Retry {
        self.0.retry
    }

    /// What was being done.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// What it was done to.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.0.subject.as_deref()
    }

    /// The plugin that failed.
    #[must_use]
    pub fn plugin(&self) -> Option<&str> {
        self.0.plugin.as_deref()
    }

    /// The reason, without operation and subject.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident => $kind:ident,)*) => {
        impl Error {
            $($(#[$doc])* pub fn $name(message: impl Into<String>) -> Self { Self::new(ErrorKind::$kind, message) })*
        }
    };
}

constructors! {
    /// An [`ErrorKind::Cancel`] error.
    cancelled => Cancel,
    /// An [`ErrorKind::Conflict`] error.
    conflict => Conflict,
    /// An [`ErrorKind::Corrupt`] error.
    corrupt => Corrupt,
    /// An [`ErrorKind::Denied`] error.
    denied => Denied,
    /// An [`ErrorKind::Invalid`] error.
    invalid => Invalid,
    /// An [`ErrorKind::NotFound`] error.
    not_found => NotFound,
    /// An [`ErrorKind::Unavailable`] error, which may be retried.
    unavailable => Unavailable,
    /// An [`ErrorKind::Unexpected`] error.
    unexpected => Unexpected,
    /// An [`ErrorKind::Unsupported`] error.
    unsupported => Unsupported,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(operation) = &self.0.operation {
            write!(f, "{operation}: ")?;
        }
        if let Some(subject) = &self.0.subject {
            write!(f, "{subject}: ")?;
        }
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, retry, operation, subject, plugin, message, source } = &*self.0;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("retry", retry)
            .field("operation", operation)
            .field("subject", subject)
            .field("plugin", plugin)
            .field("message", message)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_context_wins() {
        let error = Error::not_found("no such tag").on("a").on("b").during("resolve").during("scan");
        assert_eq!(error.to_string(), "resolve: a: no such tag");
    }

    #[test]
    fn corrupt_is_never_retried() {
        let error = Error::corrupt("short").retry(Retry::After(None));
        assert_eq!(error.retryable(), Retry::Never);
        assert_eq!(Error::unavailable("busy").retryable(), Retry::After(None));
    }
}
