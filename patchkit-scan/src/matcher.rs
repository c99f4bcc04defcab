//! Which packages are vulnerable, according to an [`AdvisoryStore`].
//!
//! Distributions fix vulnerabilities in source packages, without changing the upstream version that others compare:
//! so a package is judged by its source package's name and version, against the advisories of the image's own
//! distribution and release, in that distribution's order of versions. A derivative is judged by its own advisories,
//! never by those of the distribution it derives from, whose versions say nothing about it.

use std::collections::BTreeMap;

use patchkit_core::{Distribution, Error, Finding, FixState, Package, Result, Severity, Version};
use serde::Serialize;

use crate::{
    advisory::{AdvisoryStore, Claim, End, Range, Scope, Status},
    debian::{catalog::SCHEME as DEB, version::DebVersion},
};

/// Whether findings are reported that say that a package is not affected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unaffected {
    /// They are left out.
    #[default]
    Omit,
    /// They are reported, with [`FixState::NotAffected`]: for statements about what was looked at.
    Report,
}

/// What a [`Matcher`] found out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// A finding for each vulnerability of each package, sorted.
    pub findings: Vec<Finding>,
    /// What could not be judged, and why.
    pub warnings: Vec<String>,
}

/// Matches packages with advisories.
#[derive(Clone, Copy, Debug)]
pub struct Matcher<'a> {
    advisories: &'a AdvisoryStore,
    unaffected: Unaffected,
}

impl<'a> Matcher<'a> {
    /// A matcher by the given advisories.
    #[must_use]
    pub fn new(advisories: &'a AdvisoryStore) -> Self {
        Self { advisories, unaffected: Unaffected::default() }
    }

    /// The same, with another choice about what is not affected.
    #[must_use]
    pub fn with_unaffected(self, unaffected: Unaffected) -> Self {
        Self { unaffected, ..self }
    }

    /// Judges the packages of an image of the given distribution.
    ///
    /// # Errors
    /// As [`AdvisoryStore::claims`]: where the advisories cannot be read.
    pub fn judge(&self, distribution: Option<&Distribution>, packages: &[Package]) -> Result<Matches> {
        let mut matches = Matches::default();
        let Some(distribution) = distribution else {
            if !packages.is_empty() {
                matches.warnings.push("without a distribution, its packages cannot be judged".into());
            }
            return Ok(matches);
        };
        let scope = Scope::of(distribution);
        if !self.advisories.covers(&scope) {
            matches.warnings.push(format!("no advisories for {scope}: its packages were not judged"));
            return Ok(matches);
        }
        let mut unreadable = BTreeMap::new();
        for package in packages {
            match self.judge_one(&scope, package) {
                Ok(findings) => matches.findings.extend(findings),
                Err(Unjudged::Version(why)) => drop(unreadable.insert(&package.purl, why)),
                Err(Unjudged::Advisories(error)) => return Err(error),
            }
        }
        matches.warnings.extend(unreadable.iter().map(|(purl, why)| format!("{purl} was not judged: {why}")));
        matches.findings.sort_by_cached_key(Finding::key);
        Ok(matches)
    }

    fn judge_one(&self, scope: &Scope, package: &Package) -> Result<Vec<Finding>, Unjudged> {
        let (name, version) = judged_as(package);
        if version.scheme() != DEB {
            return Err(format!("the order of {} versions is not known", version.scheme()).into());
        }
        let installed = DebVersion::parse_lenient(version.as_str()).map_err(|error| error.to_string())?;
        let mut findings = Vec::new();
        for claim in self.advisories.claims(scope, name)? {
            let state = state(&claim, &installed).map_err(|error| format!("{}: {error}", claim.id()))?;
            let reported = |state: &FixState| *state != FixState::NotAffected || self.unaffected == Unaffected::Report;
            if let Some(fix) = state.filter(reported) {
                findings.push(self.finding(&claim, package, fix)?);
            }
        }
        Ok(findings)
    }

    fn finding(&self, claim: &Claim, package: &Package, fix: FixState) -> Result<Finding> {
        let known = self.advisories.vulnerability(claim)?.unwrap_or_default();
        let names = known.aliases.iter().map(|name| name.parse().expect("it was an id before"));
        let mut aliases: Vec<_> = claim.bulletins().chain(names).filter(|name| *name != claim.id()).collect();
        aliases.sort();
        aliases.dedup();
        let severity = if claim.urgency() == Severity::Unknown { known.severity } else { claim.urgency() };
        let title = known.title.as_deref().map(Into::into);
        let finding = Finding::new(claim.id(), package.purl.clone(), severity, fix, claim.source());
        Ok(Finding { aliases, title, ..finding })
    }
}

/// Why a package was not judged.
enum Unjudged {
    Version(String),
    Advisories(Error),
}

impl From<String> for Unjudged {
    fn from(why: String) -> Self {
        Self::Version(why)
    }
}

impl From<Error> for Unjudged {
    fn from(error: Error) -> Self {
        Self::Advisories(error)
    }
}

/// The name and version that advisories speak of.
///
/// Debian's signed kernels and boot loaders are built from template source packages of their own
/// (`linux-signed-amd64`, whose version has a `+` for the `-`), while advisories speak of the source of the code. The
/// binary packages have that source's version.
fn judged_as(package: &Package) -> (&str, &Version) {
    let Some(source) = &package.source else { return (package.name.as_str(), &package.version) };
    match source.name.as_str() {
        name if name.starts_with("linux-signed-") => ("linux", &package.version),
        name => (name, &source.version),
    }
}

/// How an installed version stands; `None` where it does not have the vulnerability, or no more.
fn state(claim: &Claim, installed: &DebVersion) -> Result<Option<FixState>, String> {
    let ranges = match claim.status() {
        Status::NotAffected => return Ok(Some(FixState::NotAffected)),
        Status::Affected(ranges) => ranges,
    };
    let (mut fixed, mut state) = (None::<DebVersion>, None);
    for range in ranges {
        if !contains(range, installed)? {
            continue;
        }
        match &range.end {
            End::Fixed(version) => fixed = fixed.max(Some(parse(version)?)),
            End::WillNotFix => state = Some(FixState::WillNotFix),
            End::FixedElsewhere(_) | End::Last(_) | End::NotFixed => state = state.or(Some(FixState::NotFixed)),
        }
    }
    let Some(fixed) = fixed else { return Ok(state) };
    let fixed = Version::new(DEB, fixed.as_str()).map_err(|error| error.to_string())?;
    Ok(Some(FixState::Fixed(fixed)))
}

fn contains(range: &Range, installed: &DebVersion) -> Result<bool, String> {
    let started = match &range.from {
        Some(from) => *installed >= parse(from)?,
        None => true,
    };
    let goes_on = match &range.end {
        End::Fixed(end) | End::FixedElsewhere(end) => *installed < parse(end)?,
        End::Last(end) => *installed <= parse(end)?,
        End::NotFixed | End::WillNotFix => true,
    };
    Ok(started && goes_on)
}

fn parse(text: &str) -> Result<DebVersion, String> {
    DebVersion::parse_lenient(text).map_err(|error| format!("version {text:?}: {error}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use patchkit_core::{PurlParts, SourcePackage};

    use super::*;
    use crate::os_release;

    fn package(name: &str, version: &str, source: Option<(&str, &str)>) -> Package {
        let version_of = |text: &str| Version::new(DEB, text).unwrap();
        let parts =
            PurlParts { kind: "deb".into(), name: name.into(), version: version.into(), ..PurlParts::default() };
        let source =
            source.map(|(name, version)| SourcePackage { name: name.parse().unwrap(), version: version_of(version) });
        Package { source, ..Package::new(parts.build().unwrap(), name.parse().unwrap(), version_of(version)) }
    }

    fn judge(list: &str, package: Package, unaffected: Unaffected) -> Vec<FixState> {
        let mut builder = AdvisoryStore::builder();
        builder.read("list", list.as_bytes()).unwrap();
        let store = builder.build();
        let debian = os_release::parse(b"ID=debian\nVERSION_ID=11\n").unwrap();
        let matches = Matcher::new(&store).with_unaffected(unaffected).judge(Some(&debian), &[package]).unwrap();
        assert_eq!(matches.warnings, [""; 0]);
        matches.findings.into_iter().map(|finding| finding.fix).collect()
    }

    fn fixed(version: &str) -> FixState {
        FixState::Fixed(Version::new(DEB, version).unwrap())
    }

    #[test]
    fn every_state() {
        let curl = || package("libcurl4", "7.74.0-1.3+deb11u7", Some(("curl", "7.74.0-1.3+deb11u7")));
        for (line, expected) in [
            ("[bullseye] - curl 7.74.0-1.3+deb11u8", vec![fixed("7.74.0-1.3+deb11u8")]),
            ("[bullseye] - curl 7.74.0-1.3+deb11u7", vec![]),
            ("[bullseye] - curl <no-dsa> (Minor)", vec![FixState::NotFixed]),
            ("[bullseye] - curl <ignored> (Minor)", vec![FixState::WillNotFix]),
            ("[bullseye] - curl <not-affected> (Newer)", vec![FixState::NotAffected]),
            ("[bookworm] - curl <unfixed>", vec![]),
            ("- curl 7.88.1-7", vec![FixState::NotFixed]),
            ("- curl 7.70-1", vec![]),
        ] {
            let list = format!("CVE-2023-27534 (x)\n\t[bullseye] - other 1\n\t{line}\n");
            assert_eq!(judge(&list, curl(), Unaffected::Report), expected, "{line}");
        }
        let list = "CVE-2023-27534 (x)\n\t[bullseye] - curl <not-affected> (Newer)\n";
        assert_eq!(judge(list, curl(), Unaffected::Omit), []);
    }

    #[test]
    fn the_highest_of_several_fixes_counts() {
        let list = "[01 Nov 2024] DLA-3942-2 openssl - regression update\n\t{CVE-2024-5535}\n\t[bullseye] - openssl 1.1.1w-0+deb11u2\n\
                    [30 Oct 2024] DLA-3942-1 openssl - security update\n\t{CVE-2024-5535}\n\t[bullseye] - openssl 1.1.1n-0+deb11u6\n";
        let openssl = |version| package("libssl1.1", version, Some(("openssl", version)));
        for (installed, expected) in [
            ("1.1.1n-0+deb11u5", vec![fixed("1.1.1w-0+deb11u2")]),
            ("1.1.1w-0+deb11u1", vec![fixed("1.1.1w-0+deb11u2")]),
            ("1.1.1w-0+deb11u2", vec![]),
        ] {
            assert_eq!(judge(list, openssl(installed), Unaffected::Omit), expected, "{installed}");
        }
    }

    #[test]
    fn the_source_is_judged_not_the_binary() {
        let list = "CVE-2023-1000 (x)\n\t[bullseye] - bash 5.2.15-2\n\t[bullseye] - linux 5.10.226-1\n";
        let rebuilt = package("bash", "5.2.15-2+b13", Some(("bash", "5.2.15-2")));
        assert_eq!(judge(list, rebuilt, Unaffected::Omit), []);
        let epoch = package("bash-doc", "1:99", Some(("bash", "5.2.15-1")));
        assert_eq!(judge(list, epoch, Unaffected::Omit), [fixed("5.2.15-2")]);
        let kernel =
            |version, signed| package("linux-image-5.10.0-33-amd64", version, Some(("linux-signed-amd64", signed)));
        assert_eq!(judge(list, kernel("5.10.226-1", "5.10.226+1"), Unaffected::Omit), []);
        assert_eq!(judge(list, kernel("5.10.223-1", "5.10.223+1"), Unaffected::Omit), [fixed("5.10.226-1")]);
    }

    #[test]
    fn what_cannot_be_judged_is_said() {
        let mut builder = AdvisoryStore::builder();
        builder.read("list", "CVE-2023-1000 (x)\n\t[bullseye] - bash 5.2.15-2\n".as_bytes()).unwrap();
        let store = builder.build();
        let bash = [package("bash", "5.1", None)];
        let judge = |release: &[u8]| {
            let distribution = os_release::parse(release).unwrap();
            Matcher::new(&store).judge(Some(&distribution), &bash).unwrap()
        };
        let derivative = judge(b"ID=vyos\nID_LIKE=debian\nVERSION_CODENAME=bullseye\n");
        assert!(derivative.findings.is_empty());
        assert_eq!(derivative.warnings, ["no advisories for vyos bullseye: its packages were not judged"]);
        assert_eq!(judge(b"ID=debian\nVERSION_ID=12\n").warnings.len(), 1);
        assert_eq!(Matcher::new(&store).judge(None, &bash).unwrap().warnings.len(), 1);
        assert_eq!(judge(b"ID=debian\nVERSION_ID=11\n").findings.len(), 1);
    }
}
