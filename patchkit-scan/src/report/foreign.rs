//! What a report of another tool says, in our words.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use patchkit_core::{
    AdvisoryId, Digest, Distribution, Error, Finding, FixState, Image, Package, Purl, Result, ScanReport, Severity,
    Suppressed, Version,
};

use super::ForeignFormat;
use crate::purl_pattern;

/// What a report of another tool says, of whatever format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ForeignReport {
    /// The format it was read from.
    pub format: ForeignFormat,
    /// The tool that made it, with its version, where it says so: `Trivy 0.76.0`.
    pub tool: Option<String>,
    /// What it is about.
    pub subject: ForeignSubject,
    /// The distribution, where it says so.
    pub distribution: Option<Distribution>,
    /// The packages it lists and those of its findings, sorted by purl.
    pub packages: Vec<Package>,
    /// The findings, sorted by id and purl.
    pub findings: Vec<Finding>,
    /// The findings that it says do not count.
    pub suppressed: Vec<Suppressed>,
    /// What could not be taken over, and why; what the report itself warns of.
    pub warnings: Vec<String>,
}

/// What a report says about which image it is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignSubject {
    /// The name that it was called by.
    pub name: Option<String>,
    /// The digest of the image's manifest.
    pub manifest: Option<Digest>,
    /// The digest of the image's configuration, which Docker and Trivy call the image's id.
    pub config: Option<Digest>,
    /// The digests it has in registries: of the manifest, or of the index that lists it.
    pub repository_digests: BTreeSet<Digest>,
    /// The diff ids of the layers.
    pub diff_ids: BTreeSet<Digest>,
}

impl fmt::Display for ForeignSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digest = self.manifest.or(self.config).or_else(|| self.repository_digests.first().copied());
        match (&self.name, digest) {
            (Some(name), Some(digest)) => write!(f, "{name} ({digest})"),
            (Some(name), None) => f.write_str(name),
            (None, Some(digest)) => write!(f, "{digest}"),
            (None, None) => f.write_str("something without a name"),
        }
    }
}

impl ForeignSubject {
    /// Checks that this is the given image, by the strongest that is said: the manifest's digest, then the
    /// configuration's, then a digest in a registry, then the layers. Gives a warning where none of it is said, or only
    /// what may be the digest of an index.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where it is another image.
    pub fn check(&self, image: &Image) -> Result<Option<String>> {
        let Self { manifest, config, repository_digests, diff_ids, .. } = self;
        if repository_digests.contains(image.digest()) {
            return Ok(None);
        }
        let same = match (manifest, config) {
            (Some(manifest), _) => manifest == image.digest(),
            (None, Some(config)) => *config == image.manifest().config().digest,
            (None, None) if !diff_ids.is_empty() => *diff_ids == image.config().diff_ids().iter().copied().collect(),
            (None, None) => {
                let warning = match repository_digests.is_empty() {
                    true => format!("the report, about {self}, does not say by digest which image it is about"),
                    false => format!("the report is about {self}, which may be an index that lists the image, or not"),
                };
                return Ok(Some(warning));
            }
        };
        match same {
            true => Ok(None),
            false => {
                Err(Error::invalid(format!("the report is about {self}, not about this image")).on(image.digest()))
            }
        }
    }
}

impl ForeignReport {
    /// An empty one.
    pub(super) fn new(format: ForeignFormat) -> Self {
        Self {
            format,
            tool: None,
            subject: ForeignSubject::default(),
            distribution: None,
            packages: Vec::new(),
            findings: Vec::new(),
            suppressed: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// The report as one of a scanner of the given image.
    ///
    /// # Errors
    /// As [`ForeignSubject::check`].
    pub fn about(&self, image: &Image) -> Result<ScanReport> {
        let warning = self.subject.check(image)?;
        let Self { distribution, packages, findings, suppressed, warnings, .. } = self.clone();
        let warnings = warning.into_iter().chain(warnings).collect();
        Ok(ScanReport { distribution, packages, findings, suppressed, warnings, ..ScanReport::of(image) }.sorted())
    }
}

/// Collects a [`ForeignReport`]: every finding's package is among the packages, nothing stands twice, and what does not
/// fit our words becomes a warning.
pub(super) struct Collector {
    report: ForeignReport,
    packages: BTreeMap<Purl, Package>,
    unreadable: BTreeSet<String>,
}

/// How many things that do not fit are named each; of more it is said how many they are.
const NAMED: usize = 100;

impl Collector {
    pub(super) fn new(format: ForeignFormat) -> Self {
        Self { report: ForeignReport::new(format), packages: BTreeMap::new(), unreadable: BTreeSet::new() }
    }

    /// The report, for its single fields.
    pub(super) fn report(&mut self) -> &mut ForeignReport {
        &mut self.report
    }

    pub(super) fn warn(&mut self, warning: impl Into<String>) {
        self.unreadable.insert(warning.into());
    }

    /// Takes a package over; where it is known, what is new of it is added.
    pub(super) fn package(&mut self, package: Package) {
        if self.report.distribution.is_none() {
            self.report.distribution = distribution_of(&package.purl);
        }
        let Package { source, module, locations, layer, owner, .. } = package.clone();
        let known = self.packages.entry(package.purl.clone()).or_insert(package);
        known.source = known.source.take().or(source);
        known.module = known.module.take().or(module);
        known.layer = known.layer.or(layer);
        known.owner = known.owner.take().or(owner);
        known.locations.extend(locations);
    }

    /// The package of a purl that the report gives as text; `None` (with a warning) where it is none.
    pub(super) fn purl(&mut self, text: &str) -> Option<Package> {
        let found = text.parse::<Purl>().map_err(|error| error.to_string());
        let found = found.and_then(|purl| purl_pattern::package(&purl).ok_or(format!("{purl} has no version")));
        found.map_err(|why| self.warn(format!("left out: {why}"))).ok()
    }

    /// A package of name and version, of the given type of purl.
    pub(super) fn named(&mut self, kind: &str, name: &str, version: &str) -> Option<Package> {
        let (namespace, last) = purl_pattern::split_name(kind, name);
        let purl = purl_pattern::purl_of(kind, namespace, last, version);
        let found = purl.and_then(|purl| purl_pattern::package(&purl));
        if found.is_none() {
            self.warn(format!("left out: a package of the name {name:?} and version {version:?}"));
        }
        found
    }

    /// An id; `None` (with a warning) where it is none.
    pub(super) fn id(&mut self, text: &str) -> Option<AdvisoryId> {
        text.trim().parse().map_err(|error| self.warn(format!("left out: {error}"))).ok()
    }

    pub(super) fn finding(&mut self, finding: Finding) {
        self.report.findings.push(finding);
    }

    pub(super) fn suppressed(&mut self, suppressed: Suppressed) {
        self.report.suppressed.push(suppressed);
    }

    pub(super) fn finish(self) -> ForeignReport {
        let Self { mut report, mut packages, unreadable } = self;
        let found = report.findings.iter().chain(report.suppressed.iter().map(|suppressed| &suppressed.finding));
        for purl in found.map(|finding| &finding.package) {
            if !packages.contains_key(purl) {
                packages.extend(purl_pattern::package(purl).map(|package| (purl.clone(), package)));
            }
        }
        report.packages = packages.into_values().collect();
        report.findings.sort_by_cached_key(Finding::key);
        report.findings.dedup_by(|b, a| a.key() == b.key());
        report.suppressed.sort_by_cached_key(|suppressed| (suppressed.finding.key(), suppressed.source.clone()));
        report.suppressed.dedup();
        let more = unreadable.len().saturating_sub(NAMED);
        report.warnings.extend(unreadable.into_iter().take(NAMED));
        if more > 0 {
            report.warnings.push(format!("{more} more things of the report were left out"));
        }
        report
    }
}

/// A severity in any tool's words; [`Severity::Unknown`] for a word that none has.
pub(super) fn severity(word: &str) -> Severity {
    match word.trim().to_ascii_lowercase().as_str() {
        "critical" => Severity::Critical,
        "high" | "important" => Severity::High,
        "medium" | "moderate" => Severity::Medium,
        "low" => Severity::Low,
        "negligible" | "unimportant" | "info" | "none" => Severity::Negligible,
        _ => Severity::Unknown,
    }
}

/// The fix that lies closest to what is installed, of several for several lines of releases: the one that has most of
/// the version's parts in common from the start, of equal ones the first. `None` for a text without a version.
pub(super) fn closest_fix(installed: &Version, fixes: &str) -> Option<FixState> {
    let parts = |text: &str| text.split(['.', '-', '+', ':']).map(str::to_owned).collect::<Vec<_>>();
    let own = parts(installed.as_str());
    let common = |text: &str| own.iter().zip(parts(text)).take_while(|(a, b)| **a == *b).count();
    let fixes = fixes.split(',').map(str::trim).filter(|text| !text.is_empty());
    let best = fixes.rev().max_by_key(|text| common(text))?;
    Version::new(installed.scheme(), best).ok().map(FixState::Fixed)
}

/// The distribution that a package is of, from the qualifier `distro` and the namespace of its purl.
pub(crate) fn distribution_of(purl: &Purl) -> Option<Distribution> {
    let parts = purl.parts();
    if !matches!(parts.kind.as_str(), "alpm" | "apk" | "deb" | "rpm") {
        return None;
    }
    let distro = parts.qualifiers.get("distro")?;
    let by_namespace = distro.strip_prefix(parts.namespace.as_str()).and_then(|rest| rest.strip_prefix('-'));
    let (id, version) = match by_namespace {
        Some(version) => (parts.namespace.as_str(), version),
        None => distro.rsplit_once('-')?,
    };
    Some(distribution(id, version))
}

/// The distribution of an id and a version, which may be a number or a codename.
pub(crate) fn distribution(id: &str, version: &str) -> Distribution {
    let id = match id.to_ascii_lowercase().as_str() {
        "redhat" => "rhel".into(),
        "suse linux enterprise server" => "sles".into(),
        "opensuse.leap" => "opensuse-leap".into(),
        "opensuse.tumbleweed" => "opensuse-tumbleweed".into(),
        "oracle" => "ol".into(),
        "amazon" => "amzn".into(),
        "alma" => "almalinux".into(),
        id => id.to_owned(),
    };
    let version = Some(version.to_owned()).filter(|version| !version.is_empty());
    let number = version.as_ref().is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()));
    let (version_id, codename) = if number { (version, None) } else { (None, version) };
    Distribution { id, version_id, codename, pretty_name: None, id_like: Vec::new() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn of_several_fixes_the_closest() {
        let version = |text: &str| Version::new("npm", text).unwrap();
        for (installed, fixes, fix) in [
            ("2.1.1", "1.2.1, 2.1.3, 3.4.0", Some("2.1.3")),
            ("4.0.0", "1.2.1, 2.1.3", Some("1.2.1")),
            ("1.0", "2.0", Some("2.0")),
            ("1.0", " , ", None),
        ] {
            let found = closest_fix(&version(installed), fixes);
            assert_eq!(found, fix.map(|fix| FixState::Fixed(version(fix))), "{installed} {fixes}");
        }
    }

    #[test]
    fn a_package_tells_its_distribution() {
        for (purl, expected) in [
            ("pkg:deb/debian/a@1?distro=debian-11.11", Some(("debian", Some("11.11"), None))),
            ("pkg:deb/debian/a@1?distro=debian-bookworm", Some(("debian", None, Some("bookworm")))),
            ("pkg:rpm/opensuse-leap/a@1?distro=opensuse-leap-15.5", Some(("opensuse-leap", Some("15.5"), None))),
            ("pkg:rpm/redhat/a@1?distro=redhat-9.4", Some(("rhel", Some("9.4"), None))),
            ("pkg:npm/a@1?distro=debian-11", None),
            ("pkg:deb/debian/a@1", None),
        ] {
            let found = distribution_of(&purl.parse().unwrap());
            let found = found.as_ref().map(|d| (d.id.as_str(), d.version_id.as_deref(), d.codename.as_deref()));
            assert_eq!(found, expected, "{purl}");
        }
    }
}
