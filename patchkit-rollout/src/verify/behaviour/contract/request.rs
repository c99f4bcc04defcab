//! What an operation is asked.

use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

use super::{
    Calls, Contract, Effects,
    example::{Source, value},
    operation::{Operation, Place, is_required},
};
use crate::verify::behaviour::http::Request;

/// All but the unreserved characters of RFC 3986.
const ESCAPED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The request, or why there is none.
pub(super) fn build(contract: &Contract, operation: &Operation<'_>, calls: &Calls) -> Result<Request, String> {
    let source = match (is_safe(&operation.method), calls.effects) {
        (true, _) => Source::Any,
        (false, Effects::AsExamples) => Source::Examples,
        (false, Effects::None) => return Err("it may change something".into()),
    };
    let mut parts = Parts { path: operation.path.to_owned(), ..Parts::default() };
    for ((place, name), parameter) in &operation.parameters {
        let given = holder(parameter).and_then(|holder| value(contract, holder, source));
        // Without need, only what has an example is given.
        let wanted = is_required(parameter) || *place == Place::Path;
        match given {
            Ok(given) if wanted || has_example(parameter) => {
                parts.add(*place, name, parameter, &given).map_err(|error| about(*place, name, &error))?;
            }
            Err(error) if wanted => return Err(about(*place, name, &error)),
            _ => {}
        }
    }
    let (media_type, body) = body(contract, operation, source)?;
    let mut request = parts.request(contract, operation, calls)?;
    if let Some(media_type) = media_type {
        request.headers.insert("content-type".into(), media_type);
    }
    Ok(Request { body, ..request })
}

/// Whether a method changes nothing, by RFC 9110 section 9.2.1. `TRACE` is left out: it is not for services.
pub(super) fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

fn about(place: Place, name: &str, error: &str) -> String {
    format!("{} parameter {name}: {error}", place.name())
}

/// What has the schema and the example: the parameter, or its only media type.
fn holder(parameter: &Map<String, Value>) -> Result<&Map<String, Value>, String> {
    match parameter.get("content").and_then(Value::as_object).and_then(|content| content.values().next()) {
        Some(media) => media.as_object().ok_or_else(|| "its media type is no object".into()),
        None => Ok(parameter),
    }
}

fn has_example(parameter: &Map<String, Value>) -> bool {
    parameter.contains_key("example") || parameter.contains_key("examples")
}

fn body(contract: &Contract, operation: &Operation<'_>, source: Source) -> Result<(Option<String>, String), String> {
    let Some(body) = operation.body.filter(|body| is_required(body) || !is_safe(&operation.method)) else {
        return Ok((None, String::new()));
    };
    let content = body.get("content").and_then(Value::as_object).ok_or("its body declares no content")?;
    let (media_type, media) =
        content.iter().find(|(name, _)| is_json(name)).ok_or("its body cannot be JSON, which is all that is made")?;
    let media = media.as_object().ok_or("its media type is no object")?;
    let value = value(contract, media, source).map_err(|error| format!("body: {error}"))?;
    Ok((Some(media_type.clone()), value.to_string()))
}

/// Whether a media type, with or without parameters, is JSON: `application/problem+json`.
pub(super) fn is_json(media_type: &str) -> bool {
    let name = media_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    name == "application/json" || name.ends_with("+json")
}

#[derive(Default)]
struct Parts {
    path: String,
    query: Vec<(String, String)>,
    headers: BTreeMap<String, String>,
    cookies: Vec<String>,
}

impl Parts {
    fn add(&mut self, place: Place, name: &str, parameter: &Map<String, Value>, value: &Value) -> Result<(), String> {
        let escaped = |text: &str| utf8_percent_encode(text, &ESCAPED).to_string();
        match place {
            Place::Cookie => self.cookies.push(format!("{name}={}", escaped(&plain(value)?))),
            Place::Header if is_reserved(name) => {}
            Place::Header => {
                self.headers.insert(name.to_ascii_lowercase(), plain(value)?);
            }
            Place::Path => self.path = self.path.replace(&format!("{{{name}}}"), &escaped(&plain(value)?)),
            Place::Query => self.query.extend(pairs(name, parameter, value)?),
        }
        Ok(())
    }

    fn request(self, contract: &Contract, operation: &Operation<'_>, calls: &Calls) -> Result<Request, String> {
        if self.path.contains(['{', '}']) {
            return Err("its path has a parameter that is not declared".into());
        }
        let base = calls.base.clone().unwrap_or_else(|| base(contract));
        let mut path = format!("{}{}", base.trim_end_matches('/'), self.path);
        if !self.query.is_empty() {
            path += "?";
            path += &form_urlencoded::Serializer::new(String::new()).extend_pairs(self.query).finish();
        }
        let mut headers = self.headers;
        if !self.cookies.is_empty() {
            headers.insert("cookie".into(), self.cookies.join("; "));
        }
        headers.extend(calls.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())));
        Ok(Request { method: operation.method.clone(), port: calls.port, path, headers, body: String::new() })
    }
}

/// Header fields that OpenAPI describes elsewhere.
fn is_reserved(name: &str) -> bool {
    ["accept", "authorization", "content-type"].iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

/// The path of the first server, with its variables' defaults.
fn base(contract: &Contract) -> String {
    let server = contract.document.pointer("/servers/0");
    let mut url = server.and_then(|server| server.get("url")).and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, variable) in server.and_then(|server| server.get("variables")?.as_object()).into_iter().flatten() {
        let default = variable.get("default").and_then(Value::as_str).unwrap_or_default();
        url = url.replace(&format!("{{{name}}}"), default);
    }
    let rest = url.split_once("://").map_or(&*url, |(_, rest)| rest.find('/').map_or("", |slash| &rest[slash..]));
    if rest.starts_with('/') { rest.to_owned() } else { String::new() }
}

/// A value in one piece: items and members joined by commas (style `simple`).
fn plain(value: &Value) -> Result<String, String> {
    match value {
        Value::Array(items) => Ok(items.iter().map(plain).collect::<Result<Vec<_>, _>>()?.join(",")),
        Value::Object(members) => {
            let pairs = members.iter().map(|(name, value)| Ok(format!("{name},{}", plain(value)?)));
            Ok(pairs.collect::<Result<Vec<_>, String>>()?.join(","))
        }
        Value::Null => Err("there is no way to write null".into()),
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
    }
}

/// A value in a query: styles `form`, in one piece or exploded, and `deepObject`.
fn pairs(name: &str, parameter: &Map<String, Value>, value: &Value) -> Result<Vec<(String, String)>, String> {
    let style = parameter.get("style").and_then(Value::as_str).unwrap_or("form");
    let is_exploded = parameter.get("explode").and_then(Value::as_bool).unwrap_or(style == "form");
    match (style, value) {
        ("form", Value::Array(items)) if is_exploded => {
            items.iter().map(|item| Ok((name.to_owned(), plain(item)?))).collect()
        }
        ("form", Value::Object(members)) if is_exploded => {
            members.iter().map(|(name, value)| Ok((name.clone(), plain(value)?))).collect()
        }
        ("deepObject", Value::Object(members)) => {
            members.iter().map(|(key, value)| Ok((format!("{name}[{key}]"), plain(value)?))).collect()
        }
        ("form", _) => Ok(vec![(name.to_owned(), plain(value)?)]),
        _ => Err(format!("its style {style} is not supported")),
    }
}
