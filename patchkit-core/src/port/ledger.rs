use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Plugin, forward};
use crate::{Context, Digest, Error, Result};

/// Remembers what was done: append-only, every entry chained to the one before by its hash.
///
/// # Contract
/// - Entries are numbered from 0 without gaps; appenders in any number of processes never tear or lose one.
/// - What was changed, left out, put in or cut off is [`Corrupt`](crate::ErrorKind::Corrupt) when it is read, and
///   names the first entry that does not fit. (Cutting off the end can only be found where the implementation keeps
///   the head elsewhere too, or the caller does.)
#[async_trait]
pub trait Ledger: Plugin {
    /// Appends a record and returns it as an entry, durable.
    async fn append(&self, record: &Record, cx: &Context) -> Result<Entry>;

    /// Up to `limit` entries from the given number on, checked against each other and, from 0 on, against the start.
    async fn read(&self, from: u64, limit: usize, cx: &Context) -> Result<Vec<Entry>>;
}

forward!(Ledger {
    fn append(record: &Record, cx: &Context) -> Result<Entry>;
    fn read(from: u64, limit: usize, cx: &Context) -> Result<Vec<Entry>>;
});

/// Something to remember.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What happened: `scan`, `patch`, `approve`.
    pub kind: String,
    /// What it happened to: the digest of an image.
    pub subject: Digest,
    /// The run it belongs to.
    pub run: String,
    /// When it happened.
    pub at: Timestamp,
    /// The details.
    pub body: Value,
}

/// A [`Record`] with its place in the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub sequence: u64,
    /// The digest of the entry before; of no bytes for the first.
    pub previous: Digest,
    /// The digest of this entry: of the JSON of its number, the previous digest and the record.
    pub digest: Digest,
    /// What is remembered.
    pub record: Record,
}

impl Entry {
    /// The entry that follows `last` (none for the first) and holds the record.
    #[must_use]
    pub fn after(last: Option<&Self>, record: Record) -> Self {
        let (sequence, previous) = last.map_or((0, Digest::of(b"")), |last| (last.sequence + 1, last.digest));
        let digest = Self::seal(sequence, &previous, &record);
        Self { sequence, previous, digest, record }
    }

    /// Checks that the entry is whole and follows `last`.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) naming the entry's number.
    pub fn check(&self, last: Option<&Self>) -> Result<()> {
        let (sequence, previous) = last.map_or((0, Digest::of(b"")), |last| (last.sequence + 1, last.digest));
        let fault = if self.sequence != sequence {
            format!("it is numbered {}", self.sequence)
        } else if self.previous != previous {
            "it does not follow the entry before".into()
        } else if self.digest != Self::seal(sequence, &previous, &self.record) {
            "its content was changed".into()
        } else {
            return Ok(());
        };
        Err(Error::corrupt(fault).on(format!("ledger entry {sequence}")))
    }

    fn seal(sequence: u64, previous: &Digest, record: &Record) -> Digest {
        Digest::of(serde_json::to_vec(&(sequence, previous, record)).expect("a record has only string keys"))
    }
}
