use std::{fmt, str::FromStr};

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// The last day on which something counts, in UTC: a rule, an exception, an accepted difference.
///
/// ```
/// use patchkit_core::LastDay;
///
/// let last: LastDay = "2026-12-31".parse()?;
/// assert!(!last.is_over("2026-12-31T23:59:59Z".parse()?));
/// assert!(last.is_over("2027-01-01T00:00:00Z".parse()?));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LastDay(Date);

impl LastDay {
    /// The first moment after it; of the last day that there is, the last moment that there is.
    #[must_use]
    pub fn end(self) -> Timestamp {
        let next = self.0.tomorrow().and_then(|day| day.to_zoned(TimeZone::UTC));
        next.map_or(Timestamp::MAX, |next| next.timestamp())
    }

    /// Whether it has passed.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now >= self.end()
    }
}

impl From<Date> for LastDay {
    fn from(day: Date) -> Self {
        Self(day)
    }
}

impl FromStr for LastDay {
    type Err = jiff::Error;

    /// Reads `2026-12-31`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for LastDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_all_days_has_an_end() {
        let last = LastDay(Date::MAX);
        assert_eq!(last.end(), Timestamp::MAX);
        assert!(!last.is_over("9999-12-30T00:00:00Z".parse().unwrap()));
        assert!("2026-13-01".parse::<LastDay>().is_err());
    }
}
