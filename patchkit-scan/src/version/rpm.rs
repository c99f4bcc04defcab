//! The order of rpm's versions, `[epoch:]version[-release]`.
//!
//! Source: rpm-version(7) and `rpmvercmp` of rpm 4.15 and later, which know `~` and `^`. The release, where one side
//! lacks it, is not compared between a package and a dependency; in the order, what is missing is least.

use std::cmp::Ordering;

use super::{
    Flaw,
    evr::Evr,
    token::{self, Number, ordered},
};

/// A version with epoch and release.
#[derive(Clone, Debug)]
pub(super) struct RpmVersion(Evr);

impl RpmVersion {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        Evr::parse(text).map(Self)
    }

    /// The comparison of a package with a dependency.
    pub(super) fn against(&self, bound: &Self) -> Ordering {
        self.0.against(&bound.0, compare_parts)
    }

    fn order(&self, other: &Self) -> Ordering {
        self.0.order(&other.0, compare_parts)
    }
}

ordered!(RpmVersion);

/// What `rpmvercmp` splits a version into, in the order that it gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Tilde,
    End,
    Caret,
    Word(&'a str),
    Number(Number<'a>),
}

/// Compares two versions, or two releases.
fn compare_parts(a: &str, b: &str) -> Ordering {
    token::compare(segments(a), segments(b), || Segment::End)
}

/// The segments; everything but ASCII letters, digits, `~` and `^` separates them.
fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '~' || c == '^';
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c| !is_part(c));
        let (segment, tail) = match rest.bytes().next()? {
            b'~' => (Segment::Tilde, &rest[1..]),
            b'^' => (Segment::Caret, &rest[1..]),
            b'0'..=b'9' => {
                let (number, tail) = token::take_while(rest, |byte| byte.is_ascii_digit());
                (Segment::Number(Number(number)), tail)
            }
            _ => {
                let (word, tail) = token::take_while(rest, |byte| byte.is_ascii_alphabetic());
                (Segment::Word(word), tail)
            }
        };
        rest = tail;
        Some(segment)
    })
}
