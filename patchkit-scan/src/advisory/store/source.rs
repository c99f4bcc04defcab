//! What is noted about the sources of a store, along with what they say.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::database::{Decoder, Malformed, put_number, put_optional, put_text};
use crate::advisory::Statement;

/// The name under which statements about known exploitation count where they were added without one.
const KNOWN_EXPLOITED: &str = "known-exploited";

/// The name under which probabilities of exploitation count where they were added without one.
const EPSS: &str = "epss";

/// A source of advisories, and how old what we have of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceInfo {
    /// Its name: as it was [given](super::Builder::source) when its advisories were added, else the one that they have.
    pub name: Arc<str>,
    /// The date of its newest advisory that has one.
    pub newest: Option<Date>,
    /// How many statements it made; some may have said the same.
    pub records: u64,
    /// When it was retrieved, or was last found to be unchanged.
    pub retrieved: Option<Timestamp>,
}

impl SourceInfo {
    /// When what we have of it was true: when it was retrieved, else the date of the newest advisory.
    #[must_use]
    pub fn as_of(&self) -> Option<Timestamp> {
        let newest = || self.newest?.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp());
        self.retrieved.or_else(newest)
    }

    /// How long ago that is; nothing for a time in the future.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        self.as_of().map(|then| now.duration_since(then).try_into().unwrap_or_default())
    }
}

impl fmt::Display for SourceInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)?;
        match (self.retrieved, self.newest) {
            (Some(time), _) => write!(f, ", retrieved {}", time.to_zoned(TimeZone::UTC).date()),
            (None, Some(date)) => write!(f, ", whose newest is of {date}"),
            (None, None) => Ok(()),
        }
    }
}

/// Counts what each source says.
#[derive(Debug, Default)]
pub(super) struct Tally {
    sources: BTreeMap<Arc<str>, Facts>,
    /// The source that everything counts for, whatever it names itself.
    current: Option<Arc<str>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    newest: Option<Date>,
    records: u64,
    retrieved: Option<Timestamp>,
}

impl Tally {
    /// Counts for a source from now on.
    pub(super) fn begin(&mut self, name: &str, retrieved: Option<Timestamp>) {
        let name: Arc<str> = name.into();
        let facts = self.sources.entry(name.clone()).or_default();
        facts.retrieved = facts.retrieved.max(retrieved);
        self.current = Some(name);
    }

    pub(super) fn count(&mut self, statement: &Statement) {
        let (own, date) = match statement {
            Statement::Advisory(advisory) => (&*advisory.source, advisory.date),
            Statement::Exploitation(_, exploitation) if exploitation.known => (KNOWN_EXPLOITED, None),
            Statement::Exploitation(..) => (EPSS, None),
        };
        let name = self.current.as_deref().unwrap_or(own);
        if !self.sources.contains_key(name) {
            self.sources.insert(name.into(), Facts::default());
        }
        let facts = self.sources.get_mut(name).expect("it is there now");
        facts.records += 1;
        facts.newest = facts.newest.max(date);
    }

    /// Adds what was noted before.
    pub(super) fn join(&mut self, source: &SourceInfo) {
        let SourceInfo { name, newest, records, retrieved } = source;
        let facts = self.sources.entry(name.clone()).or_default();
        facts.newest = facts.newest.max(*newest);
        facts.retrieved = facts.retrieved.max(*retrieved);
        facts.records = facts.records.saturating_add(*records);
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_number(&mut out, self.sources.len() as u64);
        for (name, Facts { newest, records, retrieved }) in &self.sources {
            put_text(&mut out, name);
            put_optional(&mut out, newest.map(|date| date.to_string()).as_deref());
            put_number(&mut out, *records);
            put_optional(&mut out, retrieved.map(|time| time.to_string()).as_deref());
        }
        out
    }
}

/// Reads what a [`Tally`] wrote.
pub(super) fn parse(bytes: &[u8]) -> Result<Vec<SourceInfo>, Malformed> {
    let mut decoder = Decoder::new(bytes);
    let count = decoder.count("the number of sources")?;
    let mut sources: Vec<SourceInfo> = Vec::new();
    for _ in 0..count {
        let source = info(&mut decoder)?;
        if sources.last().is_some_and(|last| last.name >= source.name) {
            return Err(decoder.malformed("a later source"));
        }
        sources.push(source);
    }
    decoder.end()?;
    Ok(sources)
}

fn info(decoder: &mut Decoder<'_>) -> Result<SourceInfo, Malformed> {
    let name = decoder.text("a source")?.into();
    let newest = decoder.optional("a date")?.map(str::parse).transpose().map_err(|_| decoder.malformed("a date"))?;
    let records = decoder.number("a number of records")?;
    let retrieved = decoder.optional("a time")?.map(str::parse).transpose().map_err(|_| decoder.malformed("a time"))?;
    Ok(SourceInfo { name, newest, records, retrieved })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn source(newest: Option<&str>, retrieved: Option<&str>) -> SourceInfo {
        let (newest, retrieved) = (newest.map(|date| date.parse().unwrap()), retrieved.map(|at| at.parse().unwrap()));
        SourceInfo { name: "osv".into(), newest, records: 1, retrieved }
    }

    #[test]
    fn the_age_counts_from_when_it_was_retrieved_else_from_the_newest() {
        let now = "2026-03-04T12:00:00Z".parse().unwrap();
        let day = 24 * 60 * 60;
        for (source, days, shown) in [
            (source(Some("2020-01-01"), Some("2026-03-01T12:00:00Z")), Some(3), "osv, retrieved 2026-03-01"),
            (source(Some("2026-03-04"), None), Some(0), "osv, whose newest is of 2026-03-04"),
            (source(None, Some("2030-01-01T00:00:00Z")), Some(0), "osv, retrieved 2030-01-01"),
            (source(None, None), None, "osv"),
        ] {
            assert_eq!(source.age(now).map(|age| age.as_secs() / day), days, "{source:?}");
            assert_eq!(source.to_string(), shown);
        }
    }
}
