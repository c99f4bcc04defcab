//! The checks that need no tests, and how verifiers combine: each is shown to pass and to fail.

#![allow(clippy::unwrap_used)]

mod combine;
mod configuration;
mod exercise;
mod hardening;
mod oracle;
mod scripts;
mod suite;
mod support;
