//! Verifiers: what shows that a patched image still does what it did.
//!
//! Each is usable alone, fails closed, and keeps every reason.

pub mod behaviour;
pub mod coverage;
pub mod hardening;
pub mod loading;
pub mod report;
pub mod suite;
