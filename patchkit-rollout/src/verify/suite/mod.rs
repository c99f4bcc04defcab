//! Suites of tests, run in the original and in the patched image and compared by the identity of each test.
//!
//! A [`Suite`] says what to run: services and when they are ready, commands and the reports they leave, and what must
//! hold of them. [`run`] runs it in one image; [`SuiteVerifier`] runs it before and after and judges what differs.

mod baseline;
mod description;
mod exercised;
mod run;
mod session;
mod statement;
mod verifier;

pub use description::{
    Coverage, DataKind, Environment, Fixture, ParseSuiteError, Report, Service, Size, Source, Suite, Test,
};
pub use run::{StepRun, SuiteRun, run};
pub use verifier::{SuiteOptions, SuiteVerifier};
