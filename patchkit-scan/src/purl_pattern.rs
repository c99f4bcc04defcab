//! What a package URL means beside its text: the name its ecosystem uses, and patterns of packages.

use std::{borrow::Cow, fmt, str::FromStr};

use patchkit_core::{Package, PackageName, ParsePurlError, Purl, PurlParts};

/// The name of a package as advisories of its ecosystem have it: `@babel/core`, `org.slf4j:slf4j-api`, `libc6`.
///
/// The namespace of a distribution's package is the distribution, so it is no part of the name.
pub(crate) fn name_of(parts: &PurlParts) -> String {
    let PurlParts { kind, namespace, name, .. } = parts;
    match kind.as_str() {
        _ if namespace.is_empty() => name.clone(),
        "alpm" | "apk" | "deb" | "rpm" => name.clone(),
        "maven" => format!("{namespace}:{name}"),
        _ => format!("{namespace}/{name}"),
    }
}

/// Namespace and name of a package URL, from the name in its ecosystem: the reverse of [`name_of`].
pub(crate) fn split_name<'a>(kind: &str, name: &'a str) -> (&'a str, &'a str) {
    match kind {
        "alpm" | "apk" | "cargo" | "deb" | "gem" | "generic" | "nuget" | "pypi" | "rpm" => ("", name),
        "maven" => name.rsplit_once(':').unwrap_or(("", name)),
        _ => name.rsplit_once('/').unwrap_or(("", name)),
    }
}

/// Type, namespace and name, so that two tools' words for one package are equal: without version and qualifiers, with
/// the known synonyms resolved. What a quorum and a comparison of reports join by.
pub(crate) fn coordinates(purl: &Purl) -> String {
    let PurlParts { kind, namespace, name, .. } = normalised(purl.parts());
    format!("{kind}/{namespace}/{name}")
}

/// The same parts with one spelling of namespace and name, where an ecosystem has several.
fn normalised(mut parts: PurlParts) -> PurlParts {
    match parts.kind.as_str() {
        "pypi" => parts.name = parts.name.to_ascii_lowercase().replace(['_', '.'], "-"),
        "rpm" if parts.namespace == "redhat" => parts.namespace = "rhel".into(),
        "composer" | "github" => {
            parts.name.make_ascii_lowercase();
            parts.namespace.make_ascii_lowercase();
        }
        _ => {}
    }
    parts
}

/// A pattern of package URLs: `pkg:deb/debian/openssl`, `pkg:npm/%40babel/*`, `pkg:deb/debian/curl@7.74.0-1?arch=amd64`.
///
/// What it does not say fits anything: without a version every version, without a qualifier every value. In namespace,
/// name and version, `*` stands for any text. A qualifier that it has must be the same, but for `repository_url` and
/// the like, which say where a package is from and not what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PurlPattern(PurlParts);

/// Qualifiers that locate a package without being part of what it is (purl specification, "known qualifiers").
const PLACES: [&str; 6] = ["checksum", "download_url", "file_name", "repository_url", "tag", "vcs_url"];

impl FromStr for PurlPattern {
    type Err = ParsePurlError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse::<Purl>().map(|purl| Self::from(&purl))
    }
}

impl From<&Purl> for PurlPattern {
    fn from(purl: &Purl) -> Self {
        Self(normalised(purl.parts()))
    }
}

impl fmt::Display for PurlPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.build().map_err(|_| fmt::Error)?.fmt(f)
    }
}

impl PurlPattern {
    /// Whether a package URL fits.
    #[must_use]
    pub fn fits(&self, purl: &Purl) -> bool {
        self.fits_parts(&normalised(purl.parts()))
    }

    /// Whether a package fits: itself, or, where the pattern is of sources (`arch=source` or `arch=src`), the source
    /// that it was built from.
    #[must_use]
    pub fn fits_package(&self, package: &Package) -> bool {
        self.fits_names(&Names::of(package))
    }

    pub(crate) fn fits_names(&self, names: &Names) -> bool {
        let architecture = self.0.qualifiers.get("arch").map(String::as_str);
        match (architecture, &names.source) {
            (Some("source" | "src"), Some(source)) => self.fits_parts(source),
            (Some("source" | "src"), None) => false,
            _ => self.fits_parts(&names.own),
        }
    }

    /// Its parts.
    pub(crate) fn parts(&self) -> &PurlParts {
        &self.0
    }

    fn fits_parts(&self, parts: &PurlParts) -> bool {
        let Self(pattern) = self;
        let same = |(key, value): (&String, &String)| {
            let other = parts.qualifiers.get(key).map(String::as_str);
            match key.as_str() {
                // A package of a source may be of any architecture, which was looked at before.
                "arch" if matches!(value.as_str(), "source" | "src") => true,
                "distro" => other.is_some_and(|other| other == value || other.starts_with(&format!("{value}."))),
                // An epoch of none is the epoch 0.
                "epoch" => other.unwrap_or("0") == value,
                key => PLACES.contains(&key) || other == Some(value),
            }
        };
        pattern.kind == parts.kind
            && wild(&pattern.name, &parts.name)
            && wild(&pattern.namespace, &parts.namespace)
            && (pattern.version.is_empty() || wild(&pattern.version, &parts.version))
            && pattern.qualifiers.iter().all(same)
    }
}

/// What a package is called, taken apart once for many patterns.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    own: PurlParts,
    source: Option<PurlParts>,
}

impl Names {
    pub(crate) fn of(package: &Package) -> Self {
        let own = normalised(package.purl.parts());
        let source = package.source.as_ref().map(|source| {
            let (name, version) = (source.name.to_string(), source.version.to_string());
            PurlParts { name, version, ..own.clone() }
        });
        Self { own, source }
    }

    /// Whether it is a package of a distribution, not of a language.
    pub(crate) fn is_of_distribution(&self) -> bool {
        matches!(self.own.kind.as_str(), "alpm" | "apk" | "deb" | "rpm")
    }

    /// A package of which no more than the purl is known.
    pub(crate) fn of_purl(purl: &Purl) -> Self {
        Self { own: normalised(purl.parts()), source: None }
    }
}

/// Whether a text fits a pattern in which `*` stands for any text. Its time is at most their lengths' product.
pub(crate) fn wild(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut retry = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == text[t] => (p, t) = (p + 1, t + 1),
            _ => match &mut retry {
                Some((star, from)) => {
                    *from += 1;
                    (p, t) = (*star + 1, *from);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

/// The package of a purl, among packages that are sorted by purl.
pub(crate) fn find<'a>(packages: &'a [Package], purl: &Purl) -> Option<&'a Package> {
    let start = packages.partition_point(|package| package.purl < *purl);
    packages.get(start).filter(|package| package.purl == *purl)
}

/// A package of which a report says the purl, or what one is made of; `None` where there is no name or no version.
pub(crate) fn package(purl: &Purl) -> Option<Package> {
    let parts = purl.parts();
    let name: PackageName = name_of(&parts).parse().ok()?;
    // rpm's purls have the epoch as a qualifier, and Trivy's of dpkg's packages too.
    let version = match (parts.kind.as_str(), parts.qualifiers.get("epoch")) {
        ("deb" | "rpm", Some(epoch)) if epoch != "0" && !parts.version.contains(':') => {
            format!("{epoch}:{}", parts.version)
        }
        _ => parts.version.clone(),
    };
    let version = patchkit_core::Version::new(scheme(&parts.kind), &version).ok()?;
    let architecture = parts.qualifiers.get("arch").cloned();
    Some(Package { architecture, ..Package::new(purl.clone(), name, version) })
}

/// The name of the order that versions of a type of package URL have (VERS: it is the type's).
pub(crate) fn scheme(kind: &str) -> &str {
    kind
}

/// A purl of parts whose name may have what no purl can: `None` where nothing is left.
pub(crate) fn purl_of(kind: &str, namespace: &str, name: &str, version: &str) -> Option<Purl> {
    let parts = PurlParts {
        kind: kind.into(),
        namespace: namespace.into(),
        name: name.into(),
        version: version.into(),
        ..PurlParts::default()
    };
    parts.build().ok()
}

/// A text without its first slash: the path relative to the root.
pub(crate) fn relative(path: &str) -> Cow<'_, str> {
    Cow::Borrowed(path.trim_start_matches('/'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use patchkit_core::{SourcePackage, Version};

    use super::*;

    #[test]
    fn a_pattern_fits_what_it_does_not_contradict() {
        let purl = |text: &str| text.parse::<Purl>().unwrap();
        let openssl = purl("pkg:deb/debian/openssl@1.1.1w-0%2Bdeb11u1?arch=amd64&distro=debian-11.11");
        for (pattern, fits) in [
            ("pkg:deb/debian/openssl", true),
            ("pkg:deb/debian/openssl@1.1.1w-0+deb11u1", true),
            ("pkg:deb/debian/openssl@1.1.1w-0+deb11u2", false),
            ("pkg:deb/debian/openssl@1.1.1w*", true),
            ("pkg:deb/debian/open*", true),
            ("pkg:deb/*/openssl", true),
            ("pkg:deb/openssl", false),
            ("pkg:rpm/debian/openssl", false),
            ("pkg:deb/debian/openssl?arch=amd64", true),
            ("pkg:deb/debian/openssl?arch=arm64", false),
            ("pkg:deb/debian/openssl?distro=debian-11", true),
            ("pkg:deb/debian/openssl?distro=debian-1", false),
            ("pkg:deb/debian/openssl?repository_url=example.org", true),
        ] {
            assert_eq!(pattern.parse::<PurlPattern>().unwrap().fits(&openssl), fits, "{pattern}");
        }
        let extensions = "pkg:pypi/typing_extensions".parse::<PurlPattern>().unwrap();
        assert!(extensions.fits(&purl("pkg:pypi/typing-extensions@4.0")));
    }

    #[test]
    fn a_pattern_of_a_source_fits_what_was_built_from_it() {
        let purl: Purl = "pkg:deb/debian/libssl1.1@1.1.1w-0?arch=amd64".parse().unwrap();
        let version = Version::new("deb", "1.1.1w-0").unwrap();
        let source = Some(SourcePackage { name: "openssl".parse().unwrap(), version });
        let package = Package { source, ..package(&purl).unwrap() };
        for (pattern, fits) in [
            ("pkg:deb/debian/openssl?arch=source", true),
            ("pkg:deb/debian/openssl@1.1.1w-0?arch=source", true),
            ("pkg:deb/debian/openssl@1.1.1w-1?arch=source", false),
            ("pkg:deb/debian/openssl", false),
            ("pkg:deb/debian/libssl1.1", true),
        ] {
            assert_eq!(pattern.parse::<PurlPattern>().unwrap().fits_package(&package), fits, "{pattern}");
        }
    }

    #[test]
    fn names_are_those_of_the_ecosystem() {
        for (purl, name, version) in [
            ("pkg:npm/%40babel/core@7.0.0", "@babel/core", "7.0.0"),
            ("pkg:maven/org.slf4j/slf4j-api@1.0", "org.slf4j:slf4j-api", "1.0"),
            ("pkg:golang/golang.org/x/net@v0.1.0", "golang.org/x/net", "v0.1.0"),
            ("pkg:rpm/fedora/bash@5.2-1?epoch=2", "bash", "2:5.2-1"),
            ("pkg:deb/debian/bash@5.2-1", "bash", "5.2-1"),
            ("pkg:deb/debian/zlib1g@1.2-1?epoch=1", "zlib1g", "1:1.2-1"),
        ] {
            let purl: Purl = purl.parse().unwrap();
            let package = package(&purl).unwrap();
            assert_eq!((package.name.as_str(), package.version.as_str()), (name, version));
            let parts = purl.parts();
            if parts.kind != "rpm" && parts.kind != "deb" {
                assert_eq!(split_name(&parts.kind, name), (parts.namespace.as_str(), parts.name.as_str()));
            }
        }
        assert!(package(&"pkg:deb/debian/bash".parse().unwrap()).is_none());
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, text, fits) in
            [("*", "", true), ("a*c", "abbc", true), ("a*c", "abb", false), ("", "a", false), ("*a*", "bab", true)]
        {
            assert_eq!(wild(pattern, text), fits, "{pattern} {text}");
        }
    }
}
