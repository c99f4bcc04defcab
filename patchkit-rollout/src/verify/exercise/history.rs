use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::Entry;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Exercise, MEDIA_TYPE};

/// How deep the details of a record are searched.
const MAX_DEPTH: usize = 16;

/// What a history of patches says about a suite of tests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    /// How many patches there were.
    pub patches: usize,
    /// The tests that ran, and used nothing that any patch changed.
    pub never_needed: BTreeSet<String>,
    /// The packages that patches changed and of which no test used anything, with how many patches that were.
    pub never_covered: BTreeMap<String, usize>,
}

/// The exercises that the entries of a ledger have among the evidence of their verdicts, in their order.
///
/// What is said to be one and cannot be read is left out: it was written by another version.
#[must_use]
pub fn history(entries: &[Entry]) -> Vec<Exercise> {
    let mut found = Vec::new();
    entries.iter().for_each(|entry| search(&entry.record.body, MAX_DEPTH, &mut found));
    found
}

fn search(value: &Value, depth: usize, found: &mut Vec<Exercise>) {
    if depth == 0 {
        return;
    }
    match value {
        Value::Array(items) => items.iter().for_each(|item| search(item, depth - 1, found)),
        Value::Object(fields) if fields.get("media_type").is_some_and(|media_type| media_type == MEDIA_TYPE) => {
            let content = fields.get("content").and_then(Value::as_str).unwrap_or_default();
            found.extend(serde_json::from_str::<Exercise>(content).ok());
        }
        Value::Object(fields) => fields.values().for_each(|value| search(value, depth - 1, found)),
        _ => {}
    }
}

/// What the exercises of several patches say together.
///
/// Nothing is said of a test that nobody watched, nor of a package in a patch for which nobody watched every test.
#[must_use]
pub fn review(history: &[Exercise]) -> Review {
    let needed: BTreeSet<&String> =
        history.iter().flat_map(|exercise| &exercise.covered).flat_map(|file| &file.tests).collect();
    let covered: BTreeSet<&String> = history.iter().flat_map(|exercise| exercise.tests_by_package.keys()).collect();
    let idle = history.iter().flat_map(|exercise| &exercise.idle_tests).filter(|test| !needed.contains(test));
    let mut never_covered = BTreeMap::new();
    let watched = history.iter().filter(|exercise| exercise.unobserved_tests.is_empty());
    for package in watched.flat_map(|exercise| &exercise.gaps).filter_map(|gap| gap.package.as_ref()) {
        if !covered.contains(package) {
            *never_covered.entry(package.clone()).or_default() += 1;
        }
    }
    Review { patches: history.len(), never_needed: idle.cloned().collect(), never_covered }
}
