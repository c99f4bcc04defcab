//! JSON Schema, the part of it that contracts are written in: drafts 2020-12 (OpenAPI 3.1) and OpenAPI 3.0's dialect.
//!
//! Checked are `type`, `enum`, `const`, the bounds of numbers, strings, arrays and objects, `multipleOf`, `pattern`,
//! `properties`, `patternProperties`, `additionalProperties`, `propertyNames`, `required`, `dependentRequired`,
//! `dependentSchemas`, `items`, `prefixItems`, `contains`, `uniqueItems`, `allOf`, `anyOf`, `oneOf`, `not`, `if`, and
//! `$ref` within the document; `nullable` and `writeOnly` as OpenAPI has them. `format` and what describes
//! (`title`, `discriminator`, …) are annotations. What else could refuse a value (`$dynamicRef`, `unevaluatedProperties`,
//! references to other documents, expressions that need look-around) is an error: we could not tell. So are schemas that
//! never end, and more work than a bound: both happen without a panic and in bounded memory.

mod keyword;
pub(super) mod reference;

use std::{cell::RefCell, collections::BTreeMap};

use regex::Regex;
use serde_json::{Map, Value};
use thiserror::Error;

#[cfg(feature = "http")]
pub(super) use keyword::is_same;

/// How schemas are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// JSON Schema draft 2020-12, as in OpenAPI 3.1.
    Draft2020,
    /// What OpenAPI 3.0 has: `nullable`, bounds that are excluded by a boolean, nothing beside a `$ref`.
    OpenApi30,
}

/// Where a value breaks a schema, and how. The same fault has the same text whatever index of an array it is found at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// The place in the value, as a JSON pointer with `*` for an index of an array: `/items/*/name`.
    pub place: String,
    /// What is wrong there.
    pub message: String,
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let place = if self.place.is_empty() { "the whole" } else { &self.place };
        write!(f, "{place}: {}", self.message)
    }
}

/// Why it could not be told whether a value keeps a schema.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum SchemaError {
    /// References go in a circle, or schemas are nested deeper than is looked at.
    #[error("the schemas are nested deeper than {MAX_DEPTH}, or in a circle, at {0}")]
    Deep(String),
    /// More work than is done for one value.
    #[error("more than {MAX_STEPS} steps")]
    Long,
    /// A keyword has a value that it cannot have.
    #[error("`{keyword}` has a wrong value at {place}")]
    Malformed {
        /// The keyword.
        keyword: String,
        /// The place in the value that was being checked.
        place: String,
    },
    /// A reference leads nowhere, or out of the document.
    #[error("the reference {0} leads to nothing in the document")]
    Reference(String),
    /// A keyword that could refuse a value but is not known here.
    #[error("`{0}` is not supported")]
    Unsupported(String),
}

/// The deepest nesting of schemas, references counted.
const MAX_DEPTH: usize = 100;
/// The most schemas that are looked at, and comparisons that are made, for one value.
const MAX_STEPS: usize = 1_000_000;
/// The most violations that are kept of one value.
const MAX_VIOLATIONS: usize = 100;

/// Checks values against the schemas of a document.
#[derive(Debug)]
pub struct Validator<'a> {
    document: &'a Value,
    dialect: Dialect,
    patterns: RefCell<BTreeMap<String, Regex>>,
}

impl<'a> Validator<'a> {
    /// A validator of the schemas in a document. References are looked up in it.
    #[must_use]
    pub fn new(document: &'a Value, dialect: Dialect) -> Self {
        Self { document, dialect, patterns: RefCell::default() }
    }

    /// Where the value breaks the schema: at most a hundred places, sorted.
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where it cannot be told.
    pub fn validate(&self, schema: &Value, value: &Value) -> patchkit_core::Result<Vec<Violation>> {
        let unsure = |error: SchemaError| patchkit_core::Error::unsupported(error.to_string()).because(error);
        self.check(schema, value).map_err(unsure)
    }

    pub(super) fn check(&self, schema: &Value, value: &Value) -> Result<Vec<Violation>, SchemaError> {
        let mut run = Run { validator: self, steps: 0, depth: 0, place: Vec::new(), found: Vec::new() };
        run.schema(schema, value)?;
        let mut found = run.found;
        found.sort();
        found.dedup();
        Ok(found)
    }

    fn matches(&self, pattern: &str, text: &str) -> Result<bool, SchemaError> {
        let mut patterns = self.patterns.borrow_mut();
        if !patterns.contains_key(pattern) {
            let made = regex::RegexBuilder::new(pattern).size_limit(1 << 20).nest_limit(50).build();
            let unknown = |_| SchemaError::Unsupported(format!("pattern {pattern}"));
            patterns.insert(pattern.to_owned(), made.map_err(unknown)?);
        }
        Ok(patterns[pattern].is_match(text))
    }
}

/// One value on its way through a schema.
struct Run<'v, 'a> {
    validator: &'v Validator<'a>,
    steps: usize,
    depth: usize,
    place: Vec<String>,
    found: Vec<Violation>,
}

impl Run<'_, '_> {
    fn schema(&mut self, schema: &Value, value: &Value) -> Result<(), SchemaError> {
        self.spend(1)?;
        if self.depth == MAX_DEPTH {
            return Err(SchemaError::Deep(self.at()));
        }
        self.depth += 1;
        let done = match schema {
            Value::Bool(true) => Ok(()),
            Value::Bool(false) => {
                self.fault("nothing may be here");
                Ok(())
            }
            Value::Object(keywords) => self.object(keywords, value),
            _ => Err(self.malformed("schema")),
        };
        self.depth -= 1;
        done
    }

    fn object(&mut self, keywords: &Map<String, Value>, value: &Value) -> Result<(), SchemaError> {
        if let Some(reference) = keywords.get("$ref") {
            let reference = reference.as_str().ok_or_else(|| self.malformed("$ref"))?;
            let target = reference::target(self.validator.document, reference)
                .ok_or_else(|| SchemaError::Reference(reference.to_owned()))?;
            self.schema(target, value)?;
            if self.validator.dialect == Dialect::OpenApi30 {
                return Ok(());
            }
        }
        let nullable =
            self.validator.dialect == Dialect::OpenApi30 && keywords.get("nullable") == Some(&Value::Bool(true));
        if nullable && value.is_null() {
            return Ok(());
        }
        keywords.iter().try_for_each(|(keyword, argument)| self.keyword(keyword, argument, keywords, value))
    }

    /// Whether a value keeps a schema, without keeping where it does not.
    fn keeps(&mut self, schema: &Value, value: &Value) -> Result<bool, SchemaError> {
        let before = std::mem::take(&mut self.found);
        let done = self.schema(schema, value);
        let found = std::mem::replace(&mut self.found, before);
        done.map(|()| found.is_empty())
    }

    fn inside(&mut self, step: &str, schema: &Value, value: &Value) -> Result<(), SchemaError> {
        self.place.push(step.replace('~', "~0").replace('/', "~1"));
        let done = self.schema(schema, value);
        self.place.pop();
        done
    }

    fn spend(&mut self, steps: usize) -> Result<(), SchemaError> {
        self.steps = self.steps.saturating_add(steps);
        if self.steps > MAX_STEPS { Err(SchemaError::Long) } else { Ok(()) }
    }

    fn at(&self) -> String {
        self.place.iter().flat_map(|step| ["/", step]).collect()
    }

    fn malformed(&self, keyword: &str) -> SchemaError {
        SchemaError::Malformed { keyword: keyword.to_owned(), place: self.at() }
    }

    fn fault(&mut self, message: impl Into<String>) {
        if self.found.len() < MAX_VIOLATIONS {
            self.found.push(Violation { place: self.at(), message: message.into() });
        }
    }
}
