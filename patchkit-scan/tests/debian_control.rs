//! Control data of a whole release: every stanza and every relationship field is read and written back unchanged.

#![allow(clippy::unwrap_used)]

mod debian_support;

use debian_support::{read_xz, shared_data};
use patchkit_scan::debian::control::dependency::Dependencies;
use patchkit_scan::debian::control::{Stanza, Stanzas};

const RELATIONSHIPS: [&str; 9] =
    ["Depends", "Pre-Depends", "Recommends", "Suggests", "Enhances", "Breaks", "Conflicts", "Replaces", "Provides"];

#[test]
fn a_release_is_read_and_written_back() {
    for suite in ["debian/dists/bookworm", "debian-security/dists/bullseye-security"] {
        let Some(path) = shared_data(&format!("deb/archive/{suite}/main/binary-amd64/Packages.xz")) else {
            return;
        };
        let index = read_xz(&path);
        let mut written = Vec::with_capacity(index.len());
        for stanza in Stanzas::strict(&index) {
            let stanza = stanza.unwrap();
            for name in RELATIONSHIPS {
                let value = stanza.text(name).unwrap().unwrap_or_default();
                assert_eq!(Dependencies::parse(value).unwrap().to_string(), *value, "{:?}", stanza.field("Package"));
            }
            assert_eq!(lines(&rewritten(&stanza)), lines(stanza.bytes()));
            written.extend_from_slice(stanza.bytes());
            written.push(b'\n');
        }
        assert!(written == index, "{suite}: {} bytes read, {} written", index.len(), written.len());
    }
}

fn rewritten(stanza: &Stanza<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for field in stanza.fields() {
        bytes.extend_from_slice(&[field.name().as_bytes(), b": ", field.value(), b"\n"].concat());
    }
    bytes
}

/// A few values in the archive end in spaces, which no reader keeps.
fn lines(bytes: &[u8]) -> Vec<&[u8]> {
    bytes.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end).collect()
}

#[test]
fn source_packages_have_their_restrictions_read() {
    let index = "deb/archive/debian-security/dists/bookworm-security/main/source/Sources.xz";
    let Some(path) = shared_data(index) else {
        return;
    };
    let index = read_xz(&path);
    let mut restricted = 0;
    for stanza in Stanzas::strict(&index) {
        let stanza = stanza.unwrap();
        let build = stanza.text("Build-Depends").unwrap().unwrap_or_default();
        let dependencies = Dependencies::parse(build).unwrap();
        restricted +=
            dependencies.relations().filter(|r| !r.architectures.is_empty() || !r.profiles.is_empty()).count();
    }
    assert!(restricted > 100);
}
