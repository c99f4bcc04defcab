use std::fmt;

use jiff::Timestamp;
use patchkit_core::{LastDay, Reason};
use serde::{Deserialize, Serialize};

/// Something that a check finds and that somebody answers for, until a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// What it is about, with `*` for any characters and `?` for one: `usr/bin/ping`, `opt/app/*`.
    pub pattern: String,
    /// Who answers for it.
    pub owner: String,
    /// Why it is accepted.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: LastDay,
}

impl Exception {
    /// Whether it is about this.
    #[must_use]
    pub fn covers(&self, subject: &str) -> bool {
        matches(&self.pattern, subject)
    }

    /// What becomes of a fault by the exceptions that cover its subject: one that still counts lets it pass until then.
    /// Nothing where none covers it.
    pub(super) fn judge<'a>(
        exceptions: impl Iterator<Item = &'a Self>,
        subject: &str,
        fault: &str,
        now: Timestamp,
    ) -> Option<Reason> {
        let longest = exceptions.filter(|exception| exception.covers(subject)).max_by_key(|it| it.expires)?;
        Some(match longest.expires.is_over(now) {
            true => Reason::no(format!("{fault}; its exception has expired")),
            false => Reason::yes(format!("{fault}; {longest}")).until(longest.expires.end()),
        })
    }
}

/// `accepted by alice until 2026-12-31: reason`
impl fmt::Display for Exception {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepted by {} until {}: {}", self.owner, self.expires, self.reason)
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
    let (mut p, mut t) = (0, 0);
    // What follows the last star, and how far the text is that this star has taken.
    let mut star: Option<(usize, usize)> = None;
    while let Some(found) = text[t..].chars().next() {
        let wanted = pattern[p..].chars().next();
        match (wanted, star) {
            (Some('*'), _) => {
                p += 1;
                star = Some((p, t));
            }
            (Some(c), _) if c == '?' || c == found => (p, t) = (p + c.len_utf8(), t + found.len_utf8()),
            (_, Some((after, taken))) => {
                let taken = taken + text[taken..].chars().next().map_or(0, char::len_utf8);
                star = Some((after, taken));
                (p, t) = (after, taken);
            }
            (_, None) => return false,
        }
    }
    pattern[p..].chars().all(|c| c == '*')
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
