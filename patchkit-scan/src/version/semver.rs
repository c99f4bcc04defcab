//! Semantic versions, read leniently.
//!
//! Source: Semantic Versioning 2.0.0, section 11, and node-semver's loose grammar. More is read than they allow: a `v`
//! or `=` before the version, fewer or more numbers than three (what is missing is 0), zeros before a number, and a
//! pre-release without its hyphen (`1.2.3beta`).

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number, ordered},
};

/// A version whose build says nothing.
#[derive(Clone, Debug)]
pub(super) struct Semver {
    text: Box<str>,
    /// Where the numbers start.
    start: usize,
    /// Where the numbers end.
    release: usize,
    /// Where the pre-release starts and ends; empty for none.
    pre: (usize, usize),
    /// Where the build starts; the end of the text for none.
    build: usize,
}

impl Semver {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let start = text.len() - text.trim_start_matches(['v', 'V', '=', ' ']).len();
        let release = numbers_end(text, start)?;
        let plus = text[release..].find('+').map_or(text.len(), |plus| release + plus);
        let pre = release + usize::from(text[release..plus].starts_with('-'));
        check_identifiers(&text[pre..plus], pre, pre > release)?;
        let build = (plus + 1).min(text.len());
        check_identifiers(&text[build..], build, build > plus)?;
        Ok(Self { text: text.into(), start, release, pre: (pre, plus), build })
    }

    fn order(&self, other: &Self) -> Ordering {
        let releases = token::compare(self.numbers(), other.numbers(), || Number(""));
        releases.then_with(|| match (self.pre(), other.pre()) {
            ("", "") => Ordering::Equal,
            ("", _) => Ordering::Greater,
            (_, "") => Ordering::Less,
            (a, b) => compare_identifiers(a, b),
        })
    }

    fn numbers(&self) -> impl Iterator<Item = Number<'_>> {
        self.text[self.start..self.release].split('.').map(Number)
    }

    fn pre(&self) -> &str {
        &self.text[self.pre.0..self.pre.1]
    }

    fn build(&self) -> &str {
        &self.text[self.build..]
    }
}

/// A version whose build counts, as pub has it: `1.0.0` is older than `1.0.0+1`.
#[derive(Clone, Debug)]
pub(super) struct WithBuild(pub(super) Semver);

impl WithBuild {
    fn order(&self, other: &Self) -> Ordering {
        self.0.order(&other.0).then_with(|| compare_identifiers(self.0.build(), other.0.build()))
    }
}

ordered!(Semver, WithBuild);

/// Where the numbers and the dots between them end.
fn numbers_end(text: &str, start: usize) -> Result<usize, Flaw> {
    let mut end = start;
    loop {
        let (number, rest) = token::take_while(&text[end..], |byte| byte.is_ascii_digit());
        if number.is_empty() {
            return Err(Flaw::new(end, "a number is expected"));
        }
        end += number.len();
        match rest.strip_prefix('.') {
            Some(next) if next.starts_with(|c: char| c.is_ascii_alphabetic()) => return Ok(end),
            Some(_) => end += 1,
            None => return Ok(end),
        }
    }
}

/// Checks the identifiers between dots, of which there must be one where they were announced.
fn check_identifiers(text: &str, start: usize, announced: bool) -> Result<(), Flaw> {
    if text.is_empty() && !announced {
        return Ok(());
    }
    let (mut at, text) = match text.strip_prefix('.').filter(|_| !announced) {
        Some(rest) => (start + 1, rest),
        None => (start, text),
    };
    for identifier in text.split('.') {
        let bad = identifier.bytes().position(|byte| !byte.is_ascii_alphanumeric() && byte != b'-');
        if let Some(bad) = bad {
            return Err(Flaw::new(at + bad, "letters, digits and hyphens are expected"));
        }
        if identifier.is_empty() {
            return Err(Flaw::new(at, "an identifier is empty"));
        }
        at += identifier.len() + 1;
    }
    Ok(())
}

/// An identifier of a pre-release; numbers come before words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Identifier<'a> {
    End,
    Number(Number<'a>),
    Word(&'a str),
}

fn compare_identifiers(a: &str, b: &str) -> Ordering {
    token::compare(identifiers(a), identifiers(b), || Identifier::End)
}

fn identifiers(text: &str) -> impl Iterator<Item = Identifier<'_>> {
    text.split('.').filter(|part| !part.is_empty()).map(|part| match part.bytes().all(|byte| byte.is_ascii_digit()) {
        true => Identifier::Number(Number(part)),
        false => Identifier::Word(part),
    })
}
