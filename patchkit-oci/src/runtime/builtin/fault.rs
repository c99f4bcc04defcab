//! What the runtime says when it cannot go on: what, why, and with which exit status.

use std::fmt;

/// The container could not be made.
const NOT_MADE: u8 = 125;

/// Why there is no container. It prints as `what: why`.
#[derive(Debug)]
pub(super) struct Fault {
    what: String,
    why: String,
    status: u8,
}

impl Fault {
    pub(super) fn new(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self { what: what.into(), why: why.to_string(), status: NOT_MADE }
    }

    pub(super) fn with_status(self, status: u8) -> Self {
        Self { status, ..self }
    }

    pub(super) fn status(&self) -> u8 {
        self.status
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, self.why)
    }
}

/// Says what was being done, or with what, when something failed.
pub(super) trait Blame<T> {
    fn blame(self, what: impl Into<String>) -> Result<T, Fault>;
}

impl<T, E: fmt::Display> Blame<T> for Result<T, E> {
    fn blame(self, what: impl Into<String>) -> Result<T, Fault> {
        self.map_err(|error| Fault::new(what, error))
    }
}
