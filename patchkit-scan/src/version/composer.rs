//! The order of Composer's versions.
//!
//! Source: composer/semver, which writes a version out to four numbers and a stability, and PHP's `version_compare`,
//! which then compares it. What Composer would refuse is compared as PHP does. A branch (`dev-main`) is older than every
//! number, and all branches are equal.

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number, ordered},
};

/// How many numbers Composer writes out.
const NUMBERS: usize = 4;

/// What Composer writes for an `x`: `1.x-dev`.
const WILDCARD: &str = "9999999";

/// A version, without the parts that say nothing, in lower case.
#[derive(Clone, Debug)]
pub(super) struct ComposerVersion(Box<str>);

impl ComposerVersion {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let lower = text.to_ascii_lowercase();
        let version = lower.split_once('@').map_or(lower.as_str(), |(version, _)| version);
        let version = version.split_once('+').map_or(version, |(version, _)| version);
        let version = match version {
            "default" | "master" | "trunk" => "dev",
            _ if version.starts_with("dev-") => "dev",
            _ => version.strip_prefix('v').filter(|rest| token::is_number(rest)).unwrap_or(version),
        };
        if token::stretches(version).next().is_none() {
            return Err(Flaw::new(0, "there is neither a letter nor a digit in it"));
        }
        Ok(Self(version.into()))
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(self.tokens(), other.tokens(), || Token::End)
    }

    fn tokens(&self) -> impl Iterator<Item = Token<'_>> {
        let is_branch = !token::is_number(&self.0);
        let mut given = token::stretches(&self.0).map(token_of).filter(|token| *token != Token::Stable).peekable();
        let (mut numbers, mut in_release) = (0, !is_branch);
        std::iter::from_fn(move || {
            in_release &= matches!(given.peek(), Some(Token::Number(_))) || numbers < NUMBERS;
            if !in_release {
                return given.next();
            }
            numbers += 1;
            let number = given.next_if(|token| matches!(token, Token::Number(_)));
            Some(number.unwrap_or(Token::Number(Number(""))))
        })
    }
}

ordered!(ComposerVersion);

/// What `version_compare` splits a version into, in the order that it gives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Unknown,
    Dev,
    Alpha,
    Beta,
    Candidate,
    End,
    Number(Number<'a>),
    Patch,
    /// Says nothing, and is left out.
    Stable,
}

/// PHP looks only at how a word begins.
fn token_of(stretch: &str) -> Token<'_> {
    match stretch {
        "stable" => Token::Stable,
        "x" => Token::Number(Number(WILDCARD)),
        number if token::is_number(number) => Token::Number(Number(number)),
        word if word.starts_with("dev") => Token::Dev,
        word if word.starts_with('a') => Token::Alpha,
        word if word.starts_with('b') => Token::Beta,
        word if word.starts_with("rc") => Token::Candidate,
        word if word.starts_with('p') => Token::Patch,
        _ => Token::Unknown,
    }
}
