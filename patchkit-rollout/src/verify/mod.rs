//! Verifiers: what shows that a patched image still does what it did.
//!
//! Each is usable alone, fails closed, and keeps every reason; [`combine`] makes one of several.

pub mod behaviour;
pub mod combine;
pub mod compare;
pub mod configuration;
pub mod coverage;
pub mod exercise;
#[doc(hidden)]
pub mod fuzzing;
pub mod hardening;
pub mod loading;
mod parse;
pub mod report;
pub mod scripts;
pub mod suite;

mod accounts;
mod check_profile;
mod exception;
mod owners;
mod pair;
mod programs;

pub use check_profile::CheckProfile;
pub use configuration::Configuration;
pub use exception::{Exception, matches};
pub use hardening::Hardening;
pub use scripts::Scripts;
