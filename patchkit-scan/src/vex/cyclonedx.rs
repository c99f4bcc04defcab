//! CycloneDX VEX: the analyses of a CycloneDX document's vulnerabilities.
//!
//! Source: the CycloneDX specification 1.6, `vulnerabilities.analysis`. What is affected is named by a reference to a
//! component of the document, by a BOM-Link whose fragment is a purl, or by a purl. Where the document is about an image
//! of a known digest, its statements are about that image only. Versions that are ranges are not understood.

use std::collections::HashMap;

use serde::Deserialize;

use super::{Product, ProductName, Statement, Status, VexDocument, names, time};
use crate::{PurlPattern, report::nullable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    #[serde(default)]
    serial_number: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    components: Vec<Component>,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    timestamp: Option<String>,
    component: Option<Component>,
    #[serde(deserialize_with = "nullable")]
    authors: Vec<Named>,
    supplier: Option<Named>,
    manufacturer: Option<Named>,
}

#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default, rename = "bom-ref")]
    bom_ref: String,
    #[serde(default)]
    purl: String,
    #[serde(default)]
    version: String,
    #[serde(default, deserialize_with = "nullable")]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    id: String,
    #[serde(default, deserialize_with = "nullable")]
    references: Vec<Reference>,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    updated: Option<String>,
    #[serde(default)]
    analysis: Option<Analysis>,
    #[serde(default, deserialize_with = "nullable")]
    affects: Vec<Affected>,
}

#[derive(Deserialize)]
struct Reference {
    #[serde(default)]
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Analysis {
    #[serde(default)]
    state: String,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    first_issued: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(rename = "ref")]
    reference: String,
    #[serde(default, deserialize_with = "nullable")]
    versions: Vec<Affection>,
}

#[derive(Deserialize)]
struct Affection {
    #[serde(default)]
    version: Option<String>,
    #[serde(default)]
    range: Option<String>,
}

pub(super) fn read(bytes: &[u8]) -> Result<VexDocument, serde_json::Error> {
    let bom: Bom = serde_json::from_slice(bytes)?;
    let known = bom.names();
    let image: Vec<_> = bom.metadata.component.iter().flat_map(Component::names).filter(is_image).collect();
    let mut document = VexDocument {
        id: bom.serial_number.clone(),
        author: bom.metadata.author(),
        statements: Vec::new(),
        warnings: Vec::new(),
    };
    for vulnerability in &bom.vulnerabilities {
        let Some(mut statement) = vulnerability.statement(bom.metadata.timestamp.as_deref()) else { continue };
        for affected in &vulnerability.affects {
            match affected.names(&known) {
                Ok(names) => statement.products.push(product(names, &image)),
                Err(why) => document.warnings.push(format!("{}: {why}, so it has no effect there", vulnerability.id)),
            }
        }
        document.statements.push(statement);
    }
    Ok(document)
}

/// What names an image by its digest.
fn is_image(name: &ProductName) -> bool {
    match name {
        ProductName::Digest(_) => true,
        ProductName::Purl(purl) => purl.parts().kind == "oci" && !purl.parts().version.is_empty(),
        ProductName::Cpe(_) => false,
    }
}

fn product(names: Vec<ProductName>, image: &[ProductName]) -> Product {
    if image.is_empty() || names.iter().any(is_image) {
        return Product { names, components: None };
    }
    Product { names: image.to_vec(), components: Some(vec![names]) }
}

impl Bom {
    /// The names of the document's components by their references.
    fn names(&self) -> HashMap<&str, Vec<ProductName>> {
        let mut rest: Vec<&Component> = self.metadata.component.iter().chain(&self.components).collect();
        let mut found = HashMap::new();
        while let Some(component) = rest.pop() {
            rest.extend(&component.components);
            if !component.bom_ref.is_empty() {
                found.insert(component.bom_ref.as_str(), component.names());
            }
        }
        found
    }
}

impl Metadata {
    fn author(&self) -> String {
        let known = self.authors.iter().chain(&self.supplier).chain(&self.manufacturer);
        known.map(|named| named.name.clone()).find(|name| !name.is_empty()).unwrap_or_else(|| "unknown".into())
    }
}

impl Component {
    fn names(&self) -> Vec<ProductName> {
        [&self.purl, &self.version].into_iter().filter_map(|text| names(text)).collect()
    }
}

impl Vulnerability {
    /// The statement without its products; `None` where there is no analysis with a state.
    fn statement(&self, general: Option<&str>) -> Option<Statement> {
        let Analysis { state, justification, detail, first_issued, last_updated } = self.analysis.as_ref()?;
        let status = match state.as_str() {
            "exploitable" => Status::Affected,
            "false_positive" | "not_affected" => Status::NotAffected,
            "in_triage" => Status::UnderInvestigation,
            "resolved" | "resolved_with_pedigree" => Status::Fixed,
            _ => return None,
        };
        let ids = [&self.id].into_iter().chain(self.references.iter().map(|reference| &reference.id));
        let vulnerability: Vec<_> = ids.filter_map(|id| id.parse().ok()).collect();
        let times = [last_updated, first_issued, &self.updated, &self.published];
        let timestamp = times.into_iter().find_map(|text| time(text.as_deref())).or_else(|| time(general));
        let justification = match (justification.as_deref(), state.as_str()) {
            (Some("code_not_present"), _) => Some("vulnerable_code_not_present".into()),
            (Some("code_not_reachable"), _) => Some("vulnerable_code_not_in_execute_path".into()),
            (Some("protected_by_mitigating_control"), _) => Some("inline_mitigations_already_exist".into()),
            (Some(other), _) => Some(other.into()),
            (None, "false_positive") => Some("false_positive".into()),
            (None, _) => None,
        };
        let statement =
            Statement { vulnerability, products: Vec::new(), status, justification, detail: detail.clone(), timestamp };
        Some(statement).filter(|statement| !statement.vulnerability.is_empty())
    }
}

impl Affected {
    /// The names of what is affected, in the versions that are listed.
    fn names(&self, known: &HashMap<&str, Vec<ProductName>>) -> Result<Vec<ProductName>, String> {
        let last = self.reference.rsplit_once('#').map_or(self.reference.as_str(), |(_, fragment)| fragment);
        let found = known.get(self.reference.as_str()).or_else(|| known.get(last)).cloned();
        let found = found.filter(|names| !names.is_empty()).unwrap_or_else(|| names(last).into_iter().collect());
        if found.is_empty() {
            return Err(format!("{:?} names no component", self.reference));
        }
        if self.versions.iter().any(|version| version.range.is_some()) {
            return Err(format!("{:?} is named with a range of versions", self.reference));
        }
        let versions: Vec<_> = self.versions.iter().filter_map(|version| version.version.as_deref()).collect();
        let open = |name: &ProductName| matches!(name, ProductName::Purl(p) if p.parts().version.is_empty());
        if versions.is_empty() || !found.iter().any(open) {
            return Ok(found);
        }
        let (open, mut rest): (Vec<_>, Vec<_>) = found.into_iter().partition(open);
        let patterns = open.iter().filter_map(|name| match name {
            ProductName::Purl(purl) => Some(purl),
            ProductName::Cpe(_) | ProductName::Digest(_) => None,
        });
        rest.extend(patterns.flat_map(|purl| with_versions(purl, &versions)));
        Ok(rest)
    }
}

fn with_versions(purl: &PurlPattern, versions: &[&str]) -> Vec<ProductName> {
    let with = |version: &&str| {
        let parts = patchkit_core::PurlParts { version: (*version).into(), ..purl.parts().clone() };
        parts.build().ok().map(|purl| ProductName::Purl(PurlPattern::from(&purl)))
    };
    versions.iter().filter_map(with).collect()
}
