//! Writes reports in the formats of other tools.

mod cyclonedx;
mod openvex;
mod sarif;
mod spdx;
mod spdx3;
mod trivy;

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use patchkit_core::{AdvisoryId, Digest, Error, Finding, FixState, Purl, PurlParts, Reference, Result, ScanReport};
use serde_json::Value;
use thiserror::Error;

use crate::purl_pattern::find;

pub use openvex::rescan_vex;

/// A format that reports are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// CycloneDX 1.6, with components and vulnerabilities.
    CycloneDx,
    /// The report itself: `schema/scan-report.schema.json`. Several reports are an array.
    Json,
    /// OpenVEX 0.2.0: a statement a finding.
    OpenVex,
    /// SARIF 2.1.0: a run an image.
    Sarif,
    /// SPDX 2.3.
    Spdx,
    /// SPDX 3.0.1 as JSON-LD.
    Spdx3,
    /// Trivy's JSON, schema 2.
    Trivy,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 7] =
        [Self::CycloneDx, Self::Json, Self::OpenVex, Self::Sarif, Self::Spdx, Self::Spdx3, Self::Trivy];

    /// The name that it is chosen by: `cyclonedx`, `json`, `openvex`, `sarif`, `spdx`, `spdx3`, `trivy`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CycloneDx => "cyclonedx",
            Self::Json => "json",
            Self::OpenVex => "openvex",
            Self::Sarif => "sarif",
            Self::Spdx => "spdx",
            Self::Spdx3 => "spdx3",
            Self::Trivy => "trivy",
        }
    }

    /// The media type of its documents.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::CycloneDx => "application/vnd.cyclonedx+json",
            Self::Json | Self::Trivy => "application/json",
            Self::OpenVex => "application/vnd.openvex+json",
            Self::Sarif => "application/sarif+json",
            Self::Spdx => "application/spdx+json",
            Self::Spdx3 => "application/ld+json",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A word that is no [`Format`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("format {0:?}: expected cyclonedx, json, openvex, sarif, spdx, spdx3 or trivy")]
pub struct ParseFormatError(String);

impl FromStr for Format {
    type Err = ParseFormatError;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|format| format.as_str() == text);
        found.ok_or_else(|| ParseFormatError(text.into()))
    }
}

/// What a document says that is not in the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteOptions {
    /// When the document was made; given by the caller, since the same report shall give the same bytes.
    pub timestamp: Timestamp,
    /// What the image is called: `example.org/team/app:1.2`. Without a name, documents use the digest.
    pub name: Option<String>,
    /// Who states it: a name, or an address.
    pub author: String,
}

impl WriteOptions {
    /// Options for a document of the given time, by `patchkit`.
    #[must_use]
    pub fn new(timestamp: Timestamp) -> Self {
        Self { timestamp, name: None, author: "patchkit".into() }
    }

    /// The same, about an image of the given name.
    #[must_use]
    pub fn with_name(self, name: impl Into<String>) -> Self {
        Self { name: Some(name.into()), ..self }
    }

    /// The same, by the given author.
    #[must_use]
    pub fn with_author(self, author: impl Into<String>) -> Self {
        Self { author: author.into(), ..self }
    }

    /// The name, or the subject's digest.
    fn name_of(&self, report: &ScanReport) -> String {
        self.name.clone().unwrap_or_else(|| report.subject.to_string())
    }

    /// The time to the second, as formats with a narrow notion of time want it: `2026-01-02T03:04:05Z`.
    fn seconds(&self) -> String {
        self.timestamp.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

/// Writes reports as one document, which ends with a line feed. The same reports and options give the same bytes.
///
/// # Errors
/// [`Invalid`](patchkit_core::ErrorKind::Invalid) without any report;
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for several reports in CycloneDX or Trivy's JSON, whose
/// documents are about one image.
pub fn write(format: Format, reports: &[ScanReport], options: &WriteOptions) -> Result<String> {
    let reports = sorted(reports);
    let Some((first, rest)) = reports.split_first() else {
        return Err(Error::invalid("no report to write").during("write a report"));
    };
    if matches!(format, Format::CycloneDx | Format::Trivy) && !rest.is_empty() {
        let message = format!("a document in {format} is about one image, not {}", reports.len());
        return Err(Error::unsupported(message).during("write a report"));
    }
    let document = match format {
        Format::CycloneDx => cyclonedx::document(first, options),
        Format::Json if rest.is_empty() => to_value(first),
        Format::Json => reports.iter().map(to_value).collect(),
        Format::OpenVex => openvex::document(&reports, options),
        Format::Sarif => sarif::document(&reports, options),
        Format::Spdx => spdx::document(&reports, options),
        Format::Spdx3 => spdx3::document(&reports, options),
        Format::Trivy => trivy::document(first, options),
    };
    Ok(pretty(&document))
}

/// The reports in the order that every report has, for packages to be found by it.
fn sorted(reports: &[ScanReport]) -> Vec<ScanReport> {
    reports.iter().map(|report| report.clone().sorted()).collect()
}

fn to_value(value: &impl serde::Serialize) -> Value {
    serde_json::to_value(value).expect("our values have only string keys")
}

fn pretty(document: &Value) -> String {
    format!("{document:#}\n")
}

/// A value as one line of JSON, for the extensions.
fn line(value: &impl serde::Serialize) -> String {
    to_value(value).to_string()
}

/// Removes the fields of an object that are `null`.
fn compact(mut object: Value) -> Value {
    if let Value::Object(fields) = &mut object {
        fields.retain(|_, value| !value.is_null());
    }
    object
}

/// What a document of some kind is called everywhere: made of what it is about, not of chance.
fn identity(kind: &str, reports: &[ScanReport], options: &WriteOptions) -> Digest {
    let WriteOptions { timestamp, name, author } = options;
    Digest::of(line(&(kind, reports, timestamp, name, author)))
}

/// The same as a UUID of version 8 (RFC 9562, section 5.8).
fn uuid(identity: &Digest) -> String {
    let mut bytes: [u8; 16] = identity.bytes()[..16].try_into().expect("a digest has 32 bytes");
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let hex = hex::encode(bytes);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// The image as `pkg:oci`, where it has a name (purl types, "oci"). It has no tag, since those who match statements
/// know the image by its digest, and a qualifier that they do not know would be another image to them.
fn image_purl(report: &ScanReport, options: &WriteOptions) -> Option<Purl> {
    let reference: Reference = options.name.as_deref()?.parse().ok()?;
    let repository = reference.repository();
    let path = format!("{}/{}", repository.host(), repository.path()).to_ascii_lowercase();
    let architecture = report.platform.architecture().to_owned();
    let qualifiers = [("arch".to_owned(), architecture), ("repository_url".to_owned(), path)];
    let name = repository.path().rsplit('/').next().unwrap_or_default().to_ascii_lowercase();
    let version = report.subject.to_string();
    let qualifiers = qualifiers.into();
    PurlParts { kind: "oci".into(), name, version, qualifiers, ..PurlParts::default() }.build().ok()
}

/// Where people read about a vulnerability or an advisory.
fn address(id: &AdvisoryId) -> String {
    match id.as_str().split_once('-').map(|(prefix, _)| prefix) {
        Some("CVE") => format!("https://www.cve.org/CVERecord?id={id}"),
        Some("DLA" | "DSA") => format!("https://security-tracker.debian.org/tracker/{id}"),
        Some("GHSA") => format!("https://github.com/advisories/{id}"),
        Some("RHBA" | "RHEA" | "RHSA") => format!("https://access.redhat.com/errata/{id}"),
        _ => format!("https://osv.dev/vulnerability/{id}"),
    }
}

/// The fix state in one word.
fn fix_word(fix: &FixState) -> &'static str {
    match fix {
        FixState::Fixed(_) => "fixed",
        FixState::NotAffected => "not-affected",
        FixState::NotFixed => "not-fixed",
        FixState::WillNotFix => "will-not-fix",
    }
}

/// What to do about a finding, in one sentence. Other tools read the version out of the first form.
fn advice(report: &ScanReport, finding: &Finding) -> String {
    let name =
        find(&report.packages, &finding.package).map_or_else(|| finding.package.parts().name, |p| p.name.to_string());
    match &finding.fix {
        FixState::Fixed(version) => format!("Upgrade {name} to version {version}"),
        FixState::NotAffected => format!("Nothing: {name} is not affected"),
        FixState::NotFixed => format!("There is no fixed version of {name} yet"),
        FixState::WillNotFix => format!("The vendor of {name} will not fix it"),
    }
}

/// A score in tenths as a number.
fn score(tenths: u8) -> f64 {
    f64::from(tenths) / 10.0
}

/// The version of CVSS that a vector is of: `2`, `3.0`, `3.1`, `4.0`.
fn cvss_version(vector: &str) -> &str {
    vector.strip_prefix("CVSS:").and_then(|rest| rest.split('/').next()).unwrap_or("2")
}

/// Epoch, upstream version and release of a version of dpkg or rpm, as Trivy keeps them apart; other versions are whole.
fn evr<'a>(scheme: &str, version: &'a str) -> (Option<&'a str>, &'a str, Option<&'a str>) {
    if !matches!(scheme, "deb" | "rpm") {
        return (None, version, None);
    }
    let (epoch, rest) = match version.split_once(':') {
        Some((epoch, rest)) if epoch.parse::<u32>().is_ok() => (Some(epoch), rest),
        _ => (None, version),
    };
    match rest.rsplit_once('-') {
        Some((version, release)) => (epoch, version, Some(release)),
        None => (epoch, rest, None),
    }
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
