//! The order of apk's versions: `digit{.digit}…{letter}{_suffix{number}}…{~hash}{-rN}`.
//!
//! Source: apk-package(5) and apk-tools 3, which also compares a version that does not follow the grammar, as far as it
//! does; what does not is older than the end. Only what does not even start with a number is refused.

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number, ordered},
};

/// The suffixes that come before the version without one.
const BEFORE: [&str; 4] = ["alpha", "beta", "pre", "rc"];

/// The suffixes that come after it.
const AFTER: [&str; 5] = ["cvs", "svn", "git", "hg", "p"];

/// A version that starts with a number.
#[derive(Clone, Debug)]
pub(super) struct ApkVersion(Box<str>);

impl ApkVersion {
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        match token::is_number(text) {
            true => Ok(Self(text.into())),
            false => Err(Flaw::new(0, "a number is expected")),
        }
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(Tokens::new(&self.0), Tokens::new(&other.0), || Token::End)
    }
}

ordered!(ApkVersion);

/// What a version consists of, in the order that apk gives where two versions go on differently: a suffix such as
/// `_rc` is older than the end, everything else is newer, the more so the earlier it stands in the grammar.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Token<'a> {
    Before(usize),
    /// What does not follow the grammar.
    Invalid,
    End,
    Revision(Number<'a>),
    Hash(&'a str),
    SuffixNumber(Number<'a>),
    After(usize),
    Letter(u8),
    /// A number that is not the first, with zeros in front: compared as text, as decimals are.
    Decimal(&'a str),
    Number(Number<'a>),
}

/// How far the grammar has been followed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    Start,
    Number,
    Letter,
    Suffix,
    SuffixNumber,
    Hash,
    Revision,
}

struct Tokens<'a> {
    rest: &'a str,
    place: Place,
}

impl<'a> Tokens<'a> {
    fn new(text: &'a str) -> Self {
        Self { rest: text, place: Place::Start }
    }

    /// The next token; `None` where the grammar has none that begins so.
    fn read(&mut self, first: u8) -> Option<Token<'a>> {
        match first {
            _ if self.place == Place::Start => self.number(0, Place::Number).map(Token::Number),
            b'a'..=b'z' if self.place <= Place::Number => {
                (self.rest, self.place) = (&self.rest[1..], Place::Letter);
                Some(Token::Letter(first))
            }
            b'.' if self.place <= Place::Number => self.number(1, Place::Number).map(further),
            b'0'..=b'9' if self.place == Place::Suffix => self.number(0, Place::SuffixNumber).map(Token::SuffixNumber),
            b'_' if self.place <= Place::SuffixNumber => self.suffix(),
            b'~' if self.place < Place::Hash => self.hash(),
            b'-' if self.place < Place::Revision && self.rest.starts_with("-r") => {
                self.number(2, Place::Revision).map(Token::Revision)
            }
            _ => None,
        }
    }

    fn suffix(&mut self) -> Option<Token<'a>> {
        let suffix = self.word(1, Place::Suffix, |byte| byte.is_ascii_lowercase())?;
        let position = |list: &[&str]| list.iter().position(|known| *known == suffix);
        position(&BEFORE).map(Token::Before).or_else(|| position(&AFTER).map(Token::After))
    }

    fn hash(&mut self) -> Option<Token<'a>> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        self.word(1, Place::Hash, is_digit).map(Token::Hash)
    }

    fn number(&mut self, skip: usize, place: Place) -> Option<Number<'a>> {
        self.word(skip, place, |byte| byte.is_ascii_digit()).map(Number)
    }

    /// One or more bytes of a kind, after some that are known to be there.
    fn word(&mut self, skip: usize, place: Place, is_kind: impl Fn(u8) -> bool) -> Option<&'a str> {
        let (word, rest) = token::take_while(&self.rest[skip..], is_kind);
        (self.rest, self.place) = (rest, place);
        Some(word).filter(|word| !word.is_empty())
    }
}

/// A number after a dot.
fn further(number: Number<'_>) -> Token<'_> {
    match number.0.starts_with('0') {
        true => Token::Decimal(number.0),
        false => Token::Number(number),
    }
}

impl<'a> Iterator for Tokens<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        let first = self.rest.bytes().next()?;
        Some(self.read(first).unwrap_or_else(|| {
            self.rest = "";
            Token::Invalid
        }))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::version::{Scheme, tests::shared_data};

    fn follows_the_grammar(text: &str) -> bool {
        token::is_number(text) && !Tokens::new(text).any(|token| token == Token::Invalid)
    }

    #[test]
    fn apk_tools_own_cases_hold() {
        let Some(text) = shared_data("solver/apk-tools/unit/version.data") else { return };
        let cases = text.lines().map(|line| line.split('#').next().unwrap().trim()).filter(|line| !line.is_empty());
        let mut compared = 0;
        for line in cases {
            match line.split_ascii_whitespace().collect::<Vec<_>>()[..] {
                [version] => match version.strip_prefix('!') {
                    Some(version) => assert!(!follows_the_grammar(version), "{line}"),
                    None => assert!(follows_the_grammar(version), "{line}"),
                },
                [a, operator @ ("<" | "=" | ">"), b] => {
                    let order = Scheme::Apk.compare(a, b).unwrap();
                    assert_eq!(order, expected(operator), "{line}");
                    compared += 1;
                }
                // A fuzzy comparison, of dependencies alone.
                [_, operator, _] => assert!(operator.contains('~'), "{line}"),
                _ => panic!("odd line {line}"),
            }
        }
        assert!(compared > 700, "{compared}");
    }

    fn expected(operator: &str) -> Ordering {
        match operator {
            "<" => Ordering::Less,
            "=" => Ordering::Equal,
            _ => Ordering::Greater,
        }
    }
}
