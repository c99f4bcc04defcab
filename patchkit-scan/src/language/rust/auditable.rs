//! The list of crates in a Rust program that was built with `cargo auditable`.
//!
//! Source: the format's specification in the repository of cargo-auditable: a section `.dep-v0` of JSON, compressed with
//! zlib.

use std::io::{self, Read};

use flate2::read::ZlibDecoder;
use patchkit_core::{Package, Presence};
use serde::Deserialize;

use super::crate_package;
use crate::language::binary::{Object, Source};

const SECTION: &str = ".dep-v0";

/// The most bytes of the section, and of the JSON in it: ten times what a program of some thousand crates has.
const MAX_SECTION: u64 = 2 << 20;
const MAX_JSON: u64 = 16 << 20;

#[derive(Deserialize)]
struct Audit {
    packages: Vec<Crate>,
}

#[derive(Deserialize)]
struct Crate {
    name: String,
    version: String,
    #[serde(default)]
    kind: Kind,
}

#[derive(Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Build,
    #[serde(other)]
    #[default]
    Runtime,
}

/// The crates that a program was linked from; those that only its build scripts used are left out.
pub(in crate::language) fn embedded(object: &Object, source: &mut Source<'_>) -> io::Result<Vec<Package>> {
    let Some(section) = object.section(SECTION).filter(|section| section.size <= MAX_SECTION) else {
        return Ok(Vec::new());
    };
    let bytes = source.read(section.offset, section.size as usize)?;
    Ok(crates(&bytes).unwrap_or_default())
}

/// `None` where the section has something else.
fn crates(section: &[u8]) -> Option<Vec<Package>> {
    let mut json = Vec::new();
    ZlibDecoder::new(section).take(MAX_JSON).read_to_end(&mut json).ok()?;
    let audit: Audit = serde_json::from_slice(&json).ok()?;
    let linked = audit.packages.into_iter().filter(|found| found.kind == Kind::Runtime);
    Some(linked.filter_map(|found| crate_package(&found.name, &found.version, Presence::Installed)).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(in crate::language) mod tests {
    use std::io::Write;

    use flate2::{Compression, write::ZlibEncoder};

    use super::*;

    pub(in crate::language) fn section(json: &str) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(json.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn crates_of_the_build_are_not_in_the_program() {
        let json = r#"{"packages":[
            {"name":"adler","version":"0.2.3","source":"registry"},
            {"name":"cc","version":"1.0.73","source":"crates.io","kind":"build"},
            {"name":"mine","version":"0.1.0","source":"local","kind":"runtime","dependencies":[0,1],"root":true}
        ]}"#;
        let purls: Vec<_> = crates(&section(json)).unwrap().into_iter().map(|found| found.purl.to_string()).collect();
        assert_eq!(purls, ["pkg:cargo/adler@0.2.3", "pkg:cargo/mine@0.1.0"]);
    }

    #[test]
    fn other_content_is_no_list() {
        assert_eq!(crates(b"no zlib"), None);
        assert_eq!(crates(&section("[]")), None);
        assert_eq!(crates(&section(&"[".repeat(1 << 20))), None);
        let bomb = section(&format!(r#"{{"packages":[{}]}}"#, " ".repeat(MAX_JSON as usize)));
        assert!(bomb.len() < 1 << 20);
        assert_eq!(crates(&bomb), None);
    }
}
