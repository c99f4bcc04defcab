//! Where two answers differ.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Seen, SeenBody};
use crate::verify::behaviour::schema::is_same;

/// A part that differs, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// The part: `status`, `header NAME`, `body`, `line N`, or a normalized JSON path.
    pub(super) part: String,
    /// How, in words.
    pub(super) message: String,
}

/// The most differences that are kept of one answer.
const MAX_DIFFERENCES: usize = 100;

/// Where the later answer differs.
pub(super) fn differences(before: &Seen, after: &Seen) -> Vec<Difference> {
    let mut found = Vec::new();
    if before.status != after.status {
        found.push(changed("status", before.status, after.status));
    }
    for (name, was) in &before.headers {
        let is = after.headers.get(name).cloned().flatten();
        if *was != is {
            let show = |value: &Option<String>| {
                value.as_deref().map_or_else(|| "missing".into(), |text| format!("`{}`", short(text)))
            };
            found.push(changed(&format!("header {name}"), show(was), show(&is)));
        }
    }
    bodies(&before.body, &after.body, &mut found);
    found
}

/// Whether a part was found to vary, by itself or as a part of something that does.
pub(super) fn varies(part: &str, varying: &BTreeSet<String>) -> bool {
    varying.iter().any(|other| is_within(part, other))
}

/// Whether a part is another one, or lies in it.
pub(super) fn is_within(part: &str, other: &str) -> bool {
    let rest = part.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('[') && other.starts_with('$'))
}

fn changed(part: &str, was: impl std::fmt::Display, is: impl std::fmt::Display) -> Difference {
    Difference { part: part.to_owned(), message: format!("{part} was {was}, is {is}") }
}

fn bodies(before: &SeenBody, after: &SeenBody, found: &mut Vec<Difference>) {
    match (before, after) {
        (SeenBody::Json { values: before, .. }, SeenBody::Json { values: after, .. }) => {
            for (path, was) in before {
                match after.get(path) {
                    Some(is) => values(was, is, path, found),
                    None => found.push(changed(path, show(was), "missing")),
                }
            }
            for (path, is) in after.iter().filter(|(path, _)| !before.contains_key(*path)) {
                found.push(changed(path, "missing", show(is)));
            }
            found.truncate(MAX_DIFFERENCES);
        }
        (SeenBody::Schema(before), SeenBody::Schema(after)) => {
            for violation in after.iter().filter(|violation| !before.contains(violation)) {
                let message = format!("body breaks its schema: {violation}");
                found.push(Difference { part: "body".into(), message });
            }
        }
        (SeenBody::Text(before), SeenBody::Text(after)) => texts(before, after, found),
        (SeenBody::Digest { digest: was, size }, SeenBody::Digest { digest: is, size: now }) if was != is => {
            found.push(changed("body", format!("{was} ({size} bytes)"), format!("{is} ({now} bytes)")));
        }
        (before, after) if before != after => {
            found.push(Difference { part: "body".into(), message: "body is of another kind".into() });
        }
        _ => {}
    }
}

/// Line by line where there are as many, as a whole otherwise.
fn texts(before: &str, after: &str, found: &mut Vec<Difference>) {
    let [was, is]: [Vec<_>; 2] = [before, after].map(|text| text.split('\n').collect());
    if was.len() != is.len() {
        let counts = [was.len(), is.len()].map(|count| format!("{count} lines"));
        found.push(changed("body", &counts[0], &counts[1]));
        return;
    }
    for (at, (was, is)) in was.iter().zip(&is).enumerate().filter(|(_, (was, is))| was != is).take(MAX_DIFFERENCES) {
        found.push(changed(&format!("line {}", at + 1), format!("`{}`", short(was)), format!("`{}`", short(is))));
    }
}

fn values(was: &Value, is: &Value, path: &str, found: &mut Vec<Difference>) {
    if found.len() >= MAX_DIFFERENCES {
        return;
    }
    match (was, is) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, was) in before {
                match after.get(name) {
                    Some(is) => values(was, is, &member(path, name), found),
                    None => found.push(changed(&member(path, name), show(was), "missing")),
                }
            }
            for (name, is) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
                found.push(changed(&member(path, name), "missing", show(is)));
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            let both = before.iter().zip(after).enumerate();
            both.for_each(|(at, (was, is))| values(was, is, &format!("{path}[{at}]"), found));
        }
        (Value::Array(before), Value::Array(after)) => {
            found.push(changed(path, format!("{} items", before.len()), format!("{} items", after.len())));
        }
        _ if is_same(was, is) => {}
        _ => found.push(changed(path, show(was), show(is))),
    }
}

fn member(path: &str, name: &str) -> String {
    format!("{path}['{}']", name.replace('\\', "\\\\").replace('\'', "\\'"))
}

fn show(value: &Value) -> String {
    short(&value.to_string())
}

fn short(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parts(was: &Value, is: &Value) -> Vec<String> {
        let mut found = Vec::new();
        values(was, is, "$", &mut found);
        found.into_iter().map(|difference| difference.part).collect()
    }

    #[test]
    fn the_smallest_part_that_differs_is_named() {
        let was = json!({"a": [{"b": 1}, 2.0], "c'": null, "d": 1, "l": [1]});
        let is = json!({"a": [{"b": 2}, 2], "c'": false, "e": 1, "l": [1, 2]});
        assert_eq!(parts(&was, &is), ["$['a'][0]['b']", "$['c\\'']", "$['d']", "$['l']", "$['e']"]);
        assert!(parts(&was, &was).is_empty());
    }

    #[test]
    fn a_part_of_what_varies_varies() {
        let varying = BTreeSet::from(["$['a']".to_owned(), "line 1".to_owned()]);
        assert!(varies("$['a'][0]", &varying) && varies("$['a']", &varying) && varies("line 1", &varying));
        assert!(!varies("$", &varying) && !varies("$['ab']", &varying) && !varies("line 12", &varying));
    }
}
