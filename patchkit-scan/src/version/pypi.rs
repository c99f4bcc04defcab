//! The order of Python's versions.
//!
//! Source: PEP 440. A text that does not follow it is a legacy version, as setuptools and packaging (before 22) have
//! it: older than every other, ordered among themselves by words and numbers.

use std::str::FromStr;

use pep440_rs::Version;

use super::token;

/// A version; the legacy ones come first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PypiVersion {
    Legacy(Vec<String>),
    Standard(Box<Version>),
}

impl PypiVersion {
    pub(super) fn parse(text: &str) -> Self {
        match Version::from_str(text) {
            Ok(version) => Self::Standard(Box::new(version)),
            Err(_) => Self::Legacy(legacy(&text.to_lowercase())),
        }
    }
}

/// The comparison key of a legacy version. Words are marked with a `*`, so that they come before numbers, which are
/// filled with zeros to eight digits, as setuptools does.
fn legacy(text: &str) -> Vec<String> {
    let mut key: Vec<String> = Vec::new();
    for part in parts(text).chain(["final"]) {
        if token::is_number(part) {
            key.push(format!("{part:0>8}"));
            continue;
        }
        let word = match part {
            "pre" | "preview" | "rc" => "c",
            "-" => "final-",
            "dev" => "@",
            other => other,
        };
        let word = format!("*{word}");
        if *word < *"*final" {
            drop_last(&mut key, "*final-");
        }
        drop_last(&mut key, "00000000");
        key.push(word);
    }
    key
}

fn drop_last(key: &mut Vec<String>, part: &str) {
    while key.last().is_some_and(|last| last == part) {
        key.pop();
    }
}

/// Stretches of digits, stretches of letters, hyphens, and what is between them; dots only separate.
fn parts(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start_matches('.');
        let first = rest.chars().next()?;
        let kind = kind(first);
        let end = match kind {
            Kind::Hyphen => 1,
            _ => rest.find(|c| self::kind(c) != kind).unwrap_or(rest.len()),
        };
        let (part, tail) = rest.split_at(end);
        rest = tail;
        Some(part)
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Digit,
    Dot,
    Hyphen,
    Letter,
    Other,
}

fn kind(c: char) -> Kind {
    match c {
        '0'..='9' => Kind::Digit,
        '.' => Kind::Dot,
        '-' => Kind::Hyphen,
        'a'..='z' => Kind::Letter,
        _ => Kind::Other,
    }
}
