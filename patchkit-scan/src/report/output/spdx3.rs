//! SPDX 3.0.1 as JSON-LD, with the profiles Core, Software and Security.
//!
//! Source: the SPDX specification 3.0.1 and its model. Findings are VEX assessments: affected with what to do, or not
//! affected with the justification; scores of CVSS and EPSS and the listing in KEV are assessments of their own.

use std::collections::BTreeMap;

use patchkit_core::{CvssScore, Finding, FixState, Package, ScanReport, Severity, Suppressed};
use serde_json::{Value, json};

use super::{WriteOptions, address, advice, compact, cvss_version, identity, image_purl, score, uuid};

const CREATION: &str = "_:creation";

pub(super) fn document(reports: &[ScanReport], options: &WriteOptions) -> Value {
    let uuid = uuid(&identity("spdx3", reports, options));
    let mut graph = Graph { base: format!("https://spdx.org/spdxdocs/patchkit-{uuid}#"), elements: Vec::new() };
    let (author, tool) = (graph.id("author"), graph.id("tool"));
    graph.add(&author, "Agent", json!({"name": options.author}));
    graph.add(&tool, "Tool", json!({"name": format!("patchkit {}", env!("CARGO_PKG_VERSION"))}));
    let images: Vec<_> = reports.iter().enumerate().map(|(n, report)| graph.report(n, report, options)).collect();
    let elements: Vec<_> = graph.elements.iter().map(|element| element["spdxId"].clone()).collect();
    let (sbom, whole) = (graph.id("sbom"), graph.id("document"));
    let bom = json!({"rootElement": images, "element": elements, "software_sbomType": ["analyzed"]});
    graph.add(&sbom, "software_Sbom", bom);
    let name = options.name_of(&reports[0]);
    let profiles = ["core", "software", "security"];
    let document = json!({
        "name": name, "rootElement": [&sbom], "element": [&sbom], "profileConformance": profiles,
    });
    graph.add(&whole, "SpdxDocument", document);
    let creation = json!({
        "@id": CREATION, "type": "CreationInfo", "specVersion": "3.0.1", "created": options.seconds(),
        "createdBy": [author], "createdUsing": [tool],
    });
    let all: Vec<_> = [creation].into_iter().chain(graph.elements).collect();
    json!({"@context": "https://spdx.org/rdf/3.0.1/spdx-context.jsonld", "@graph": all})
}

struct Graph {
    base: String,
    elements: Vec<Value>,
}

/// The package or vulnerability that assessments are about, by ids.
struct Assessed<'a> {
    name: String,
    vulnerability: &'a str,
    package: &'a str,
}

impl Graph {
    fn id(&self, name: &str) -> String {
        format!("{}{name}", self.base)
    }

    fn add(&mut self, id: &str, kind: &str, fields: Value) {
        let mut element = json!({"spdxId": id, "type": kind, "creationInfo": CREATION});
        if let (Value::Object(element), Value::Object(fields)) = (&mut element, compact(fields)) {
            element.extend(fields);
        }
        self.elements.push(element);
    }

    /// Adds all that a report says; gives the image's id.
    fn report(&mut self, n: usize, report: &ScanReport, options: &WriteOptions) -> String {
        let image = self.image(n, report, options);
        let mut contained = Vec::new();
        if let Some(distribution) = &report.distribution {
            let id = self.id(&format!("{n}-operating-system"));
            let version = distribution.version_id.as_deref().or(distribution.codename.as_deref());
            let fields = json!({
                "name": distribution.id, "description": distribution.pretty_name,
                "software_packageVersion": version, "software_primaryPurpose": "operatingSystem",
            });
            self.add(&id, "software_Package", fields);
            contained.push(id);
        }
        let mut packages = BTreeMap::new();
        for (m, package) in report.packages.iter().enumerate() {
            let id = self.id(&format!("{n}-package-{m}"));
            self.package(&id, package);
            packages.entry(&package.purl).or_insert_with(|| id.clone());
            contained.push(id);
        }
        if !contained.is_empty() {
            let id = self.id(&format!("{n}-contains"));
            let fields = json!({"from": image, "to": contained, "relationshipType": "contains"});
            self.add(&id, "Relationship", fields);
        }
        self.findings(n, report, &packages);
        image
    }

    fn image(&mut self, n: usize, report: &ScanReport, options: &WriteOptions) -> String {
        let id = self.id(&format!("{n}-image"));
        let algorithm = report.subject.algorithm().as_str();
        let fields = json!({
            "name": options.name_of(report),
            "comment": Some(report.warnings.join("\n")).filter(|warnings| !warnings.is_empty()),
            "verifiedUsing": [{"type": "Hash", "algorithm": algorithm, "hashValue": report.subject.hex()}],
            "software_packageVersion": report.subject,
            "software_packageUrl": image_purl(report, options),
            "software_primaryPurpose": "container",
        });
        self.add(&id, "software_Package", fields);
        id
    }

    fn package(&mut self, id: &str, package: &Package) {
        let source = package.source.as_ref();
        let fields = json!({
            "name": package.name,
            "software_packageVersion": package.version.as_str(),
            "software_packageUrl": package.purl,
            "software_primaryPurpose": "library",
            "software_sourceInfo": source.map(|s| format!("built package from: {} {}", s.name, s.version)),
        });
        self.add(id, "software_Package", fields);
    }

    fn findings(&mut self, n: usize, report: &ScanReport, packages: &BTreeMap<&patchkit_core::Purl, String>) {
        let dropped = report.suppressed.iter().map(|suppressed| (&suppressed.finding, Some(suppressed)));
        let all = report.findings.iter().map(|finding| (finding, None)).chain(dropped);
        let mut known = BTreeMap::new();
        for (m, (finding, suppressed)) in all.enumerate() {
            let Some(package) = packages.get(&finding.package) else { continue };
            let vulnerability = known.entry(&finding.id).or_insert_with(|| {
                let id = self.id(&format!("{n}-{}", finding.id));
                self.vulnerability(&id, finding);
                id
            });
            let assessed = Assessed { name: format!("{n}-assessment-{m}"), vulnerability, package };
            match suppressed {
                Some(suppressed) => self.suppressed(&assessed, suppressed),
                None => self.vex(&assessed, report, finding),
            }
            self.scores(&assessed, finding);
        }
    }

    fn vulnerability(&mut self, id: &str, finding: &Finding) {
        let ids = [&finding.id].into_iter().chain(&finding.aliases).map(|id| {
            let kind = if id.is_cve() { "cve" } else { "securityOther" };
            let locator = [address(id)];
            json!({
                "type": "ExternalIdentifier", "externalIdentifierType": kind, "identifier": id,
                "identifierLocator": locator,
            })
        });
        let ids: Vec<_> = ids.collect();
        let fields = json!({"name": finding.id, "summary": finding.title, "externalIdentifier": ids});
        self.add(id, "security_Vulnerability", fields);
    }

    fn assess(&mut self, about: &Assessed<'_>, suffix: &str, kind: &str, relation: &str, fields: Value) {
        let id = self.id(&format!("{}{suffix}", about.name));
        let mut all = json!({"from": about.vulnerability, "to": [about.package], "relationshipType": relation});
        if let (Value::Object(all), Value::Object(fields)) = (&mut all, fields) {
            all.extend(fields);
        }
        self.add(&id, &format!("security_{kind}VulnAssessmentRelationship"), all);
    }

    fn vex(&mut self, about: &Assessed<'_>, report: &ScanReport, finding: &Finding) {
        match &finding.fix {
            FixState::NotAffected => {
                let fields = json!({"security_impactStatement": format!("{} says so", finding.source)});
                self.assess(about, "", "VexNotAffected", "doesNotAffect", fields);
            }
            _ => {
                let fields = json!({"security_actionStatement": advice(report, finding)});
                self.assess(about, "", "VexAffected", "affects", fields);
            }
        }
    }

    fn suppressed(&mut self, about: &Assessed<'_>, suppressed: &Suppressed) {
        let Suppressed { by, reason, source, .. } = suppressed;
        let said = format!("{reason} ({by}, {source})");
        let word = reason.split([':', ' ']).next().unwrap_or_default();
        let justification = match word {
            "component_not_present" => "componentNotPresent",
            "inline_mitigations_already_exist" => "inlineMitigationsAlreadyExist",
            "vulnerable_code_cannot_be_controlled_by_adversary" => "vulnerableCodeCannotBeControlledByAdversary",
            "vulnerable_code_not_in_execute_path" => "vulnerableCodeNotInExecutePath",
            "vulnerable_code_not_present" => "vulnerableCodeNotPresent",
            "not_affected" => "",
            "fixed" => {
                let fields = json!({"security_statusNotes": format!("claimed, not seen: {said}")});
                return self.assess(about, "", "VexUnderInvestigation", "underInvestigationFor", fields);
            }
            _ => {
                let fields = json!({"security_actionStatement": format!("Left as it is: {said}")});
                return self.assess(about, "", "VexAffected", "affects", fields);
            }
        };
        let justification = Some(justification).filter(|word| !word.is_empty());
        let fields = json!({"security_impactStatement": said, "security_justificationType": justification});
        self.assess(about, "", "VexNotAffected", "doesNotAffect", fields);
    }

    fn scores(&mut self, about: &Assessed<'_>, finding: &Finding) {
        for (n, CvssScore { vector, tenths }) in finding.cvss.iter().enumerate() {
            let version = cvss_version(vector).chars().next();
            let (kind, severity) = match version {
                Some('2') => ("CvssV2", None),
                Some('3') => ("CvssV3", Some(cvss_severity(*tenths))),
                Some('4') => ("CvssV4", Some(cvss_severity(*tenths))),
                _ => continue,
            };
            let fields = json!({
                "security_score": score(*tenths), "security_severity": severity, "security_vectorString": vector,
            });
            self.assess(about, &format!("-cvss-{n}"), kind, "hasAssessmentFor", fields);
        }
        if let Some(epss) = finding.exploitation.epss {
            let share = |parts: u32| f64::from(parts) / 100_000.0;
            let fields = json!({
                "security_probability": share(epss.probability), "security_percentile": share(epss.percentile),
            });
            self.assess(about, "-epss", "Epss", "hasAssessmentFor", fields);
        }
        if finding.exploitation.known {
            let locator = "https://www.cisa.gov/known-exploited-vulnerabilities-catalog";
            let fields = json!({
                "security_catalogType": "kev", "security_exploited": true, "security_locator": locator,
            });
            self.assess(about, "-kev", "ExploitCatalog", "hasAssessmentFor", fields);
        }
    }
}

/// The qualitative scale of CVSS 3 and 4, which knows `none`.
fn cvss_severity(tenths: u8) -> &'static str {
    match crate::advisory::severity_of_score(score(tenths)) {
        Severity::Critical => "critical",
        Severity::High => "high",
        Severity::Low => "low",
        Severity::Medium => "medium",
        Severity::Negligible | Severity::Unknown => "none",
    }
}
