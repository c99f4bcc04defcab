//! Packages of .NET: the `*.deps.json` beside a program, `packages.lock.json`, and `project.assets.json`.
//!
//! Libraries of the type `project` are the program and its parts: they are added as well. References to assemblies are
//! not: the version is the assembly's, not that of a package. Names keep their case, which NuGet does not heed.

use std::collections::BTreeMap;

use patchkit_core::Presence;
use serde::Deserialize;

use super::{
    files::{Ecosystem, FileKind, Found, LanguageFiles},
    text::{Lenient, json},
};
use crate::inventory::Problem;

/// Finds NuGet packages.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "dotnet",
    ecosystem: Ecosystem { kind: "nuget", scheme: "nuget", normalize: str::to_owned },
    kinds: &[
        FileKind { is: |file| file.name.ends_with(".deps.json"), presence: Presence::Installed, read: read_libraries },
        FileKind { is: |file| file.name == "project.assets.json", presence: Presence::Declared, read: read_libraries },
        FileKind { is: |file| file.name == "packages.lock.json", presence: Presence::Declared, read: read_lock },
    ],
};

#[derive(Deserialize)]
struct Libraries {
    #[serde(default)]
    libraries: BTreeMap<String, Lenient<Library>>,
}

#[derive(Deserialize)]
struct Library {
    #[serde(rename = "type", default)]
    kind: Lenient<String>,
}

#[derive(Deserialize)]
struct Lock {
    /// By framework, then by name.
    #[serde(default)]
    dependencies: BTreeMap<String, BTreeMap<String, Lenient<Resolved>>>,
}

#[derive(Deserialize)]
struct Resolved {
    #[serde(default)]
    resolved: Lenient<String>,
}

/// Adds the libraries, which are called `Name/1.0.0`.
fn read_libraries(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let Libraries { libraries } = json(content)?;
    for (key, library) in &libraries {
        let kind = library.known().map_or("", |library| library.kind.text());
        if let (Some((name, version)), false) = (key.rsplit_once('/'), kind.starts_with("reference")) {
            // The parts of .NET itself that a program brings with it.
            found.add(name.strip_prefix("runtimepack.").unwrap_or(name), version);
        }
    }
    Ok(())
}

/// Adds what a lock file resolves; a project in it has no such version.
fn read_lock(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(content)?;
    for (name, package) in lock.dependencies.values().flatten() {
        found.add(name, package.known().map_or("", |package| package.resolved.text()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn libraries_are_read() {
        let deps = r#"{"runtimeTarget": {"name": ".NETCoreApp,Version=v6.0"}, "libraries": {
            "App/1.0.0": {"type": "project"},
            "Newtonsoft.Json/13.0.1": {"type": "package", "serviceable": true},
            "Microsoft.Thing/10.0.0.0": {"type": "referenceassembly"},
            "runtimepack.Microsoft.NETCore.App.Runtime.linux-x64/6.0.1": {"type": "runtimepack"},
            "odd": 1}}"#;
        let expected = ["App 1.0.0", "Microsoft.NETCore.App.Runtime.linux-x64 6.0.1", "Newtonsoft.Json 13.0.1"];
        assert_eq!(packages_in(&FILES, "app/App.deps.json", deps), expected);
    }

    #[test]
    fn lock_files_are_read() {
        let lock = r#"{"version": 1, "dependencies": {
            "net8.0": {"log4net": {"type": "Direct", "resolved": "2.0.5"}, "own": {"type": "Project"}},
            "net6.0": {"log4net": {"type": "Direct", "resolved": "1.2.15"}}}}"#;
        assert_eq!(packages_in(&FILES, "packages.lock.json", lock), ["log4net 1.2.15", "log4net 2.0.5"]);
    }
}
