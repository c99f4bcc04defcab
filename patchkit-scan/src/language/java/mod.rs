//! Java: archives (jar, war and their kin, in one another), Gradle's lock file, and run times.

mod archive;
mod gradle;
mod group;
mod identity;
mod manifest;
mod pom;
mod runtime;
mod zip;

use patchkit_core::{Package, Presence};

pub(super) use self::{archive::Archives, gradle::GradleLockfile, runtime::Runtimes};
use super::package::{package, parts};

/// A Maven artifact at a version, named `group:artifact`.
fn artifact(group: &str, artifact: &str, version: &str, presence: Presence) -> Option<Package> {
    package(&parts("maven", group, artifact, version), &format!("{group}:{artifact}"), presence)
}
