//! Reading long JSON in bounded memory, and telling documents apart by their keys.

use std::{
    cell::Cell,
    io::{self, BufReader, Read},
    rc::Rc,
};

use serde::de::{DeserializeOwned, DeserializeSeed};

use super::{AdvisoryError, AdvisoryErrorKind, Format, input::MAX_RECORD};

/// How many more bytes the current record may have.
#[derive(Clone, Debug)]
pub(super) struct Budget(Rc<Cell<u64>>);

impl Budget {
    fn new() -> Self {
        Self(Rc::new(Cell::new(MAX_RECORD)))
    }

    /// A record is done, the next one may begin.
    pub(super) fn renew(&self) {
        self.0.set(MAX_RECORD);
    }
}

struct Metered<R> {
    input: R,
    budget: Budget,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.budget.0.get();
        if left == 0 {
            return Err(io::Error::other("the record is too long"));
        }
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = self.input.read(&mut buffer[..room])?;
        self.budget.0.set(left - read as u64);
        Ok(read)
    }
}

/// Reads a stream of JSON documents, with or without line feeds between them.
pub(super) fn documents<T: DeserializeOwned>(
    input: impl Read,
    mut each: impl FnMut(usize, T) -> Result<(), AdvisoryError>,
) -> Result<(), AdvisoryError> {
    let budget = Budget::new();
    let input = Metered { input, budget: budget.clone() };
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
    let input = Metered { input, budget: budget.clone() };
    let mut reader = serde_json::Deserializer::from_reader(BufReader::with_capacity(1 << 16, input));
    let read = seed(budget.clone()).deserialize(&mut reader);
    read.and_then(|()| reader.end()).map_err(|error| explain(error, &budget))
}

fn explain(error: serde_json::Error, budget: &Budget) -> AdvisoryError {
    let line = Some(error.line()).filter(|line| *line > 0);
    let kind = match budget.0.get() {
        0 => AdvisoryErrorKind::TooLong(MAX_RECORD),
        _ if error.is_io() => AdvisoryErrorKind::Io(error.into()),
        _ => AdvisoryErrorKind::Json(error),
    };
    AdvisoryError::new(line, kind)
}

/// The format of a document whose start is given, if its keys tell.
pub(super) fn format(start: &[u8]) -> Option<Format> {
    let keys = keys(start);
    let has = |name: &str| keys.iter().any(|key| key.depth == 1 && key.name == name.as_bytes());
    if has("cves") && has("fixes") {
        return Some(Format::DebianBulletins);
    }
    let id = |key: &Key<'_>| key.depth == 1 && key.name == b"id" && key.value == b'"';
    if has("affected") || has("modified") || has("schema_version") || keys.iter().any(id) {
        return Some(Format::Osv);
    }
    let issue = |key: &Key<'_>| key.depth == 2 && (key.name.starts_with(b"CVE-") || key.name.starts_with(b"TEMP-"));
    keys.iter().any(issue).then_some(Format::DebianTracker)
}

/// A key of an object: how deep it stands, and the first byte of its value.
struct Key<'a> {
    name: &'a [u8],
    depth: usize,
    value: u8,
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
                if let Some(value) = rest.strip_prefix(b":").and_then(|value| value.trim_ascii_start().first()) {
                    found.push(Key { name: &bytes[at..end], depth, value: *value });
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
    fn a_record_without_end_is_not_held() {
        let endless = io::repeat(b'a');
        let error = documents("\"".as_bytes().chain(endless), |_, _: Value| Ok(())).unwrap_err();
        assert!(matches!(error.kind(), AdvisoryErrorKind::TooLong(_)));
    }

    #[test]
    fn keys_inside_values_do_not_confuse() {
        assert_eq!(format(br#"{"details": "\"cves\": \"fixes\":", "id": "X"}"#), Some(Format::Osv));
        assert_eq!(format(br#"{"id": {"CVE-2024-1": {}}}"#), Some(Format::DebianTracker));
        assert_eq!(format(br#"{"a": {"cves": 1, "fixes": 2}}"#), None);
        assert_eq!(format(b"{\"unfinished"), None);
    }
}
