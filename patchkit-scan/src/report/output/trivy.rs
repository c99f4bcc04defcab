//! Trivy's JSON, schema 2: what tools that read `trivy image --format json` expect.
//!
//! Source: the output of Trivy 0.76. Fields of which nothing is known are left out, as Trivy does.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Finding, FixState, Package, ScanReport, Severity, Suppressed};
use serde_json::{Map, Value, json};

use super::{WriteOptions, address, compact, cvss_version, evr, identity, image_purl, score, uuid};
use crate::purl_pattern::find;

pub(super) fn document(report: &ScanReport, options: &WriteOptions) -> Value {
    let name = options.name_of(report);
    let targets = targets(report);
    let digest = image_purl(report, options).and_then(|_| {
        let name = options.name.as_deref()?.split('@').next()?;
        let path = name.rsplit_once(':').filter(|(_, tag)| !tag.contains('/')).map_or(name, |(path, _)| path);
        Some([format!("{path}@{}", report.subject)])
    });
    let os = report
        .distribution
        .as_ref()
        .map(|distribution| compact(json!({"Family": family(distribution), "Name": version(distribution)})));
    json!({
        "SchemaVersion": 2,
        "ReportID": uuid(&identity("trivy", std::slice::from_ref(report), options)),
        "CreatedAt": options.timestamp.to_string(),
        "ArtifactName": name,
        "ArtifactType": "container_image",
        "Metadata": compact(json!({
            "OS": os,
            "RepoDigests": digest,
            "ImageConfig": compact(json!({
                "architecture": report.platform.architecture(),
                "os": report.platform.os(),
                "variant": report.platform.variant(),
            })),
        })),
        "Results": targets.iter().map(|(key, packages)| result(report, &name, key, packages)).collect::<Vec<_>>(),
    })
}

/// What one result is about: class, type, and for lock files their path.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    /// Sorted as Trivy does: the distribution's packages first.
    language: bool,
    kind: String,
    path: Option<String>,
}

/// The packages by what they are results of.
fn targets(report: &ScanReport) -> BTreeMap<Key, Vec<&Package>> {
    let mut targets = BTreeMap::<Key, Vec<&Package>>::new();
    for package in &report.packages {
        targets.entry(key(report, package)).or_default().push(package);
    }
    targets
}

fn key(report: &ScanReport, package: &Package) -> Key {
    let kind = package.purl.parts().kind;
    match (kind.as_str(), &report.distribution) {
        ("alpm" | "apk" | "deb" | "rpm", Some(distribution)) => {
            Key { language: false, kind: family(distribution), path: None }
        }
        _ => {
            let path = package.locations.first().filter(|path| is_lock_file(path)).cloned();
            Key { language: true, kind: language_type(&kind).into(), path }
        }
    }
}

/// Whether a file lists the packages of a project, so that Trivy gives it a result of its own.
fn is_lock_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let lists = ["Gemfile.lock", "Pipfile.lock", "composer.lock", "go.mod", "gradle.lockfile", "package-lock.json"];
    let more = ["packages.lock.json", "pnpm-lock.yaml", "poetry.lock", "requirements.txt", "uv.lock", "yarn.lock"];
    let cargo = ["Cargo.lock"];
    lists.iter().chain(&more).chain(&cargo).any(|list| *list == name) || name.ends_with(".deps.json")
}

fn result(report: &ScanReport, name: &str, key: &Key, packages: &[&Package]) -> Value {
    let target = match (&key.path, key.language, &report.distribution) {
        (Some(path), _, _) => path.clone(),
        (None, false, Some(distribution)) => {
            format!("{name} ({} {})", family(distribution), version(distribution).unwrap_or_default())
        }
        (None, _, _) => language_target(&key.kind).into(),
    };
    let here: BTreeSet<_> = packages.iter().map(|package| &package.purl).collect();
    let found = report.findings.iter().filter(|finding| here.contains(&finding.package));
    let found: Vec<_> = found.map(|finding| vulnerability(report, finding)).collect();
    let modified = report.suppressed.iter().filter(|suppressed| here.contains(&suppressed.finding.package));
    let modified: Vec<_> = modified.map(|suppressed| modified_finding(report, suppressed)).collect();
    compact(json!({
        "Target": target,
        "Class": if key.language { "lang-pkgs" } else { "os-pkgs" },
        "Type": key.kind,
        "Packages": packages.iter().map(|package| installed(package)).collect::<Vec<_>>(),
        "Vulnerabilities": Some(found).filter(|found| !found.is_empty()),
        "ExperimentalModifiedFindings": Some(modified).filter(|modified| !modified.is_empty()),
    }))
}

fn installed(package: &Package) -> Value {
    let (epoch, version, release) = evr(package.version.scheme(), package.version.as_str());
    let source = package.source.as_ref().map(|source| (source, evr(source.version.scheme(), source.version.as_str())));
    let source_part = source.map(|(_, parts)| parts);
    let number = |epoch: Option<&str>| epoch.and_then(|epoch| epoch.parse::<u32>().ok()).filter(|epoch| *epoch > 0);
    let path = package.locations.first().filter(|path| package.source.is_none() && !is_lock_file(path));
    compact(json!({
        "ID": format!("{}@{}", package.name, package.version),
        "Name": package.name,
        "Identifier": {"PURL": package.purl},
        "Version": version,
        "Release": release,
        "Epoch": number(epoch),
        "Arch": package.architecture,
        "SrcName": source.map(|(source, _)| source.name.as_str()),
        "SrcVersion": source_part.map(|(_, version, _)| version),
        "SrcRelease": source_part.and_then(|(_, _, release)| release),
        "SrcEpoch": number(source_part.and_then(|(epoch, _, _)| epoch)),
        "Modularitylabel": package.module,
        "Layer": layer(package),
        "FilePath": path,
    }))
}

fn layer(package: &Package) -> Value {
    compact(json!({"DiffID": package.layer}))
}

fn vulnerability(report: &ScanReport, finding: &Finding) -> Value {
    let package = find(&report.packages, &finding.package);
    let name = package.map_or_else(|| finding.package.parts().name, |package| package.name.to_string());
    let installed = package.map_or_else(|| finding.package.parts().version, |package| package.version.to_string());
    let (status, fixed) = match &finding.fix {
        FixState::Fixed(version) => ("fixed", Some(version.as_str())),
        FixState::NotAffected => ("not_affected", None),
        FixState::NotFixed => ("affected", None),
        FixState::WillNotFix => ("will_not_fix", None),
    };
    compact(json!({
        "VulnerabilityID": finding.id,
        "VendorIDs": Some(&finding.aliases).filter(|aliases| !aliases.is_empty()),
        "PkgID": format!("{name}@{installed}"),
        "PkgName": name,
        "PkgPath": package.and_then(|p| p.locations.first().filter(|path| p.source.is_none() && !is_lock_file(path))),
        "PkgIdentifier": {"PURL": finding.package},
        "InstalledVersion": installed,
        "FixedVersion": fixed,
        "Status": status,
        "Layer": package.map(layer),
        "SeveritySource": finding.source,
        "PrimaryURL": address(&finding.id),
        "DataSource": {"ID": finding.source, "Name": finding.source},
        "Title": finding.title,
        "Severity": severity(finding.severity),
        "CVSS": cvss(finding),
    }))
}

/// Trivy's words for severities; it has none below `LOW`, and calls Debian's `unimportant` so.
fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::High => "HIGH",
        Severity::Low | Severity::Negligible => "LOW",
        Severity::Medium => "MEDIUM",
        Severity::Unknown => "UNKNOWN",
    }
}

/// The vectors by version of CVSS; of several of one version, Trivy's format has room for one of each source.
fn cvss(finding: &Finding) -> Value {
    let mut fields = Map::new();
    for vector in &finding.cvss {
        let (name, value) = match cvss_version(&vector.vector) {
            "2" => ("V2Vector", "V2Score"),
            "4.0" => ("V40Vector", "V40Score"),
            _ => ("V3Vector", "V3Score"),
        };
        if !fields.contains_key(name) {
            fields.insert(name.into(), vector.vector.clone().into());
            fields.insert(value.into(), score(vector.tenths).into());
        }
    }
    if fields.is_empty() { Value::Null } else { json!({finding.source.as_str(): fields}) }
}

fn modified_finding(report: &ScanReport, suppressed: &Suppressed) -> Value {
    let word = suppressed.reason.split([':', ' ']).next().unwrap_or_default();
    let status = match word {
        "fixed" => "fixed",
        "component_not_present"
        | "inline_mitigations_already_exist"
        | "not_affected"
        | "vulnerable_code_cannot_be_controlled_by_adversary"
        | "vulnerable_code_not_in_execute_path"
        | "vulnerable_code_not_present" => "not_affected",
        _ => "ignored",
    };
    json!({
        "Type": "vulnerability",
        "Status": status,
        "Statement": suppressed.reason,
        "Source": suppressed.source,
        "Finding": vulnerability(report, &suppressed.finding),
    })
}

/// Trivy's name of a distribution.
pub(super) fn family(distribution: &Distribution) -> String {
    match distribution.id.as_str() {
        "almalinux" => "alma",
        "amzn" => "amazon",
        "mariner" => "cbl-mariner",
        "ol" => "oracle",
        "opensuse-leap" => "opensuse.leap",
        "opensuse-tumbleweed" => "opensuse.tumbleweed",
        "rhel" => "redhat",
        id => id,
    }
    .into()
}

fn version(distribution: &Distribution) -> Option<&str> {
    distribution.version_id.as_deref().or(distribution.codename.as_deref())
}

/// Trivy's name of the packages of a type of purl, as they are when installed.
pub(super) fn language_type(kind: &str) -> &str {
    match kind {
        "cargo" => "rustbinary",
        "gem" => "gemspec",
        "golang" => "gobinary",
        "maven" => "jar",
        "npm" => "node-pkg",
        "nuget" => "dotnet-core",
        "pypi" => "python-pkg",
        kind => kind,
    }
}

/// The target that Trivy gathers installed packages of a type under.
fn language_target(kind: &str) -> &str {
    match kind {
        "gemspec" => "Ruby",
        "jar" => "Java",
        "node-pkg" => "Node.js",
        "python-pkg" => "Python",
        kind => kind,
    }
}
