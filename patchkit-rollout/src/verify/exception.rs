use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Something that a check finds and that somebody answers for, until a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// What it is about, with `*` for any characters and `?` for one: `usr/bin/ping`, `opt/app/*`.
    pub pattern: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is accepted.
    pub reason: String,
    /// From when on it counts no more.
    pub expires: Timestamp,
}

impl Exception {
    /// Whether it is about this.
    #[must_use]
    pub fn covers(&self, subject: &str) -> bool {
        matches(&self.pattern, subject)
    }

    /// Whether it counts no more.
    #[must_use]
    pub fn has_expired(&self, now: Timestamp) -> bool {
        now >= self.expires
    }

    /// What follows the subject when it is accepted.
    pub(super) fn said(&self) -> String {
        format!("accepted by {} until {}: {}", self.owner, self.expires, self.reason)
    }
}

/// Whether a text is what a pattern says: `*` stands for any characters, `/` among them, `?` for one.
///
/// ```
/// use patchkit_rollout::verify::matches;
///
/// assert!(matches("opt/*/key.pem", "opt/app/etc/key.pem"));
/// assert!(!matches("opt/?/key.pem", "opt/app/key.pem"));
/// ```
#[must_use]
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
    let (mut p, mut t) = (0, 0);
    // Where the last star is, and how much of the text it has taken.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match (pattern.get(p), star) {
            (Some('*'), _) => {
                star = Some((p, t));
                p += 1;
            }
            (Some(c), _) if *c == '?' || *c == text[t] => (p, t) = (p + 1, t + 1),
            (_, Some((at, taken))) => {
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns() {
        for (pattern, text) in
            [("", ""), ("*", ""), ("a*c", "abbc"), ("*a*", "bab"), ("a?", "ab"), ("*.pem", "x/y.pem")]
        {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("a*c", "ab"), ("?", ""), ("*.pem", "x.pem.bak")] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_no_pattern_is_only_itself(a in "[ab]{0,6}", b in "[ab]{0,6}") {
            prop_assert_eq!(matches(&a, &b), a == b);
            let (pattern, around) = (format!("*{a}*"), format!("{b}{a}{b}"));
            prop_assert!(matches(&pattern, &around));
        }
    }
}
