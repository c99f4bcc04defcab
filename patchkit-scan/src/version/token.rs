//! What most schemes have in common: lists of tokens, compared one after the other.

use std::cmp::Ordering;

/// A number of any length, written in digits; nothing is zero.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number<'a>(pub(super) &'a str);

impl Number<'_> {
    pub(super) fn is_zero(self) -> bool {
        self.significant().is_empty()
    }

    fn significant(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl Ord for Number<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.significant(), other.significant());
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    }
}

/// The traits of comparison of a type that has an `order(&self, other: &Self) -> Ordering`.
macro_rules! ordered {
    ($($type:ty),*) => { $(
        impl Ord for $type {
            fn cmp(&self, other: &Self) -> std::cmp::Ordering {
                self.order(other)
            }
        }
        $crate::version::token::partially_ordered!($type);
    )* };
}

/// What follows from an `Ord`.
macro_rules! partially_ordered {
    ($($type:ty),*) => { $(
        impl PartialOrd for $type {
            fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
                Some(self.cmp(other))
            }
        }

        impl PartialEq for $type {
            fn eq(&self, other: &Self) -> bool {
                self.cmp(other).is_eq()
            }
        }

        impl Eq for $type {}
    )* };
}

pub(super) use {ordered, partially_ordered};

partially_ordered!(Number<'_>);

/// Compares two lists token by token, as if the shorter one went on with `end` for ever.
pub(super) fn compare<T: Ord>(
    mut a: impl Iterator<Item = T>,
    mut b: impl Iterator<Item = T>,
    end: impl Fn() -> T,
) -> Ordering {
    loop {
        let order = match (a.next(), b.next()) {
            (None, None) => return Ordering::Equal,
            (Some(a), Some(b)) => a.cmp(&b),
            (Some(a), None) => a.cmp(&end()),
            (None, Some(b)) => end().cmp(&b),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Splits off the longest start whose bytes are all of a kind. The kind must be of ASCII bytes only, or of none.
pub(super) fn take_while(text: &str, is_kind: impl Fn(u8) -> bool) -> (&str, &str) {
    let end = text.bytes().position(|byte| !is_kind(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// The stretches of digits and the stretches of ASCII letters of a text; everything else separates them.
pub(super) fn stretches(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let skipped = rest.iter().position(u8::is_ascii_alphanumeric)?;
        let digits = rest[skipped].is_ascii_digit();
        let is_same = |byte: &u8| if digits { byte.is_ascii_digit() } else { byte.is_ascii_alphabetic() };
        let length = rest[skipped..].iter().position(|byte| !is_same(byte)).unwrap_or(rest.len() - skipped);
        let start = at + skipped;
        at = start + length;
        rest = &rest[skipped + length..];
        Some(&text[start..at])
    })
}

/// Whether a stretch is one of digits.
pub(super) fn is_number(stretch: &str) -> bool {
    stretch.starts_with(|c: char| c.is_ascii_digit())
}
