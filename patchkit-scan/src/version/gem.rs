//! The order of RubyGems' versions.
//!
//! Source: `Gem::Version`. Letters make a pre-release; zeros that end the release or the whole say nothing.

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number, ordered},
};

/// A version, without the zeros that say nothing.
#[derive(Clone, Debug)]
pub(super) struct GemVersion(Box<str>);

impl GemVersion {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        if !token::is_number(text) {
            return Err(Flaw::new(0, "a number is expected"));
        }
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
        if let Some(bad) = text.bytes().position(|byte| !is_part(byte)) {
            return Err(Flaw::new(bad, "letters, digits, dots and hyphens are expected"));
        }
        let text = text.replace('-', ".pre.");
        let segments: Vec<_> = token::stretches(&text).collect();
        let release = segments.iter().position(|segment| !token::is_number(segment)).unwrap_or(segments.len());
        let (release, rest) = segments.split_at(release);
        let mut canonical = without_zeros(release).to_vec();
        canonical.extend(without_zeros(rest));
        Ok(Self(canonical.join(".").into()))
    }

    fn segments(&self) -> impl Iterator<Item = Segment<'_>> {
        self.0.split('.').map(|segment| match segment.is_empty() || token::is_number(segment) {
            true => Segment::Number(Number(segment)),
            false => Segment::Word(segment),
        })
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(self.segments(), other.segments(), || Segment::Number(Number("")))
    }
}

ordered!(GemVersion);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Segment<'a> {
    Word(&'a str),
    Number(Number<'a>),
}

/// The segments up to the last that is not zero.
fn without_zeros<'a, 'b>(segments: &'a [&'b str]) -> &'a [&'b str] {
    let is_zero = |segment: &&str| token::is_number(segment) && Number(segment).is_zero();
    let end = segments.iter().rposition(|segment| !is_zero(segment)).map_or(0, |last| last + 1);
    &segments[..end]
}
