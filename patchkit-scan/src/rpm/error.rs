use std::borrow::Cow;

use thiserror::Error;

/// What is wrong with a database of rpm, and where: in which byte, page, slot or record.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{unit} {number}: {problem}")]
pub(crate) struct DatabaseError {
    unit: &'static str,
    number: u64,
    problem: Cow<'static, str>,
}

impl DatabaseError {
    /// A problem at the place that a unit and a number name: page 17.
    pub(crate) fn at(unit: &'static str, number: impl Into<u64>, problem: impl Into<Cow<'static, str>>) -> Self {
        Self { unit, number: number.into(), problem: problem.into() }
    }

    /// The same, inside something larger: record 5.
    pub(crate) fn inside(self, unit: &'static str, number: impl Into<u64>) -> Self {
        Self { unit, number: number.into(), problem: self.to_string().into() }
    }
}
