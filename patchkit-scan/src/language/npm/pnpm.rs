//! `pnpm-lock.yaml` of pnpm, lock file versions 5, 6 and 9.
//!
//! The key of a package has changed with the versions: `/@babel/core/7.0.0_peer@1.0.0`, then
//! `/@babel/core@7.0.0(peer@1.0.0)`, then the same without the slash. What follows the version tells which peers it was
//! installed with and is not part of it. pnpm 11 writes two documents, the first for pnpm itself; both are read.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{files::Found, text::yaml},
    is_name, is_version, split_locator, without_peers,
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Lock {
    /// What the project asks for, where it has no workspaces. All of it should be among the packages.
    #[serde(default)]
    dependencies: Option<BTreeMap<String, Direct>>,
    #[serde(default)]
    packages: Option<BTreeMap<String, Option<Locked>>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Direct {
    Version(String),
    Resolved { version: String },
    Other(serde::de::IgnoredAny),
}

/// Name and version are there where the key does not have them: for what is from Git, or from a tarball.
#[derive(Default, Deserialize)]
struct Locked {
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    version: Option<String>,
    /// Whether it is for development only; version 9 does not say.
    #[serde(default)]
    dev: bool,
}

/// Adds the packages of a lock file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    for lock in yaml::<Option<Lock>>(content)?.into_iter().flatten() {
        for (name, direct) in lock.dependencies.unwrap_or_default() {
            add_direct(&name, &direct, found);
        }
        let packages = lock.packages.unwrap_or_default().into_iter();
        for (key, locked) in packages.map(|(key, locked)| (key, locked.unwrap_or_default())) {
            if !locked.dev {
                add_locked(&key, &locked, found);
            }
        }
    }
    Ok(())
}

fn add_direct(name: &str, direct: &Direct, found: &mut Found) {
    if let Direct::Version(version) | Direct::Resolved { version } = direct
        && is_version(without_peers(version))
    {
        found.add(name, without_peers(version));
    }
}

fn add_locked(key: &str, locked: &Locked, found: &mut Found) {
    let Some((name, reference)) = split_key(key) else {
        // A local folder has a name, too, but its key is only the path.
        if let (Some(name), Some(version), false) = (&locked.name, &locked.version, key.starts_with("file:")) {
            found.add(name, version);
        }
        return;
    };
    if reference.starts_with("file:") || reference.starts_with("link:") {
        return;
    }
    let version = Some(without_peers(reference)).filter(|version| is_version(version));
    let version = locked.version.as_deref().or(version).unwrap_or_default();
    found.add(locked.name.as_deref().unwrap_or(name), version);
}

/// Splits a key into the name and the reference, which is the version or where the package is from.
fn split_key(key: &str) -> Option<(&str, &str)> {
    let key = key.strip_prefix('/').unwrap_or(key);
    let bare = key.split('(').next().unwrap_or(key);
    split_locator(bare).or_else(|| split_path(bare))
}

/// Splits a key of version 5, which may begin with a host: `example.org/@babel/core/7.0.0`.
fn split_path(key: &str) -> Option<(&str, &str)> {
    let (path, version) = key.rsplit_once('/')?;
    let scoped = path.rfind('@').map(|at| &path[at..]).filter(|name| is_name(name));
    let name = scoped.unwrap_or_else(|| path.rsplit_once('/').map_or(path, |(_, name)| name));
    (is_name(name) && is_version(version)).then_some((name, version))
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{packages_in, try_packages_in},
        FILES,
    };

    fn read(content: &str) -> Vec<String> {
        packages_in(&FILES, "app/pnpm-lock.yaml", content)
    }

    #[test]
    fn keys_of_every_version_are_read() {
        for (key, package) in [
            ("/left-pad/1.3.0", "left-pad 1.3.0"),
            ("/@babel/core/7.0.0", "@babel/core 7.0.0"),
            ("/acorn-jsx/5.3.2_acorn@8.8.0", "acorn-jsx 5.3.2"),
            ("/@b/c/1.0.0_@babel+core@7.0.0", "@b/c 1.0.0"),
            ("example.org/@babel/core/7.0.0", "@babel/core 7.0.0"),
            ("example.org/left-pad/1.3.0", "left-pad 1.3.0"),
            ("/@b/c@1.0.0(@babel/core@7.0.0)(x@1.0.0)", "@b/c 1.0.0"),
            ("left-pad@1.3.0", "left-pad 1.3.0"),
        ] {
            assert_eq!(read(&format!("packages:\n  '{key}':\n    resolution: {{integrity: x}}\n")), [package], "{key}");
        }
    }

    #[test]
    fn what_is_from_elsewhere_says_its_name_and_version() {
        let lock = "lockfileVersion: '9.0'
packages:
  github.com/a/b/0123:
    resolution: {tarball: x}
    name: b
    version: 1.2.3
  c@https://example.org/c.tar.gz:
    version: 2.0.0
  d@file:../d:
    resolution: {directory: ../d, type: directory}
    version: 3.0.0
  file:../e:
    name: e
    version: 3.0.0
  f@https://example.org/f.tar.gz:
    resolution: {tarball: x}
  g@1.0.0:
    dev: true
";
        assert_eq!(read(lock), ["b 1.2.3", "c 2.0.0"]);
    }

    #[test]
    fn direct_dependencies_and_all_documents_are_read() {
        let lock = "---
packages:
  pnpm@11.0.0:
    resolution: {}
---
dependencies:
  a: 1.0.0_peer@2.0.0
  b:
    specifier: ^1.0.0
    version: 1.1.0(peer@2.0.0)
  c: link:../c
  d: /e/1.0.0
packages:
";
        assert_eq!(read(lock), ["a 1.0.0", "b 1.1.0", "pnpm 11.0.0"]);
    }

    #[test]
    fn a_broken_file_is_said_to_be() {
        let error = try_packages_in(&FILES, "pnpm-lock.yaml", b"lockfileVersion: 5.4\n\nspecifi\nx: {a").unwrap_err();
        assert!(error.to_string().contains("line 3, column 1"), "{error}");
    }
}
