//! CSAF 2.0, profile VEX, as vendors publish it.
//!
//! Source: OASIS CSAF 2.0. Products are named by purls, hashes and CPEs in the product tree; a component of a platform
//! is a relationship between the two.

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;

use super::{Product, ProductName, Statement, Status, VexDocument, names, time};
use crate::report::nullable;

#[derive(Deserialize)]
struct Csaf {
    document: Document,
    #[serde(default)]
    product_tree: Tree,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    publisher: Publisher,
    #[serde(default)]
    tracking: Tracking,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Publisher {
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tracking {
    id: String,
    current_release_date: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Tree {
    branches: Vec<Branch>,
    full_product_names: Vec<FullName>,
    relationships: Vec<Relationship>,
}

#[derive(Deserialize)]
struct Branch {
    #[serde(default)]
    branches: Vec<Branch>,
    #[serde(default)]
    product: Option<FullName>,
}

#[derive(Deserialize)]
struct FullName {
    product_id: String,
    #[serde(default)]
    product_identification_helper: Identification,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Identification {
    cpe: Option<String>,
    purl: Option<String>,
    hashes: Vec<Hashes>,
}

#[derive(Deserialize)]
struct Hashes {
    #[serde(default)]
    file_hashes: Vec<FileHash>,
}

#[derive(Deserialize)]
struct FileHash {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
struct Relationship {
    full_product_name: FullName,
    product_reference: String,
    relates_to_product_reference: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    #[serde(default)]
    cve: Option<String>,
    #[serde(default)]
    ids: Vec<Id>,
    #[serde(default)]
    product_status: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    flags: Vec<Flag>,
    #[serde(default)]
    threats: Vec<Threat>,
}

#[derive(Deserialize)]
struct Id {
    text: String,
}

#[derive(Deserialize)]
struct Flag {
    label: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

#[derive(Deserialize)]
struct Threat {
    category: String,
    details: String,
    #[serde(default)]
    product_ids: Vec<String>,
}

/// How many names of a product are kept: it is repeated for each status that it has.
const MAX_NAMES: usize = 16;

pub(super) fn read(bytes: &[u8]) -> Result<VexDocument, serde_json::Error> {
    let csaf: Csaf = serde_json::from_slice(bytes)?;
    let Document { publisher, tracking } = csaf.document;
    let products = csaf.product_tree.products();
    let timestamp = time(tracking.current_release_date.as_deref());
    let mut document =
        VexDocument { id: tracking.id, author: publisher.name, statements: Vec::new(), warnings: Vec::new() };
    for vulnerability in &csaf.vulnerabilities {
        let statements = vulnerability.statements(&products);
        let unknown = vulnerability.unknown(&products);
        if unknown > 0 {
            let name = vulnerability.cve.as_deref().unwrap_or("a vulnerability");
            let why = "without a purl, a digest or a CPE, so what is said of them has no effect";
            document.warnings.push(format!("{name}: {unknown} products are {why}"));
        }
        document.statements.extend(statements.into_iter().map(|s| Statement { timestamp, ..s }));
    }
    Ok(document)
}

impl Tree {
    /// The products by their ids in the document.
    fn products(self) -> HashMap<String, Product> {
        let mut names = HashMap::new();
        let mut add = |name: FullName| names.insert(name.product_id, name.product_identification_helper.names());
        self.full_product_names.into_iter().for_each(|name| drop(add(name)));
        let mut rest = self.branches;
        while let Some(Branch { branches, product }) = rest.pop() {
            rest.extend(branches);
            product.into_iter().for_each(|name| drop(add(name)));
        }
        let related = self.relationships.into_iter().map(|relation| {
            let platform = names.get(&relation.relates_to_product_reference).cloned().unwrap_or_default();
            let component = names.get(&relation.product_reference).cloned().unwrap_or_default();
            let own = relation.full_product_name.product_identification_helper.names();
            let components = if own.is_empty() { component } else { own };
            (relation.full_product_name.product_id, Product { names: platform, components: Some(vec![components]) })
        });
        let related: Vec<_> = related.collect();
        let single = names.into_iter().map(|(id, names)| (id, Product { names, components: None }));
        single.chain(related).collect()
    }
}

impl Identification {
    fn names(self) -> Vec<ProductName> {
        let hashes = self.hashes.into_iter().flat_map(|hashes| hashes.file_hashes);
        let hashes = hashes.map(|hash| format!("{}:{}", hash.algorithm, hash.value));
        let texts = self.purl.into_iter().chain(self.cpe).chain(hashes);
        texts.filter_map(|text| names(&text)).take(MAX_NAMES).collect()
    }
}

impl Vulnerability {
    /// The products of each status that is understood.
    fn statuses(&self) -> impl Iterator<Item = (Status, &String)> {
        let known = self.product_status.iter().filter_map(|(word, products)| {
            let status = match word.as_str() {
                "first_affected" | "known_affected" | "last_affected" => Status::Affected,
                "first_fixed" | "fixed" => Status::Fixed,
                "known_not_affected" => Status::NotAffected,
                "under_investigation" => Status::UnderInvestigation,
                _ => return None,
            };
            Some(products.iter().map(move |product| (status, product)))
        });
        known.flatten()
    }

    /// How many products cannot be told from others.
    fn unknown(&self, products: &HashMap<String, Product>) -> usize {
        let named = |product: &Product| {
            let components = product.components.as_ref();
            !product.names.is_empty() && components.is_none_or(|all| all.iter().any(|names| !names.is_empty()))
        };
        self.statuses().filter(|(_, id)| !products.get(*id).is_some_and(named)).count()
    }

    /// A statement for each status and justification.
    fn statements(&self, products: &HashMap<String, Product>) -> Vec<Statement> {
        let ids = self.cve.iter().chain(self.ids.iter().map(|id| &id.text));
        let vulnerability: Vec<_> = ids.filter_map(|id| id.parse().ok()).collect();
        if vulnerability.is_empty() {
            return Vec::new();
        }
        let flags = self.flags.iter().flat_map(|flag| flag.product_ids.iter().map(move |id| (id, &flag.label)));
        let flags: HashMap<_, _> = flags.collect();
        let impacts = self.threats.iter().filter(|threat| threat.category == "impact");
        let impacts = impacts.flat_map(|threat| threat.product_ids.iter().map(move |id| (id, &threat.details)));
        let impacts: HashMap<_, _> = impacts.collect();
        let mut groups = BTreeMap::<_, Vec<Product>>::new();
        for (status, id) in self.statuses() {
            let key = (status, flags.get(id).copied(), impacts.get(id).copied());
            groups.entry(key).or_default().extend(products.get(id).cloned());
        }
        let statement =
            |((status, justification, detail), products): ((Status, Option<&String>, Option<&String>), _)| {
                let (justification, detail) = (justification.cloned(), detail.cloned());
                Statement {
                    vulnerability: vulnerability.clone(),
                    products,
                    status,
                    justification,
                    detail,
                    timestamp: None,
                }
            };
        groups.into_iter().map(statement).collect()
    }
}
