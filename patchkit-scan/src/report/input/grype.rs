//! Grype's JSON (`grype --output json`).

use patchkit_core::{
    CvssScore, Digest, Epss, Exploitation, Finding, FixState, Package, SourcePackage, Suppressed, Version,
};
use serde::Deserialize;

use super::{ForeignFormat, ForeignReport, ReportError, json, nullable, trivy::tenths};
use crate::{
    purl_pattern::relative,
    report::foreign::{Collector, closest_fix, distribution, severity},
};

#[derive(Deserialize)]
struct Report {
    matches: Vec<Match>,
    #[serde(default, rename = "ignoredMatches", deserialize_with = "nullable")]
    ignored: Vec<Ignored>,
    #[serde(default)]
    source: Option<Source>,
    #[serde(default)]
    distro: Distro,
    #[serde(default)]
    descriptor: Descriptor,
}

#[derive(Deserialize)]
struct Source {
    #[serde(default)]
    target: Target,
}

/// What was scanned: an object for an image, a text for a folder.
#[derive(Deserialize)]
#[serde(untagged)]
enum Target {
    Image(ImageTarget),
    Path(String),
}

impl Default for Target {
    fn default() -> Self {
        Self::Path(String::new())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ImageTarget {
    #[serde(default)]
    pub(super) user_input: String,
    #[serde(default, rename = "imageID")]
    pub(super) image_id: String,
    #[serde(default)]
    pub(super) manifest_digest: String,
    #[serde(default, deserialize_with = "nullable")]
    pub(super) repo_digests: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Distro {
    name: String,
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Descriptor {
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    vulnerability: Vulnerability,
    #[serde(default, deserialize_with = "nullable")]
    related_vulnerabilities: Vec<Related>,
    #[serde(default, deserialize_with = "nullable")]
    match_details: Vec<Detail>,
    artifact: Artifact,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vulnerability {
    id: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    description: String,
    #[serde(default, deserialize_with = "nullable")]
    cvss: Vec<Cvss>,
    #[serde(default, deserialize_with = "nullable")]
    epss: Vec<EpssScore>,
    #[serde(default, deserialize_with = "nullable")]
    known_exploited: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    fix: Fix,
    #[serde(default, deserialize_with = "nullable")]
    advisories: Vec<Advisory>,
}

#[derive(Deserialize)]
struct Related {
    id: String,
}

#[derive(Deserialize)]
struct Advisory {
    #[serde(default)]
    id: String,
}

#[derive(Deserialize)]
struct Cvss {
    #[serde(default)]
    vector: String,
    #[serde(default)]
    metrics: Metrics,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Metrics {
    base_score: f64,
}

#[derive(Deserialize)]
struct EpssScore {
    #[serde(default)]
    epss: f64,
    #[serde(default)]
    percentile: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Fix {
    #[serde(deserialize_with = "nullable")]
    versions: Vec<String>,
    state: String,
}

#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    fix: Option<Suggestion>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Suggestion {
    suggested_version: String,
}

#[derive(Deserialize)]
struct Artifact {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    locations: Vec<Location>,
    #[serde(default)]
    purl: String,
    #[serde(default, deserialize_with = "nullable")]
    upstreams: Vec<Upstream>,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    path: String,
    #[serde(default, rename = "layerID")]
    layer: String,
}

#[derive(Deserialize)]
struct Upstream {
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ignored {
    #[serde(flatten)]
    what: Match,
    #[serde(default, deserialize_with = "nullable")]
    applied_ignore_rules: Vec<Rule>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Rule {
    #[serde(default)]
    reason: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    vex_status: String,
    #[serde(default)]
    vex_justification: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let report: Report = json(ForeignFormat::Grype, bytes)?;
    let mut collector = Collector::new(ForeignFormat::Grype);
    let found = collector.report();
    found.tool = Some(format!("Grype {}", report.descriptor.version).trim_end().to_owned());
    let Distro { name, version } = &report.distro;
    found.distribution = Some(distribution(name, version)).filter(|_| !name.is_empty());
    match report.source.map(|source| source.target) {
        Some(Target::Image(image)) => found.subject = image.subject(),
        Some(Target::Path(path)) => found.subject.name = Some(path).filter(|path| !path.is_empty()),
        None => {}
    }
    for found in &report.matches {
        if let Some(finding) = found.finding(&mut collector) {
            collector.finding(finding);
        }
    }
    for Ignored { what, applied_ignore_rules } in &report.ignored {
        let Some(finding) = what.finding(&mut collector) else { continue };
        let texts = applied_ignore_rules.iter().flat_map(|rule| {
            [&rule.vex_status, &rule.vex_justification, &rule.reason, &rule.namespace].map(String::as_str)
        });
        let texts: Vec<_> = texts.filter(|text| !text.is_empty()).collect();
        let reason = if texts.is_empty() { "ignored".to_owned() } else { texts.join(", ") };
        let (by, source) = ("grype".into(), "its ignore rules".into());
        collector.suppressed(Suppressed { finding, by, reason, source, until: None });
    }
    Ok(collector.finish())
}

impl ImageTarget {
    /// The image, as Grype and Syft describe it.
    pub(super) fn subject(&self) -> crate::report::ForeignSubject {
        let digests = self.repo_digests.iter().filter_map(|name| name.rsplit_once('@')?.1.parse().ok());
        crate::report::ForeignSubject {
            name: Some(self.user_input.clone()).filter(|name| !name.is_empty()),
            // The manifest may be one that the tool made itself for an image that it was given in another form, so the
            // configuration's digest says more.
            manifest: self.manifest_digest.parse().ok().filter(|_| self.image_id.parse::<Digest>().is_err()),
            config: self.image_id.parse().ok(),
            repository_digests: digests.chain(self.manifest_digest.parse().ok()).collect(),
            diff_ids: [].into(),
        }
    }
}

/// The type of purl for a type of package in Syft's words.
pub(super) fn purl_type(kind: &str) -> &str {
    match kind {
        "dart-pub" => "pub",
        "dotnet" | "nuget" => "nuget",
        "go-module" | "go-module-binary" => "golang",
        "java-archive" | "jenkins-plugin" => "maven",
        "php-composer" => "composer",
        "python" => "pypi",
        "rust-crate" => "cargo",
        "alpm" | "apk" | "conan" | "deb" | "gem" | "hex" | "npm" | "rpm" | "swift" => kind,
        _ => "generic",
    }
}

impl Match {
    fn finding(&self, collector: &mut Collector) -> Option<Finding> {
        let id = collector.id(&self.vulnerability.id)?;
        let package = self.artifact.package(collector)?;
        let (purl, version) = (package.purl.clone(), package.version.clone());
        collector.package(package);
        let Vulnerability { namespace, severity: word, description, cvss, advisories, .. } = &self.vulnerability;
        let source = if namespace.is_empty() { "grype" } else { namespace };
        let mut finding = Finding::new(id, purl, severity(word), self.fix(&version), source);
        let related = self.related_vulnerabilities.iter().map(|related| &related.id);
        let names = related.chain(advisories.iter().map(|advisory| &advisory.id)).filter(|id| !id.is_empty());
        finding.aliases = names.filter_map(|id| collector.id(id)).filter(|id| *id != finding.id).collect();
        finding.aliases.sort();
        finding.aliases.dedup();
        let scores = cvss.iter().filter(|cvss| !cvss.vector.is_empty());
        let score = |c: &Cvss| CvssScore { vector: c.vector.clone(), tenths: tenths(c.metrics.base_score) };
        finding.cvss = scores.map(score).collect();
        finding.title = description.lines().next().map(Into::into).filter(|title: &String| !title.is_empty());
        finding.exploitation = self.vulnerability.exploitation();
        Some(finding)
    }

    fn fix(&self, installed: &Version) -> FixState {
        let Fix { versions, state } = &self.vulnerability.fix;
        let suggested = self.match_details.iter().filter_map(|detail| detail.fix.as_ref());
        let suggested = suggested.map(|fix| fix.suggested_version.as_str()).find(|version| !version.is_empty());
        let fixed = closest_fix(installed, suggested.unwrap_or(&versions.join(",")));
        match (state.as_str(), fixed) {
            ("wont-fix", _) => FixState::WillNotFix,
            (_, Some(fixed)) => fixed,
            _ => FixState::NotFixed,
        }
    }
}

impl Vulnerability {
    fn exploitation(&self) -> Exploitation {
        let epss = self.epss.first();
        let epss = epss.map(|e| Epss { probability: share(e.epss), percentile: share(e.percentile) });
        Exploitation { known: !self.known_exploited.is_empty(), epss }
    }
}

/// A share of one in hundred thousandths.
pub(super) fn share(share: f64) -> u32 {
    (share * 100_000.0).round().clamp(0.0, 100_000.0) as u32
}

impl Artifact {
    fn package(&self, collector: &mut Collector) -> Option<Package> {
        let mut package = match self.purl.as_str() {
            "" => collector.named(purl_type(&self.kind), &self.name, &self.version)?,
            purl => collector.purl(purl)?,
        };
        let upstream = self.upstreams.first();
        let source = upstream.and_then(|upstream| {
            let version = if upstream.version.is_empty() { package.version.as_str() } else { &upstream.version };
            Some((upstream.name.parse().ok()?, Version::new(package.version.scheme(), version).ok()?))
        });
        package.source = source.map(|(name, version)| SourcePackage { name, version });
        package.layer = self.locations.first().and_then(|location| location.layer.parse::<Digest>().ok());
        let paths = self.locations.iter().map(|location| relative(&location.path).into_owned());
        package.locations.extend(paths.filter(|path| !path.is_empty()));
        Some(package)
    }
}
