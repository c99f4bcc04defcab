//! What each keyword asks of a value.

use serde_json::{Map, Number, Value};

use super::{Dialect, Run, SchemaError};

/// Keywords that could refuse a value but are not known here.
const UNSUPPORTED: [&str; 7] = [
    "$dynamicRef",
    "$recursiveRef",
    "additionalItems",
    "contentSchema",
    "dependencies",
    "unevaluatedItems",
    "unevaluatedProperties",
];

impl Run<'_, '_> {
    pub(super) fn keyword(
        &mut self,
        keyword: &str,
        argument: &Value,
        all: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), SchemaError> {
        match keyword {
            "type" => self.kind(argument, value),
            "enum" => self.one_of_values(argument, value),
            "const" => {
                self.holds(is_same(argument, value), || format!("is not {}", short(argument)));
                Ok(())
            }
            "allOf" | "anyOf" | "oneOf" | "not" | "if" => self.combined(keyword, argument, all, value),
            "dependentSchemas" => self.dependent_schemas(argument, value),
            _ if UNSUPPORTED.contains(&keyword) => Err(SchemaError::Unsupported(keyword.to_owned())),
            _ => match value {
                Value::Array(items) => self.array(keyword, argument, all, items),
                Value::Number(number) => self.number(keyword, argument, all, number),
                Value::Object(members) => self.members(keyword, argument, all, members),
                Value::String(text) => self.text(keyword, argument, text),
                Value::Bool(_) | Value::Null => Ok(()),
            },
        }
    }

    fn holds(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.fault(message());
        }
    }

    fn kind(&mut self, argument: &Value, value: &Value) -> Result<(), SchemaError> {
        let names: Option<Vec<&str>> = match argument {
            Value::String(name) => Some(vec![name]),
            Value::Array(names) => names.iter().map(Value::as_str).collect(),
            _ => None,
        };
        let names = names.ok_or_else(|| self.malformed("type"))?;
        self.holds(names.iter().any(|name| is_kind(value, name)), || {
            format!("is {}, not {}", kind_of(value), names.join(" or "))
        });
        Ok(())
    }

    fn one_of_values(&mut self, argument: &Value, value: &Value) -> Result<(), SchemaError> {
        let values = argument.as_array().ok_or_else(|| self.malformed("enum"))?;
        self.spend(values.len())?;
        self.holds(values.iter().any(|one| is_same(one, value)), || format!("is none of {}", short(argument)));
        Ok(())
    }

    fn combined(
        &mut self,
        keyword: &str,
        argument: &Value,
        all: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), SchemaError> {
        if keyword == "not" {
            let keeps = self.keeps(argument, value)?;
            self.holds(!keeps, || "is what it must not be".into());
            return Ok(());
        }
        if keyword == "if" {
            let branch = if self.keeps(argument, value)? { "then" } else { "else" };
            return all.get(branch).map_or(Ok(()), |schema| self.schema(schema, value));
        }
        let schemas = argument.as_array().ok_or_else(|| self.malformed(keyword))?;
        if keyword == "allOf" {
            return schemas.iter().try_for_each(|schema| self.schema(schema, value));
        }
        let mut kept = 0;
        for schema in schemas {
            kept += usize::from(self.keeps(schema, value)?);
        }
        self.holds(kept == 1 || keyword == "anyOf" && kept > 0, || format!("keeps {kept} schemas of `{keyword}`"));
        Ok(())
    }

    fn dependent_schemas(&mut self, argument: &Value, value: &Value) -> Result<(), SchemaError> {
        let wanted = argument.as_object().ok_or_else(|| self.malformed("dependentSchemas"))?;
        self.spend(wanted.len())?;
        let mut present =
            wanted.iter().filter(|(name, _)| value.as_object().is_some_and(|all| all.contains_key(*name)));
        present.try_for_each(|(_, schema)| self.schema(schema, value))
    }

    fn text(&mut self, keyword: &str, argument: &Value, text: &str) -> Result<(), SchemaError> {
        match keyword {
            "minLength" | "maxLength" => self.size(keyword, argument, text.chars().count(), "characters"),
            "pattern" => {
                let pattern = argument.as_str().ok_or_else(|| self.malformed(keyword))?;
                let matches = self.validator.matches(pattern, text)?;
                self.holds(matches, || format!("does not match {pattern}"));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A lower or upper bound on how many there are, by the keyword's first three letters.
    fn size(&mut self, keyword: &str, argument: &Value, size: usize, of: &str) -> Result<(), SchemaError> {
        let bound = argument.as_f64().ok_or_else(|| self.malformed(keyword))?;
        #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^52")]
        let size = size as f64;
        match keyword.starts_with("min") {
            true => self.holds(size >= bound, || format!("has fewer than {bound} {of}")),
            false => self.holds(size <= bound, || format!("has more than {bound} {of}")),
        }
        Ok(())
    }

    fn number(
        &mut self,
        keyword: &str,
        argument: &Value,
        all: &Map<String, Value>,
        number: &Number,
    ) -> Result<(), SchemaError> {
        let known = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"].contains(&keyword);
        let boolean = self.validator.dialect == Dialect::OpenApi30 && argument.is_boolean();
        if !known || boolean && keyword.starts_with("exclusive") {
            return Ok(());
        }
        let bound = argument.as_f64().ok_or_else(|| self.malformed(keyword))?;
        let value = number.as_f64().unwrap_or(f64::NAN);
        let excluded = |name| all.get(name) == Some(&Value::Bool(true));
        let (holds, word) = match keyword {
            "minimum" if excluded("exclusiveMinimum") => (value > bound, "over"),
            "maximum" if excluded("exclusiveMaximum") => (value < bound, "under"),
            "minimum" => (value >= bound, "at least"),
            "maximum" => (value <= bound, "at most"),
            "exclusiveMinimum" => (value > bound, "over"),
            "exclusiveMaximum" => (value < bound, "under"),
            _ => (is_multiple(number, argument), "a multiple of"),
        };
        self.holds(holds, || format!("is not {word} {argument}"));
        Ok(())
    }

    fn array(
        &mut self,
        keyword: &str,
        argument: &Value,
        all: &Map<String, Value>,
        items: &[Value],
    ) -> Result<(), SchemaError> {
        match keyword {
            "minItems" | "maxItems" => self.size(keyword, argument, items.len(), "items"),
            "items" if argument.is_array() => Err(SchemaError::Unsupported("items as a list".into())),
            "items" => {
                let before = all.get("prefixItems").and_then(Value::as_array).map_or(0, Vec::len);
                items.iter().skip(before).try_for_each(|item| self.inside("*", argument, item))
            }
            "prefixItems" => {
                let schemas = argument.as_array().ok_or_else(|| self.malformed(keyword))?;
                schemas.iter().zip(items).try_for_each(|(schema, item)| self.inside("*", schema, item))
            }
            "uniqueItems" if argument == &Value::Bool(true) => self.unique(items),
            "contains" => self.contains(argument, all, items),
            _ => Ok(()),
        }
    }

    fn unique(&mut self, items: &[Value]) -> Result<(), SchemaError> {
        self.spend(items.len().saturating_mul(items.len()) / 2)?;
        let twice = items.iter().enumerate().any(|(at, item)| items[..at].iter().any(|other| is_same(other, item)));
        self.holds(!twice, || "has an item twice".into());
        Ok(())
    }

    fn contains(&mut self, schema: &Value, all: &Map<String, Value>, items: &[Value]) -> Result<(), SchemaError> {
        let mut count = 0_u64;
        for item in items {
            count += u64::from(self.keeps(schema, item)?);
        }
        let bound = |name: &str, other| all.get(name).and_then(Value::as_u64).unwrap_or(other);
        let holds = count >= bound("minContains", 1) && count <= bound("maxContains", u64::MAX);
        self.holds(holds, || format!("has {count} items that `contains` asks for"));
        Ok(())
    }

    fn members(
        &mut self,
        keyword: &str,
        argument: &Value,
        all: &Map<String, Value>,
        members: &Map<String, Value>,
    ) -> Result<(), SchemaError> {
        match keyword {
            "minProperties" | "maxProperties" => self.size(keyword, argument, members.len(), "members"),
            "required" => self.required(argument, all, members),
            "properties" => {
                let schemas = argument.as_object().ok_or_else(|| self.malformed(keyword))?;
                self.spend(schemas.len())?;
                let mut both = schemas.iter().filter_map(|(name, schema)| Some((name, schema, members.get(name)?)));
                both.try_for_each(|(name, schema, member)| self.inside(name, schema, member))
            }
            "patternProperties" => self.by_pattern(argument, members),
            "additionalProperties" => self.additional(argument, all, members),
            "propertyNames" => {
                members.keys().try_for_each(|name| self.inside(name, argument, &Value::String(name.clone())))
            }
            "dependentRequired" => {
                let wanted = argument.as_object().ok_or_else(|| self.malformed(keyword))?;
                self.spend(wanted.len())?;
                let mut present = wanted.iter().filter(|(name, _)| members.contains_key(*name));
                present.try_for_each(|(_, names)| self.required(names, all, members))
            }
            _ => Ok(()),
        }
    }

    fn required(
        &mut self,
        argument: &Value,
        all: &Map<String, Value>,
        members: &Map<String, Value>,
    ) -> Result<(), SchemaError> {
        let names = argument.as_array().ok_or_else(|| self.malformed("required"))?;
        self.spend(names.len())?;
        for name in names {
            let name = name.as_str().ok_or_else(|| self.malformed("required"))?;
            let schema = all.get("properties").and_then(|properties| properties.get(name));
            // OpenAPI: what is only written is not in an answer, though it is required in a request.
            let only_written = schema.and_then(|schema| schema.get("writeOnly")) == Some(&Value::Bool(true));
            self.holds(only_written || members.contains_key(name), || format!("lacks the required `{name}`"));
        }
        Ok(())
    }

    fn by_pattern(&mut self, argument: &Value, members: &Map<String, Value>) -> Result<(), SchemaError> {
        let schemas = argument.as_object().ok_or_else(|| self.malformed("patternProperties"))?;
        for (pattern, schema) in schemas {
            for (name, member) in members {
                self.spend(1)?;
                if self.validator.matches(pattern, name)? {
                    self.inside(name, schema, member)?;
                }
            }
        }
        Ok(())
    }

    fn additional(
        &mut self,
        schema: &Value,
        all: &Map<String, Value>,
        members: &Map<String, Value>,
    ) -> Result<(), SchemaError> {
        let named = all.get("properties").and_then(Value::as_object);
        let patterns = all.get("patternProperties").and_then(Value::as_object);
        self.spend(members.len())?;
        for (name, member) in members {
            let mut is_known = named.is_some_and(|named| named.contains_key(name));
            for pattern in patterns.into_iter().flat_map(Map::keys) {
                self.spend(1)?;
                is_known = is_known || self.validator.matches(pattern, name)?;
            }
            if !is_known {
                self.inside(name, schema, member)?;
            }
        }
        Ok(())
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Array(_) => "array",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
        Value::Number(_) if is_kind(value, "integer") => "integer",
        Value::Number(_) => "number",
        Value::Object(_) => "object",
        Value::String(_) => "string",
    }
}

fn is_kind(value: &Value, name: &str) -> bool {
    match (value, name) {
        (Value::Number(_), "number") => true,
        (Value::Number(number), "integer") => {
            number.is_i64() || number.is_u64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
        }
        (Value::Number(_), _) => false,
        _ => kind_of(value) == name,
    }
}

fn is_multiple(number: &Number, of: &Value) -> bool {
    if let (Some(number), Some(of)) = (number.as_i64(), of.as_i64()) {
        return of != 0 && number.checked_rem(of) == Some(0);
    }
    let (Some(number), Some(of)) = (number.as_f64(), of.as_f64()) else { return false };
    let quotient = number / of;
    // Decimal fractions have no exact form: 0.3 is a multiple of 0.1.
    quotient.is_finite() && (quotient - quotient.round()).abs() <= 1e-9 * quotient.abs().max(1.0)
}

/// Whether two values are the same to JSON Schema: numbers by their value, members in any order.
pub(in super::super) fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other || one.as_f64() == other.as_f64() && (one.is_f64() || other.is_f64())
        }
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| is_same(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| is_same(one, other)))
        }
        _ => one == other,
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(120) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
