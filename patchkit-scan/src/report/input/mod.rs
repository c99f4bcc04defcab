//! Reads reports of other tools, whatever format they are in.

mod cyclonedx;
mod grype;
mod own;
mod sarif;
mod spdx;
mod syft;
mod trivy;

use std::fmt;

use serde::{Deserialize, Deserializer, de::DeserializeOwned, de::IgnoredAny};
use thiserror::Error;

use super::ForeignReport;

/// A format of reports that is understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ForeignFormat {
    /// CycloneDX JSON 1.4 and later.
    CycloneDx,
    /// Grype's JSON.
    Grype,
    /// The JSON of a [`ScanReport`](patchkit_core::ScanReport).
    Json,
    /// SARIF 2.1.0.
    Sarif,
    /// SPDX JSON 2.2 and 2.3.
    Spdx,
    /// Syft's JSON, which has packages only.
    Syft,
    /// Trivy's JSON, schema 2.
    Trivy,
}

impl fmt::Display for ForeignFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::CycloneDx => "CycloneDX",
            Self::Grype => "Grype's JSON",
            Self::Json => "a scan report's JSON",
            Self::Sarif => "SARIF",
            Self::Spdx => "SPDX",
            Self::Syft => "Syft's JSON",
            Self::Trivy => "Trivy's JSON",
        })
    }
}

/// Why a report cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReportError {
    /// It is not what its format says; the source names line and column.
    #[error("{format}: {source}")]
    Json {
        /// The format that it looks like.
        format: ForeignFormat,
        /// What is wrong, and where.
        source: serde_json::Error,
    },
    /// It has no format that is known.
    #[error("no known format of reports: {0}")]
    UnknownFormat(String),
    /// It is of a version of its format that is not understood.
    #[error("{format} of version {version} is not understood")]
    UnknownVersion {
        /// The format.
        format: ForeignFormat,
        /// The version.
        version: String,
    },
}

impl From<ReportError> for patchkit_core::Error {
    fn from(error: ReportError) -> Self {
        let make = match &error {
            ReportError::Json { .. } => Self::corrupt,
            ReportError::UnknownFormat(_) | ReportError::UnknownVersion { .. } => Self::unsupported,
        };
        make(error.to_string()).during("read a report").because(error)
    }
}

/// Reads a report in whatever format it is.
///
/// What it says of a package or a vulnerability that does not fit our words (an id with blanks, a purl that is none) is
/// left out with a warning.
///
/// # Errors
/// [`ReportError`], with line and column where it is broken.
pub fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match detect(bytes)? {
        ForeignFormat::CycloneDx => cyclonedx::read(bytes),
        ForeignFormat::Grype => grype::read(bytes),
        ForeignFormat::Json => own::read(bytes),
        ForeignFormat::Sarif => sarif::read(bytes),
        ForeignFormat::Spdx => spdx::read(bytes),
        ForeignFormat::Syft => syft::read(bytes),
        ForeignFormat::Trivy => trivy::read(bytes),
    }
}

/// The fields that tell formats apart.
#[derive(Deserialize)]
struct Probe {
    #[serde(default, rename = "ArtifactName")]
    artifact_name: Option<IgnoredAny>,
    #[serde(default)]
    artifacts: Option<IgnoredAny>,
    #[serde(default, rename = "bomFormat")]
    bom_format: Option<IgnoredAny>,
    #[serde(default)]
    findings: Option<IgnoredAny>,
    #[serde(default)]
    matches: Option<IgnoredAny>,
    #[serde(default)]
    runs: Option<IgnoredAny>,
    #[serde(default, rename = "SchemaVersion")]
    schema_version: Option<IgnoredAny>,
    #[serde(default, rename = "spdxVersion")]
    spdx_version: Option<IgnoredAny>,
    #[serde(default)]
    subject: Option<IgnoredAny>,
}

/// The format of a report, by the fields that it has.
///
/// # Errors
/// [`ReportError::UnknownFormat`], also where it is no JSON object.
pub fn detect(bytes: &[u8]) -> Result<ForeignFormat, ReportError> {
    let probe: Probe = serde_json::from_slice(bytes).map_err(|error| ReportError::UnknownFormat(error.to_string()))?;
    let known = [
        (probe.bom_format.is_some(), ForeignFormat::CycloneDx),
        (probe.spdx_version.is_some(), ForeignFormat::Spdx),
        (probe.schema_version.is_some() && probe.artifact_name.is_some(), ForeignFormat::Trivy),
        (probe.runs.is_some(), ForeignFormat::Sarif),
        (probe.matches.is_some(), ForeignFormat::Grype),
        (probe.artifacts.is_some(), ForeignFormat::Syft),
        (probe.findings.is_some() && probe.subject.is_some(), ForeignFormat::Json),
    ];
    let found = known.into_iter().find(|(is, _)| *is).map(|(_, format)| format);
    found.ok_or_else(|| ReportError::UnknownFormat("the JSON object has none of the fields that would tell".into()))
}

/// Reads a document of the given format.
fn json<T: DeserializeOwned>(format: ForeignFormat, bytes: &[u8]) -> Result<T, ReportError> {
    serde_json::from_slice(bytes).map_err(|source| ReportError::Json { format, source })
}

/// A value that some tools write as `null` instead of leaving it out.
pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(from: D) -> Result<T, D::Error> {
    Option::deserialize(from).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests;
