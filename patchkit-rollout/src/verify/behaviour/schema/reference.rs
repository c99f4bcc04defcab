//! References within a document (RFC 6901 in a fragment, RFC 3986).

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// What a reference such as `#/components/schemas/User` leads to.
pub(in super::super) fn target<'a>(document: &'a Value, reference: &str) -> Option<&'a Value> {
    let pointer = percent_decode_str(reference.strip_prefix('#')?).decode_utf8().ok()?;
    document.pointer(&pointer)
}

/// The longest chain of references that is followed.
const MAX_CHAIN: usize = 16;

/// The object behind a chain of references, and the object itself where it is none. Nothing where the chain leaves the
/// document, is too long, or goes in a circle.
pub(in super::super) fn resolve<'a>(document: &'a Value, value: &'a Value) -> Option<&'a Map<String, Value>> {
    let mut value = value.as_object()?;
    for _ in 0..MAX_CHAIN {
        match value.get("$ref") {
            Some(reference) => value = target(document, reference.as_str()?)?.as_object()?,
            None => return Some(value),
        }
    }
    None
}
