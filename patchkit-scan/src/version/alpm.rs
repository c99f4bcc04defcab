//! The order of pacman's versions, `[epoch:]pkgver[-pkgrel]`.
//!
//! Source: vercmp(8) and libalpm's `alpm_pkg_vercmp`. The `pkgrel`, where one side lacks it, is not compared; in the
//! order, what is missing is least. After separators at the end (`1.`), which no package has, libalpm's comparison is no
//! order; here such a version comes right after the one without them.

use std::cmp::Ordering;

use super::{
    Flaw,
    evr::Evr,
    token::{self, Number, ordered},
};

/// A version with epoch and package release.
#[derive(Clone, Debug)]
pub(super) struct AlpmVersion(Evr);

impl AlpmVersion {
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

ordered!(AlpmVersion);

/// A stretch of letters or digits with the number of separators before it, in the order that libalpm gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Word(&'a str),
    End,
    /// Separators that nothing follows.
    Trailing,
    Number(Number<'a>),
    Apart(usize, Stretch<'a>),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stretch<'a> {
    Word(&'a str),
    Number(Number<'a>),
}

/// Compares two versions, or two package releases.
fn compare_parts(a: &str, b: &str) -> Ordering {
    token::compare(segments(a), segments(b), || Segment::End)
}

fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let separators = rest.len() - rest.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).len();
        if separators == rest.len() {
            rest = "";
            return (separators > 0).then_some(Segment::Trailing);
        }
        let (stretch, tail) = stretch(&rest[separators..]);
        rest = tail;
        Some(match (separators, stretch) {
            (0, Stretch::Word(word)) => Segment::Word(word),
            (0, Stretch::Number(number)) => Segment::Number(number),
            _ => Segment::Apart(separators, stretch),
        })
    })
}

fn stretch(text: &str) -> (Stretch<'_>, &str) {
    let (number, rest) = token::take_while(text, |byte| byte.is_ascii_digit());
    if !number.is_empty() {
        return (Stretch::Number(Number(number)), rest);
    }
    let (word, rest) = token::take_while(text, |byte| byte.is_ascii_alphabetic());
    (Stretch::Word(word), rest)
}
