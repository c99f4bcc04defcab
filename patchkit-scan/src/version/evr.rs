//! What rpm and pacman share: an epoch, a version and a release, each compared by a rule of its own.

use std::cmp::Ordering;

use super::{
    Flaw,
    token::{self, Number},
};

/// A text split into `[epoch:]version[-release]`.
#[derive(Clone, Debug)]
pub(super) struct Evr {
    text: Box<str>,
    /// Where the epoch ends, of digits alone.
    epoch: usize,
    /// Where the version starts.
    version: usize,
    /// Where the hyphen before the release is.
    hyphen: Option<usize>,
}

impl Evr {
    /// Splits at the first colon, where only digits are before it, and at the last hyphen.
    pub(super) fn parse(text: &str) -> Result<Self, Flaw> {
        let (digits, rest) = token::take_while(text, |byte| byte.is_ascii_digit());
        let (epoch, version) = match rest.strip_prefix(':') {
            Some(rest) => (digits.len(), text.len() - rest.len()),
            None => (0, 0),
        };
        if version == text.len() {
            return Err(Flaw::new(version, "there is no version after the epoch"));
        }
        let hyphen = text[version..].rfind('-').map(|hyphen| version + hyphen);
        Ok(Self { text: text.into(), epoch, version, hyphen })
    }

    /// The comparison of a package with a dependency: a release counts only where both have one.
    pub(super) fn against(&self, bound: &Self, parts: fn(&str, &str) -> Ordering) -> Ordering {
        self.without_release(bound, parts).then_with(|| match (self.release(), bound.release()) {
            (Some(a), Some(b)) => parts(a, b),
            _ => Ordering::Equal,
        })
    }

    /// The order: no release comes before every release.
    pub(super) fn order(&self, other: &Self, parts: fn(&str, &str) -> Ordering) -> Ordering {
        let has_release = |evr: &Self| evr.hyphen.is_some();
        self.against(other, parts).then_with(|| has_release(self).cmp(&has_release(other)))
    }

    fn without_release(&self, other: &Self, parts: fn(&str, &str) -> Ordering) -> Ordering {
        let epochs = Number(&self.text[..self.epoch]).cmp(&Number(&other.text[..other.epoch]));
        epochs.then_with(|| parts(self.version(), other.version()))
    }

    fn version(&self) -> &str {
        &self.text[self.version..self.hyphen.unwrap_or(self.text.len())]
    }

    fn release(&self) -> Option<&str> {
        self.hyphen.map(|hyphen| &self.text[hyphen + 1..])
    }
}
