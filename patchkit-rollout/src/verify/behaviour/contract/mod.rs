//! OpenAPI documents (3.0 and 3.1) as contracts: what the original kept of its document, the patched one must keep.
//!
//! [`Contract::read`] reads a document, `check` (feature `http`) asks both containers each operation that can be called
//! without side effects, and [`differences`] compares two documents where a service describes itself.

mod answer;
mod difference;
mod example;
mod operation;
mod request;

#[cfg(feature = "http")]
mod check;

use std::collections::BTreeMap;

use patchkit_core::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use thiserror::Error as Fault;

use super::schema::Dialect;

#[cfg(feature = "http")]
pub use check::{check, served};
pub use difference::differences;

/// An OpenAPI document.
#[derive(Clone, Debug, PartialEq)]
pub struct Contract {
    document: Value,
    dialect: Dialect,
}

/// The longest document that is read, in bytes.
const MAX_DOCUMENT: usize = 8 << 20;
/// The most nodes of a YAML document.
const MAX_NODES: usize = 500_000;

#[derive(Debug, Fault)]
enum ContractError {
    #[error("{0} bytes, more than the {MAX_DOCUMENT} that are read")]
    Long(usize),
    #[error("no field `openapi` with a version of 3.0 or 3.1")]
    Version,
    #[error("the document is not UTF-8: {0}")]
    Text(#[from] std::str::Utf8Error),
    #[error("the document is not JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the document is not YAML: {0}")]
    Yaml(#[from] Box<serde_saphyr::Error>),
}

impl From<ContractError> for Error {
    fn from(error: ContractError) -> Self {
        let kind = match error {
            ContractError::Long(_) | ContractError::Version => Error::unsupported,
            ContractError::Json(_) | ContractError::Text(_) | ContractError::Yaml(_) => Error::corrupt,
        };
        kind(error.to_string()).during("read an OpenAPI document").because(error)
    }
}

impl Contract {
    /// Reads a document in JSON or YAML.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for what is neither, with the place;
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for more than 8 MiB or 500,000 nodes, anchors in YAML, and
    /// other versions of OpenAPI.
    pub fn read(content: &[u8]) -> Result<Self> {
        Ok(Self::parse(content)?)
    }

    fn parse(content: &[u8]) -> Result<Self, ContractError> {
        if content.len() > MAX_DOCUMENT {
            return Err(ContractError::Long(content.len()));
        }
        let text = std::str::from_utf8(content)?;
        let document: Value = match text.trim_start().starts_with('{') {
            true => serde_json::from_str(text)?,
            false => yaml(text)?,
        };
        let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
        let dialect = match version.get(..4) {
            Some("3.0.") => Dialect::OpenApi30,
            Some("3.1.") => Dialect::Draft2020,
            _ => return Err(ContractError::Version),
        };
        Ok(Self { document, dialect })
    }

    /// The names of its operations, sorted: `GET /users/{id}`.
    #[must_use]
    pub fn operations(&self) -> Vec<String> {
        operation::all(self).into_keys().collect()
    }

    /// What each operation would be asked, or why it cannot be: from its examples, defaults and the least values that its
    /// schemas allow.
    #[must_use]
    pub fn requests(&self, calls: &Calls) -> BTreeMap<String, Result<super::http::Request, String>> {
        let built = |(name, operation): (String, Result<operation::Operation<'_>, String>)| {
            let request = operation.and_then(|operation| request::build(self, &operation, calls));
            (name, request)
        };
        operation::all(self).into_iter().map(built).collect()
    }
}

fn yaml(text: &str) -> Result<Value, ContractError> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 2 * MAX_NODES, max_nodes: MAX_NODES, max_anchors: 0, max_depth: 120 },
        emit_comments: false,
        with_snippet: false,
    };
    Ok(serde_saphyr::from_str_with_options(text, options).map_err(Box::new)?)
}

/// How operations are called.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    /// The TCP port of the service.
    pub port: u16,
    /// What stands before each path; the path of the document's first server where nothing is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// Header fields that are sent with each request, such as credentials made for the test.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Which operations are called.
    #[serde(default)]
    pub effects: Effects,
    /// Operations that are not called, by name, each with a reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub except: BTreeMap<String, String>,
}

/// Which operations are called, by the effects that they may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effects {
    /// Also those that change something, where the document has examples for all that they need.
    AsExamples,
    /// Those that change nothing by HTTP's own words: `GET`, `HEAD` and `OPTIONS`.
    #[default]
    None,
}
