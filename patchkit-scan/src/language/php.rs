//! Packages of PHP: `composer.lock`, and the `installed.json` that Composer keeps in `vendor/composer`.

use patchkit_core::Presence;
use serde::Deserialize;

use super::{
    files::{Ecosystem, FileKind, Found, LanguageFiles},
    text::{Lenient, json},
};
use crate::inventory::Problem;

/// Finds Composer packages. Their names are in lower case.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "composer",
    ecosystem: Ecosystem { kind: "composer", scheme: "composer", normalize: str::to_lowercase },
    kinds: &[
        FileKind { is: |file| file.name == "installed.json", presence: Presence::Installed, read: read_installed },
        FileKind { is: |file| file.name == "composer.lock", presence: Presence::Declared, read: read_lock },
    ],
};

#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    version: Lenient<String>,
}

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    /// Without `packages-dev`, which are for development only.
    packages: Vec<Lenient<Listed>>,
}

/// What Composer 2 writes, and what Composer 1 did.
#[derive(Deserialize)]
#[serde(untagged)]
enum Installed {
    Second {
        packages: Vec<Lenient<Listed>>,
    },
    First(Vec<Lenient<Listed>>),
    /// A file of something else that has the same name.
    Other(serde::de::IgnoredAny),
}

fn read_lock(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(content)?;
    add(&lock.packages, found);
    Ok(())
}

fn read_installed(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    match json(content)? {
        Installed::First(packages) | Installed::Second { packages } => add(&packages, found),
        Installed::Other(_) => {}
    }
    Ok(())
}

/// Adds packages of a list. All have a vendor.
fn add(packages: &[Lenient<Listed>], found: &mut Found) {
    for package in packages.iter().filter_map(Lenient::known).filter(|package| package.name.text().contains('/')) {
        found.add(package.name.text(), package.version.text());
    }
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn both_kinds_of_installed_packages_are_read() {
        let read = |content: &str| packages_in(&FILES, "app/vendor/composer/installed.json", content);
        let packages = r#"[{"name": "Symfony/http-kernel", "version": "v5.4.0", "require": {}}, {"name": "x"}, 1]"#;
        assert_eq!(read(packages), ["symfony/http-kernel v5.4.0"]);
        assert_eq!(read(&format!("{{\"packages\": {packages}, \"dev\": true}}")), ["symfony/http-kernel v5.4.0"]);
        assert!(read("\"something else\"").is_empty());
    }

    #[test]
    fn lock_files_are_read() {
        let lock = r#"{"packages": [{"name": "a/b", "version": "1.0.2"}], "packages-dev": [{"name": "c/d", "version": "dev-main"}]}"#;
        assert_eq!(packages_in(&FILES, "composer.lock", lock), ["a/b 1.0.2"]);
    }
}
