//! SPDX 2.3 JSON: images and their packages; findings as references of category `SECURITY`.
//!
//! Source: the SPDX specification 2.3. It has no fields for layers, severities and fixed versions: those are
//! annotations, in Trivy's form `name: value`, and elements have ids that Trivy knows their kind by. Licences are not looked at, and so are not asserted.

use std::collections::BTreeMap;

use patchkit_core::{Distribution, Finding, Package, Purl, ScanReport, Suppressed};
use serde_json::{Value, json};

use super::{WriteOptions, address, advice, compact, identity, image_purl, line, trivy::family, uuid};

const NONE: &str = "NOASSERTION";

pub(super) fn document(reports: &[ScanReport], options: &WriteOptions) -> Value {
    let uuid = uuid(&identity("spdx", reports, options));
    let name = options.name_of(&reports[0]);
    let (mut packages, mut relationships) = (Vec::new(), Vec::new());
    for (n, report) in reports.iter().enumerate() {
        Writer::new(report, options, n).write(&mut packages, &mut relationships);
    }
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": name,
        "documentNamespace": format!("https://spdx.org/spdxdocs/patchkit-{uuid}"),
        "creationInfo": {
            "creators": [format!("Organization: {}", options.author), tool()],
            "created": options.seconds(),
        },
        "packages": packages,
        "relationships": relationships,
    })
}

fn tool() -> String {
    format!("Tool: patchkit-{}", env!("CARGO_PKG_VERSION"))
}

struct Writer<'a> {
    report: &'a ScanReport,
    options: &'a WriteOptions,
    number: usize,
    /// The findings by their packages.
    found: BTreeMap<&'a Purl, Vec<&'a Finding>>,
    /// Those that do not count.
    dropped: BTreeMap<&'a Purl, Vec<&'a Suppressed>>,
}

impl<'a> Writer<'a> {
    fn new(report: &'a ScanReport, options: &'a WriteOptions, number: usize) -> Self {
        let (mut found, mut dropped) = (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for finding in &report.findings {
            found.entry(&finding.package).or_default().push(finding);
        }
        for suppressed in &report.suppressed {
            dropped.entry(&suppressed.finding.package).or_default().push(suppressed);
        }
        Self { report, options, number, found, dropped }
    }

    fn write(&self, packages: &mut Vec<Value>, relationships: &mut Vec<Value>) {
        let image = format!("SPDXRef-ContainerImage-{}", self.number);
        let mut relate = |from: &str, kind: &str, to: &str| {
            relationships.push(json!({"spdxElementId": from, "relationshipType": kind, "relatedSpdxElement": to}));
        };
        relate("SPDXRef-DOCUMENT", "DESCRIBES", &image);
        packages.push(self.image(&image));
        if let Some(distribution) = &self.report.distribution {
            let id = format!("SPDXRef-OperatingSystem-{}", self.number);
            relate(&image, "CONTAINS", &id);
            packages.push(self.operating_system(&id, distribution));
        }
        for (n, package) in self.report.packages.iter().enumerate() {
            let id = format!("SPDXRef-Package-{}-{n}", self.number);
            relate(&image, "CONTAINS", &id);
            packages.push(self.package(&id, package));
        }
    }

    fn image(&self, id: &str) -> Value {
        let Self { report, options, .. } = self;
        let purl = image_purl(report, options).map(|purl| json!([purl_reference(purl.as_str())]));
        let notes = report.warnings.iter().map(|warning| format!("Warning: {warning}"));
        let notes = [format!("Platform: {}", report.platform)].into_iter().chain(notes);
        let algorithm = report.subject.algorithm().as_str().to_ascii_uppercase();
        compact(json!({
            "name": options.name_of(report),
            "SPDXID": id,
            "versionInfo": report.subject.to_string(),
            "downloadLocation": NONE,
            "filesAnalyzed": false,
            "checksums": [{"algorithm": algorithm, "checksumValue": report.subject.hex()}],
            "licenseConcluded": NONE,
            "licenseDeclared": NONE,
            "copyrightText": NONE,
            "primaryPackagePurpose": "CONTAINER",
            "externalRefs": purl,
            "annotations": self.annotations(notes),
        }))
    }

    fn operating_system(&self, id: &str, distribution: &Distribution) -> Value {
        let notes = ["Class: os-pkgs".to_owned(), format!("Type: {}", family(distribution))];
        compact(json!({
            "name": distribution.id,
            "SPDXID": id,
            "versionInfo": distribution.version_id.as_deref().or(distribution.codename.as_deref()),
            "downloadLocation": NONE,
            "filesAnalyzed": false,
            "licenseConcluded": NONE,
            "licenseDeclared": NONE,
            "copyrightText": NONE,
            "primaryPackagePurpose": "OPERATING-SYSTEM",
            "description": distribution.pretty_name,
            "annotations": self.annotations(notes.into_iter()),
        }))
    }

    fn package(&self, id: &str, package: &Package) -> Value {
        let source = package.source.as_ref();
        let source = source.map(|source| format!("built package from: {} {}", source.name, source.version));
        let found = self.found.get(&package.purl).into_iter().flatten().copied();
        let dropped = self.dropped.get(&package.purl).into_iter().flatten().copied();
        let mut references = vec![purl_reference(package.purl.as_str())];
        references.extend(found.clone().map(|finding| self.security(finding, None)));
        references.extend(dropped.clone().map(|suppressed| self.security(&suppressed.finding, Some(suppressed))));
        let layer = package.layer.map(|layer| format!("LayerDiffID: {layer}"));
        let notes = [Some(format!("Package: {}", line(package))), layer].into_iter().flatten();
        let notes = notes.chain(found.map(|finding| format!("Finding: {}", line(finding))));
        let notes = notes.chain(dropped.map(|suppressed| format!("Suppressed: {}", line(suppressed))));
        compact(json!({
            "name": package.name,
            "SPDXID": id,
            "versionInfo": package.version.as_str(),
            "downloadLocation": NONE,
            "filesAnalyzed": false,
            "sourceInfo": source,
            "licenseConcluded": NONE,
            "licenseDeclared": NONE,
            "copyrightText": NONE,
            "primaryPackagePurpose": "LIBRARY",
            "externalRefs": references,
            "annotations": self.annotations(notes),
        }))
    }

    fn security(&self, finding: &Finding, suppressed: Option<&Suppressed>) -> Value {
        let comment = match suppressed {
            Some(Suppressed { by, reason, source, .. }) => format!("does not count: {reason} ({by}, {source})"),
            None => format!("{}. {}", finding.severity, advice(self.report, finding)),
        };
        json!({
            "referenceCategory": "SECURITY",
            "referenceType": "advisory",
            "referenceLocator": address(&finding.id),
            "comment": comment,
        })
    }

    fn annotations(&self, comments: impl Iterator<Item = String>) -> Vec<Value> {
        let of = |comment: String| {
            json!({
                "annotator": tool(),
                "annotationDate": self.options.seconds(),
                "annotationType": "OTHER",
                "comment": comment,
            })
        };
        comments.map(of).collect()
    }
}

fn purl_reference(purl: &str) -> Value {
    json!({"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": purl})
}
