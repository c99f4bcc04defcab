//! Coverage reports: which lines of which files were run.
//!
//! A report that is cut off or damaged is an error that names the line.

mod cobertura;
mod coverage_py;
mod format;
mod go_profile;
mod jacoco;
mod lcov;
mod measure;

pub use format::CoverageFormat;
pub use measure::{Branches, Coverage, FileCoverage, Totals};
