//! Test reports: which tests ran, and how each ended.
//!
//! A report that is cut off or damaged is an error that names the line, never a shorter list of tests that pass. Where a
//! format says how many tests there were, it is held against what the report has. `go test -json` alone says nothing of
//! the packages that are still to come, so that a cut between two packages shows only in the comparison with the run
//! before.

mod ctest;
mod format;
mod go_json;
mod id;
mod junit;
mod libtest;
mod nextest;
mod pytest;
mod run;
mod tap;

pub use format::Format;
pub use id::{TestId, TestPattern};
pub use run::{Counts, Status, TestCase, TestRun};
