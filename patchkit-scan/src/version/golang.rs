//! Go's versions: of modules, which are semantic versions after a `v`, and of Go itself.
//!
//! Source: the Go modules reference, "Versions" and "Pseudo-versions": `v1.2.3-0.20200101000000-abcdef123456` is a
//! pre-release, `+incompatible` says nothing. Go's own versions (`go1.21rc2`) are read as the vulnerability database
//! has them: `1.21.0-rc.2`.

use std::borrow::Cow;

use super::{Flaw, semver::Semver, token};

pub(super) fn parse(text: &str) -> Result<Semver, Flaw> {
    Semver::parse(&normal(text))
}

/// The version with a pre-release of Go written as that of a semantic version.
fn normal(text: &str) -> Cow<'_, str> {
    let version = text.strip_prefix("go").unwrap_or(text);
    let digits = version.len() - version.trim_start_matches('v').len();
    let (numbers, rest) = token::take_while(&version[digits..], |byte| byte.is_ascii_digit() || byte == b'.');
    let (word, rest) = token::take_while(rest, |byte| byte.is_ascii_alphabetic());
    let (number, rest) = token::take_while(rest, |byte| byte.is_ascii_digit());
    match word.is_empty() || number.is_empty() {
        true => version.into(),
        false => format!("{numbers}-{word}.{number}{rest}").into(),
    }
}
