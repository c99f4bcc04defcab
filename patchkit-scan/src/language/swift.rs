//! Packages of Swift: `Package.resolved` of its package manager.
//!
//! A package is known by where its source is, without scheme and `.git`: `github.com/apple/swift-nio`.

use patchkit_core::Presence;
use serde::Deserialize;

use super::{
    files::{Ecosystem, FileKind, FileName, Found, LanguageFiles},
    text::{Lenient, json},
};
use crate::inventory::Problem;

/// Finds Swift packages.
pub(super) static FILES: LanguageFiles = LanguageFiles {
    name: "swift",
    ecosystem: Ecosystem { kind: "swift", scheme: "semver", normalize: str::to_owned },
    kinds: &[FileKind { is: is_resolved, presence: Presence::Declared, read }],
};

fn is_resolved(file: FileName<'_>) -> bool {
    matches!(file.name, "Package.resolved" | ".package.resolved")
}

#[derive(Deserialize)]
struct Resolved {
    #[serde(default)]
    pins: Vec<Lenient<Pin>>,
    /// Where the first version of the format has the pins.
    #[serde(default)]
    object: Pins,
}

#[derive(Default, Deserialize)]
struct Pins {
    #[serde(default)]
    pins: Vec<Lenient<Pin>>,
}

#[derive(Deserialize)]
struct Pin {
    #[serde(alias = "repositoryURL", default)]
    location: Lenient<String>,
    #[serde(default)]
    state: State,
}

/// A branch or a mere revision has no version.
#[derive(Default, Deserialize)]
struct State {
    #[serde(default)]
    version: Lenient<String>,
}

fn read(content: &[u8], found: &mut Found) -> Result<(), Problem> {
    let resolved: Resolved = json(content)?;
    for pin in resolved.pins.iter().chain(&resolved.object.pins).filter_map(Lenient::known) {
        found.add(&repository(pin.location.text()), pin.state.version.text());
    }
    Ok(())
}

/// The name of the package whose source is there: of a URL, or of what SSH takes (`git@example.org:a/b.git`).
fn repository(location: &str) -> String {
    let location = location.trim_end_matches('/');
    let location = location.strip_suffix(".git").unwrap_or(location);
    match location.split_once("://") {
        Some((_, rest)) => rest.rsplit_once('@').map_or(rest, |(_, host)| host).to_owned(),
        None => location.rsplit_once('@').map_or(location, |(_, host)| host).replacen(':', "/", 1),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::files::packages_in, *};

    #[test]
    fn pins_of_every_version_are_read() {
        let second = r#"{"version": 2, "pins": [
            {"identity": "a", "location": "https://example.org/x/a.git", "state": {"revision": "00", "version": "1.0.0"}},
            {"identity": "b", "location": "https://example.org/x/b", "state": {"branch": "main", "revision": "00"}}]}"#;
        assert_eq!(packages_in(&FILES, "Package.resolved", second), ["example.org/x/a 1.0.0"]);
        let first = r#"{"version": 1, "object": {"pins": [{"package": "A", "repositoryURL": "git@example.org:x/a.git",
            "state": {"branch": null, "revision": "00", "version": "1.0.0"}}]}}"#;
        assert_eq!(packages_in(&FILES, "Package.resolved", first), ["example.org/x/a 1.0.0"]);
    }

    #[test]
    fn the_package_url_has_the_repository() {
        let pin = r#"{"pins": [{"location": "ssh://git@example.org/x/y/a.git", "state": {"version": "1.0.0"}}]}"#;
        let found = FILES.read(&FILES.kinds[0], pin.as_bytes()).expect("a constant");
        assert_eq!(found[0].purl.as_str(), "pkg:swift/example.org/x/y/a@1.0.0");
    }
}
