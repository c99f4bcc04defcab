//! Suites of tests, run in the original and in the patched image and compared by the identity of each test.
//!
//! A [`Suite`] says what to run: services and when they are ready, commands and the reports they leave, and what must
//! hold of them. [`run`] runs it in one image; [`SuiteVerifier`] runs it before and after and judges what differs.

mod baseline;
mod beside;
mod command;
mod description;
mod fresh;
mod run;
mod session;
mod size;
mod statement;
mod survivor;
mod verifier;

#[cfg(feature = "http")]
pub use description::{Behaviour, Hook, Promise};
pub use description::{Coverage, DataKind, Environment, Fixture, Reach, Report, Service, Suite, Test};
pub use run::{StepRun, SuiteRun, run};
pub use size::{ParseSizeError, Size};
pub use verifier::SuiteVerifier;
