//! What verifiers and gates say: yes or no, with every reason.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Blob, Digest, Error, MediaType, Result,
    attestation::{IN_TOTO, Statement},
};

/// A reason, with the reasons behind it: a tree that a person can read.
///
/// ```
/// use patchkit_core::Reason;
///
/// let reason = Reason::no("too many critical findings").with(Reason::no("CVE-2024-5535 in openssl"));
/// assert_eq!(reason.to_string(), "✗ too many critical findings\n  ✗ CVE-2024-5535 in openssl");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// Whether it speaks for a yes.
    pub holds: bool,
    /// What was found, in words.
    pub message: String,
    /// What it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<Reason>,
    /// When it stops counting, where it does: it rests on something that somebody accepts until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Reason {
    /// A reason for a yes.
    pub fn yes(message: impl Into<String>) -> Self {
        Self::of(true, message, Vec::new())
    }

    /// A reason for a no.
    pub fn no(message: impl Into<String>) -> Self {
        Self::of(false, message, Vec::new())
    }

    /// A reason with what it rests on.
    pub fn of(holds: bool, message: impl Into<String>, because: Vec<Self>) -> Self {
        Self { holds, message: message.into(), because, until: None }
    }

    /// The same, resting on one more.
    #[must_use]
    pub fn with(mut self, reason: Self) -> Self {
        self.because.push(reason);
        self
    }

    /// The same, counting until a moment; or earlier, where it did before.
    #[must_use]
    pub fn until(mut self, end: impl Into<Option<Timestamp>>) -> Self {
        self.until = self.until.into_iter().chain(end.into()).min();
        self
    }

    /// When it stops counting, by itself or by what it rests on.
    #[must_use]
    pub fn counts_until(&self) -> Option<Timestamp> {
        self.because.iter().filter_map(Self::counts_until).chain(self.until).min()
    }

    fn print(&self, depth: usize, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.holds { '✓' } else { '✗' };
        if depth > 0 {
            f.write_str("\n")?;
        }
        write!(f, "{:width$}{mark} {}", "", self.message, width = depth * 2)?;
        self.because.iter().try_for_each(|reason| reason.print(depth + 1, f))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.print(0, f)
    }
}

/// What a verifier found out about a patched image: it passes when every reason holds and there is at least one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// The digest of what was verified: the manifest or index.
    pub subject: Digest,
    /// All that was checked, what held and what did not.
    pub reasons: Vec<Reason>,
    /// What it rests on: reports, logs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<Evidence>,
}

impl Verdict {
    /// Whether everything that was checked held. A verdict without reasons does not pass: nothing was checked.
    #[must_use]
    pub fn passes(&self) -> bool {
        !self.reasons.is_empty() && self.reasons.iter().all(|reason| reason.holds)
    }

    /// When it stops counting: the first of its reasons does. A pipeline then asks the verifier again.
    #[must_use]
    pub fn counts_until(&self) -> Option<Timestamp> {
        self.reasons.iter().filter_map(Reason::counts_until).min()
    }
}

/// A document that a verdict rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is called: `rescan.json`.
    pub name: String,
    /// What kind of document it is.
    pub media_type: MediaType,
    /// The document itself.
    pub content: String,
}

impl Evidence {
    /// A statement that is evidence: the pipeline signs it and attaches it to the image that it is about.
    #[must_use]
    pub fn stating(name: impl Into<String>, statement: &Statement) -> Self {
        let content = serde_json::to_string(statement).expect("a statement has only string keys");
        Self { name: name.into(), media_type: MediaType::new(IN_TOTO), content }
    }

    /// The statement that it is, where it is one.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where it says that it is one and cannot be read.
    pub fn statement(&self) -> Result<Option<Statement>> {
        if self.media_type.as_str() != IN_TOTO {
            return Ok(None);
        }
        let statement = serde_json::from_str(&self.content);
        statement.map(Some).map_err(|error| Error::corrupt(format!("no statement: {error}")).on(&self.name))
    }

    /// The evidence as content to store or attach.
    #[must_use]
    pub fn blob(&self) -> Blob {
        Blob::of(self.media_type.clone(), Bytes::from(self.content.clone()))
    }
}

/// What a gate decides about a verified image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "decision")]
pub enum Decision {
    /// It may go on.
    Allow {
        /// Why.
        reason: Reason,
    },
    /// It must wait, for a person or for a time.
    Defer {
        /// What it waits for.
        ticket: Ticket,
    },
    /// It may not go on.
    Deny {
        /// Why not.
        reason: Reason,
    },
}

/// What a run waits for. Running the pipeline again after it was answered goes on from there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The name to answer to: `patchkit approve ID`.
    pub id: String,
    /// What is waited for, in words.
    pub reason: Reason,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_without_reasons_does_not_pass() {
        let empty = Verdict { subject: Digest::of(b""), reasons: vec![], evidence: vec![] };
        assert!(!empty.passes());
        assert!(Verdict { reasons: vec![Reason::yes("a")], ..empty.clone() }.passes());
        assert!(!Verdict { reasons: vec![Reason::yes("a"), Reason::no("b")], ..empty }.passes());
    }
}
