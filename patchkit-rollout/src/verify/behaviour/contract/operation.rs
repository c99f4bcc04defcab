//! The operations of a document.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::Contract;
use crate::verify::behaviour::schema::reference::resolve;

/// The methods that a path can have.
const METHODS: [&str; 8] = ["delete", "get", "head", "options", "patch", "post", "put", "trace"];

/// One method of one path.
#[derive(Clone, Debug)]
pub(super) struct Operation<'a> {
    pub(super) method: String,
    pub(super) path: &'a str,
    pub(super) parameters: BTreeMap<(Place, &'a str), &'a Map<String, Value>>,
    pub(super) body: Option<&'a Map<String, Value>>,
    pub(super) responses: &'a Map<String, Value>,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Cookie,
    Header,
    Path,
    Query,
}

impl Place {
    fn read(text: &str) -> Option<Self> {
        Some(match text {
            "cookie" => Self::Cookie,
            "header" => Self::Header,
            "path" => Self::Path,
            "query" => Self::Query,
            _ => return None,
        })
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Cookie => "cookie",
            Self::Header => "header",
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

/// All operations by their names, and why some cannot be understood.
pub(super) fn all(contract: &Contract) -> BTreeMap<String, Result<Operation<'_>, String>> {
    let mut found = BTreeMap::new();
    let paths = contract.document.get("paths").and_then(Value::as_object);
    for (path, item) in paths.into_iter().flatten().filter(|(path, _)| path.starts_with('/')) {
        let Some(item) = resolve(&contract.document, item) else {
            found.insert(format!("ANY {path}"), Err("its path item is no object, or leads nowhere".into()));
            continue;
        };
        for method in METHODS {
            if let Some(operation) = item.get(method) {
                let method = method.to_ascii_uppercase();
                found.insert(format!("{method} {path}"), read(contract, method, path, item, operation));
            }
        }
    }
    found
}

fn read<'a>(
    contract: &'a Contract,
    method: String,
    path: &'a str,
    item: &'a Map<String, Value>,
    operation: &'a Value,
) -> Result<Operation<'a>, String> {
    let document = &contract.document;
    let operation = operation.as_object().ok_or("it is no object")?;
    let mut parameters = BTreeMap::new();
    // Those of the operation replace those of the path.
    for list in [item.get("parameters"), operation.get("parameters")].into_iter().flatten() {
        for parameter in list.as_array().ok_or("its parameters are no list")? {
            let parameter = resolve(document, parameter).ok_or("a parameter is no object, or leads nowhere")?;
            let text = |field| parameter.get(field).and_then(Value::as_str);
            let place = text("in").and_then(Place::read).ok_or("a parameter stands nowhere")?;
            parameters.insert((place, text("name").ok_or("a parameter has no name")?), parameter);
        }
    }
    let body = operation.get("requestBody").map(|body| resolve(document, body).ok_or("its body leads nowhere"));
    let responses = operation.get("responses").and_then(Value::as_object).ok_or("it declares no responses")?;
    Ok(Operation { method, path, parameters, body: body.transpose()?, responses })
}

/// Whether a parameter or body must be given.
pub(super) fn is_required(object: &Map<String, Value>) -> bool {
    object.get("required") == Some(&Value::Bool(true))
}

impl<'a> Operation<'a> {
    /// What is declared for a status: by itself, by its class (`4XX`), or by default.
    pub(super) fn response(&self, status: u16) -> Option<&'a Value> {
        let class = format!("{}XX", status / 100);
        let keys = [status.to_string(), class.clone(), class.to_lowercase(), "default".into()];
        keys.iter().find_map(|key| self.responses.get(key))
    }
}
