//! `deno.lock` of Deno: JSON with a map of npm packages, which versions 2 and 3 have in `packages`.
//!
//! A key is `name@version`, with the peers it was installed with behind a `_`. What is from JSR, or loaded by URL, is no
//! npm package and is left out.

use std::collections::BTreeMap;

use serde::{Deserialize, de::IgnoredAny};

use super::{
    super::{files::Found, text::json},
    is_version, split_locator, without_peers,
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Lock {
    #[serde(default)]
    npm: BTreeMap<String, IgnoredAny>,
    #[serde(default)]
    packages: Nested,
}

#[derive(Default, Deserialize)]
struct Nested {
    #[serde(default)]
    npm: BTreeMap<String, IgnoredAny>,
}

/// Adds the packages of a lock file.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let lock: Lock = json(content)?;
    for key in lock.npm.keys().chain(lock.packages.npm.keys()) {
        if let Some((name, reference)) = split_locator(key)
            && is_version(without_peers(reference))
        {
            found.add(name, without_peers(reference));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{super::files::packages_in, FILES};

    #[test]
    fn every_version_is_read() {
        let packages = r#"{"@s/a@1.0.0": {"integrity": "x"}, "b@2.0.0_c@3.0.0__d@4.0.0": {"dependencies": ["c"]}}"#;
        for lock in [
            format!(r#"{{"version": "5", "jsr": {{"@std/x@1.0.0": {{}}}}, "npm": {packages}}}"#),
            format!(r#"{{"version": "3", "packages": {{"npm": {packages}}}, "remote": {{}}}}"#),
        ] {
            assert_eq!(packages_in(&FILES, "deno.lock", &lock), ["@s/a 1.0.0", "b 2.0.0"]);
        }
    }
}
