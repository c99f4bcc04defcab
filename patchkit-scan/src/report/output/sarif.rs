//! SARIF 2.1.0: a run an image, a rule a vulnerability, a result a finding; what does not count is suppressed.
//!
//! Source: OASIS SARIF 2.1.0; GitHub's reading of it (`security-severity`). Package and version stand in the messages
//! as Trivy writes them, and the whole finding in the result's properties.

use std::collections::BTreeMap;

use patchkit_core::{Finding, FixState, ScanReport, Severity, Suppressed};
use serde_json::{Value, json};

use super::{WriteOptions, address, advice, compact, score, to_value};
use crate::purl_pattern::find;

pub(super) fn document(reports: &[ScanReport], options: &WriteOptions) -> Value {
    json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": reports.iter().map(|report| run(report, options)).collect::<Vec<_>>(),
    })
}

fn run(report: &ScanReport, options: &WriteOptions) -> Value {
    let suppressed = report.suppressed.iter().map(|suppressed| (&suppressed.finding, Some(suppressed)));
    let all: Vec<_> = report.findings.iter().map(|finding| (finding, None)).chain(suppressed).collect();
    let mut rules = BTreeMap::new();
    for (finding, _) in &all {
        rules.entry(&finding.id).or_insert_with(|| rule(report, finding));
    }
    let numbers: BTreeMap<_, _> = rules.keys().enumerate().map(|(n, id)| (*id, n)).collect();
    let results = all.iter().map(|(finding, why)| result(report, options, finding, *why, numbers[&finding.id]));
    let notes = report.warnings.iter().map(|text| json!({"level": "warning", "message": {"text": text}}));
    let results: Vec<_> = results.collect();
    json!({
        "tool": {"driver": {
            "name": "patchkit",
            "version": env!("CARGO_PKG_VERSION"),
            "rules": rules.into_values().collect::<Vec<_>>(),
        }},
        "invocations": [{
            "executionSuccessful": true,
            "endTimeUtc": options.seconds(),
            "toolExecutionNotifications": notes.collect::<Vec<_>>(),
        }],
        "columnKind": "unicodeCodePoints",
        "results": results,
        "properties": compact(json!({
            "imageName": options.name,
            "imageDigest": report.subject,
            "platform": report.platform,
            "distribution": report.distribution,
        })),
    })
}

fn rule(report: &ScanReport, finding: &Finding) -> Value {
    let title = finding.title.clone().unwrap_or_else(|| finding.id.to_string());
    let help = format!("Vulnerability {}\n{}\n{}", finding.id, advice(report, finding), address(&finding.id));
    json!({
        "id": finding.id,
        "name": "PackageVulnerability",
        "shortDescription": {"text": title},
        "fullDescription": {"text": title},
        "helpUri": address(&finding.id),
        "help": {"text": help},
        "defaultConfiguration": {"level": level(finding.severity)},
        "properties": {
            "precision": "very-high",
            "security-severity": security_severity(finding),
            "tags": ["vulnerability", "security", finding.severity.as_str()],
        },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Negligible | Severity::Unknown => "note",
    }
}

/// The CVSS score, or one in the middle of what the severity spans: GitHub sorts by it.
fn security_severity(finding: &Finding) -> String {
    let by_severity = match finding.severity {
        Severity::Critical => 9.5,
        Severity::High => 8.0,
        Severity::Low => 2.0,
        Severity::Medium => 5.5,
        Severity::Negligible | Severity::Unknown => 0.0,
    };
    format!("{:.1}", finding.cvss.first().map_or(by_severity, |cvss| score(cvss.tenths)))
}

fn result(
    report: &ScanReport,
    options: &WriteOptions,
    finding: &Finding,
    suppressed: Option<&Suppressed>,
    rule: usize,
) -> Value {
    let package = find(&report.packages, &finding.package);
    let name = package.map_or_else(|| finding.package.parts().name, |package| package.name.to_string());
    let version = package.map_or_else(|| finding.package.parts().version, |package| package.version.to_string());
    let fixed = match &finding.fix {
        FixState::Fixed(version) => version.as_str(),
        _ => "",
    };
    let text = format!(
        "Package: {name}\nInstalled Version: {version}\nVulnerability {}\nSeverity: {}\nFixed Version: {fixed}\n{}",
        finding.id,
        finding.severity.as_str().to_ascii_uppercase(),
        advice(report, finding),
    );
    let file = package.and_then(|package| package.locations.first());
    let suppressions = suppressed.map(|suppressed| {
        let why = format!("{} ({}, {})", suppressed.reason, suppressed.by, suppressed.source);
        json!([{"kind": "external", "status": "accepted", "justification": why}])
    });
    let why =
        suppressed.map(|s| compact(json!({"by": s.by, "reason": s.reason, "source": s.source, "until": s.until})));
    compact(json!({
        "ruleId": finding.id,
        "ruleIndex": rule,
        "level": level(finding.severity),
        "message": {"text": text},
        "locations": [{
            "physicalLocation": {
                "artifactLocation": {"uri": uri(file.map_or("", String::as_str), &options.name_of(report))},
                "region": {"startLine": 1, "startColumn": 1, "endLine": 1, "endColumn": 1},
            },
            "message": {"text": format!("{name}@{version}")},
            "logicalLocations": [{"fullyQualifiedName": finding.package, "kind": "package"}],
        }],
        "partialFingerprints": {"findingKey/v1": patchkit_core::Digest::of(finding.key().to_string()).hex()},
        "suppressions": suppressions,
        "properties": compact(json!({"finding": to_value(finding), "suppressed": why})),
    }))
}

/// A relative reference for a file of the image, or for the image: what no URI may have is escaped.
fn uri(path: &str, image: &str) -> String {
    let text = if path.is_empty() { image } else { path };
    let mut uri = String::with_capacity(text.len());
    for byte in text.trim_start_matches('/').bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_' | b'~' | b'/' | b'+' | b'@' | b'=' => {
                uri.push(byte.into());
            }
            _ => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}
