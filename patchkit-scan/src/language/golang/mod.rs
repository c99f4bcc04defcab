//! Go: the modules that programs say they were built from, and `go.mod`.

mod buildinfo;
mod gomod;
mod version;

use std::io;

use patchkit_core::{Package, Presence};

use self::buildinfo::{BuildInfo, Module};
pub(super) use self::gomod::GoMod;
use super::{
    binary::{Object, Source},
    package::{package, parts},
};

/// The modules that a Go program was built from: its dependencies, itself, and the standard library.
///
/// A dependency that was replaced is what it was replaced by. What has no version (a folder of the machine it was built on)
/// is left out, as no advisory could speak of it. The program's own version is a guess where it is none that Go itself
/// recorded.
pub(super) fn embedded(object: &Object, source: &mut Source<'_>) -> io::Result<Vec<Package>> {
    let Some(info) = BuildInfo::find(object, source)? else { return Ok(Vec::new()) };
    let mut packages: Vec<_> = info.deps.iter().filter_map(|dep| module(&dep.path, &dep.version)).collect();
    packages.extend(main_module(&info));
    packages.extend(standard_library(&info));
    Ok(packages)
}

fn main_module(info: &BuildInfo) -> Option<Package> {
    let Module { path, version } = info.main.as_ref()?;
    if version != version::DEVEL {
        return module(path, version);
    }
    let guess = version::of_main(&info.settings)?;
    let guessed = module(path, &guess)?;
    Some(Package { presence: Presence::Guessed, ..guessed })
}

/// The package `stdlib`, which is what advisories call the standard library and the toolchain's run time.
fn standard_library(info: &BuildInfo) -> Option<Package> {
    let version = version::of_release(&info.go_version)?;
    package(&parts("golang", "", "stdlib", version), "stdlib", Presence::Installed)
}

/// A module at a version, `v` and all; `None` where that is none.
fn module(path: &str, version: &str) -> Option<Package> {
    if version == version::DEVEL {
        return None;
    }
    let (namespace, name) = path.rsplit_once('/').unwrap_or(("", path));
    package(&parts("golang", namespace, name, version), path, Presence::Installed)
}
