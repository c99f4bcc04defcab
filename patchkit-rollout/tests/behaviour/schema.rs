use std::process::Command;

use patchkit_rollout::verify::behaviour::schema::{Dialect, Validator};
use serde_json::{Value, json};

use crate::support::is_here;

#[test]
fn random_schemas_are_judged_as_by_jsonschema() {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/schema.py");
    // One that has the package, which need not be the machine's own.
    let python = std::env::var_os("PYTHON").unwrap_or_else(|| "python3".into());
    let mut probe = Command::new(&python);
    probe.args(["-c", "from jsonschema import Draft202012Validator"]);
    if !is_here("the Python package jsonschema", probe) {
        return;
    }
    let output = Command::new(&python).args([script, "7", "3000"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (mut kept, mut broken) = (0, 0);
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let found =
            Validator::new(&case["schema"], Dialect::Draft2020).validate(&case["schema"], &case["value"]).unwrap();
        assert_eq!(found.is_empty(), case["keeps"], "{line}\n{found:?}");
        *if found.is_empty() { &mut kept } else { &mut broken } += 1;
    }
    assert!(kept > 2000 && broken > 2000, "{kept} kept, {broken} broken: {}", String::from_utf8_lossy(&output.stderr));
}

fn faults(dialect: Dialect, schema: &Value, value: &Value) -> Result<Vec<String>, String> {
    let found = Validator::new(schema, dialect).validate(schema, value).map_err(|error| error.to_string())?;
    Ok(found.iter().map(ToString::to_string).collect())
}

#[test]
fn openapi_30_has_words_of_its_own() {
    let old = |schema: Value, value: Value| faults(Dialect::OpenApi30, &schema, &value).unwrap().len();
    assert_eq!(old(json!({"type": "string", "nullable": true, "enum": ["a"]}), json!(null)), 0);
    assert_eq!(old(json!({"type": "string"}), json!(null)), 1);
    assert_eq!(old(json!({"minimum": 1, "exclusiveMinimum": true}), json!(1)), 1);
    assert_eq!(old(json!({"minimum": 1, "exclusiveMinimum": false}), json!(1)), 0);
    assert_eq!(old(json!({"d": {}, "$ref": "#/d", "type": "string"}), json!(1)), 0);
    let write_only = json!({"required": ["p"], "properties": {"p": {"writeOnly": true}}});
    assert_eq!(old(write_only, json!({})), 0);
}

#[test]
fn what_cannot_be_told_is_an_error() {
    let error = |schema: Value, value: Value| faults(Dialect::Draft2020, &schema, &value).unwrap_err();
    assert!(error(json!({"$ref": "#"}), json!(1)).contains("in a circle"));
    assert!(error(json!({"$ref": "other.json#/a"}), json!(1)).contains("other.json#/a leads to nothing"));
    assert!(error(json!({"unevaluatedProperties": false}), json!({})).contains("is not supported"));
    assert!(error(json!({"pattern": "(?=a)"}), json!("a")).contains("`pattern (?=a)` is not supported"));
    assert!(error(json!({"required": "a"}), json!({})).contains("`required` has a wrong value"));
    let doubling =
        json!({"allOf": [{"$ref": "#/d"}, {"$ref": "#/d"}], "d": {"items": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
    let mut deep = json!(1);
    (0..14).for_each(|_| deep = json!([deep.clone()]));
    assert!(error(doubling, deep).contains("more than 1000000 steps"));
    let many: Vec<_> = (0..3000).collect();
    assert!(error(json!({"uniqueItems": true}), json!(many)).contains("steps"));
}

#[test]
fn a_violation_has_its_place() {
    let schema = json!({"properties": {"a/b": {"items": {"type": "integer"}}}});
    let found = faults(Dialect::Draft2020, &schema, &json!({"a/b": [1, "x", "y"]})).unwrap();
    assert_eq!(found, ["/a~1b/*: is string, not integer"]);
}
