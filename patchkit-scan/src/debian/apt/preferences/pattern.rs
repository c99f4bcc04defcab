//! Shell patterns, as fnmatch(3) has them.

/// A pattern with `*`, `?` and `[…]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Glob {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Part {
    /// `*`
    Any,
    /// `[a-z]`, or `[!a-z]` where the flag is not set.
    Class(Vec<(char, char)>, bool),
    Literal(char),
    /// `?`
    One,
}

impl Glob {
    pub(super) fn new(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            let after = &rest[first.len_utf8()..];
            let (part, behind) = match first {
                '*' => (Part::Any, after),
                '?' => (Part::One, after),
                '[' => class(after).unwrap_or((Part::Literal('['), after)),
                other => (Part::Literal(other), after),
            };
            // Two stars in a row mean what one does, and cost more.
            if part != Part::Any || parts.last() != Some(&Part::Any) {
                parts.push(part);
            }
            rest = behind;
        }
        Self { parts }
    }

    pub(super) fn is_everything(&self) -> bool {
        self.parts == [Part::Any]
    }

    /// Whether the whole text fits. Takes time in proportion to both lengths: on a mismatch only the last star is
    /// stretched.
    pub(super) fn fits(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        loop {
            match self.parts.get(part) {
                Some(Part::Any) => {
                    star = Some((part, at));
                    part += 1;
                }
                None if at == text.len() => return true,
                Some(single) if text.get(at).is_some_and(|next| single.takes(*next)) => {
                    part += 1;
                    at += 1;
                }
                _ => match star {
                    Some((starred, begin)) if begin < text.len() => {
                        star = Some((starred, begin + 1));
                        (part, at) = (starred + 1, begin + 1);
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Part {
    fn takes(&self, next: char) -> bool {
        match self {
            Self::Any => false,
            Self::Class(ranges, wanted) => ranges.iter().any(|(low, high)| (*low..=*high).contains(&next)) == *wanted,
            Self::Literal(literal) => *literal == next,
            Self::One => true,
        }
    }
}

/// Reads a class behind its opening bracket; `None` where it is not closed and the bracket stands for itself.
fn class(text: &str) -> Option<(Part, &str)> {
    let negated = text.starts_with(['!', '^']);
    let inside = if negated { &text[1..] } else { text };
    // A bracket right at the start belongs to the class.
    let end = inside.char_indices().skip(1).find(|(_, character)| *character == ']')?.0;
    let mut ranges = Vec::new();
    let characters: Vec<char> = inside[..end].chars().collect();
    let mut rest = characters.as_slice();
    while let [low, behind @ ..] = rest {
        rest = match behind {
            ['-', high, behind @ ..] => {
                ranges.push((*low, *high));
                behind
            }
            _ => {
                ranges.push((*low, *low));
                behind
            }
        };
    }
    Some((Part::Class(ranges, !negated), &inside[end + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, yes, no) in [
            ("abc", &["abc"][..], &["ab", "abcd", ""][..]),
            ("a*c", &["ac", "abc", "acbc"], &["acb", "bc"]),
            ("*", &["", "x"], &[]),
            ("a?c", &["abc", "aéc"], &["ac", "abbc"]),
            ("[a-c]x[!0-9]", &["axy", "cxz"], &["dxy", "ax1"]),
            ("1:2.0-*", &["1:2.0-3"], &["2.0-3"]),
            ("[x", &["[x"], &["x"]),
            ("[]a]", &["]", "a"], &["b"]),
            ("*a*b*a*", &["xaybza", "aba"], &["ab", "baab"]),
        ] {
            for text in yes {
                assert!(Glob::new(pattern).fits(text), "{pattern} {text}");
            }
            for text in no {
                assert!(!Glob::new(pattern).fits(text), "{pattern} {text}");
            }
        }
    }

    #[test]
    fn stars_do_not_explode() {
        let pattern = Glob::new(&"*a".repeat(200));
        assert!(!pattern.fits(&format!("{}b", "a".repeat(10_000))));
    }
}
