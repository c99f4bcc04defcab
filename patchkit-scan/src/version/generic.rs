//! The order of versions of programs that no ecosystem has: OpenSSL's `1.1.1w`, curl's `8.5.0`, BusyBox's `1.36.1`.
//!
//! Numbers are compared as such. The usual names of pre-releases (`alpha`, `beta`, `pre`, `rc`, …) come before the end,
//! other letters after it; all else separates.

use std::cmp::Ordering;

use super::token::{self, Number, ordered};

/// The names of pre-releases.
const BEFORE: [&str; 7] = ["alpha", "beta", "dev", "pre", "preview", "rc", "snapshot"];

/// A version in lower case.
#[derive(Clone, Debug)]
pub(super) struct Generic(Box<str>);

impl Generic {
    pub(super) fn parse(text: &str) -> Self {
        Self(text.to_ascii_lowercase().trim_start_matches('v').into())
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(segments(&self.0), segments(&other.0), || Segment::End)
    }
}

ordered!(Generic);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Before(&'a str),
    End,
    Word(&'a str),
    Number(Number<'a>),
}

fn segments(text: &str) -> impl Iterator<Item = Segment<'_>> {
    token::stretches(text).map(|stretch| match stretch {
        number if token::is_number(number) => Segment::Number(Number(number)),
        word if BEFORE.contains(&word) => Segment::Before(word),
        word => Segment::Word(word),
    })
}
