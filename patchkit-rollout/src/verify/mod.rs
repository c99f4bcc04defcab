//! Verifiers: what shows that a patched image still does what it did.
//!
//! Each is usable alone, fails closed, and keeps every reason.

pub mod behaviour;
pub mod compare;
pub mod coverage;
pub mod hardening;
pub mod loading;
mod parse;
pub mod report;
pub mod suite;
