//! Packages as the detectors of languages make them.

use patchkit_core::{Package, Presence, PurlParts, Version};

/// A package of the given parts of its purl; `None` where there is no version, or where name or version could be those of
/// no package (white space in them).
///
/// The `name` is as advisories of the ecosystem have it. The version's order is called as the purl's type is.
pub(super) fn package(parts: &PurlParts, name: &str, presence: Presence) -> Option<Package> {
    let version = Version::new(&parts.kind, &parts.version).ok()?;
    let package = Package::new(parts.build().ok()?, name.parse().ok()?, version);
    Some(Package { presence, ..package })
}

/// The parts of a purl without qualifiers.
pub(super) fn parts(kind: &str, namespace: &str, name: &str, version: &str) -> PurlParts {
    PurlParts {
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        version: version.into(),
        ..PurlParts::default()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_version_is_no_package() {
        let made = |version| package(&parts("maven", "org.a", "b", version), "org.a:b", Presence::Declared);
        assert_eq!(made(""), None);
        assert_eq!(made("1 2"), None);
        let found = made("1.2").unwrap();
        assert_eq!(found.purl.as_str(), "pkg:maven/org.a/b@1.2");
        assert_eq!((found.name.as_str(), found.version.scheme()), ("org.a:b", "maven"));
        assert_eq!(found.presence, Presence::Declared);
    }
}
