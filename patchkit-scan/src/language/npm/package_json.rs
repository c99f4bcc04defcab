//! `package.json`, the manifest that is installed with each package.

use serde::Deserialize;

use super::super::{
    files::Found,
    text::{Lenient, json},
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Manifest {
    #[serde(default)]
    name: Lenient<String>,
    #[serde(default)]
    version: Lenient<String>,
}

/// Adds the package that a manifest describes. Many have no name or version: they only tell Node.js how to load a
/// folder.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let manifest: Manifest = json(content)?;
    found.add(manifest.name.text(), manifest.version.text());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{
        super::files::{packages_in, try_packages_in},
        FILES,
    };

    #[test]
    fn a_manifest_names_its_package() {
        let read = |content| packages_in(&FILES, "srv/node_modules/@babel/core/package.json", content);
        assert_eq!(read(r#"{"name": "@babel/core", "version": "7.0.0", "license": ["MIT"]}"#), ["@babel/core 7.0.0"]);
        for incomplete in [r#"{}"#, r#"{"name": "a"}"#, r#"{"name": "a", "version": 1}"#, r#"{"version": "1"}"#] {
            assert!(read(incomplete).is_empty(), "{incomplete}");
        }
    }

    #[test]
    fn a_broken_manifest_is_said_to_be() {
        let error = try_packages_in(&FILES, "package.json", b"{\n\"name\": }").unwrap_err();
        assert!(error.to_string().contains("line 2 column 9"), "{error}");
    }
}
