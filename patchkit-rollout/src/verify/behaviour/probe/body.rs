//! What is kept of a body to compare.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Digest, Error, Result};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json_path::JsonPath;

use super::{BodyCheck, Probe, TextCompare};
use crate::verify::behaviour::{
    http::Response,
    schema::{Dialect, Validator},
};

/// What of a body is compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SeenBody {
    /// Content by its digest and length.
    Digest {
        /// The digest.
        digest: Digest,
        /// Bytes.
        size: u64,
    },
    /// Nothing.
    Ignored,
    /// Values by their normalized paths (RFC 9535 section 2.7).
    Json {
        /// The values.
        values: BTreeMap<String, Value>,
        /// Paths of those that were named as required.
        required: BTreeSet<String>,
    },
    /// How it breaks a schema.
    Schema(Vec<String>),
    /// A text.
    Text(String),
}

/// A probe whose expressions are ready to be used.
#[derive(Debug)]
pub(super) struct Compiled<'a> {
    pub(super) probe: &'a Probe,
    same: Vec<JsonPath>,
    except: Vec<JsonPath>,
    required: Vec<JsonPath>,
    matches: Vec<Regex>,
    without: Vec<Regex>,
}

/// The longest text that is kept as it is, in bytes; of a longer one its digest is.
const MAX_TEXT: usize = 256 << 10;

impl<'a> Compiled<'a> {
    /// The probe, if all of its expressions are well-formed and what is required is compared.
    pub(super) fn new(probe: &'a Probe) -> Result<Self> {
        let mut compiled =
            Self { probe, same: vec![], except: vec![], required: vec![], matches: vec![], without: vec![] };
        match &probe.body {
            BodyCheck::Json(check) => {
                compiled.same = all(&check.same, path, probe)?;
                compiled.except = all(&check.except, path, probe)?;
            }
            BodyCheck::Text(check) => {
                compiled.matches = all(&check.matches, expression, probe)?;
                compiled.without = all(&check.except, expression, probe)?;
            }
            BodyCheck::Digest | BodyCheck::Exact | BodyCheck::Ignored | BodyCheck::Schema(_) => {}
        }
        for part in &probe.required {
            compiled.require(part)?;
        }
        Ok(compiled)
    }

    fn require(&mut self, part: &str) -> Result<()> {
        let header = part.strip_prefix("header ");
        let is_known = match (part, header) {
            ("status", _) => true,
            ("body", _) => self.probe.body != BodyCheck::Ignored,
            (_, Some(name)) => self.probe.headers.iter().any(|header| header.eq_ignore_ascii_case(name)),
            _ => matches!(self.probe.body, BodyCheck::Json(_)),
        };
        if !is_known {
            return Err(wrong(format!("{part} is required, but not compared"), self.probe));
        }
        if part != "status" && part != "body" && header.is_none() {
            self.required.push(path(part).map_err(|message| wrong(message, self.probe))?);
        }
        Ok(())
    }

    /// What is compared of an answer's body, or why nothing can be.
    pub(super) fn see(&self, response: &Response) -> Result<SeenBody, String> {
        match &self.probe.body {
            BodyCheck::Digest => Ok(digest(&response.body)),
            BodyCheck::Exact => Ok(match std::str::from_utf8(&response.body) {
                Ok(text) if text.len() <= MAX_TEXT => SeenBody::Text(text.to_owned()),
                _ => digest(&response.body),
            }),
            BodyCheck::Ignored => Ok(SeenBody::Ignored),
            BodyCheck::Json(_) => self.json(json(&response.body)?),
            BodyCheck::Schema(schema) => {
                let validator = Validator::new(schema, Dialect::Draft2020);
                let violations =
                    validator.validate(schema, &json(&response.body)?).map_err(|error| error.to_string())?;
                Ok(SeenBody::Schema(violations.iter().map(ToString::to_string).collect()))
            }
            BodyCheck::Text(check) => self.text(&response.body, check.compare),
        }
    }

    fn json(&self, mut value: Value) -> Result<SeenBody, String> {
        for path in &self.except {
            let places: Vec<_> = path.query_located(&value).locations().map(|place| place.to_json_pointer()).collect();
            places.iter().for_each(|place| remove(&mut value, place));
        }
        let mut seen = BTreeMap::new();
        for path in self.same.iter().chain(&self.required) {
            for node in path.query_located(&value) {
                seen.insert(node.location().to_string(), node.node().clone());
            }
        }
        let required = self
            .required
            .iter()
            .flat_map(|path| path.query_located(&value).locations().map(ToString::to_string).collect::<Vec<_>>());
        Ok(SeenBody::Json { required: required.collect(), values: seen })
    }

    fn text(&self, body: &[u8], compare: TextCompare) -> Result<SeenBody, String> {
        let mut text = std::str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?.to_owned();
        if let Some(pattern) = self.matches.iter().find(|pattern| !pattern.is_match(&text)) {
            return Err(format!("nothing in the body matches {pattern}"));
        }
        if compare == TextCompare::Matches {
            return Ok(SeenBody::Ignored);
        }
        for pattern in &self.without {
            text = pattern.replace_all(&text, "").into_owned();
        }
        Ok(if text.len() <= MAX_TEXT { SeenBody::Text(text) } else { digest(text.as_bytes()) })
    }
}

fn json(body: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(body).map_err(|error| format!("the body is not JSON: {error}"))
}

fn digest(body: &[u8]) -> SeenBody {
    SeenBody::Digest { digest: Digest::of(body), size: body.len() as u64 }
}

/// Takes a value out of the document; an item of an array leaves `null`, so that the others keep their places.
fn remove(value: &mut Value, pointer: &str) {
    let Some((parent, last)) = pointer.rsplit_once('/') else {
        *value = Value::Null;
        return;
    };
    match value.pointer_mut(parent) {
        Some(Value::Object(members)) => {
            members.shift_remove(&last.replace("~1", "/").replace("~0", "~"));
        }
        Some(Value::Array(items)) => {
            if let Some(item) = last.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                *item = Value::Null;
            }
        }
        _ => {}
    }
}

/// The longest JSON path that is read, in bytes, since its parser calls itself.
const MAX_PATH: usize = 512;

fn path(text: &str) -> Result<JsonPath, String> {
    if text.len() > MAX_PATH {
        return Err(format!("a JSON path of more than {MAX_PATH} bytes"));
    }
    JsonPath::parse(text).map_err(|error| format!("the JSON path {text}: {error}"))
}

fn expression(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| error.to_string())
}

fn all<T>(texts: &[String], read: impl Fn(&str) -> Result<T, String>, probe: &Probe) -> Result<Vec<T>> {
    texts.iter().map(|text| read(text).map_err(|message| wrong(message, probe))).collect()
}

fn wrong(message: String, probe: &Probe) -> Error {
    Error::invalid(message).during("read probes").on(&probe.name)
}
