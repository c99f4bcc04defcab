//! `Pipfile.lock` of Pipenv: JSON with a map of packages a group. What is for development is left out.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::{
    files::Found,
    text::{Lenient, json},
};
use crate::inventory::Problem;

#[derive(Deserialize)]
struct Pin {
    /// `==1.0.0`; absent for what is from Git or a folder.
    #[serde(default)]
    version: Lenient<String>,
}

/// Adds the packages of all groups but `develop`. `_meta` has the same form, but nothing in it has a version.
pub(super) fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let mut groups: BTreeMap<String, Lenient<BTreeMap<String, Lenient<Pin>>>> = json(content)?;
    groups.remove("develop");
    for (name, pin) in groups.values().filter_map(Lenient::known).flatten() {
        let version = pin.known().and_then(|pin| pin.version.text().strip_prefix("=="));
        found.add(name, version.unwrap_or_default());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::{super::files::packages_in, FILES};

    #[test]
    fn groups_are_read() {
        let lock = r#"{
            "_meta": {"hash": {"sha256": "00"}, "pipfile-spec": 6, "requires": {"python_version": "3.8"}, "sources": []},
            "default": {"Flask_Login": {"hashes": [], "index": "x", "version": "==0.6.3"}, "g": {"git": "x", "ref": "0"}},
            "develop": {"pytest": {"version": "==8.0.0"}, "develop-too": {}},
            "docs": {"sphinx": {"version": "==7.0"}, "wild": {"version": "*", "path": "."}}}"#;
        assert_eq!(packages_in(&FILES, "Pipfile.lock", lock), ["flask-login 0.6.3", "sphinx 7.0"]);
    }
}
