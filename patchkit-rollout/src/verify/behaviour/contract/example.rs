//! Values to ask with: examples, defaults, and the least that a schema allows.

use serde_json::{Map, Value, json};

use super::Contract;
use crate::verify::behaviour::schema::{Validator, reference::resolve};

/// Where values may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Anything that the document allows.
    Any,
    /// Only its examples.
    Examples,
}

/// The deepest schema that a value is made for.
const MAX_DEPTH: usize = 24;
/// The most schemas that are looked at for one value.
const MAX_STEPS: usize = 2_000;
/// The most items, and the longest text, that are made.
const MAX_SIZE: u64 = 1_000;

/// A value for a parameter or a media type. Where one is made up, it keeps the schema.
pub(super) fn value(contract: &Contract, holder: &Map<String, Value>, source: Source) -> Result<Value, String> {
    if let Some(value) = example(contract, holder) {
        return Ok(value.clone());
    }
    let schema = holder.get("schema").ok_or("it has neither example nor schema")?;
    if let Some(value) = resolve(&contract.document, schema).and_then(|schema| given(schema, source)) {
        return Ok(value.clone());
    }
    if source == Source::Examples {
        return Err("it has no example".into());
    }
    let value = Maker { contract, steps: 0 }.least(schema, 0)?;
    let broken = Validator::new(&contract.document, contract.dialect).validate(schema, &value);
    match broken.map_err(|error| error.to_string())?.first() {
        Some(violation) => Err(format!("no value could be made for it, it needs an example ({violation})")),
        None => Ok(value),
    }
}

/// The example of a parameter or media type.
fn example<'a>(contract: &'a Contract, holder: &'a Map<String, Value>) -> Option<&'a Value> {
    holder.get("example").or_else(|| {
        let (_, first) = holder.get("examples")?.as_object()?.iter().next()?;
        resolve(&contract.document, first)?.get("value")
    })
}

/// What a schema itself says to be a value.
fn given(schema: &Map<String, Value>, source: Source) -> Option<&Value> {
    let first = |name: &str| schema.get(name).and_then(Value::as_array).and_then(|values| values.first());
    let example = schema.get("example").or_else(|| first("examples"));
    match source {
        Source::Any => {
            example.or_else(|| schema.get("default")).or_else(|| schema.get("const")).or_else(|| first("enum"))
        }
        Source::Examples => example,
    }
}

struct Maker<'a> {
    contract: &'a Contract,
    steps: usize,
}

impl<'a> Maker<'a> {
    fn least(&mut self, schema: &'a Value, depth: usize) -> Result<Value, String> {
        self.steps += 1;
        if depth == MAX_DEPTH || self.steps > MAX_STEPS {
            return Err("its schema needs a value without end".into());
        }
        if schema.is_boolean() {
            return Ok(Value::Null);
        }
        let schema = resolve(&self.contract.document, schema).ok_or("its schema leads nowhere")?;
        if let Some(value) = given(schema, Source::Any) {
            return Ok(value.clone());
        }
        if let Some(first) = ["oneOf", "anyOf"].iter().find_map(|name| schema.get(*name)?.as_array()?.first()) {
            return self.least(first, depth + 1);
        }
        match kind(schema) {
            "array" => self.items(schema, depth),
            "boolean" => Ok(json!(true)),
            "integer" | "number" => Ok(number(schema)),
            "null" => Ok(Value::Null),
            "string" => Ok(Value::String(text(schema))),
            _ => self.members(schema, depth),
        }
    }

    fn items(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Value, String> {
        let count = bound(schema, "minItems").min(MAX_SIZE);
        let Some(items) = schema.get("items").filter(|_| count > 0) else { return Ok(json!([])) };
        (0..count).map(|_| self.least(items, depth + 1)).collect()
    }

    /// The required members, of the schema itself and of all that it is made of.
    fn members(&mut self, schema: &'a Map<String, Value>, depth: usize) -> Result<Value, String> {
        let mut members = Map::new();
        for part in schema.get("allOf").and_then(Value::as_array).into_iter().flatten() {
            match self.least(part, depth + 1)? {
                Value::Object(more) => members.extend(more),
                other => return Ok(other),
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            if let Some(member) = schema.get("properties").and_then(|properties| properties.get(name)) {
                members.insert(name.to_owned(), self.least(member, depth + 1)?);
            }
        }
        Ok(Value::Object(members))
    }
}

fn kind(schema: &Map<String, Value>) -> &str {
    let first = match schema.get("type") {
        Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        other => other.and_then(Value::as_str),
    };
    first.unwrap_or_else(|| if schema.contains_key("items") { "array" } else { "object" })
}

fn bound(schema: &Map<String, Value>, name: &str) -> u64 {
    schema.get(name).and_then(Value::as_u64).unwrap_or(0)
}

/// One, where it is allowed, since zero seldom names a thing; else what the bounds begin or end with.
fn number(schema: &Map<String, Value>) -> Value {
    let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
    let is_excluded = |name: &str| schema.get(name) == Some(&Value::Bool(true));
    let step = bound("multipleOf").filter(|step| *step > 0.0).unwrap_or(1.0);
    let included = bound("minimum").map(|least| if is_excluded("exclusiveMinimum") { least + step } else { least });
    let excluded = bound("exclusiveMinimum").map(|least| least + step);
    let least = [included, excluded].into_iter().flatten().reduce(f64::max).map(|least| (least / step).ceil() * step);
    let one = (1.0 / step).ceil() * step;
    let mut value = least.map_or(one, |least| least.max(one));
    if let Some(most) = bound("maximum").or(bound("exclusiveMaximum").map(|most| most - step)) {
        value = value.min((most / step).floor() * step);
    }
    #[allow(clippy::cast_possible_truncation, reason = "it is whole and within what a float counts exactly")]
    match value.fract() == 0.0 && value.abs() < 9e15 {
        true => json!(value as i64),
        false => json!(value),
    }
}

fn text(schema: &Map<String, Value>) -> String {
    let known = match schema.get("format").and_then(Value::as_str).unwrap_or_default() {
        "byte" => "YQ==",
        "date" => "2000-01-01",
        "date-time" => "2000-01-01T00:00:00Z",
        "email" => "a@example.com",
        "hostname" => "example.com",
        "ipv4" => "192.0.2.1",
        "ipv6" => "2001:db8::1",
        "time" => "00:00:00Z",
        "uri" | "url" => "https://example.com/",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => "",
    };
    let wanted = usize::try_from(bound(schema, "minLength").clamp(1, MAX_SIZE)).unwrap_or(1);
    let missing = wanted.saturating_sub(known.len());
    format!("{known}{}", "a".repeat(missing))
}
