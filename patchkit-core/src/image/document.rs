//! Reading the JSON documents of images so that every reader would read the same (CVE-2021-41190 and its kin).
//!
//! A name that comes twice in an object, or that is spelled with other capitals than the specification has it, is
//! refused: some readers take the first, some the last, and Go's takes any spelling.

use std::fmt;

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::MAX_DOCUMENT;
use crate::{Digest, Error, ParseDigestError, Result};

/// Reads a document that is an object.
pub(super) fn read(what: &str, bytes: &Bytes) -> Result<Map<String, Value>> {
    if bytes.len() as u64 > MAX_DOCUMENT {
        return Err(Error::unsupported(format!("{what} of {} bytes, more than {MAX_DOCUMENT}", bytes.len())));
    }
    match serde_json::from_slice(bytes) {
        Ok(Unique(Value::Object(object))) => Ok(object),
        Ok(_) => Err(Error::corrupt(format!("{what}: it is no object"))),
        Err(error) => Err(Error::corrupt(format!("{what}: {error}"))),
    }
}

/// A document in the shape that its type gives it.
pub(super) fn typed<T: for<'de> Deserialize<'de>>(what: &str, object: &Map<String, Value>) -> Result<T> {
    let object = without_nulls(&Value::Object(object.clone()));
    serde_json::from_value(object).map_err(|error| Error::corrupt(format!("{what}: {error}")))
}

/// The same without members that are null: Go's encoder writes null where there is nothing.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Array(values) => values.iter().map(without_nulls).collect(),
        Value::Object(object) => {
            let kept = object.iter().filter(|(_, value)| !value.is_null());
            kept.map(|(name, value)| (name.clone(), without_nulls(value))).collect()
        }
        other => other.clone(),
    }
}

/// Refuses another spelling of the names that the specification gives a meaning.
pub(super) fn check_spelling(what: &str, object: &Map<String, Value>, names: &[&str]) -> Result<()> {
    // Go's comparison also takes the long s and the sign for kelvin for the letters.
    let fold = |name: &str| name.to_uppercase().to_lowercase();
    let odd = object.keys().find(|key| {
        let folded = fold(key);
        names.iter().any(|name| *key != name && folded == fold(name))
    });
    match odd {
        Some(odd) => Err(Error::corrupt(format!("{what}: {odd:?} is another spelling of a name with a meaning"))),
        None => Ok(()),
    }
}

const DESCRIPTOR: [&str; 8] =
    ["annotations", "artifactType", "data", "digest", "mediaType", "platform", "size", "urls"];

/// Checks a descriptor (OCI image specification, "Descriptors").
pub(super) fn check_descriptor(what: &str, value: &Value) -> Result<()> {
    let bad = |why: &str| Error::corrupt(format!("{what}: {why}"));
    let object = value.as_object().ok_or_else(|| bad("a descriptor must be an object"))?;
    check_spelling(what, object, &DESCRIPTOR)?;
    let text = |name: &str| object.get(name).and_then(Value::as_str);
    if !is_media_type(text("mediaType").ok_or_else(|| bad("no mediaType"))?) {
        return Err(bad("the mediaType is none (RFC 6838, 4.2)"));
    }
    if object.contains_key("artifactType") && !text("artifactType").is_none_or(is_media_type) {
        return Err(bad("the artifactType is no media type (RFC 6838, 4.2)"));
    }
    let size = object.get("size").and_then(Value::as_u64).filter(|size| i64::try_from(*size).is_ok());
    let size = size.ok_or_else(|| bad("the size is no number of bytes"))?;
    let digest = check_digest(what, text("digest").ok_or_else(|| bad("no digest"))?)?;
    for url in object.get("urls").and_then(Value::as_array).into_iter().flatten() {
        if !url.as_str().is_some_and(is_uri) {
            return Err(bad(&format!("{url} is no URI")));
        }
    }
    if let Some(data) = object.get("data").filter(|data| !data.is_null()) {
        check_embedded(data, size, digest).map_err(|why| bad(&why))?;
    }
    Ok(())
}

/// The content that a descriptor brings along must be what it describes.
fn check_embedded(data: &Value, size: u64, digest: Digest) -> Result<(), String> {
    let data = data.as_str().and_then(|data| STANDARD.decode(data).ok()).ok_or("the data is not in base64")?;
    let mut hasher = crate::Hasher::new(digest.algorithm());
    hasher.update(&data);
    if data.len() as u64 != size || hasher.finish() != digest {
        return Err("the data is not what the digest and the size say".into());
    }
    Ok(())
}

/// A digest of an algorithm that is not known here is good, but no use.
fn check_digest(what: &str, text: &str) -> Result<Digest> {
    match text.parse() {
        Ok(digest) => Ok(digest),
        Err(ParseDigestError::Algorithm(_)) if is_digest(text) => {
            Err(Error::unsupported(format!("{what}: digest {text:?}: its algorithm is not known here")))
        }
        Err(error) => Err(Error::corrupt(format!("{what}: {error}"))),
    }
}

/// `algorithm:encoded`, where the algorithm is words of lower-case letters and digits joined by one of `+._-`.
fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else { return false };
    let word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let encoded_byte = |b: u8| b.is_ascii_alphanumeric() || b"=_-".contains(&b);
    algorithm.split(['+', '.', '_', '-']).all(word) && !encoded.is_empty() && encoded.bytes().all(encoded_byte)
}

/// Whether it is `type/subtype` as RFC 6838, section 4.2, has it: without parameters.
pub(super) fn is_media_type(text: &str) -> bool {
    let name = |name: &str| {
        let good = |b: u8| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b);
        name.len() <= 127 && name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(good)
    };
    text.split_once('/').is_some_and(|(kind, subtype)| name(kind) && name(subtype))
}

/// Whether it starts with a scheme (RFC 3986, 3.1) and goes on without blanks.
fn is_uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let good = |b: u8| b.is_ascii_alphanumeric() || b"+-.".contains(&b);
    let scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.bytes().all(good);
    scheme && !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_graphic())
}

/// A JSON value in which no object has a name twice.
struct Unique(Value);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(UniqueVisitor).map(Self)
    }
}

struct UniqueVisitor;

impl<'de> Visitor<'de> for UniqueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Unique(value)) = seq.next_element()? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some((name, Unique(value))) = map.next_entry::<String, Unique>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format!("{name:?} comes twice")));
            }
            object.insert(name, value);
        }
        Ok(object.into())
    }
}
