//! Packages of Conan, for C and C++: `conan.lock`, both of Conan 1 and 2, and what `conanfile.txt` pins.
//!
//! A package that somebody else built (`zlib/1.2.12@user/channel`) goes by the name alone, as in advisories.

use std::collections::BTreeMap;

use patchkit_core::Presence;
use serde::Deserialize;

use super::{
    files::{Ecosystem, FileKind, Found, LanguageFiles},
    text::{Lenient, json},
};
use crate::inventory::Problem;

/// Finds Conan packages.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "conan",
    ecosystem: Ecosystem { kind: "conan", scheme: "conan", normalize: str::to_owned },
    kinds: &[
        FileKind { is: |file| file.name == "conan.lock", presence: Presence::Declared, read: read_lock },
        FileKind { is: |file| file.name == "conanfile.txt", presence: Presence::Declared, read: read_manifest },
    ],
};

#[derive(Deserialize)]
struct Lock {
    /// Of Conan 1.
    #[serde(default)]
    graph_lock: Graph,
    /// Of Conan 2, as the two below.
    #[serde(default)]
    requires: Vec<Lenient<String>>,
    #[serde(default)]
    build_requires: Vec<Lenient<String>>,
    #[serde(default)]
    python_requires: Vec<Lenient<String>>,
}

#[derive(Default, Deserialize)]
struct Graph {
    #[serde(default)]
    nodes: BTreeMap<String, Node>,
}

#[derive(Deserialize)]
struct Node {
    #[serde(rename = "ref", default)]
    reference: Lenient<String>,
}

fn read_lock(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(content)?;
    let nodes = lock.graph_lock.nodes.values().map(|node| &node.reference);
    let lists = [&lock.requires, &lock.build_requires, &lock.python_requires];
    for reference in lists.into_iter().flatten().chain(nodes) {
        if let Some((name, version)) = package(reference.text()) {
            found.add(name, version);
        }
    }
    Ok(())
}

/// Adds what is under `[requires]`, a package a line. A range of versions (`[>=1.0]`) says nothing.
fn read_manifest(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let mut requires = false;
    for line in std::str::from_utf8(content)?.lines().map(str::trim) {
        match package(line) {
            _ if line.starts_with('[') => requires = line == "[requires]",
            Some((name, version)) if requires && !line.starts_with('#') && !version.starts_with('[') => {
                found.add(name, version);
            }
            _ => {}
        }
    }
    Ok(())
}

/// Name and version in `zlib/1.2.12@user/channel#revision%time`.
fn package(reference: &str) -> Option<(&str, &str)> {
    let (name, rest) = reference.split_once('/')?;
    Some((name, rest.split(['@', '#', '%']).next()?))
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn manifests_are_read() {
        let manifest = "[requires]\n# a/1\n zlib/1.2.12#0\nfmt/[>=8]\nb/1@u/c\n\n[options]\nc/1\n";
        assert_eq!(packages_in(&FILES, "conanfile.txt", manifest), ["b 1", "zlib 1.2.12"]);
    }

    #[test]
    fn both_versions_are_read() {
        let second = r#"{"version": "0.5", "requires": ["zlib/1.2.12#4e7%1660000000.0"], "build_requires": ["cmake/3.24@u/c#0"]}"#;
        assert_eq!(packages_in(&FILES, "conan.lock", second), ["cmake 3.24", "zlib 1.2.12"]);
        let first = r#"{"graph_lock": {"nodes": {"0": {"ref": "app/1.0", "requires": ["1"]}, "1": {"ref": "b/2@u/c#0"}, "2": {}}}}"#;
        assert_eq!(packages_in(&FILES, "conan.lock", first), ["app 1.0", "b 2"]);
    }
}
