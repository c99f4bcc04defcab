//! Trivy's JSON, schema 2 (`trivy image --format json`).

use patchkit_core::{CvssScore, Digest, Distribution, Finding, FixState, Package, SourcePackage, Suppressed, Version};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

use super::{ForeignFormat, ForeignReport, ReportError, json, nullable};
use crate::{
    purl_pattern::{relative, scheme},
    report::foreign::{Collector, closest_fix, distribution, severity},
};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Report {
    schema_version: u32,
    trivy: Tool,
    artifact_name: String,
    metadata: Metadata,
    #[serde(deserialize_with = "nullable")]
    results: Vec<Target>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Tool {
    version: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Metadata {
    #[serde(rename = "OS")]
    os: Option<Os>,
    #[serde(rename = "ImageID")]
    image_id: String,
    #[serde(rename = "DiffIDs", deserialize_with = "nullable")]
    diff_ids: Vec<String>,
    #[serde(deserialize_with = "nullable")]
    repo_digests: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Os {
    family: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Target {
    target: String,
    class: String,
    #[serde(rename = "Type")]
    kind: String,
    #[serde(deserialize_with = "nullable")]
    packages: Vec<Installed>,
    #[serde(deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
    #[serde(deserialize_with = "nullable")]
    experimental_modified_findings: Vec<Modified>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Identifier {
    #[serde(rename = "PURL")]
    purl: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Layer {
    #[serde(rename = "DiffID")]
    diff_id: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Installed {
    name: String,
    identifier: Identifier,
    version: String,
    release: String,
    epoch: u64,
    src_name: String,
    src_version: String,
    src_release: String,
    src_epoch: u64,
    modularitylabel: String,
    layer: Layer,
    file_path: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Vulnerability {
    #[serde(rename = "VulnerabilityID")]
    vulnerability_id: String,
    #[serde(rename = "VendorIDs", deserialize_with = "nullable")]
    vendor_ids: Vec<String>,
    pkg_name: String,
    pkg_path: String,
    pkg_identifier: Identifier,
    installed_version: String,
    fixed_version: String,
    status: String,
    layer: Layer,
    severity: String,
    severity_source: String,
    title: String,
    data_source: Option<DataSource>,
    #[serde(rename = "CVSS", deserialize_with = "nullable")]
    cvss: BTreeMap<String, Cvss>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DataSource {
    #[serde(rename = "ID")]
    id: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cvss {
    #[serde(rename = "V2Vector")]
    v2: String,
    #[serde(rename = "V2Score")]
    v2_score: f64,
    #[serde(rename = "V3Vector")]
    v3: String,
    #[serde(rename = "V3Score")]
    v3_score: f64,
    #[serde(rename = "V40Vector")]
    v4: String,
    #[serde(rename = "V40Score")]
    v4_score: f64,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Modified {
    status: String,
    statement: String,
    source: String,
    finding: Vulnerability,
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let format = ForeignFormat::Trivy;
    let report: Report = json(format, bytes)?;
    if report.schema_version != 2 {
        return Err(ReportError::UnknownVersion { format, version: report.schema_version.to_string() });
    }
    let mut collector = Collector::new(format);
    subject(&mut collector, &report);
    for target in &report.results {
        take(&mut collector, target);
    }
    Ok(collector.finish())
}

fn subject(collector: &mut Collector, report: &Report) {
    let Metadata { os, image_id, diff_ids, repo_digests } = &report.metadata;
    let found = collector.report();
    found.tool = Some(format!("Trivy {}", report.trivy.version).trim_end().to_owned());
    found.distribution = os.as_ref().filter(|os| !os.family.is_empty()).map(os_release);
    found.subject.name = Some(report.artifact_name.clone()).filter(|name| !name.is_empty());
    found.subject.config = image_id.parse().ok();
    found.subject.diff_ids = diff_ids.iter().filter_map(|id| id.parse().ok()).collect();
    let digests = repo_digests.iter().filter_map(|name| name.rsplit_once('@')?.1.parse().ok());
    found.subject.repository_digests = digests.collect();
}

fn os_release(os: &Os) -> Distribution {
    distribution(&os.family, &os.name)
}

fn take(collector: &mut Collector, target: &Target) {
    let mut known = HashMap::new();
    for installed in &target.packages {
        let Some(package) = installed.package(collector, target) else { continue };
        known.insert((installed.name.as_str(), package.version.to_string()), package.purl.clone());
        collector.package(package);
    }
    for vulnerability in &target.vulnerabilities {
        if let Some(finding) = vulnerability.finding(collector, target, &known) {
            collector.finding(finding);
        }
    }
    for Modified { status, statement, source, finding } in &target.experimental_modified_findings {
        if let Some(finding) = finding.finding(collector, target, &known) {
            let reason = if statement.is_empty() { status } else { statement };
            let (by, reason, source) = (source.clone(), reason.clone(), source.clone());
            collector.suppressed(Suppressed { finding, by, reason, source, until: None });
        }
    }
}

/// `epoch:version-release`, as far as there is one.
fn evr(epoch: u64, version: &str, release: &str) -> String {
    let epoch = if epoch > 0 { format!("{epoch}:") } else { String::new() };
    let release = if release.is_empty() { String::new() } else { format!("-{release}") };
    format!("{epoch}{version}{release}")
}

impl Installed {
    fn package(&self, collector: &mut Collector, target: &Target) -> Option<Package> {
        let version = evr(self.epoch, &self.version, &self.release);
        let mut package = match self.identifier.purl.as_str() {
            "" => collector.named(purl_type(target), &self.name, &version)?,
            purl => collector.purl(purl)?,
        };
        let kind = package.version.scheme().to_owned();
        let source = evr(self.src_epoch, &self.src_version, &self.src_release);
        let source = self.src_name.parse().ok().zip(Version::new(&kind, &source).ok());
        package.source = source.map(|(name, version)| SourcePackage { name, version });
        package.module = module(&self.modularitylabel);
        package.layer = self.layer.diff_id.parse().ok();
        let path = match (self.file_path.as_str(), target.class.as_str()) {
            ("", "lang-pkgs") if target.target.contains('/') => target.target.as_str(),
            (path, _) => path,
        };
        package.locations.extend(Some(relative(path).into_owned()).filter(|path| !path.is_empty()));
        Some(package)
    }
}

/// `nodejs:18`, of rpm's label `nodejs:18:8080020230322:63b34585:x86_64`.
fn module(label: &str) -> Option<String> {
    let mut parts = label.splitn(3, ':');
    Some(format!("{}:{}", parts.next().filter(|name| !name.is_empty())?, parts.next()?))
}

impl Vulnerability {
    fn finding(
        &self,
        collector: &mut Collector,
        target: &Target,
        known: &HashMap<(&str, String), patchkit_core::Purl>,
    ) -> Option<Finding> {
        let id = collector.id(&self.vulnerability_id)?;
        let listed = known.get(&(self.pkg_name.as_str(), self.installed_version.clone()));
        let purl = match (self.pkg_identifier.purl.as_str(), listed) {
            ("", Some(purl)) => purl.clone(),
            ("", None) => self.unlisted(collector, target, None)?,
            (purl, _) => self.unlisted(collector, target, Some(purl))?,
        };
        let version = Version::new(scheme(&purl.parts().kind), &self.installed_version).ok();
        let fixed = version.and_then(|version| closest_fix(&version, &self.fixed_version));
        let fix = match self.status.as_str() {
            "will_not_fix" | "end_of_life" => FixState::WillNotFix,
            "not_affected" => FixState::NotAffected,
            _ => fixed.unwrap_or(FixState::NotFixed),
        };
        let source = self.data_source.as_ref().map_or(self.severity_source.as_str(), |source| &source.id);
        let source = if source.is_empty() { "trivy" } else { source };
        let mut finding = Finding::new(id, purl, severity(&self.severity), fix, source);
        finding.aliases = self.vendor_ids.iter().filter_map(|id| collector.id(id)).collect();
        finding.title = Some(self.title.clone()).filter(|title| !title.is_empty());
        finding.cvss = self.scores();
        Some(finding)
    }

    /// The purl of a package that is not in the target's list: older reports have none, and a VEX may have moved it.
    fn unlisted(&self, collector: &mut Collector, target: &Target, purl: Option<&str>) -> Option<patchkit_core::Purl> {
        let mut package = match purl {
            Some(purl) => collector.purl(purl)?,
            None => collector.named(purl_type(target), &self.pkg_name, &self.installed_version)?,
        };
        package.layer = self.layer.diff_id.parse::<Digest>().ok();
        package.locations.extend(Some(relative(&self.pkg_path).into_owned()).filter(|path| !path.is_empty()));
        let purl = package.purl.clone();
        collector.package(package);
        Some(purl)
    }

    /// The vectors of all sources, the newest version of CVSS first, each once.
    fn scores(&self) -> Vec<CvssScore> {
        let all = self.cvss.values();
        let all = all.flat_map(|c| [(&c.v4, c.v4_score, 0), (&c.v3, c.v3_score, 1), (&c.v2, c.v2_score, 2)]);
        let mut scores: Vec<_> = all.filter(|(vector, _, _)| !vector.is_empty()).collect();
        scores.sort_by(|a, b| (a.2, a.0).cmp(&(b.2, b.0)));
        scores.dedup_by(|a, b| a.0 == b.0);
        scores
            .into_iter()
            .map(|(vector, score, _)| CvssScore { vector: vector.clone(), tenths: tenths(score) })
            .collect()
    }
}

/// A score in tenths, 0 to 100.
pub(super) fn tenths(score: f64) -> u8 {
    // The cast saturates, and makes 0 of what is no number.
    (score * 10.0).round().clamp(0.0, 100.0) as u8
}

/// The type of purl of a target's packages.
fn purl_type(target: &Target) -> &'static str {
    match target.kind.as_str() {
        "alpine" | "chainguard" | "wolfi" => "apk",
        "debian" | "ubuntu" => "deb",
        "alma"
        | "amazon"
        | "azurelinux"
        | "cbl-mariner"
        | "centos"
        | "fedora"
        | "opensuse"
        | "opensuse-leap"
        | "opensuse-tumbleweed"
        | "opensuse.leap"
        | "opensuse.tumbleweed"
        | "oracle"
        | "photon"
        | "redhat"
        | "rocky"
        | "slem"
        | "sles"
        | "suse linux enterprise server" => "rpm",
        "bun" | "node-pkg" | "npm" | "pnpm" | "yarn" => "npm",
        "bundler" | "gemspec" => "gem",
        "cargo" | "rustbinary" => "cargo",
        "composer" | "composer-vendor" => "composer",
        "dotnet-core" | "nuget" | "packages-props" => "nuget",
        "gobinary" | "gomod" => "golang",
        "gradle" | "jar" | "pom" | "sbt" => "maven",
        "pip" | "pipenv" | "poetry" | "python-pkg" | "uv" => "pypi",
        _ => "generic",
    }
}
