//! Lists of numbers: Haskell's `Data.Version`, R's `package_version`.
//!
//! Source: the Haskell package versioning policy; R's `?package_version`. `1.0` is older than `1.0.0`.

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number, ordered},
};

/// Numbers between separators.
#[derive(Clone, Debug)]
pub(super) struct Numeric {
    text: Box<str>,
    separators: &'static [char],
}

impl Numeric {
    pub(super) fn parse(text: &str, separators: &'static [char]) -> Result<Self, Flaw> {
        let mut at = 0;
        for number in text.split(separators) {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                return Err(Flaw::new(at, "a number is expected"));
            }
            at += number.len() + 1;
        }
        Ok(Self { text: text.into(), separators })
    }

    fn numbers(&self) -> impl Iterator<Item = Option<Number<'_>>> {
        self.text.split(self.separators).map(|number| Some(Number(number)))
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(self.numbers(), other.numbers(), || None)
    }
}

ordered!(Numeric);
