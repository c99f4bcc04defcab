//! What is known of the variables while a script is followed.

use std::collections::BTreeMap;

use super::syntax::{Fallback, Part, PartKind, Word};

/// Variables and parameters. A variable that is not here may have come from outside: its value is not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Environment {
    /// `None` for a variable that is set to something not known.
    variables: BTreeMap<String, Option<String>>,
    /// `None` once the parameters are not known.
    parameters: Option<Vec<Field>>,
}

/// A word after expansion.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Field {
    Known(String),
    /// Something not known; where it `splits`, it may be several words, or none.
    Unknown {
        splits: bool,
    },
}

impl Field {
    pub(super) fn known(&self) -> Option<&str> {
        match self {
            Self::Known(text) => Some(text),
            Self::Unknown { .. } => None,
        }
    }
}

impl Environment {
    pub(super) fn new(parameters: Vec<String>) -> Self {
        let parameters = Some(parameters.into_iter().map(Field::Known).collect());
        Self { variables: BTreeMap::new(), parameters }
    }

    pub(super) fn set(&mut self, name: &str, value: Option<String>) {
        self.variables.insert(name.to_owned(), value);
    }

    /// Forgets every variable: in a loop, one that is set below may be read above.
    pub(super) fn forget_variables(&mut self) {
        self.variables.clear();
    }

    pub(super) fn forget_parameters(&mut self) {
        self.parameters = None;
    }

    /// The same variables with the parameters of a function.
    pub(super) fn with_parameters(&self, fields: &[Field]) -> Self {
        let known = !fields.contains(&Field::Unknown { splits: true });
        Self { variables: self.variables.clone(), parameters: known.then(|| fields.to_vec()) }
    }

    pub(super) fn take_variables(&mut self, other: Self) {
        self.variables = other.variables;
    }

    pub(super) fn shift(&mut self, count: usize) {
        self.parameters =
            self.parameters.take().filter(|fields| fields.len() >= count).map(|mut fields| fields.split_off(count));
    }

    /// What holds whichever of the two was the case.
    pub(super) fn merge(&mut self, other: &Self) {
        self.variables.retain(|name, _| other.variables.contains_key(name));
        for (name, value) in &mut self.variables {
            if other.variables.get(name) != Some(value) {
                *value = None;
            }
        }
        if self.parameters != other.parameters {
            self.parameters = None;
        }
    }

    /// The value of a word where no fields are split, as in an assignment or a case.
    pub(super) fn value(&self, word: &Word) -> Option<String> {
        let mut value = String::new();
        for part in &word.0 {
            match &part.kind {
                PartKind::Text(text) if !part.quoted && (text.starts_with('~') || text.contains(":~")) => {
                    return None;
                }
                PartKind::Text(text) => value.push_str(text),
                PartKind::Variable { name, fallback } => value.push_str(&self.variable(name, fallback.as_ref())?),
                PartKind::Command(_) | PartKind::Opaque(_) => return None,
            }
        }
        Some(value)
    }

    /// The fields of a command's words: unquoted expansions may vanish or split, globs are not known.
    pub(super) fn fields(&self, words: &[Word]) -> Vec<Field> {
        words.iter().flat_map(|word| self.split(word)).collect()
    }

    fn split(&self, word: &Word) -> Vec<Field> {
        let empty = |part: &&Part| matches!(&part.kind, PartKind::Text(text) if text.is_empty());
        let parts: Vec<&Part> = word.0.iter().filter(|part| !empty(part)).collect();
        if let [Part { kind: PartKind::Variable { name, fallback: None }, quoted: true }] = &parts[..]
            && name == "@"
            && let Some(fields) = &self.parameters
        {
            return fields.clone();
        }
        let bare = |part: &&Part| !part.quoted;
        let globs = |text: &str| text.contains(['*', '?', '[', '{']);
        let mut splits = word
            .0
            .iter()
            .any(|part| part.quoted && matches!(&part.kind, PartKind::Variable { name, .. } if name == "@"));
        for part in word.0.iter().filter(bare) {
            splits |= match &part.kind {
                PartKind::Text(text) => globs(text) && text != "[" && text != "{",
                PartKind::Variable { name, fallback } => self
                    .variable(name, fallback.as_ref())
                    .is_none_or(|value| value.contains([' ', '\t', '\n']) || globs(&value)),
                PartKind::Command(_) | PartKind::Opaque(_) => true,
            };
        }
        match self.value(word) {
            _ if splits => vec![Field::Unknown { splits }],
            Some(value) if value.is_empty() && !word.0.iter().any(|part| part.quoted) => Vec::new(),
            Some(value) => vec![Field::Known(value)],
            None => vec![Field::Unknown { splits: false }],
        }
    }

    /// The value of a variable, `None` where it is not known.
    fn variable(&self, name: &str, fallback: Option<&Fallback>) -> Option<String> {
        let value = self.lookup(name)?;
        let Some(Fallback { when_set, empty_is_unset, word }) = fallback else {
            return Some(value);
        };
        let unset = *empty_is_unset && value.is_empty() || self.is_missing_parameter(name);
        match (when_set, unset) {
            (true, false) | (false, true) => self.value(word),
            (true, true) => Some(String::new()),
            (false, false) => Some(value),
        }
    }

    fn lookup(&self, name: &str) -> Option<String> {
        match (name, name.parse::<usize>()) {
            ("#", _) => Some(self.parameters.as_ref()?.len().to_string()),
            (_, Ok(0)) => None,
            (_, Ok(number)) => match self.parameters.as_ref()?.get(number - 1) {
                Some(field) => field.known().map(str::to_owned),
                None => Some(String::new()),
            },
            (_, Err(_)) => self.variables.get(name).cloned().flatten(),
        }
    }

    fn is_missing_parameter(&self, name: &str) -> bool {
        let number = name.parse::<usize>().ok();
        matches!((number, &self.parameters), (Some(number), Some(fields)) if number > fields.len())
    }
}
