//! CycloneDX 1.6 JSON: the image as the document's component, packages as components, a vulnerability a finding.
//!
//! Source: the CycloneDX specification 1.6. Sources, layers and types of packages are in Trivy's properties too, so
//! that Trivy matches the document as it would the image.

use patchkit_core::{CvssScore, Distribution, Finding, Package, Presence, ScanReport, Severity, Suppressed};
use serde_json::{Map, Value, json};

use super::{
    WriteOptions, address, advice, compact, cvss_version, evr, fix_word, identity, image_purl, score,
    trivy::{family, language_type},
    uuid,
};
use crate::{
    alias::is_vulnerability,
    purl_pattern::find,
    report::property::{self, trivy},
};

const OS_REF: &str = "operating-system";

pub(super) fn document(report: &ScanReport, options: &WriteOptions) -> Value {
    let serial = uuid(&identity("cyclonedx", std::slice::from_ref(report), options));
    let os = report.distribution.as_ref().map(operating_system);
    let packages = report.packages.iter().map(|package| component(report, package));
    let found = report.findings.iter().map(|finding| vulnerability(report, finding, None));
    let suppressed = report.suppressed.iter().map(|s| vulnerability(report, &s.finding, Some(s)));
    json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": format!("urn:uuid:{serial}"),
        "version": 1,
        "metadata": {
            "timestamp": options.seconds(),
            "tools": {"components": [{
                "type": "application", "name": "patchkit", "version": env!("CARGO_PKG_VERSION"),
            }]},
            "component": image(report, options),
        },
        "components": os.into_iter().chain(packages).collect::<Vec<_>>(),
        "vulnerabilities": found.chain(suppressed).collect::<Vec<_>>(),
    })
}

fn image(report: &ScanReport, options: &WriteOptions) -> Value {
    let mut properties = Properties::default();
    properties.add(property::PLATFORM, report.platform.to_string());
    report.warnings.iter().for_each(|warning| properties.add(property::WARNING, warning));
    compact(json!({
        "bom-ref": report.subject.to_string(),
        "type": "container",
        "name": options.name_of(report),
        "version": report.subject.to_string(),
        "hashes": [{"alg": report.subject.algorithm().as_str().replace("sha", "SHA-"), "content": report.subject.hex()}],
        "purl": image_purl(report, options),
        "properties": properties.value(),
    }))
}

fn operating_system(distribution: &Distribution) -> Value {
    let mut properties = Properties::default();
    properties.add(trivy::CLASS, "os-pkgs");
    properties.add(trivy::TYPE, family(distribution));
    properties.maybe(property::CODENAME, distribution.codename.as_deref());
    compact(json!({
        "bom-ref": OS_REF,
        "type": "operating-system",
        "name": distribution.id,
        "version": distribution.version_id.as_deref().or(distribution.codename.as_deref()),
        "description": distribution.pretty_name,
        "properties": properties.value(),
    }))
}

fn component(report: &ScanReport, package: &Package) -> Value {
    let mut properties = Properties::default();
    properties.maybe(trivy::LAYER_DIFF_ID, package.layer.map(|layer| layer.to_string()));
    properties.maybe(trivy::MODULE, package.module.as_deref());
    properties.add(trivy::PKG_ID, format!("{}@{}", package.name, package.version));
    properties.add(trivy::PKG_TYPE, package_type(report, package));
    if let Some(source) = &package.source {
        let (epoch, version, release) = evr(source.version.scheme(), source.version.as_str());
        properties.maybe(trivy::SRC_EPOCH, epoch);
        properties.add(trivy::SRC_NAME, source.name.as_str());
        properties.maybe(trivy::SRC_RELEASE, release);
        properties.add(trivy::SRC_VERSION, version);
    }
    package.locations.iter().for_each(|location| properties.add(property::LOCATION, location));
    properties.maybe(property::OWNER, package.owner.as_ref().map(|owner| owner.as_str()));
    properties.maybe(property::PRESENCE, presence(package.presence));
    compact(json!({
        "bom-ref": reference(report, package),
        "type": "library",
        "name": package.name,
        "version": package.version.as_str(),
        "purl": package.purl,
        "properties": properties.value(),
    }))
}

/// The purl, and for a further package of the same purl its number as well.
fn reference(report: &ScanReport, package: &Package) -> String {
    let start = report.packages.partition_point(|other| other.purl < package.purl);
    let twins = report.packages[start..].iter().take_while(|other| other.purl == package.purl);
    match twins.into_iter().position(|twin| twin == package) {
        Some(n @ 1..) => format!("{}#{n}", package.purl),
        _ => package.purl.to_string(),
    }
}

fn package_type(report: &ScanReport, package: &Package) -> String {
    match (package.purl.parts().kind.as_str(), &report.distribution) {
        ("alpm" | "apk" | "deb" | "rpm", Some(distribution)) => family(distribution),
        (kind, _) => language_type(kind).into(),
    }
}

fn presence(presence: Presence) -> Option<&'static str> {
    match presence {
        Presence::Declared => Some("declared"),
        Presence::Guessed => Some("guessed"),
        Presence::Installed => None,
    }
}

fn vulnerability(report: &ScanReport, finding: &Finding, suppressed: Option<&Suppressed>) -> Value {
    let source = json!({"name": finding.source});
    let (references, advisories): (Vec<_>, Vec<_>) = finding.aliases.iter().partition(|id| is_vulnerability(id));
    let references = references.into_iter();
    let references = references.map(|id| json!({"id": id, "source": {"name": finding.source, "url": address(id)}}));
    let references: Vec<_> = references.collect();
    let advisories: Vec<_> = advisories.into_iter().map(|id| json!({"title": id, "url": address(id)})).collect();
    compact(json!({
        "id": finding.id,
        "source": {"name": finding.source, "url": address(&finding.id)},
        "references": Some(references).filter(|references| !references.is_empty()),
        "ratings": ratings(finding, &source),
        "description": finding.title,
        "recommendation": advice(report, finding),
        "advisories": Some(advisories).filter(|advisories| !advisories.is_empty()),
        "affects": [{"ref": finding.package, "versions": affected(report, finding)}],
        "analysis": suppressed.map(analysis),
        "properties": finding_properties(finding, suppressed),
    }))
}

fn affected(report: &ScanReport, finding: &Finding) -> Value {
    let package = find(&report.packages, &finding.package);
    let version = package.map_or_else(|| finding.package.parts().version, |package| package.version.to_string());
    json!([{"version": version, "status": "affected"}])
}

fn ratings(finding: &Finding, source: &Value) -> Vec<Value> {
    let mut ratings = vec![json!({"source": source, "severity": severity(finding.severity)})];
    ratings.extend(finding.cvss.iter().map(|CvssScore { vector, tenths }| {
        let method = match cvss_version(vector) {
            "2" => "CVSSv2",
            "3.0" => "CVSSv3",
            "3.1" => "CVSSv31",
            "4.0" => "CVSSv4",
            _ => "other",
        };
        json!({"source": source, "score": score(*tenths), "method": method, "vector": vector})
    }));
    if let Some(epss) = finding.exploitation.epss {
        let source = json!({"name": "FIRST", "url": "https://www.first.org/epss/"});
        ratings.push(json!({"source": source, "score": share(epss.probability), "method": "other"}));
    }
    if finding.exploitation.known {
        let url = "https://www.cisa.gov/known-exploited-vulnerabilities-catalog";
        let source = json!({"name": "CISA KEV Catalog", "url": url});
        let why = "Listed in CISA KEV";
        ratings.push(json!({"source": source, "score": 1, "method": "other", "justification": why}));
    }
    ratings
}

/// Hundred thousandths as a share of one.
fn share(parts: u32) -> f64 {
    f64::from(parts) / 100_000.0
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::Negligible => "info",
        Severity::Unknown => "unknown",
    }
}

fn finding_properties(finding: &Finding, suppressed: Option<&Suppressed>) -> Value {
    let mut properties = Properties::default();
    properties.add(property::FIX, fix_word(&finding.fix));
    let epss = finding.exploitation.epss;
    properties.maybe(property::EPSS, epss.map(|e| format!("{} {}", share(e.probability), share(e.percentile))));
    if finding.severity == Severity::Negligible {
        properties.add(property::SEVERITY, finding.severity.as_str());
    }
    properties.maybe(property::SUPPRESSED_BY, suppressed.map(|s| s.by.as_str()));
    properties.maybe(property::SUPPRESSED_SOURCE, suppressed.map(|s| s.source.as_str()));
    properties.value()
}

/// The analysis that a suppression is. What is left out by a rule is still exploitable as far as anybody knows, so it
/// has no state.
fn analysis(suppressed: &Suppressed) -> Value {
    let word = suppressed.reason.split([':', ' ']).next().unwrap_or_default();
    let (state, justification) = match word {
        "fixed" => (Some("resolved"), None),
        "not_affected" => (Some("not_affected"), None),
        "component_not_present" | "vulnerable_code_not_present" => (Some("not_affected"), Some("code_not_present")),
        "vulnerable_code_not_in_execute_path" => (Some("not_affected"), Some("code_not_reachable")),
        "vulnerable_code_cannot_be_controlled_by_adversary" => (Some("not_affected"), Some("requires_environment")),
        "inline_mitigations_already_exist" => (Some("not_affected"), Some("protected_by_mitigating_control")),
        _ => (None, None),
    };
    compact(json!({"state": state, "justification": justification, "detail": suppressed.reason}))
}

/// A list of properties, in the order in which they are added.
#[derive(Default)]
struct Properties(Vec<Value>);

impl Properties {
    fn add(&mut self, name: &str, value: impl AsRef<str>) {
        let fields = [("name", name), ("value", value.as_ref())];
        let fields = fields.map(|(key, value)| (key.to_owned(), Value::from(value)));
        self.0.push(Value::Object(Map::from_iter(fields)));
    }

    fn maybe(&mut self, name: &str, value: Option<impl AsRef<str>>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// The list; nothing where it is empty.
    fn value(self) -> Value {
        if self.0.is_empty() { Value::Null } else { Value::Array(self.0) }
    }
}
