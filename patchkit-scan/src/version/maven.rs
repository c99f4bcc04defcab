//! The order of Maven's versions.
//!
//! Source: the version order specification of Maven's POM reference, and `ComparableVersion` of Maven 3.9 for what it
//! leaves open: a number directly after a qualifier (`rc1`, `rc-1`) belongs to it, and a dot before a qualifier is the
//! same as a hyphen.

use std::cmp::Ordering;

use super::token::{self, Number, ordered};

/// The tokens of a version, without those that say nothing.
#[derive(Clone, Debug)]
pub(super) struct MavenVersion(Vec<Token>);

impl MavenVersion {
    pub(super) fn parse(text: &str) -> Self {
        Self(without_nulls(tokens(&text.to_lowercase())))
    }

    fn order(&self, other: &Self) -> Ordering {
        token::compare(self.0.iter().map(Token::rank), other.0.iter().map(Token::rank), || Rank::Release)
    }
}

ordered!(MavenVersion);

/// What stands before a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joint {
    Dot,
    Hyphen,
    /// Nothing, or a hyphen, between a qualifier and its number.
    Qualifier,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    joint: Joint,
    text: Box<str>,
}

/// The order of tokens at the same place; a version that has none there counts as a release.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank<'a> {
    Alpha,
    Beta,
    Milestone,
    Candidate,
    Snapshot,
    Release,
    ServicePack,
    Qualifier(&'a str),
    AfterHyphen(Number<'a>),
    AfterDot(Number<'a>),
    OfQualifier(Number<'a>),
}

impl Token {
    fn rank(&self) -> Rank<'_> {
        if token::is_number(&self.text) {
            let number = Number(&self.text);
            return match self.joint {
                Joint::Dot => Rank::AfterDot(number),
                Joint::Hyphen => Rank::AfterHyphen(number),
                Joint::Qualifier => Rank::OfQualifier(number),
            };
        }
        match &*self.text {
            "alpha" => Rank::Alpha,
            "beta" => Rank::Beta,
            "milestone" => Rank::Milestone,
            "rc" | "cr" => Rank::Candidate,
            "snapshot" => Rank::Snapshot,
            "" | "ga" | "final" | "release" => Rank::Release,
            "sp" => Rank::ServicePack,
            other => Rank::Qualifier(other),
        }
    }

    fn is_number(&self) -> bool {
        token::is_number(&self.text)
    }

    /// Whether it says nothing where nothing follows.
    fn is_null(&self) -> bool {
        match self.rank() {
            Rank::AfterDot(number) | Rank::AfterHyphen(number) | Rank::OfQualifier(number) => number.is_zero(),
            rank => rank == Rank::Release,
        }
    }
}

/// Splits at dots, hyphens and between digits and other characters; an empty token is 0.
fn tokens(text: &str) -> Vec<Token> {
    let (mut tokens, mut joint, mut rest) = (Vec::<Token>::new(), Joint::Dot, text);
    loop {
        let (word, tail) = next_word(rest);
        let is_number = token::is_number(word) || word.is_empty();
        let after_qualifier = joint != Joint::Dot && tokens.last().is_some_and(|last| !last.is_number());
        let joint_here = match is_number {
            true if after_qualifier => Joint::Qualifier,
            true => joint,
            false => Joint::Hyphen,
        };
        let before_number = token::is_number(tail) || tail.strip_prefix('-').is_some_and(token::is_number);
        tokens.push(Token { joint: joint_here, text: spelled_out(word, before_number).into() });
        (joint, rest) = match tail.bytes().next() {
            None => return tokens,
            Some(b'.') => (Joint::Dot, &tail[1..]),
            Some(b'-') => (Joint::Hyphen, &tail[1..]),
            Some(_) => (Joint::Hyphen, tail),
        };
    }
}

/// The longest start of one kind: digits, or what is neither digit nor separator.
fn next_word(text: &str) -> (&str, &str) {
    let (number, rest) = token::take_while(text, |byte| byte.is_ascii_digit());
    match number.is_empty() {
        true => token::take_while(text, |byte| !byte.is_ascii_digit() && byte != b'.' && byte != b'-'),
        false => (number, rest),
    }
}

/// The short qualifiers stand for the long ones before a number.
fn spelled_out(word: &str, before_number: bool) -> &str {
    match word {
        "a" if before_number => "alpha",
        "b" if before_number => "beta",
        "m" if before_number => "milestone",
        "" => "0",
        _ => word,
    }
}

/// Takes away what says nothing at the end, and before each hyphen. A number whose qualifier goes stands alone.
fn without_nulls(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::with_capacity(tokens.len());
    for mut token in tokens {
        if token.joint != Joint::Dot {
            drop_nulls(&mut kept);
        }
        if token.joint == Joint::Qualifier && kept.last().is_none_or(Token::is_number) {
            token.joint = Joint::Hyphen;
        }
        kept.push(token);
    }
    drop_nulls(&mut kept);
    kept
}

fn drop_nulls(tokens: &mut Vec<Token>) {
    while tokens.last().is_some_and(Token::is_null) {
        tokens.pop();
    }
}
