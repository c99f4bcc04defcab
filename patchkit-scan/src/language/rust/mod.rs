//! Rust: the crates that `cargo auditable` writes into programs, and `Cargo.lock`.

mod auditable;
mod lock;

use patchkit_core::{Package, Presence};

#[cfg(test)]
pub(super) use self::auditable::tests;
pub(super) use self::{auditable::embedded, lock::CargoLock};
use super::package::{package, parts};

/// A crate at a version, wherever it came from.
fn crate_package(name: &str, version: &str, presence: Presence) -> Option<Package> {
    package(&parts("cargo", "", name, version), name, presence)
}
