//! The `Release` file: what a suite consists of, when it was made, and the hash of every index.
//!
//! Source: the wiki page DebianRepository/Format, apt's `debmetaindex.cc`; Debian Policy has no word on it.

use std::collections::HashMap;

use jiff::{Timestamp, fmt::rfc2822};
use patchkit_core::Digest;
use thiserror::Error;

use crate::debian::control::{ControlError, Stanza, Stanzas};

/// Indexes that one file may list. Debian's own lists some thousands.
const MAX_INDEXES: usize = 1_000_000;

/// What a verified `Release` file says.
#[derive(Clone, Debug)]
pub struct Release {
    /// `Origin`: who publishes it.
    pub origin: Option<String>,
    /// `Label`: what it is, in the publisher's words.
    pub label: Option<String>,
    /// `Suite`: its role, such as `stable`.
    pub suite: Option<String>,
    /// `Codename`: its name, such as `bookworm`.
    pub codename: Option<String>,
    /// `Version`: of the release, such as `12.15`.
    pub version: Option<String>,
    /// `Date`: when it was made.
    pub date: Timestamp,
    /// `Valid-Until`: until when it may be used.
    pub valid_until: Option<Timestamp>,
    /// `Architectures`, with `all` where it has indexes of its own.
    pub architectures: Vec<String>,
    /// `Components`.
    pub components: Vec<String>,
    /// `Acquire-By-Hash`: whether indexes can be fetched by their hash.
    pub by_hash: bool,
    /// `NotAutomatic`: whether nothing is installed from here unless asked for.
    pub not_automatic: bool,
    /// `ButAutomaticUpgrades`: whether what came from here is upgraded from here nevertheless.
    pub but_automatic_upgrades: bool,
    /// `No-Support-for-Architecture-all: Packages`: whether packages for all architectures stand in every index.
    all_in_every_index: bool,
    indexes: HashMap<String, IndexEntry>,
}

/// What a `Release` file says about one index file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct IndexEntry {
    /// Its SHA-256 digest, or its SHA-512 digest where there is no other.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// Why a `Release` file cannot be used.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[non_exhaustive]
pub enum ReleaseError {
    /// The deb822 format is violated.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// A date that cannot be read.
    #[error("line {line}: {field} {value:?} is not a date")]
    Date {
        /// Line number, from 1.
        line: usize,
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// It is past its last day.
    #[error("made on {date}, it was valid until {until}, and now it is {now} (accept it with check-valid-until=no)")]
    Expired {
        /// When it was made.
        date: Timestamp,
        /// Until when it was valid.
        until: Timestamp,
        /// By our clock.
        now: Timestamp,
    },
    /// It is from the future.
    #[error("made on {date}, and now it is only {now} (accept it with check-date=no)")]
    Future {
        /// When it says it was made.
        date: Timestamp,
        /// By our clock.
        now: Timestamp,
    },
    /// A line of a list of hashes is wrong.
    #[error("line {line}: {reason} in the list of hashes")]
    Index {
        /// Line number, from 1.
        line: usize,
        /// What is wrong.
        reason: &'static str,
    },
    /// A field that must be there is not.
    #[error("{0} is missing")]
    Missing(&'static str),
    /// It is older than what we have seen of the same suite before.
    #[error("made on {date}, but one made on {seen} has been seen before: somebody serves an old archive")]
    Rollback {
        /// When it was made.
        date: Timestamp,
        /// When the newest one seen was made.
        seen: Timestamp,
    },
    /// Only MD5 or SHA-1, which can be forged.
    #[error("its indexes have no SHA256 or SHA512 hashes")]
    Weak,
}

/// By which clock a `Release` file is judged.
#[derive(Clone, Copy, Debug)]
pub struct Freshness {
    /// The time now.
    pub now: Timestamp,
    /// Whether an expired one is refused.
    pub check_valid_until: bool,
    /// Whether one from the future is refused.
    pub check_date: bool,
}

/// How far an archive's clock may run ahead of ours, in seconds.
const CLOCK_SKEW: i64 = 600;

impl Release {
    /// Reads a `Release` file. Its text must have been verified before.
    ///
    /// # Errors
    /// [`ReleaseError`] with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, ReleaseError> {
        let stanza = Stanzas::lenient(text.as_bytes()).next().ok_or(ReleaseError::Missing("Date"))??;
        let text = |field| stanza.text(field).map(|value| value.map(str::to_owned));
        let words = |field| stanza.text(field).map(|value| words(value.unwrap_or_default()));
        let yes = |field| stanza.text(field).map(|value| value.is_some_and(|value| value.eq_ignore_ascii_case("yes")));
        Ok(Self {
            origin: text("Origin")?,
            label: text("Label")?,
            suite: text("Suite")?,
            codename: text("Codename")?,
            version: text("Version")?,
            date: date(&stanza, "Date")?.ok_or(ReleaseError::Missing("Date"))?,
            valid_until: date(&stanza, "Valid-Until")?,
            architectures: words("Architectures")?,
            components: words("Components")?,
            by_hash: yes("Acquire-By-Hash")?,
            not_automatic: yes("NotAutomatic")?,
            but_automatic_upgrades: yes("ButAutomaticUpgrades")?,
            all_in_every_index: words("No-Support-for-Architecture-all")?.iter().any(|word| word == "Packages"),
            indexes: indexes(&stanza)?,
        })
    }

    /// The entry of an index by its path relative to the `Release` file.
    #[must_use]
    pub fn index(&self, path: &str) -> Option<IndexEntry> {
        self.indexes.get(path).copied()
    }

    /// How many index files are listed.
    #[must_use]
    pub fn index_count(&self) -> usize {
        self.indexes.len()
    }

    /// Whether packages for all architectures have an index of their own to be read besides.
    #[must_use]
    pub fn has_index_for_all(&self) -> bool {
        !self.all_in_every_index && self.architectures.iter().any(|architecture| architecture == "all")
    }

    /// Refuses a file that is past its `Valid-Until` or dated in the future.
    ///
    /// # Errors
    /// [`ReleaseError::Expired`] or [`ReleaseError::Future`], with the dates.
    pub fn check_fresh(&self, by: Freshness) -> Result<(), ReleaseError> {
        let (date, now) = (self.date, by.now);
        if let Some(until) = self.valid_until.filter(|until| by.check_valid_until && *until < now) {
            return Err(ReleaseError::Expired { date, until, now });
        }
        if by.check_date && date.as_second() > now.as_second().saturating_add(CLOCK_SKEW) {
            return Err(ReleaseError::Future { date, now });
        }
        Ok(())
    }

    /// Refuses a file that is older than one that was seen before.
    ///
    /// # Errors
    /// [`ReleaseError::Rollback`], with the dates.
    pub fn check_not_older_than(&self, seen: Timestamp) -> Result<(), ReleaseError> {
        if self.date < seen { Err(ReleaseError::Rollback { date: self.date, seen }) } else { Ok(()) }
    }
}

fn words(value: &str) -> Vec<String> {
    value.split_ascii_whitespace().map(str::to_owned).collect()
}

/// `Sat, 11 Jul 2026 10:16:37 UTC`: RFC 2822 with the zone by name, which apt requires to be UTC.
fn date(stanza: &Stanza<'_>, name: &'static str) -> Result<Option<Timestamp>, ReleaseError> {
    let Some(value) = stanza.text(name)? else {
        return Ok(None);
    };
    let plain = value.trim_end_matches("UTC").trim_end_matches("GMT").trim_end_matches('Z').trim_end();
    let zoned = if plain.len() == value.len() { plain.to_owned() } else { format!("{plain} +0000") };
    let line = stanza.find(name).map_or(1, |field| field.position().line);
    let wrong = |_| ReleaseError::Date { line, field: name, value: value.to_owned() };
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(&zoned).map(Some).map_err(wrong)
}

/// The lists of hashes, SHA-256 before SHA-512. MD5 and SHA-1 are not looked at.
fn indexes(stanza: &Stanza<'_>) -> Result<HashMap<String, IndexEntry>, ReleaseError> {
    let mut indexes = HashMap::new();
    for (field, algorithm) in [("SHA512", "sha512"), ("SHA256", "sha256")] {
        let Some(list) = stanza.find(field) else {
            continue;
        };
        let first = list.position().line + usize::from(list.value().starts_with(b"\n"));
        for (at, text) in list.lines().enumerate() {
            let fault = |reason| ReleaseError::Index { line: first + at, reason };
            let (path, entry) = index_line(text, algorithm).map_err(fault)?;
            indexes.insert(path.to_owned(), entry);
            if indexes.len() > MAX_INDEXES {
                return Err(fault("too many files"));
            }
        }
    }
    let weak = indexes.is_empty() && ["MD5Sum", "SHA1"].iter().any(|field| stanza.find(field).is_some());
    if weak { Err(ReleaseError::Weak) } else { Ok(indexes) }
}

fn index_line<'a>(line: &'a [u8], algorithm: &str) -> Result<(&'a str, IndexEntry), &'static str> {
    let text = std::str::from_utf8(line).map_err(|_| "bytes that are not UTF-8")?;
    let mut words = text.split_ascii_whitespace();
    let (Some(hash), Some(size), Some(path), None) = (words.next(), words.next(), words.next(), words.next()) else {
        return Err("something other than hash, size and name");
    };
    let digest =
        format!("{algorithm}:{}", hash.to_ascii_lowercase()).parse().map_err(|_| "a hash of the wrong form")?;
    let size = size.parse().map_err(|_| "a size that is no number")?;
    Ok((path, IndexEntry { digest, size }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    fn time(text: &str) -> Timestamp {
        text.parse().expect(text)
    }

    fn text() -> String {
        format!(
            "Origin: Debian\nSuite: oldstable\nCodename: bookworm\nDate: Sat, 11 Jul 2026 10:16:37 UTC\nValid-Until: Sat, 18 Jul 2026 10:16:37 UTC\n\
             Acquire-By-Hash: yes\nArchitectures: all amd64\nComponents: main contrib\nMD5Sum:\n d41d8cd98f00b204e9800998ecf8427e 0 only/md5\nSHA256:\n {EMPTY} 0 main/binary-amd64/Packages\n"
        )
    }

    #[test]
    fn fields_and_indexes() {
        let release = Release::parse(&text()).expect("sound");
        assert_eq!(release.codename.as_deref(), Some("bookworm"));
        assert_eq!(release.date, time("2026-07-11T10:16:37Z"));
        assert!(release.by_hash && release.has_index_for_all() && !release.not_automatic);
        let entry = release.index("main/binary-amd64/Packages").expect("listed");
        assert_eq!((entry.digest, entry.size), (Digest::of(b""), 0));
        assert_eq!(release.index("only/md5"), None);
    }

    #[test]
    fn weak_lists_are_no_lists() {
        let weak = text().replace("SHA256:", "SHA1:");
        assert_eq!(Release::parse(&weak).expect_err("weak"), ReleaseError::Weak);
    }

    #[test]
    fn dates_are_judged_by_the_clock_given() {
        let release = Release::parse(&text()).expect("sound");
        let at = |now: &str| Freshness { now: time(now), check_valid_until: true, check_date: true };
        release.check_fresh(at("2026-07-18T10:16:37Z")).expect("the last second");
        let expired = release.check_fresh(at("2026-07-18T10:16:38Z")).expect_err("over").to_string();
        assert_eq!(
            expired,
            "made on 2026-07-11T10:16:37Z, it was valid until 2026-07-18T10:16:37Z, and now it is 2026-07-18T10:16:38Z (accept it with check-valid-until=no)"
        );
        release.check_fresh(Freshness { check_valid_until: false, ..at("2030-01-01T00:00:00Z") }).expect("frozen");
        assert!(matches!(release.check_fresh(at("2026-07-01T00:00:00Z")), Err(ReleaseError::Future { .. })));
        release.check_fresh(Freshness { check_date: false, ..at("2026-07-01T00:00:00Z") }).expect("told not to mind");
    }

    #[test]
    fn going_back_is_refused() {
        let release = Release::parse(&text()).expect("sound");
        release.check_not_older_than(time("2026-07-11T10:16:37Z")).expect("the same");
        assert!(matches!(
            release.check_not_older_than(time("2026-07-11T10:16:38Z")),
            Err(ReleaseError::Rollback { .. })
        ));
    }

    #[test]
    fn faults_name_their_line() {
        for (from, to, expected) in [
            ("Date: Sat, 11 Jul 2026 10:16:37 UTC", "Date: yesterday", "line 4: Date \"yesterday\" is not a date"),
            ("\nDate: Sat, 11 Jul 2026 10:16:37 UTC", "", "Date is missing"),
            (" 0 main/", " x main/", "line 12: a size that is no number in the list of hashes"),
            ("e3b0", "zzzz", "line 12: a hash of the wrong form in the list of hashes"),
            (" 0 main/", " 0 main /", "line 12: something other than hash, size and name in the list of hashes"),
        ] {
            assert_eq!(Release::parse(&text().replace(from, to)).expect_err(to).to_string(), expected);
        }
        assert_eq!(Release::parse("").expect_err("empty"), ReleaseError::Missing("Date"));
    }

    proptest! {
        #[test]
        fn never_panics(text in "(Date: |Sat, 11 Jul 2026|SHA256:\n|[ a-f0-9]{0,70}|[^x]{0,3}|\n ){0,12}") {
            let _ = Release::parse(&text);
        }
    }
}
