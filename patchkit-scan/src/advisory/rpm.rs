//! What sources about rpm packages share: builds that they list one by one, gathered into claims.
//!
//! Such sources name the *binary* packages that a fix brings, for each architecture, and of what is not fixed often only
//! the source package. A package of debug information is left out: it holds no code that runs.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use patchkit_core::PackageName;

use super::{Scope, Status};

/// Architectures that say nothing about where a package runs, or that only come along with another one.
const BY_THE_WAY: [&str; 6] = ["noarch", "src", "nosrc", "i386", "i586", "i686"];

/// What is said of one package, but for the architectures.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Build {
    pub(super) scope: Scope,
    pub(super) module: Option<Arc<str>>,
    pub(super) package: PackageName,
    pub(super) status: Status,
}

/// Builds of packages, those that differ in the architecture alone gathered.
#[derive(Debug, Default)]
pub(super) struct Builds {
    builds: BTreeMap<Build, BTreeSet<Arc<str>>>,
}

impl Builds {
    /// Adds a build for an architecture, or one that does not say for which.
    pub(super) fn add(&mut self, build: Build, architecture: Option<&str>) {
        let name = build.package.as_str();
        if name.contains("-debuginfo") || name.ends_with("-debugsource") {
            return;
        }
        self.builds.entry(build).or_default().insert(architecture.unwrap_or("noarch").into());
    }

    /// The builds with their architectures; none for a build that is there for all that anything was built for.
    ///
    /// A source package is left out where binary packages of the same release are named beside it, unless it is all
    /// that is said of what has no fix: versions are compared with those of binary packages.
    pub(super) fn finish(self) -> impl Iterator<Item = (Build, Vec<Arc<str>>)> {
        let mut everywhere: BTreeMap<Scope, BTreeSet<Arc<str>>> = BTreeMap::new();
        let mut binaries = BTreeSet::new();
        for (build, architectures) in &self.builds {
            let counted = architectures.iter().filter(|architecture| !BY_THE_WAY.contains(&&***architecture)).cloned();
            everywhere.entry(build.scope.clone()).or_default().extend(counted);
            if !is_source(architectures) {
                binaries.insert(build.scope.clone());
            }
        }
        self.builds.into_iter().filter_map(move |(build, architectures)| {
            if is_source(&architectures) && names_version(&build.status) && binaries.contains(&build.scope) {
                return None;
            }
            let all = everywhere.get(&build.scope).is_none_or(|all| all.is_subset(&architectures));
            let any = architectures.contains("noarch") || is_source(&architectures);
            let listed =
                if all || any { Vec::new() } else { architectures.into_iter().filter(|a| **a != *"src").collect() };
            Some((build, listed))
        })
    }
}

fn is_source(architectures: &BTreeSet<Arc<str>>) -> bool {
    architectures.iter().all(|architecture| matches!(&**architecture, "src" | "nosrc"))
}

fn names_version(status: &Status) -> bool {
    status.versions().next().is_some()
}

/// An rpm file's name without its extension, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Nevra<'a> {
    pub(super) name: &'a str,
    /// `version-release`, with an epoch before it where there is one.
    pub(super) evr: &'a str,
    pub(super) arch: Option<&'a str>,
}

/// `curl-0:7.76.1-26.el9_3.2.x86_64`, `bind-9.9.4P2-0.6.1.i586`, `ctdb-4.19.2+git.322-1.1`; `None` where it has no
/// version.
pub(super) fn nevra(text: &str) -> Option<Nevra<'_>> {
    const ARCHITECTURES: [&str; 16] = [
        "aarch64", "armv6hl", "armv7hl", "i386", "i486", "i586", "i686", "ia64", "noarch", "nosrc", "ppc", "ppc64",
        "ppc64le", "s390", "s390x", "src",
    ];
    let (rest, arch) = match text.rsplit_once('.') {
        Some((rest, arch)) if ARCHITECTURES.contains(&arch) || arch == "x86_64" => (rest, Some(arch)),
        _ => (text, None),
    };
    let release = rest.rfind('-')?;
    let version = rest[..release].rfind('-')?;
    let evr = &rest[version + 1..];
    let starts_with_digit = |text: &str| text.starts_with(|c: char| c.is_ascii_digit());
    let is_version = starts_with_digit(evr) && !rest[release + 1..].is_empty();
    (version > 0 && is_version).then_some(Nevra { name: &rest[..version], evr, arch })
}

/// An epoch, version and release as rpm writes them: no epoch where it is zero, which is the same.
pub(super) fn evr(epoch: &str, version: &str, release: &str) -> Arc<str> {
    let version_release = if release.is_empty() { version.into() } else { format!("{version}-{release}") };
    match epoch {
        "" | "0" | "(none)" => version_release.into(),
        epoch => format!("{epoch}:{version_release}").into(),
    }
}

/// The same version without an epoch that is zero.
pub(super) fn without_zero_epoch(version: &str) -> &str {
    version.strip_prefix("0:").unwrap_or(version)
}

/// The name and stream of a module: of `nodejs:18:8090020231128:a75119d5`, that is `nodejs:18`.
pub(super) fn stream(module: &str) -> Option<Arc<str>> {
    let mut parts = module.split(':');
    let (name, stream) = (parts.next()?, parts.next()?);
    (!name.is_empty() && !stream.is_empty()).then(|| format!("{name}:{stream}").into())
}

/// The module stream that the title of an announcement is about: `Important: nodejs:18 security update`, where the
/// package was built for one.
pub(super) fn stream_in_title(title: &str, version: &str) -> Option<Arc<str>> {
    if !version.contains(".module") {
        return None;
    }
    let words = title.split(|c: char| c.is_whitespace() || matches!(c, ',' | '(' | ')' | '/'));
    let stream = words.filter_map(|word| Some((word, word.split_once(':')?))).find(|(_, (name, stream))| {
        let name_ok = name.starts_with(|c: char| c.is_ascii_lowercase()) || name.contains('-');
        let announcement =
            ["LSA-", "HSA-", "HBA-", "HEA-", "LBA-", "XSA-", "LEA-"].iter().any(|kind| name.contains(kind));
        name_ok && !announcement && !stream.is_empty()
    });
    stream.map(|(word, _)| word.into())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::advisory::End;

    #[test]
    fn names_are_taken_apart() {
        for (text, name, evr, arch) in [
            ("curl-0:7.76.1-26.el9_3.2.x86_64", "curl", "0:7.76.1-26.el9_3.2", Some("x86_64")),
            ("bind-chrootenv-9.9.4P2-0.6.1.i586", "bind-chrootenv", "9.9.4P2-0.6.1", Some("i586")),
            ("ctdb-4.19.2+git.322.7e9201cef5-1.1", "ctdb", "4.19.2+git.322.7e9201cef5-1.1", None),
        ] {
            assert_eq!(nevra(text), Some(Nevra { name, evr, arch }), "{text}");
        }
        for text in ["samba", "libdcerpc-binding0-32bit", "-1-1", "", "a-1-"] {
            assert_eq!(nevra(text), None, "{text}");
        }
    }

    #[test]
    fn modules_have_streams() {
        assert_eq!(stream("nodejs:18:8090020231128092714:a75119d5").as_deref(), Some("nodejs:18"));
        assert_eq!(stream("rhel10"), None);
        let of = |title: &str| stream_in_title(title, "1:18.1-1.module_el9.2.0").map(|stream| stream.to_string());
        assert_eq!(of("ALSA-2023:5363: nodejs:18 security, bug fix update (Important)").as_deref(), Some("nodejs:18"));
        assert_eq!(of("Important: httpd:2.4/mod_http2 security update").as_deref(), Some("httpd:2.4"));
        assert_eq!(of("Moderate: curl security update"), None);
        assert_eq!(stream_in_title("Important: nodejs:18 security update", "1-1.el9"), None);
    }

    #[test]
    fn builds_of_all_architectures_are_one() {
        let build = |name: &str, status: Status| Build {
            scope: Scope::new("rhel", Some("9")),
            module: None,
            package: name.parse().unwrap(),
            status,
        };
        let fixed = || Status::up_to(End::Fixed("1-1".into()));
        let mut builds = Builds::default();
        for arch in ["x86_64", "aarch64", "i686"] {
            builds.add(build("curl", fixed()), Some(arch));
        }
        builds.add(build("curl-minimal", fixed()), Some("x86_64"));
        builds.add(build("curl-src", fixed()), Some("src"));
        builds.add(build("curl-debuginfo", fixed()), Some("x86_64"));
        builds.add(build("data", fixed()), Some("noarch"));
        builds.add(build("open", Status::up_to(End::NotFixed)), Some("src"));
        let shown: Vec<_> =
            builds.finish().map(|(build, archs)| format!("{} {}", build.package, archs.join(","))).collect();
        assert_eq!(shown, ["curl ", "curl-minimal x86_64", "data ", "open "]);
    }
}
