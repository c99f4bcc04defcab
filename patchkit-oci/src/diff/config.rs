use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

/// A field of the configuration that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfigDifference {
    /// Where it is: `config.Env.PATH`, `history[3]`.
    pub field: String,
    /// What it was; `None` where there was none.
    pub old: Option<Value>,
    /// What it is; `None` where there is none.
    pub new: Option<Value>,
}

/// Compares two configurations field by field, but for the diff ids, which are the layers'.
pub(super) fn compare(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<ConfigDifference> {
    let (mut old, mut new) = (fields(old), fields(new));
    let mut differences = Vec::new();
    for (field, old) in std::mem::take(&mut old) {
        let new = new.remove(&field);
        if new.as_ref() != Some(&old) {
            differences.push(ConfigDifference { field, old: Some(old), new });
        }
    }
    differences.extend(new.into_iter().map(|(field, new)| ConfigDifference { field, old: None, new: Some(new) }));
    differences.sort_by(|one, other| one.field.cmp(&other.field));
    differences
}

/// The fields by name, those of objects each for itself, variables of the environment and steps of the history too.
/// Fields that say nothing are left out, since `null` and `[]` mean what their absence means.
fn fields(json: &Map<String, Value>) -> BTreeMap<String, Value> {
    let mut fields = BTreeMap::new();
    for (name, value) in json {
        add(&mut fields, name.clone(), value);
    }
    fields
}

fn add(fields: &mut BTreeMap<String, Value>, name: String, value: &Value) {
    match value {
        Value::Null => {}
        Value::Object(object) => object.iter().for_each(|(key, value)| add(fields, format!("{name}.{key}"), value)),
        Value::Array(list) if list.is_empty() || name == "rootfs.diff_ids" => {}
        Value::Array(list) if name == "history" => {
            for (place, step) in list.iter().enumerate() {
                // As a whole: its fields mean nothing without each other.
                fields.insert(format!("{name}[{place:03}]"), step.clone());
            }
        }
        Value::Array(list) if name == "config.Env" => list.iter().for_each(|variable| match variable.as_str() {
            Some(text) => {
                let (key, value) = text.split_once('=').unwrap_or((text, ""));
                fields.insert(format!("{name}.{key}"), value.into());
            }
            None => drop(fields.insert(name.clone(), value.clone())),
        }),
        value => drop(fields.insert(name, value.clone())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_named() {
        let old = json!({
            "os": "linux", "rootfs": { "diff_ids": ["a"] }, "history": [{ "created_by": "x" }],
            "config": { "Env": ["A=1", "B=2"], "Cmd": ["sh"], "Labels": { "x.y": "1" }, "Volumes": null, "User": "" },
        });
        let new = json!({
            "os": "linux", "rootfs": { "diff_ids": ["b"] }, "history": [{ "created_by": "x" }, { "created_by": "y" }],
            "config": { "Env": ["A=1", "B=3", "C"], "Cmd": ["sh", "-c"], "OnBuild": [], "User": "" },
        });
        let found = compare(old.as_object().unwrap(), new.as_object().unwrap());
        let named: Vec<_> = found.iter().map(|difference| difference.field.as_str()).collect();
        assert_eq!(named, ["config.Cmd", "config.Env.B", "config.Env.C", "config.Labels.x.y", "history[001]"]);
        assert_eq!((&found[1].old, &found[1].new), (&Some(json!("2")), &Some(json!("3"))));
        assert_eq!((&found[3].new, &found[2].old), (&None, &None));
    }
}
