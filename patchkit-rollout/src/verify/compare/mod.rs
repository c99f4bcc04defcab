//! Before and after: the same tests must have run, and none may be worse.
//!
//! ```
//! use patchkit_rollout::verify::compare::{Attempts, Comparison, Rules};
//! use patchkit_rollout::verify::report::Format;
//!
//! let run = |text: &str| Attempts::of(Format::Tap.parse(text.as_bytes()).unwrap());
//! let before = run("1..2\nok 1 - opens\nok 2 - closes\n");
//! let after = run("1..1\nok 1 - opens\n");
//! let now = "2026-11-28T12:00:00Z".parse().unwrap();
//! let comparison = Comparison::of(&before, &after, &Rules::default(), now);
//! assert!(!comparison.passes());
//! assert_eq!(comparison.vanished[0].test.to_string(), "closes");
//! ```

mod attempts;
mod classify;
mod comparison;
mod fisher;
mod reasons;
mod rules;

pub use attempts::{Attempts, Tally};
pub use comparison::{AcceptedDifference, Comparison, CoverageChange, Difference, Flaky, Journey, Slower};
pub use fisher::fisher;
pub use rules::{Accepted, AcceptedKind, CoverageBounds, Rules, SlowBound};
