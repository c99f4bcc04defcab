//! Statements about which vulnerabilities do not matter: OpenVEX, CSAF VEX and CycloneDX VEX.
//!
//! [`VexDocument::read`] understands each. A statement is about vulnerabilities (by id or alias), in products (an image
//! by its digest or by `pkg:oci`, a package by its purl, a distribution by its CPE), and perhaps only in some of their
//! components. What a purl does not say fits anything: without a version every version.
//!
//! | status | what becomes of the finding |
//! |---|---|
//! | `not_affected` | moves into [`suppressed`](patchkit_core::ScanReport::suppressed) with justification, author and document |
//! | `fixed` | moves there too |
//! | `affected`, `under_investigation` | stays, and overrides older statements |
//!
//! Of several statements about a finding the latest counts. Where those of the same time contradict each other, the
//! finding stays and the report warns.

mod apply;
mod csaf;
mod cyclonedx;
mod openvex;
mod scanner;

use jiff::Timestamp;
use patchkit_core::{AdvisoryId, Digest};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use thiserror::Error;

use crate::PurlPattern;

pub use apply::Vex;
pub use scanner::{Vexed, WithVex};

/// A document of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VexDocument {
    /// Its name: its `@id`, its tracking id, its serial number.
    pub id: String,
    /// Who states it.
    pub author: String,
    /// The statements.
    pub statements: Vec<Statement>,
    /// What of it could not be understood, and so has no effect.
    pub warnings: Vec<String>,
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// The vulnerability: all its names.
    pub vulnerability: Vec<AdvisoryId>,
    /// Where it holds.
    pub products: Vec<Product>,
    /// What is stated.
    pub status: Status,
    /// Why it is not affected, in the words of OpenVEX where there is one.
    pub justification: Option<String>,
    /// More of why, for people.
    pub detail: Option<String>,
    /// When it was stated.
    pub timestamp: Option<Timestamp>,
}

/// What is stated of a vulnerability in a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It is vulnerable.
    Affected,
    /// It was, and is no more.
    Fixed,
    /// It is not vulnerable.
    NotAffected,
    /// It is not known yet.
    UnderInvestigation,
}

impl Status {
    /// Whether the vulnerability does not matter by that.
    fn clears(self) -> bool {
        matches!(self, Self::Fixed | Self::NotAffected)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Affected => "affected",
            Self::Fixed => "fixed",
            Self::NotAffected => "not_affected",
            Self::UnderInvestigation => "under_investigation",
        }
    }
}

/// A product, and those of its components that a statement is about: all, where it names none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Product {
    /// The names of the product, each of which is enough.
    pub names: Vec<ProductName>,
    /// The components, each by its names. A component without a name that is understood fits nothing.
    pub components: Option<Vec<Vec<ProductName>>>,
}

/// A name of a product or component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductName {
    /// A distribution, as CPE 2.2 or 2.3: `cpe:/o:redhat:enterprise_linux:9`.
    Cpe(String),
    /// An image, by the digest of its manifest.
    Digest(Digest),
    /// A package, or an image as `pkg:oci`.
    Purl(PurlPattern),
}

/// Why a VEX document cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VexError {
    /// It is not what its format says; the source names line and column.
    #[error("{format}: {source}")]
    Json {
        /// The format that it looks like.
        format: &'static str,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It is neither OpenVEX nor CSAF nor CycloneDX.
    #[error("no known format of VEX: {0}")]
    UnknownFormat(String),
}

impl From<VexError> for patchkit_core::Error {
    fn from(error: VexError) -> Self {
        let make = match &error {
            VexError::Json { .. } => Self::corrupt,
            VexError::UnknownFormat(_) => Self::unsupported,
        };
        make(error.to_string()).during("read a VEX document").because(error)
    }
}

/// The fields that tell formats apart.
#[derive(Deserialize)]
struct Probe {
    #[serde(default, rename = "@context")]
    context: Option<serde_json::Value>,
    #[serde(default, rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    #[serde(default)]
    document: Option<IgnoredAny>,
    #[serde(default)]
    statements: Option<IgnoredAny>,
}

impl VexDocument {
    /// Reads a document in whatever of the formats it is.
    ///
    /// # Errors
    /// [`VexError`], with line and column where it is broken.
    pub fn read(bytes: &[u8]) -> Result<Self, VexError> {
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        let probe: Probe = serde_json::from_slice(bytes).map_err(|error| VexError::UnknownFormat(error.to_string()))?;
        let context = probe.context.as_ref().and_then(serde_json::Value::as_str);
        let json = |format| move |source| VexError::Json { format, source };
        match probe {
            _ if context.is_some_and(|context| context.starts_with("https://openvex.dev/ns")) => {
                openvex::read(bytes).map_err(json("OpenVEX"))
            }
            Probe { bom_format: Some(_), .. } => cyclonedx::read(bytes).map_err(json("CycloneDX")),
            Probe { document: Some(_), .. } => csaf::read(bytes).map_err(json("CSAF")),
            Probe { statements: Some(_), .. } => Err(VexError::UnknownFormat("the context is not OpenVEX's".into())),
            _ => Err(VexError::UnknownFormat("the JSON object has none of the fields that would tell".into())),
        }
    }
}

/// The names in a text that may be a purl, a digest (bare or after an `@`), or a CPE; none where it is none.
fn names(text: &str) -> Option<ProductName> {
    if text.starts_with("cpe:") {
        return Some(ProductName::Cpe(text.into()));
    }
    if let Ok(purl) = text.parse() {
        return Some(ProductName::Purl(purl));
    }
    let digest = text.rsplit_once('@').map_or(text, |(_, digest)| digest);
    digest.parse().ok().map(ProductName::Digest)
}

/// A time with its offset (RFC 3339).
fn time(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

#[cfg(test)]
mod tests;
