use std::{fmt, time::Duration};

use patchkit_core::LastDay;
use serde::{Deserialize, Serialize};

use crate::verify::report::TestPattern;

/// What of a difference is refused, and what is let pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Rules {
    /// How unlikely it must be that a flaky test fails more often by chance, before it counts as worse: 0.05.
    pub significance: f64,
    /// How much longer a test may take; times are not judged where there is none.
    pub slower: Option<SlowBound>,
    /// How much coverage may be lost.
    pub coverage: CoverageBounds,
    /// The tests that must be there and pass after, whatever they did before: at least one for each pattern.
    pub critical: Vec<TestPattern>,
    /// Differences that somebody answers for.
    pub accepted: Vec<Accepted>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            significance: 0.05,
            slower: None,
            coverage: CoverageBounds::default(),
            critical: Vec::new(),
            accepted: Vec::new(),
        }
    }
}

/// How much longer a test may take: it is slower where it is over both bounds. Times are medians over attempts.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SlowBound {
    /// Times as long as before: 2.
    pub ratio: f64,
    /// How much longer than before: `1s`.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    pub floor: Duration,
}

impl Default for SlowBound {
    fn default() -> Self {
        Self { ratio: 2.0, floor: Duration::from_secs(1) }
    }
}

impl SlowBound {
    /// Whether it is too long.
    #[must_use]
    pub fn is_over(&self, before: Duration, after: Duration) -> bool {
        let longer = after.saturating_sub(before);
        longer > self.floor && after.as_secs_f64() > before.as_secs_f64() * self.ratio
    }
}

/// How much coverage may be lost. By default, nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CoverageBounds {
    /// Percentage points of all lines.
    pub total_drop: f64,
    /// Lines of each file.
    pub file_lines: u64,
}

/// A difference that somebody answers for, until a day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Accepted {
    /// Which tests; for lost coverage, which files.
    pub test: TestPattern,
    /// Which difference.
    pub kind: AcceptedKind,
    /// Who answers for it.
    pub owner: String,
    /// Why it is right.
    pub reason: String,
    /// The last day on which it counts.
    pub expires: LastDay,
}

/// `accepted by alice until 2026-12-31: reason`
impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "accepted by {} until {}: {}", self.owner, self.expires, self.reason)
    }
}

/// The kinds of differences that can be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AcceptedKind {
    /// Lines of a file are not run any more.
    CoverageLost,
    /// A flaky test fails more often.
    Flakier,
    /// It fails.
    NewlyFailing,
    /// It is skipped.
    NewlySkipped,
    /// It takes longer.
    Slower,
    /// It is not there.
    Vanished,
}

impl fmt::Display for AcceptedKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CoverageLost => "coverage-lost",
            Self::Flakier => "flakier",
            Self::NewlyFailing => "newly-failing",
            Self::NewlySkipped => "newly-skipped",
            Self::Slower => "slower",
            Self::Vanished => "vanished",
        })
    }
}
