//! What a later document takes from those who rely on the earlier one.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::Reason;
use serde_json::{Map, Value};

use super::{
    Contract,
    operation::{self, Operation, is_required},
    request::is_json,
};
use crate::verify::behaviour::schema::reference::resolve;

/// Compares two documents of one service: a reason for each operation of the earlier one, sorted.
///
/// One does not hold where the operation is gone, a parameter, a body or a field of the body is newly required, a
/// parameter or field has another type, a status or content type of its responses is gone, or a field of them is gone or
/// no longer required. Alternatives (`oneOf`, `anyOf`) are not looked into. What is new and optional does no harm.
#[must_use]
pub fn differences(before: &Contract, after: &Contract) -> Vec<Reason> {
    let later: BTreeMap<String, _> =
        operation::all(after).into_iter().map(|(name, operation)| (unnamed(&name), operation)).collect();
    let mut reasons = Vec::new();
    for (name, was) in operation::all(before) {
        reasons.push(match (&was, later.get(&unnamed(&name))) {
            (Ok(was), Some(Ok(is))) => compare(&name, [before, after], was, is),
            (_, None) => Reason::no(format!("{name} is gone")),
            (Err(why), _) | (_, Some(Err(why))) => Reason::no(format!("could not tell about {name}: {why}")),
        });
    }
    if reasons.is_empty() {
        reasons.push(Reason::no("the earlier document has no operation: nothing was compared"));
    }
    reasons
}

/// The name with its parameters' names left out, which nobody sees.
fn unnamed(name: &str) -> String {
    let mut depth = 0_u32;
    name.chars()
        .filter(|letter| {
            depth = if *letter == '}' { depth.saturating_sub(1) } else { depth };
            let keep = depth == 0;
            depth += u32::from(*letter == '{');
            keep
        })
        .collect()
}

fn compare(name: &str, contracts: [&Contract; 2], was: &Operation<'_>, is: &Operation<'_>) -> Reason {
    let mut walk = Walk { contracts, seen: BTreeSet::new(), found: BTreeSet::new() };
    walk.parameters(was, is);
    walk.body(was, is);
    walk.responses(was, is);
    match walk.found.is_empty() {
        true => Reason::yes(format!("{name} is declared as before")),
        false => {
            let because = walk.found.into_iter().map(Reason::no).collect();
            Reason::of(false, format!("{name} is declared otherwise"), because)
        }
    }
}

/// Who gives a value: what is missing harms the one who takes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Giver {
    Client,
    Service,
}

/// The deepest nesting that is compared.
const MAX_DEPTH: usize = 32;

/// An object of a document, by where it lies in memory.
type Place = *const Map<String, Value>;

struct Walk<'a> {
    contracts: [&'a Contract; 2],
    seen: BTreeSet<(Giver, Place, Place)>,
    found: BTreeSet<String>,
}

impl<'a> Walk<'a> {
    fn parameters(&mut self, was: &Operation<'a>, is: &Operation<'a>) {
        for ((place, name), parameter) in &is.parameters {
            // Names in a path are seen by nobody.
            if place.name() == "path" {
                continue;
            }
            let what = format!("{} parameter {name}", place.name());
            let earlier = was.parameters.get(&(*place, *name));
            if is_required(parameter) && !earlier.is_some_and(|earlier| is_required(earlier)) {
                self.found.insert(format!("{what} is newly required"));
            }
            if let (Some(was), Some(is)) = (earlier.and_then(|earlier| earlier.get("schema")), parameter.get("schema"))
            {
                self.schemas(Giver::Client, was, is, &what, 0);
            }
        }
    }

    fn body(&mut self, was: &Operation<'a>, is: &Operation<'a>) {
        let Some(later) = is.body else { return };
        if is_required(later) && !was.body.is_some_and(is_required) {
            self.found.insert("the body is newly required".into());
        }
        if let (Some(was), Some(is)) = (was.body.and_then(json_schema), json_schema(later)) {
            self.schemas(Giver::Client, was, is, "request", 0);
        }
    }

    fn responses(&mut self, was: &Operation<'a>, is: &Operation<'a>) {
        let [earlier, later] = self.contracts;
        for (status, response) in was.responses {
            let what = format!("response {status}");
            let Some(is) = is.responses.get(status) else {
                self.found.insert(format!("{what} is gone"));
                continue;
            };
            let (Some(was), Some(is)) = (resolve(&earlier.document, response), resolve(&later.document, is)) else {
                self.found.insert(format!("could not tell about {what}: it leads nowhere"));
                continue;
            };
            for media_type in content(was).keys().filter(|media_type| !content(is).contains_key(*media_type)) {
                self.found.insert(format!("{what} no longer has content of {media_type}"));
            }
            if let (Some(was), Some(is)) = (json_schema(was), json_schema(is)) {
                self.schemas(Giver::Service, was, is, &what, 0);
            }
        }
    }

    fn schemas(&mut self, giver: Giver, was: &'a Value, is: &'a Value, place: &str, depth: usize) {
        if depth == MAX_DEPTH || was.is_boolean() || is.is_boolean() {
            return;
        }
        let [earlier, later] = self.contracts;
        let (Some(was), Some(is)) = (resolve(&earlier.document, was), resolve(&later.document, is)) else {
            self.found.insert(format!("could not tell about {place}: its schema leads nowhere"));
            return;
        };
        if !self.seen.insert((giver, was, is)) {
            return;
        }
        let [had, has] = [types(was), types(is)];
        if had != has {
            self.found.insert(format!("{place} was of type {had}, is of {has}"));
        }
        self.members(giver, was, is, place, depth);
        if let (Some(was), Some(is)) = (was.get("items"), is.get("items")) {
            self.schemas(giver, was, is, &format!("{place}/*"), depth + 1);
        }
    }

    fn members(
        &mut self,
        giver: Giver,
        was: &'a Map<String, Value>,
        is: &'a Map<String, Value>,
        place: &str,
        depth: usize,
    ) {
        let [earlier, later] = self.contracts;
        let (was, is) = (Shape::of(earlier, was), Shape::of(later, is));
        for (name, schema) in &was.members {
            match is.members.get(name) {
                Some(later) => self.schemas(giver, schema, later, &format!("{place}/{name}"), depth + 1),
                None if giver == Giver::Service => {
                    self.found.insert(format!("{place}/{name} is gone"));
                }
                None => {}
            }
        }
        let (from, to, word) = match giver {
            Giver::Client => (&was, &is, "is newly required"),
            Giver::Service => (&is, &was, "is no longer required"),
        };
        let changed = to.required.difference(&from.required).filter(|name| is.members.contains_key(*name));
        self.found.extend(changed.map(|name| format!("{place}/{name} {word}")));
    }
}

/// The members of an object, of its schema and of all that it is made of (`allOf`).
#[derive(Default)]
struct Shape<'a> {
    members: BTreeMap<&'a str, &'a Value>,
    required: BTreeSet<&'a str>,
}

impl<'a> Shape<'a> {
    fn of(contract: &'a Contract, schema: &'a Map<String, Value>) -> Self {
        let (mut shape, mut left, mut seen) = (Self::default(), vec![schema], BTreeSet::new());
        while let Some(schema) = left.pop().filter(|_| seen.len() < 1000) {
            if !seen.insert(std::ptr::from_ref(schema)) {
                continue;
            }
            let properties = schema.get("properties").and_then(Value::as_object);
            shape.members.extend(properties.into_iter().flatten().map(|(name, schema)| (&**name, schema)));
            let list = |name: &str| schema.get(name).and_then(Value::as_array).into_iter().flatten();
            shape.required.extend(list("required").filter_map(Value::as_str));
            left.extend(list("allOf").filter_map(|part| resolve(&contract.document, part)));
        }
        shape
    }
}

fn content(object: &Map<String, Value>) -> &Map<String, Value> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    object.get("content").and_then(Value::as_object).unwrap_or(&NOTHING)
}

fn json_schema(object: &Map<String, Value>) -> Option<&Value> {
    content(object).iter().find(|(name, _)| is_json(name))?.1.get("schema")
}

/// The types that a schema allows, sorted, with null where OpenAPI 3.0 says so.
fn types(schema: &Map<String, Value>) -> String {
    let mut names: BTreeSet<&str> = match schema.get("type") {
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        other => other.and_then(Value::as_str).into_iter().collect(),
    };
    if schema.get("nullable") == Some(&Value::Bool(true)) {
        names.insert("null");
    }
    if names.is_empty() { "any".into() } else { names.into_iter().collect::<Vec<_>>().join(" or ") }
}
