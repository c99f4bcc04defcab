//! Reading long JSON in bounded memory, and telling documents apart by their keys.

use std::{
    fmt,
    io::{BufReader, Read},
    marker::PhantomData,
};

use serde::{
    Deserializer,
    de::{DeserializeOwned, DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    AdvisoryError, AdvisoryErrorKind, Format,
    budget::{Budget, Metered},
    input::MAX_RECORD,
};

/// Reads a stream of JSON documents, with or without line feeds between them.
pub(super) fn documents<T: DeserializeOwned>(
    input: impl Read,
    mut each: impl FnMut(usize, T) -> Result<(), AdvisoryError>,
) -> Result<(), AdvisoryError> {
    let budget = Budget::new();
    let input = Metered::new(input, budget.clone());
    let documents = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input)).into_iter::<T>();
    for (n, document) in documents.enumerate() {
        each(n + 1, document.map_err(|error| explain(error, &budget))?)?;
        budget.renew();
    }
    Ok(())
}

/// Reads one JSON document with a seed that takes it in piece by piece, and renews the budget after each.
pub(super) fn document<S>(input: impl Read, seed: impl FnOnce(Budget) -> S) -> Result<(), AdvisoryError>
where
    S: for<'de> DeserializeSeed<'de, Value = ()>,
{
    let budget = Budget::new();
    let input = Metered::new(input, budget.clone());
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input));
    let read = seed(budget.clone()).deserialize(&mut reader);
    read.and_then(|()| reader.end()).map_err(|error| explain(error, &budget))
}

/// Reads one long array of records piece by piece: the document itself, or what stands in it under a key. The other
/// keys, as far as they come before it, are given along; they are small.
pub(super) fn elements<T: DeserializeOwned>(
    input: impl Read,
    key: &str,
    each: impl FnMut(&Map<String, Value>, T) -> Result<(), String>,
) -> Result<(), AdvisoryError> {
    document(input, |budget| Elements { key, records: Records { each, budget, header: Map::new(), of: PhantomData } })
}

/// A document that is an array of records, or an object with one.
struct Elements<'a, F, T> {
    key: &'a str,
    records: Records<F, T>,
}

/// An array of records, and what was read before it.
struct Records<F, T> {
    each: F,
    budget: Budget,
    header: Map<String, Value>,
    of: PhantomData<T>,
}

impl<'de, T, F> DeserializeSeed<'de> for Elements<'_, F, T>
where
    T: DeserializeOwned,
    F: FnMut(&Map<String, Value>, T) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de, T, F> Visitor<'de> for Elements<'_, F, T>
where
    T: DeserializeOwned,
    F: FnMut(&Map<String, Value>, T) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an array of records, or an object with one under {:?}", self.key)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == self.key {
                map.next_value_seed(&mut self.records)?;
            } else {
                self.records.header.insert(key, map.next_value()?);
            }
            self.records.budget.renew();
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, records: A) -> Result<(), A::Error> {
        self.records.visit_seq(records)
    }
}

impl<'de, T, F> DeserializeSeed<'de> for &mut Records<F, T>
where
    T: DeserializeOwned,
    F: FnMut(&Map<String, Value>, T) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_seq(self)
    }
}

impl<'de, T, F> Visitor<'de> for &mut Records<F, T>
where
    T: DeserializeOwned,
    F: FnMut(&Map<String, Value>, T) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of records")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut records: A) -> Result<(), A::Error> {
        while let Some(record) = records.next_element()? {
            (self.each)(&self.header, record).map_err(A::Error::custom)?;
            self.budget.renew();
        }
        Ok(())
    }
}

/// Reads documents of any kind, only to see that they are JSON.
pub(super) fn check(input: impl Read) -> Result<(), AdvisoryError> {
    documents(input, |_, _: IgnoredAny| Ok(()))
}

fn explain(error: serde_json::Error, budget: &Budget) -> AdvisoryError {
    let line = Some(error.line()).filter(|line| *line > 0);
    let kind = match budget.left() {
        0 => AdvisoryErrorKind::TooLong(MAX_RECORD),
        _ if error.is_io() => AdvisoryErrorKind::Io(error.into()),
        _ => AdvisoryErrorKind::Json(error),
    };
    AdvisoryError::new(line, kind)
}

/// The format of a document whose start is given, if its keys tell.
pub(super) fn format(start: &[u8]) -> Option<Format> {
    let keys = keys(start);
    let at = |depth: usize, name: &str| keys.iter().any(|key| key.depth == depth && key.name == name.as_bytes());
    let has = |name: &str| at(1, name);
    let vex = |key: &Key<'_>| {
        key.depth <= 2 && key.name == b"@context" && find(key.rest, b"openvex").is_some_and(|at| at < 64)
    };
    if start.starts_with(b"[") {
        return match () {
            () if at(2, "cve_id") && at(2, "res_ver") => Some(Format::PhotonCves),
            () if at(2, "issues") && at(2, "packages") && at(2, "affected") => Some(Format::ArchTracker),
            () => None,
        };
    }
    if has("cves") && has("fixes") {
        return Some(Format::DebianBulletins);
    }
    if has("document") && at(2, "tracking") {
        return Some(Format::Csaf);
    }
    if keys.iter().any(vex) {
        return Some(Format::OpenVex);
    }
    if has("vulnerabilities") && (has("catalogVersion") || at(3, "cveID")) {
        return Some(Format::Kev);
    }
    if has("packages") && (has("apkurl") || has("distroversion") || at(4, "secfixes")) {
        return Some(Format::Secdb);
    }
    let id = keys.iter().any(|key| key.depth == 1 && key.name == b"id" && key.value() == Some(b'"'));
    let more = ["modified", "affected", "schema_version", "details", "summary", "aliases"];
    if id && more.iter().any(|key| has(key)) || has("schema_version") && has("affected") {
        return Some(Format::Osv);
    }
    let issue = |key: &Key<'_>| key.depth == 2 && (key.name.starts_with(b"CVE-") || key.name.starts_with(b"TEMP-"));
    (keys.iter().any(issue) && at(3, "releases")).then_some(Format::DebianTracker)
}

/// Why a document is of no format that is read, for people.
pub(super) fn other(start: &[u8]) -> &'static str {
    let keys = keys(start);
    let has = |name: &str| keys.iter().any(|key| key.depth == 1 && key.name == name.as_bytes());
    match () {
        () if has("cveMetadata") => "it is a CVE record, which names no packages of a distribution",
        () if has("resultsPerPage") || has("CVE_data_type") => "it is of the NVD, which names no packages",
        () => "the JSON has none of the fields that would tell",
    }
}

/// Where one text starts in another.
fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    memchr::memmem::find(text, part)
}

/// A key of an object: how deep it stands, and the bytes from its value on.
struct Key<'a> {
    name: &'a [u8],
    depth: usize,
    rest: &'a [u8],
}

impl Key<'_> {
    /// The first byte of the value.
    fn value(&self) -> Option<u8> {
        self.rest.first().copied()
    }
}

/// The keys of the first document, as far as the bytes go.
fn keys(bytes: &[u8]) -> Vec<Key<'_>> {
    let mut found = Vec::new();
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = bytes.get(at) {
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth <= 1 => break,
            b'}' | b']' => depth -= 1,
            b'"' => {
                let end = string_end(bytes, at);
                let rest = bytes.get(end + 1..).unwrap_or_default().trim_ascii_start();
                if let Some(value) = rest.strip_prefix(b":") {
                    found.push(Key { name: &bytes[at..end], depth, rest: value.trim_ascii_start() });
                }
                at = end + 1;
            }
            _ => {}
        }
    }
    found
}

/// Where the string that starts at `at` ends: its closing quote, or the end of the bytes.
fn string_end(bytes: &[u8], mut at: usize) -> usize {
    while at < bytes.len() && bytes[at] != b'"' {
        at += if bytes[at] == b'\\' { 2 } else { 1 };
    }
    at.min(bytes.len())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn documents_may_stand_in_any_way() {
        let text = "{\"a\": 1}{\"a\":\n2}\n\n{\"a\": 3}\n";
        let mut seen = Vec::new();
        documents(text.as_bytes(), |n, value: Value| {
            seen.push((n, value["a"].as_u64().unwrap()));
            Ok(())
        })
        .unwrap();
        assert_eq!(seen, [(1, 1), (2, 2), (3, 3)]);
        let error = documents("{}\n{\"a\": }".as_bytes(), |_, _: Value| Ok(())).unwrap_err();
        assert_eq!(error.line(), Some(2));
    }

    #[test]
    fn elements_stand_alone_or_under_a_key() {
        let all = |text: &str| {
            let mut seen = Vec::new();
            elements(text.as_bytes(), "list", |header, value: u64| {
                seen.push((header.len(), value));
                if value == 9 { Err("nine".into()) } else { Ok(()) }
            })
            .map(|()| seen)
        };
        assert_eq!(all("[1, 2]").unwrap(), [(0, 1), (0, 2)]);
        assert_eq!(all(r#"{"a": {"list": [7]}, "list": [1], "b": 0}"#).unwrap(), [(1, 1)]);
        assert_eq!(all("[1,\n9]").unwrap_err().to_string(), ": line 2: nine at line 2 column 2");
        for text in ["1", "[1", "[\"x\"]", "{\"list\": 1}", "[1] 2"] {
            assert!(all(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_record_without_end_is_not_held() {
        let endless = std::io::repeat(b'a');
        let error = documents("\"".as_bytes().chain(endless), |_, _: Value| Ok(())).unwrap_err();
        assert!(matches!(error.kind(), AdvisoryErrorKind::TooLong(_)));
    }

    #[test]
    fn keys_inside_values_do_not_confuse() {
        assert_eq!(format(br#"{"details": "\"cves\": \"fixes\":", "id": "X"}"#), Some(Format::Osv));
        assert_eq!(format(br#"{"id": {"CVE-2024-1": {"releases": {}}}}"#), Some(Format::DebianTracker));
        assert_eq!(format(br#"{"id": {"CVE-2024-1": {"fixed_version": "0"}}}"#), None);
        assert_eq!(format(br#"{"a": {"cves": 1, "fixes": 2}}"#), None);
        assert_eq!(format(b"{\"unfinished"), None);
    }
}
