//! `package-lock.json` and `npm-shrinkwrap.json` of npm, in their three versions.
//!
//! The first nests `dependencies`; the third has flat `packages` by their folders; the second has both, and npm heeds
//! `packages`. The project itself is added where it has a name and a version. Left out are links, the folders of
//! workspaces, what is for development only, and what has no version: packages from Git in the first version.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{
        files::Found,
        text::{Lenient, json},
    },
    aliased, is_version,
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    packages: Option<BTreeMap<String, Lenient<Placed>>>,
    #[serde(default)]
    dependencies: BTreeMap<String, Lenient<Dependency>>,
}

/// A package in a folder, in the second and third version.
#[derive(Deserialize)]
struct Placed {
    /// Where it differs from the folder's.
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    version: Lenient<String>,
    #[serde(default)]
    link: bool,
    #[serde(default)]
    dev: bool,
}

/// A package in the first version.
#[derive(Deserialize)]
struct Dependency {
    #[serde(default)]
    version: Lenient<String>,
    #[serde(default)]
    dev: bool,
    #[serde(default)]
    dependencies: BTreeMap<String, Lenient<Dependency>>,
}

/// Adds the packages of a lock file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(content)?;
    match &lock.packages {
        Some(packages) => packages.iter().for_each(|(folder, package)| add_placed(folder, package, found)),
        None => add_dependencies(&lock.dependencies, found),
    }
    Ok(())
}

fn add_placed(folder: &str, package: &Lenient<Placed>, found: &mut Found) {
    let Some(package) = package.known().filter(|package| !package.link && !package.dev) else { return };
    let name = match (package.name.text(), folder.rsplit_once("node_modules/")) {
        ("", Some((_, name))) => name,
        (name, Some(_)) => name,
        (name, None) if folder.is_empty() => name,
        _ => return,
    };
    found.add(name, package.version.text());
}

fn add_dependencies(dependencies: &BTreeMap<String, Lenient<Dependency>>, found: &mut Found) {
    let mut todo: Vec<_> = dependencies.iter().collect();
    while let Some((name, dependency)) = todo.pop() {
        let Some(dependency) = dependency.known() else { continue };
        let version = dependency.version.text();
        let (name, version) = aliased(version).unwrap_or((name, version));
        if is_version(version) && !dependency.dev {
            found.add(name, version);
        }
        todo.extend(&dependency.dependencies);
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{packages_in, try_packages_in},
        FILES,
    };

    fn read(content: &str) -> Vec<String> {
        packages_in(&FILES, "app/package-lock.json", content)
    }

    #[test]
    fn the_first_version_nests() {
        let lock = r#"{"name": "app", "version": "1.0.0", "lockfileVersion": 1, "dependencies": {
            "a": {"version": "1.0.0", "requires": {"b": "2"}, "dependencies": {"b": {"version": "2.0.0"}}},
            "b": {"version": "3.0.0"},
            "development": {"version": "1.0.0", "dev": true},
            "pad": {"version": "npm:left-pad@1.3.0"},
            "git": {"version": "git+ssh://git@example.org/a.git#0123"},
            "folder": {"version": "file:../folder"},
            "odd": 7}}"#;
        assert_eq!(read(lock), ["a 1.0.0", "b 2.0.0", "b 3.0.0", "left-pad 1.3.0"]);
    }

    #[test]
    fn the_second_and_third_are_by_folder() {
        let lock = r#"{"lockfileVersion": 3, "packages": {
            "": {"name": "app", "version": "1.0.0", "license": ["MIT"]},
            "node_modules/@s/a": {"version": "1.0.0"},
            "node_modules/@s/a/node_modules/b": {"version": "2.0.0", "devOptional": true},
            "node_modules/development": {"version": "1.0.0", "dev": true},
            "node_modules/pad": {"name": "left-pad", "version": "1.3.0"},
            "node_modules/ws": {"resolved": "packages/ws", "link": true},
            "packages/ws": {"version": "9.0.0"},
            "node_modules/no-version": {}},
            "dependencies": {"unheeded": {"version": "1.0.0"}}}"#;
        assert_eq!(read(lock), ["@s/a 1.0.0", "app 1.0.0", "b 2.0.0", "left-pad 1.3.0"]);
    }

    #[test]
    fn nesting_has_an_end() {
        let deep = r#"{"dependencies":{"a":"#.repeat(100_000);
        assert!(try_packages_in(&FILES, "package-lock.json", deep.as_bytes()).is_err());
    }
}
