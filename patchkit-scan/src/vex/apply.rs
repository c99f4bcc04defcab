//! Applies statements to a report.

use std::collections::BTreeMap;

use patchkit_core::{AdvisoryId, Digest, Distribution, Finding, Purl, ScanReport, Suppressed};
use serde::Serialize;

use super::{Product, ProductName, Statement, Status, VexDocument};
use crate::{PurlPattern, alias, purl_pattern::Names};

/// Documents of statements, ready to be applied to reports.
#[derive(Clone, Debug, Default)]
pub struct Vex {
    documents: Vec<VexDocument>,
    /// Document and statement, by vulnerability.
    index: BTreeMap<AdvisoryId, Vec<(usize, usize)>>,
    images: Vec<Purl>,
    digests: Vec<Digest>,
}

/// What tells one [`Vex`] from another.
#[derive(Serialize)]
pub(super) struct Configuration<'a> {
    documents: &'a [Digest],
    images: &'a [Purl],
}

impl Vex {
    /// No statements.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more document.
    ///
    /// # Errors
    /// As [`VexDocument::read`].
    pub fn with_document(mut self, bytes: &[u8]) -> patchkit_core::Result<Self> {
        let document = VexDocument::read(bytes)?;
        let n = self.documents.len();
        for (m, statement) in document.statements.iter().enumerate() {
            for id in &statement.vulnerability {
                self.index.entry(id.clone()).or_default().push((n, m));
            }
        }
        self.documents.push(document);
        self.digests.push(Digest::of(bytes));
        Ok(self)
    }

    /// The same for images that are also called by this name: `pkg:oci/app?repository_url=example.org/team/app`.
    /// Statements about a `pkg:oci` without a digest are about no image but those of such a name.
    #[must_use]
    pub fn with_image_name(mut self, name: Purl) -> Self {
        self.images.push(name);
        self
    }

    /// The documents.
    #[must_use]
    pub fn documents(&self) -> &[VexDocument] {
        &self.documents
    }

    pub(super) fn configuration(&self) -> Configuration<'_> {
        Configuration { documents: &self.digests, images: &self.images }
    }

    /// Moves what is stated not to matter from the findings to what is suppressed, and warns of contradictions.
    #[must_use]
    pub fn apply(&self, report: ScanReport) -> ScanReport {
        let mut report = report.sorted();
        let findings = std::mem::take(&mut report.findings);
        let packages: Vec<_> = report.packages.iter().map(Names::of).collect();
        let mut warnings = Vec::new();
        let subject = Subject { vex: self, report: &report, packages: &packages };
        let (mut kept, mut dropped) = (Vec::new(), Vec::new());
        for finding in findings {
            match subject.judge(&finding) {
                Judgement::Counts => kept.push(finding),
                Judgement::Contradicted(why) => {
                    warnings.push(format!("{} counts, since statements contradict each other: {why}", finding.key()));
                    kept.push(finding);
                }
                Judgement::Cleared { by, reason, source } => {
                    dropped.push(Suppressed { finding, by, reason, source, until: None })
                }
            }
        }
        for document in &self.documents {
            warnings.extend(document.warnings.iter().map(|warning| format!("VEX document {}: {warning}", document.id)));
        }
        report.findings = kept;
        report.suppressed.extend(dropped);
        report.warnings.extend(warnings);
        report.sorted()
    }
}

enum Judgement {
    Cleared { by: String, reason: String, source: String },
    Contradicted(String),
    Counts,
}

/// What statements are applied to.
struct Subject<'a> {
    vex: &'a Vex,
    report: &'a ScanReport,
    packages: &'a [Names],
}

impl Subject<'_> {
    fn judge(&self, finding: &Finding) -> Judgement {
        let found = self.statements(finding);
        // A statement without a time is older than any with one.
        let latest = found.iter().map(|(_, statement)| statement.timestamp).max().flatten();
        let latest: Vec<_> = found.into_iter().filter(|(_, statement)| statement.timestamp == latest).collect();
        let Some((document, statement)) = latest.iter().find(|(_, statement)| statement.status.clears()) else {
            return Judgement::Counts;
        };
        if latest.iter().all(|(_, statement)| statement.status.clears()) {
            let (by, source) = (document.author.clone(), document.id.clone());
            return Judgement::Cleared { by, reason: reason(statement), source };
        }
        let said = |(document, statement): &(&VexDocument, &Statement)| {
            format!("{} says {} ({})", document.author, statement.status.as_str(), document.id)
        };
        let mut said: Vec<_> = latest.iter().map(said).collect();
        said.sort();
        said.dedup();
        Judgement::Contradicted(said.join(", "))
    }

    /// All statements about a finding.
    fn statements(&self, finding: &Finding) -> Vec<(&VexDocument, &Statement)> {
        let package = self.report.packages.binary_search_by(|package| package.purl.cmp(&finding.package));
        let fallback = Names::of_purl(&finding.package);
        let names = package.map_or(&fallback, |n| &self.packages[n]);
        let ids = alias::names(finding);
        let mut places: Vec<_> = ids.filter_map(|id| self.vex.index.get(id)).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        let documents = &self.vex.documents;
        let found = places.into_iter().map(|(n, m)| (&documents[n], &documents[n].statements[m]));
        let found = found.filter(|(_, statement)| {
            alias::may_be_same(alias::names(finding), statement.vulnerability.iter())
                && statement.products.iter().any(|product| self.fits(product, names))
        });
        found.collect()
    }

    /// Whether a product, with its components, is where a finding's package is.
    fn fits(&self, product: &Product, package: &Names) -> bool {
        match &product.components {
            None => product.names.iter().any(|name| match name {
                // A distribution speaks of its own packages, not of what else is in the image.
                ProductName::Cpe(_) => self.is_whole(name) && package.is_of_distribution(),
                name => self.is_whole(name) || is_package(name, package),
            }),
            Some(components) => {
                let component = components.iter().flatten().any(|name| is_package(name, package));
                component && (product.names.iter().any(|name| self.is_whole(name)) || self.is_installed(product))
            }
        }
    }

    /// Whether a name is of the image as a whole: itself, or its distribution.
    fn is_whole(&self, name: &ProductName) -> bool {
        match name {
            ProductName::Cpe(cpe) => {
                self.report.distribution.as_ref().is_some_and(|distribution| is_distribution(cpe, distribution))
            }
            ProductName::Digest(digest) => *digest == self.report.subject,
            ProductName::Purl(purl) if purl.parts().kind == "oci" => self.is_image(purl),
            ProductName::Purl(_) => false,
        }
    }

    fn is_image(&self, purl: &PurlPattern) -> bool {
        match purl.parts().version.parse::<Digest>() {
            Ok(digest) => digest == self.report.subject,
            Err(_) => self.vex.images.iter().any(|image| {
                let (asked, named) = (purl.parts(), image.parts());
                let place = |parts: &patchkit_core::PurlParts| parts.qualifiers.get("repository_url").cloned();
                let same_place = place(asked).is_none() || place(asked) == place(&named);
                asked.name == named.name && same_place && (asked.version.is_empty() || asked.version == named.version)
            }),
        }
    }

    /// Whether the product is itself a package of the image, which has others as its components.
    fn is_installed(&self, product: &Product) -> bool {
        product.names.iter().any(|name| self.packages.iter().any(|package| is_package(name, package)))
    }
}

fn is_package(name: &ProductName, package: &Names) -> bool {
    matches!(name, ProductName::Purl(purl) if purl.fits_names(package))
}

/// Whether a CPE of an operating system is a distribution: `cpe:/o:redhat:enterprise_linux:9::baseos` is any 9 of
/// `rhel`. A CPE without a version is none, since it says too little.
fn is_distribution(cpe: &str, distribution: &Distribution) -> bool {
    let parts = cpe.strip_prefix("cpe:2.3:").or_else(|| cpe.strip_prefix("cpe:/")).unwrap_or_default();
    let mut parts = parts.split(':');
    let (kind, _vendor, product, version) = (parts.next(), parts.next(), parts.next(), parts.next());
    let (Some("a" | "o"), Some(product), Some(version)) = (kind, product, version) else { return false };
    let id = match product {
        "enterprise_linux" => "rhel",
        "debian_linux" => "debian",
        "ubuntu_linux" => "ubuntu",
        "alpine_linux" => "alpine",
        "suse_linux_enterprise_server" => "sles",
        product => product,
    };
    let Some(installed) = &distribution.version_id else { return false };
    let within = installed == version || installed.starts_with(&format!("{version}."));
    id == distribution.id && !version.is_empty() && within
}

/// Why it does not matter: the justification, or the status, and more where more is said.
fn reason(statement: &Statement) -> String {
    let word = match (&statement.justification, statement.status) {
        (Some(justification), Status::NotAffected) => justification.as_str(),
        (_, status) => status.as_str(),
    };
    match &statement.detail {
        Some(detail) => format!("{word}: {detail}"),
        None => word.into(),
    }
}
