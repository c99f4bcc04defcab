//! Whether an answer is what its operation declares.

use std::collections::BTreeSet;

use patchkit_core::Reason;
use serde_json::{Map, Value};

use super::{Contract, operation::Operation, request::is_json};
use crate::verify::behaviour::{
    http::Response,
    schema::{Validator, reference::resolve},
};

/// What of the declaration an answer breaks, in words.
///
/// # Errors
/// Why it could not be told.
pub(super) fn violations(
    contract: &Contract,
    operation: &Operation<'_>,
    response: &Response,
) -> Result<BTreeSet<String>, String> {
    let mut found = BTreeSet::new();
    let Some(declared) = operation.response(response.status) else {
        found.insert(format!("status {} is not declared", response.status));
        return Ok(found);
    };
    let declared = resolve(&contract.document, declared).ok_or("what it declares leads nowhere")?;
    headers(contract, declared, response, &mut found)?;
    let content = declared.get("content").and_then(Value::as_object);
    if let Some(content) = content.filter(|content| !content.is_empty() && has_body(operation, response)) {
        body(contract, content, response, &mut found)?;
    }
    Ok(found)
}

fn has_body(operation: &Operation<'_>, response: &Response) -> bool {
    operation.method != "HEAD" && !matches!(response.status, 204 | 304)
}

fn headers(
    contract: &Contract,
    declared: &Map<String, Value>,
    response: &Response,
    found: &mut BTreeSet<String>,
) -> Result<(), String> {
    for (name, header) in declared.get("headers").and_then(Value::as_object).into_iter().flatten() {
        let header = resolve(&contract.document, header).ok_or_else(|| format!("header {name} leads nowhere"))?;
        let name = name.to_ascii_lowercase();
        match (response.header(&name), header.get("schema")) {
            (None, _) if super::operation::is_required(header) => {
                found.insert(format!("header {name} is required, but missing"));
            }
            (Some(text), Some(schema)) => {
                let candidates = [serde_json::from_str(&text).ok(), Some(Value::String(text))];
                if !any_keeps(contract, schema, candidates.into_iter().flatten())? {
                    found.insert(format!("header {name} breaks its schema"));
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether the text of a header keeps a schema, read as a number or as a text. Lists are not looked into.
fn any_keeps(contract: &Contract, schema: &Value, candidates: impl Iterator<Item = Value>) -> Result<bool, String> {
    let is_list = resolve(&contract.document, schema)
        .is_some_and(|schema| matches!(schema.get("type").and_then(Value::as_str), Some("array" | "object")));
    if is_list {
        return Ok(true);
    }
    let validator = Validator::new(&contract.document, contract.dialect);
    for candidate in candidates {
        if validator.validate(schema, &candidate).map_err(|error| error.to_string())?.is_empty() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn body(
    contract: &Contract,
    content: &Map<String, Value>,
    response: &Response,
    found: &mut BTreeSet<String>,
) -> Result<(), String> {
    let media_type = response.media_type().unwrap_or_default();
    let Some(media) = declared_media(content, &media_type) else {
        let shown = if media_type.is_empty() { "none" } else { &media_type };
        found.insert(format!("content type {shown} is not declared for status {}", response.status));
        return Ok(());
    };
    let Some(schema) = media.get("schema").filter(|_| is_json(&media_type)) else { return Ok(()) };
    let value: Value = match serde_json::from_slice(&response.body) {
        Ok(value) => value,
        Err(error) => {
            found.insert(format!("body is not JSON (line {})", error.line()));
            return Ok(());
        }
    };
    let validator = Validator::new(&contract.document, contract.dialect);
    let broken = validator.validate(schema, &value).map_err(|error| error.to_string())?;
    found.extend(broken.iter().map(|violation| format!("body {violation}")));
    Ok(())
}

/// The declared media type that fits best: itself, then by its half, then any.
fn declared_media<'a>(content: &'a Map<String, Value>, media_type: &str) -> Option<&'a Value> {
    let half = format!("{}/*", media_type.split('/').next().unwrap_or_default());
    let name = |key: &str| key.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let wanted = [media_type, &half, "*/*"];
    wanted.iter().find_map(|wanted| content.iter().find(|(key, _)| name(key) == *wanted)).map(|(_, media)| media)
}

/// Whether the patched one keeps what the original kept: one reason that rests on what was compared.
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only asking needs it"))]
pub(super) fn compare(
    name: &str,
    contract: &Contract,
    operation: &Operation<'_>,
    [before, after]: [&Response; 2],
) -> Reason {
    let mut because = vec![same("status", before.status.to_string(), after.status.to_string())];
    let media = |response: &Response| response.media_type().unwrap_or_else(|| "none".into());
    because.push(same("content type", media(before), media(after)));
    match (violations(contract, operation, before), violations(contract, operation, after)) {
        (Ok(was), Ok(is)) => because.extend(broken(&was, &is)),
        (_, Err(why)) | (Err(why), _) => because.push(Reason::no(format!("could not tell: {why}"))),
    }
    let holds = because.iter().all(|reason| reason.holds);
    let word = if holds { "keeps" } else { "breaks" };
    Reason::of(holds, format!("{name} {word} its contract as far as the original does"), because)
}

fn same(what: &str, was: String, is: String) -> Reason {
    match was == is {
        true => Reason::yes(format!("{what} {is} as before")),
        false => Reason::no(format!("{what} was {was}, is {is}")),
    }
}

fn broken(was: &BTreeSet<String>, is: &BTreeSet<String>) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for violation in is {
        reasons.push(match was.contains(violation) {
            true => Reason::yes(format!("{violation}, in the original as well")),
            false => Reason::no(format!("{violation}, but not so in the original")),
        });
    }
    if is.is_empty() {
        reasons.push(Reason::yes("it is as declared"));
    }
    reasons
}
