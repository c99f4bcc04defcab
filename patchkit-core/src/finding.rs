//! What a scanner says: packages, and the vulnerabilities they have.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, Distribution, Image, Package, Platform, Purl, Version};

/// How bad a vulnerability is, in the order of badness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nobody has said.
    #[default]
    Unknown,
    /// Of no practical effect (Debian's `unimportant`, Ubuntu's `negligible`).
    Negligible,
    /// Low.
    Low,
    /// Medium (CVSS 4.0 to 6.9).
    Medium,
    /// High (CVSS 7.0 to 8.9).
    High,
    /// Critical (CVSS 9.0 and above).
    Critical,
}

impl Severity {
    /// All severities, the least first.
    pub const ALL: [Self; 6] = [Self::Unknown, Self::Negligible, Self::Low, Self::Medium, Self::High, Self::Critical];

    /// The word for it, in lower case.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::Negligible => "negligible",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`Severity`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("severity {0:?}: expected unknown, negligible, low, medium, high or critical")]
pub struct ParseSeverityError(String);

impl FromStr for Severity {
    type Err = ParseSeverityError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|severity| severity.as_str().eq_ignore_ascii_case(text));
        found.ok_or_else(|| ParseSeverityError(text.into()))
    }
}

/// The name of a vulnerability or an advisory: `CVE-2024-5535`, `DSA-5764-1`, `GHSA-…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AdvisoryId(String);

impl AdvisoryId {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a CVE id: `CVE-`, four digits of a year, and a number of at least four digits.
    #[must_use]
    pub fn is_cve(&self) -> bool {
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        let number = self.0.strip_prefix("CVE-").and_then(|rest| rest.split_once('-'));
        number.is_some_and(|(year, n)| year.len() == 4 && n.len() >= 4 && digits(year) && digits(n))
    }
}

impl fmt::Display for AdvisoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// A text that is no [`AdvisoryId`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("advisory id {0:?}: expected 1 to 128 printable ASCII characters without blanks")]
pub struct ParseAdvisoryIdError(String);

impl FromStr for AdvisoryId {
    type Err = ParseAdvisoryIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let well_formed = (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
        well_formed.then(|| Self(text.into())).ok_or_else(|| ParseAdvisoryIdError(text.into()))
    }
}

impl TryFrom<String> for AdvisoryId {
    type Error = ParseAdvisoryIdError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<AdvisoryId> for String {
    fn from(id: AdvisoryId) -> Self {
        id.0
    }
}

/// What the vendor did, or will do, about a vulnerability in a package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "version")]
pub enum FixState {
    /// Fixed in this version of the package's source (or of the package, where there are no sources).
    Fixed(Version),
    /// The vendor says that the package does not have the vulnerability.
    NotAffected,
    /// There is no fix yet.
    NotFixed,
    /// The vendor will not fix it.
    WillNotFix,
}

/// A CVSS vector and its score.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CvssScore {
    /// The vector: `CVSS:3.1/AV:N/…`; without a prefix for version 2.
    pub vector: String,
    /// The base score in tenths, 0 to 100.
    pub tenths: u8,
}

/// What is known about a vulnerability being exploited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exploitation {
    /// Whether it is in CISA's catalogue of known exploited vulnerabilities.
    #[serde(default)]
    pub known: bool,
    /// The probability of its being exploited within 30 days, by EPSS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epss: Option<Epss>,
}

impl Exploitation {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// What the Exploit Prediction Scoring System says of a vulnerability, in hundred thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Epss {
    /// The probability.
    pub probability: u32,
    /// The share of all vulnerabilities that are no more probable.
    pub percentile: u32,
}

/// One vulnerability of one package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The vulnerability; a CVE id where there is one.
    pub id: AdvisoryId,
    /// Other names of the same: the distribution's advisory, GHSA.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub aliases: Vec<AdvisoryId>,
    /// The package that has it, one of the report's.
    pub package: Purl,
    /// How bad it is: by the package's vendor, else by its CVSS score.
    pub severity: Severity,
    /// The CVSS vectors, the newest version of CVSS first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cvss: Vec<CvssScore>,
    /// What is known about it being exploited.
    #[serde(default, skip_serializing_if = "Exploitation::is_unknown")]
    pub exploitation: Exploitation,
    /// What can be done about it.
    pub fix: FixState,
    /// One line of what it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Where the claim comes from: the name of the advisory source.
    pub source: String,
}

impl Finding {
    /// A finding of which nothing more is known; the source is the name of who claims it.
    #[must_use]
    pub fn new(id: AdvisoryId, package: Purl, severity: Severity, fix: FixState, source: impl Into<String>) -> Self {
        Self {
            id,
            aliases: Vec::new(),
            package,
            severity,
            cvss: Vec::new(),
            exploitation: Exploitation::default(),
            fix,
            title: None,
            source: source.into(),
        }
    }

    /// What identifies the finding within its report.
    #[must_use]
    pub fn key(&self) -> FindingKey {
        FindingKey { id: self.id.clone(), package: self.package.clone() }
    }
}

/// A vulnerability and the package that has it: what identifies a [`Finding`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FindingKey {
    /// The vulnerability.
    pub id: AdvisoryId,
    /// The package.
    pub package: Purl,
}

impl fmt::Display for FindingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.id, self.package)
    }
}

/// All that a scanner says about one image. Packages are sorted by purl, findings by id and purl.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanReport {
    /// The digest of the image's manifest.
    pub subject: Digest,
    /// The image's platform.
    pub platform: Platform,
    /// The distribution, where the image has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub distribution: Option<Distribution>,
    /// What is installed.
    pub packages: Vec<Package>,
    /// What is vulnerable.
    pub findings: Vec<Finding>,
    /// What would be vulnerable, but for a statement that it is not, or a rule that it shall not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// Which of the layers are those of an image that this one was built on, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseLayers>,
    /// What the scanner could not judge, and why: a release without advisories, a stale source.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// A finding that does not count, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suppressed {
    /// The finding.
    pub finding: Finding,
    /// Who says so: the author of a VEX document, the owner of a rule.
    pub by: String,
    /// Why: `vulnerable_code_not_in_execute_path`, `fixed`, a rule's reason.
    pub reason: String,
    /// The document that it stands in.
    pub source: String,
    /// When the finding counts again, where somebody lets it pass until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// The layers that came with the image that another one was built on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseLayers {
    /// The name of the base image, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The digest of its manifest or index, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// The diff ids of its layers, the lowest first: those the image starts with.
    pub layers: Vec<Digest>,
}

impl ScanReport {
    /// An empty report about an image.
    #[must_use]
    pub fn of(image: &Image) -> Self {
        Self {
            subject: *image.digest(),
            platform: image.platform().clone(),
            distribution: None,
            packages: Vec::new(),
            findings: Vec::new(),
            suppressed: Vec::new(),
            base: None,
            warnings: Vec::new(),
        }
    }

    /// The package of the given identity.
    #[must_use]
    pub fn package(&self, purl: &Purl) -> Option<&Package> {
        self.packages.iter().find(|package| package.purl == *purl)
    }

    /// When it stops counting: the first finding that is let pass counts again. A pipeline then scans again.
    #[must_use]
    pub fn counts_until(&self) -> Option<Timestamp> {
        self.suppressed.iter().filter_map(|suppressed| suppressed.until).min()
    }

    /// Sorts packages and findings, and drops what stands twice: the order every report has.
    #[must_use]
    pub fn sorted(mut self) -> Self {
        self.packages.sort_by(|a, b| a.purl.cmp(&b.purl));
        self.packages.dedup();
        self.findings.sort_by_cached_key(Finding::key);
        self.findings.dedup();
        self.suppressed.sort_by_cached_key(|suppressed| (suppressed.finding.key(), suppressed.source.clone()));
        self.suppressed.dedup();
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_a_cve_id() {
        for (text, cve) in
            [("CVE-2024-5535", true), ("CVE-24-5535", false), ("CVE-2024-x", false), ("DSA-5764-1", false)]
        {
            assert_eq!(text.parse::<AdvisoryId>().unwrap().is_cve(), cve, "{text}");
        }
        assert!("".parse::<AdvisoryId>().is_err() && "CVE 1".parse::<AdvisoryId>().is_err());
    }

    #[test]
    fn severities_are_ordered_and_named() {
        assert!(Severity::ALL.is_sorted());
        assert!(Severity::ALL.iter().all(|severity| severity.as_str().parse() == Ok(*severity)));
    }
}
