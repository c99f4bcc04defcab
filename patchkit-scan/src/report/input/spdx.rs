//! SPDX JSON 2.2 and 2.3: packages, and their references of category `SECURITY` as findings.
//!
//! Source: the SPDX specification 2.3; Trivy's annotations. The format has no severities and no fixed versions: our own
//! documents have the findings as annotations. Of other tools' documents a finding is what names a vulnerability by its
//! id in the last part of the reference's address.

use std::collections::BTreeMap;

use patchkit_core::{Digest, Finding, FixState, Package, Severity, SourcePackage, Suppressed, Version};
use serde::{Deserialize, de::DeserializeOwned};

use super::{ForeignFormat, ForeignReport, ReportError, cyclonedx::upstream, json, nullable};
use crate::report::foreign::{Collector, distribution};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    spdx_version: String,
    #[serde(default)]
    creation_info: CreationInfo,
    #[serde(default, deserialize_with = "nullable")]
    packages: Vec<Element>,
    #[serde(default, deserialize_with = "nullable")]
    relationships: Vec<Relationship>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct CreationInfo {
    creators: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    related_spdx_element: String,
    relationship_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Element {
    #[serde(default)]
    name: String,
    #[serde(rename = "SPDXID")]
    id: String,
    #[serde(default)]
    version_info: String,
    #[serde(default)]
    source_info: String,
    #[serde(default)]
    primary_package_purpose: String,
    #[serde(default, deserialize_with = "nullable")]
    checksums: Vec<Checksum>,
    #[serde(default, deserialize_with = "nullable")]
    external_refs: Vec<Reference>,
    #[serde(default, deserialize_with = "nullable")]
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    #[serde(default)]
    algorithm: String,
    #[serde(default)]
    checksum_value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reference {
    #[serde(default)]
    reference_category: String,
    #[serde(default)]
    reference_type: String,
    #[serde(default)]
    reference_locator: String,
}

#[derive(Deserialize)]
struct Annotation {
    #[serde(default)]
    comment: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let format = ForeignFormat::Spdx;
    let document: Document = json(format, bytes)?;
    if !matches!(document.spdx_version.as_str(), "SPDX-2.2" | "SPDX-2.3") {
        return Err(ReportError::UnknownVersion { format, version: document.spdx_version });
    }
    let mut collector = Collector::new(format);
    let tool = document.creation_info.creators.iter().find_map(|creator| creator.strip_prefix("Tool: "));
    collector.report().tool = tool.map(Into::into);
    let describes = |relation: &&Relationship| relation.relationship_type == "DESCRIBES";
    let described = document.relationships.iter().find(describes).map(|relation| &relation.related_spdx_element);
    let mut nameless = 0;
    for element in &document.packages {
        match element.primary_package_purpose.as_str() {
            "CONTAINER" => element.subject(&mut collector),
            "OPERATING-SYSTEM" => {
                collector.report().distribution = Some(distribution(&element.name, &element.version_info));
            }
            _ if Some(&element.id) == described => element.subject(&mut collector),
            _ => nameless += element.take(&mut collector),
        }
    }
    if nameless > 0 {
        collector.warn(format!("{nameless} references to advisories do not say which vulnerability they are about"));
    }
    Ok(collector.finish())
}

impl Element {
    fn subject(&self, collector: &mut Collector) {
        let found = &mut collector.report().subject;
        found.name = Some(self.name.clone()).filter(|name| !name.is_empty());
        let checksum = self.checksums.iter().find(|checksum| checksum.algorithm == "SHA256");
        let checksum = checksum.and_then(|checksum| format!("sha256:{}", checksum.checksum_value).parse().ok());
        found.manifest = self.version_info.parse().ok().or(checksum);
        found.config = self.noted("ImageID").find_map(|id| id.parse().ok());
        found.diff_ids = self.noted("DiffID").filter_map(|id| id.parse().ok()).collect();
        let digests = self.noted("RepoDigest").filter_map(|name| name.rsplit_once('@'));
        found.repository_digests = digests.filter_map(|(_, digest)| digest.parse().ok()).collect();
        let warnings: Vec<_> = self.noted("Warning").map(str::to_owned).collect();
        collector.report().warnings.extend(warnings);
    }

    /// The annotations of the form `name: value`.
    fn noted<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let value = move |text: &'a str| text.strip_prefix(name)?.strip_prefix(": ");
        self.annotations.iter().filter_map(move |annotation| value(&annotation.comment))
    }

    fn parsed<T: DeserializeOwned>(&self, name: &str) -> Vec<T> {
        self.noted(name).filter_map(|text| serde_json::from_str(text).ok()).collect()
    }

    /// Takes a package over with its findings; gives the number of references that name no vulnerability.
    fn take(&self, collector: &mut Collector) -> usize {
        let purl = self.external_refs.iter().find(|reference| reference.reference_type == "purl");
        let Some(purl) = purl else { return 0 };
        let Some(package) = self.package(collector, &purl.reference_locator) else { return 0 };
        let purl = package.purl.clone();
        collector.package(package);
        let findings: Vec<Finding> = self.parsed("Finding");
        let suppressed: Vec<Suppressed> = self.parsed("Suppressed");
        if !findings.is_empty() || !suppressed.is_empty() {
            findings.into_iter().filter(|finding| finding.package == purl).for_each(|f| collector.finding(f));
            let own = suppressed.into_iter().filter(|suppressed| suppressed.finding.package == purl);
            own.for_each(|s| collector.suppressed(s));
            return 0;
        }
        let advisory = |r: &&Reference| r.reference_category == "SECURITY" && r.reference_type == "advisory";
        let mut ids = BTreeMap::new();
        let mut nameless = 0;
        for reference in self.external_refs.iter().filter(advisory) {
            let last = reference.reference_locator.trim_end_matches('/').rsplit(['/', '=', '#']).next();
            match last.filter(|last| last.contains('-')).and_then(|last| last.parse().ok()) {
                Some(id) => drop(ids.insert(id, &reference.reference_locator)),
                None => nameless += 1,
            }
        }
        for id in ids.into_keys() {
            collector.finding(Finding::new(id, purl.clone(), Severity::Unknown, FixState::NotFixed, "spdx"));
        }
        nameless
    }

    fn package(&self, collector: &mut Collector, purl: &str) -> Option<Package> {
        let mut package = match self.parsed::<Package>("Package").into_iter().find(|p| p.purl.as_str() == purl) {
            Some(package) => return Some(package),
            None => collector.purl(purl)?,
        };
        package.source = self.built_from(&package).or_else(|| upstream(&package));
        package.layer = self.noted("LayerDiffID").find_map(|layer| layer.parse::<Digest>().ok());
        Some(package)
    }

    /// `built package from: glibc 2.31-13+deb11u11`, as Trivy and SPDX's own tools write it.
    fn built_from(&self, package: &Package) -> Option<SourcePackage> {
        let (name, version) = self.source_info.strip_prefix("built package from: ")?.split_once(' ')?;
        Some(SourcePackage { name: name.parse().ok()?, version: Version::new(package.version.scheme(), version).ok()? })
    }
}
