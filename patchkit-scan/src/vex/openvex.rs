//! OpenVEX, 0.0.1 and 0.2.0.
//!
//! Source: the OpenVEX specification. In 0.0.1 vulnerabilities, products and subcomponents are plain texts, and the
//! subcomponents belong to the statement.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Product, ProductName, Statement, Status, VexDocument, names, time};
use crate::report::nullable;

#[derive(Deserialize)]
struct Document {
    #[serde(default, rename = "@id")]
    id: String,
    #[serde(default)]
    author: String,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    statements: Vec<Raw>,
}

#[derive(Deserialize)]
struct Raw {
    vulnerability: Vulnerability,
    #[serde(default)]
    timestamp: Option<String>,
    #[serde(default)]
    last_updated: Option<String>,
    #[serde(default, deserialize_with = "nullable")]
    products: Vec<Component>,
    #[serde(default, deserialize_with = "nullable")]
    subcomponents: Vec<Component>,
    status: Status,
    #[serde(default)]
    justification: Option<String>,
    #[serde(default)]
    impact_statement: Option<String>,
    #[serde(default)]
    status_notes: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Vulnerability {
    Name(String),
    Full {
        #[serde(default)]
        name: String,
        #[serde(default, deserialize_with = "nullable")]
        aliases: Vec<String>,
    },
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Component {
    Name(String),
    Full {
        #[serde(default, rename = "@id")]
        id: String,
        #[serde(default, deserialize_with = "nullable")]
        identifiers: BTreeMap<String, String>,
        #[serde(default, deserialize_with = "nullable")]
        hashes: BTreeMap<String, String>,
        #[serde(default, deserialize_with = "nullable")]
        subcomponents: Vec<Component>,
    },
}

pub(super) fn read(bytes: &[u8]) -> Result<VexDocument, serde_json::Error> {
    let Document { id, author, timestamp, last_updated, statements } = serde_json::from_slice(bytes)?;
    let general = last_updated.or(timestamp);
    let mut document = VexDocument { id, author, statements: Vec::new(), warnings: Vec::new() };
    for (n, raw) in statements.into_iter().enumerate() {
        match raw.statement(general.as_deref()) {
            Ok(statement) => document.statements.push(statement),
            Err(why) => document.warnings.push(format!("statement {} has no effect: {why}", n + 1)),
        }
    }
    Ok(document)
}

impl Raw {
    fn statement(self, general: Option<&str>) -> Result<Statement, String> {
        let vulnerability = match &self.vulnerability {
            Vulnerability::Name(name) => vec![name],
            Vulnerability::Full { name, aliases } => [name].into_iter().chain(aliases).collect(),
        };
        let vulnerability: Vec<_> = vulnerability.into_iter().filter_map(|name| name.parse().ok()).collect();
        if vulnerability.is_empty() {
            return Err("it names no vulnerability".into());
        }
        let products = self.products();
        if products.is_empty() {
            return Err("it names no product by purl, digest or CPE".into());
        }
        Ok(Statement {
            vulnerability,
            products,
            status: self.status,
            justification: self.justification.filter(|text| !text.is_empty()),
            detail: self.impact_statement.or(self.status_notes).filter(|text| !text.is_empty()),
            timestamp: time(self.last_updated.as_deref().or(self.timestamp.as_deref()).or(general)),
        })
    }
}

impl Raw {
    /// The products: each with subcomponents of its own, and one for all the others, which share the statement's.
    fn products(&self) -> Vec<Product> {
        let (own, others): (Vec<_>, Vec<_>) = self.products.iter().partition(|p| !p.subcomponents().is_empty());
        let names = |components: &[Component]| components.iter().map(Component::names).collect();
        let single =
            |product: &Component| Product { names: product.names(), components: Some(names(product.subcomponents())) };
        let shared = Some(names(&self.subcomponents)).filter(|all: &Vec<_>| !all.is_empty());
        let rest = Product { names: others.iter().flat_map(|product| product.names()).collect(), components: shared };
        own.into_iter().map(single).chain([rest]).filter(|product| !product.names.is_empty()).collect()
    }
}

impl Component {
    fn subcomponents(&self) -> &[Self] {
        match self {
            Self::Full { subcomponents, .. } => subcomponents,
            Self::Name(_) => &[],
        }
    }

    fn names(&self) -> Vec<ProductName> {
        match self {
            Self::Name(name) => names(name).into_iter().collect(),
            Self::Full { id, identifiers, hashes, .. } => {
                let identifiers = identifiers.values().map(String::as_str);
                let hash = hashes.get("sha-256").map(|hash| format!("sha256:{hash}"));
                let texts = [id.as_str()].into_iter().chain(identifiers).chain(hash.as_deref());
                texts.filter_map(names).collect()
            }
        }
    }
}
