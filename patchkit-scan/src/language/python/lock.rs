//! `poetry.lock`, `uv.lock`, `pdm.lock` and PEP 751's `pylock.toml`: TOML with a table a package.
//!
//! The project itself is added where it has a version, what else lies in folders beside it is left out.

use serde::Deserialize;

use super::super::{
    files::Found,
    text::{Lenient, toml},
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Lock {
    /// Of Poetry, uv and PDM.
    #[serde(default)]
    package: Vec<Locked>,
    /// Of PEP 751.
    #[serde(default)]
    packages: Vec<Locked>,
}

#[derive(Deserialize)]
struct Locked {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    version: Lenient<String>,
    #[serde(default)]
    source: Lenient<Source>,
    /// Where PDM takes it from a folder or a file.
    path: Option<Lenient<String>>,
    /// Where PEP 751 has it from a folder.
    directory: Option<serde::de::IgnoredAny>,
}

/// Where a package comes from: Poetry says the type, uv has a key for each.
#[derive(Deserialize)]
struct Source {
    #[serde(rename = "type", default)]
    kind: Lenient<String>,
    #[serde(rename = "virtual", alias = "editable", alias = "directory", default)]
    folder: Option<Lenient<String>>,
}

impl Locked {
    /// Whether it is in a folder beside the project.
    fn is_local(&self) -> bool {
        let source = self.source.known();
        let folder = source.and_then(|source| source.folder.as_ref());
        folder.is_some_and(|folder| folder.text() != ".")
            || source.is_some_and(|source| source.kind.text() == "directory")
            || self.path.is_some()
            || self.directory.is_some()
    }
}

/// Adds the packages of a lock file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = toml(content)?;
    for locked in lock.package.iter().chain(&lock.packages).filter(|locked| !locked.is_local()) {
        found.add(locked.name.text(), locked.version.text());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{packages_in, try_packages_in},
        FILES,
    };

    #[test]
    fn poetry_is_read() {
        let lock = r#"
[[package]]
name = "Django"
version = "5.2.6"
optional = false
files = [{file = "django-5.2.6.tar.gz", hash = "sha256:00"}]

[package.dependencies]
asgiref = ">=3.8.1"

[[package]]
name = "beside"
version = "0.1.0"
[package.source]
type = "directory"
url = "../beside"

[[package]]
name = "from-git"
version = "2.0"
[package.source]
type = "git"
url = "https://example.org/a.git"

[metadata]
lock-version = "2.1"
"#;
        assert_eq!(packages_in(&FILES, "poetry.lock", lock), ["django 5.2.6", "from-git 2.0"]);
    }

    #[test]
    fn uv_is_read() {
        let lock = r#"version = 1
[[package]]
name = "app"
version = "0.1.0"
source = { virtual = "." }

[[package]]
name = "member"
version = "0.2.0"
source = { editable = "packages/member" }

[[package]]
name = "anyio"
version = "4.3.0"
source = { registry = "https://example.org/simple" }
sdist = { url = "https://example.org/anyio-4.3.0.tar.gz", hash = "sha256:00", size = 1 }

[[package]]
name = "no-version"
source = { editable = "." }
"#;
        assert_eq!(packages_in(&FILES, "uv.lock", lock), ["anyio 4.3.0", "app 0.1.0"]);
    }

    #[test]
    fn pdm_and_the_standard_are_read() {
        let pdm = "[[package]]\nname = 'a'\nversion = '1'\n[[package]]\nname = 'a'\nversion = '1'\nextras = ['x']\n\
                   [[package]]\nname = 'b'\nversion = '1'\npath = './b'\n";
        assert_eq!(packages_in(&FILES, "pdm.lock", pdm), ["a 1"]);
        let standard = "[[packages]]\nname = 'a'\nversion = '1'\n[[packages]]\nname = 'b'\nversion = '1'\n\
                        [packages.directory]\npath = '.'\n";
        assert_eq!(packages_in(&FILES, "pylock.toml", standard), ["a 1"]);
    }

    #[test]
    fn a_broken_file_is_said_to_be() {
        let error = try_packages_in(&FILES, "uv.lock", b"version = 1\n\n[[package]\n").unwrap_err();
        assert!(error.to_string().ends_with("at line 3"), "{error}");
    }
}
