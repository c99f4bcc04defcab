//! As much of JSON Schema as our own schema uses, but for patterns, which the tests with outside tools check.

use serde_json::Value;

/// What of a value is not as the schema says, each with its place.
pub(super) fn errors(root: &Value, schema: &Value, value: &Value, at: &str) -> Vec<String> {
    let wrong = |what: &str| vec![format!("{at}: {what}")];
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.strip_prefix("#/$defs/")) {
        return errors(root, &root["$defs"][name], value, at);
    }
    if let Some(all) = schema["allOf"].as_array() {
        return all.iter().flat_map(|schema| errors(root, schema, value, at)).collect();
    }
    if let Some(one) = schema["oneOf"].as_array() {
        let fitting = one.iter().filter(|schema| errors(root, schema, value, at).is_empty()).count();
        return if fitting == 1 { Vec::new() } else { wrong("fits not exactly one") };
    }
    if let Some(words) = schema["enum"].as_array() {
        return if words.contains(value) { Vec::new() } else { wrong("is none of the words") };
    }
    if let Some(constant) = schema.get("const") {
        return if constant == value { Vec::new() } else { wrong("is not the constant") };
    }
    match (schema["type"].as_str(), value) {
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => Vec::new(),
        (Some("integer"), Value::Number(n)) => match n.as_i64() {
            Some(n) if schema["minimum"].as_i64() <= Some(n) && Some(n) <= schema["maximum"].as_i64() => Vec::new(),
            _ => wrong("is out of its range"),
        },
        (Some("array"), Value::Array(items)) => {
            let each = items.iter().enumerate();
            each.flat_map(|(n, item)| errors(root, &schema["items"], item, &format!("{at}/{n}"))).collect()
        }
        (Some("object"), Value::Object(fields)) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let missing = required.filter(|name| !fields.contains_key(*name)).flat_map(&wrong);
            let known = fields.iter().flat_map(|(name, field)| match schema["properties"].get(name) {
                Some(schema) => errors(root, schema, field, &format!("{at}/{name}")),
                None => wrong(&format!("has a field {name} that the schema does not name")),
            });
            missing.chain(known).collect()
        }
        (kind, _) => wrong(&format!("is no {kind:?}")),
    }
}
