//! Reports for others, and reports of others.
//!
//! [`write()`] puts a [`ScanReport`](patchkit_core::ScanReport) into the formats that other tools read, the same bytes
//! for the same report: no clock and no chance goes into them. [`rescan_vex`] states in OpenVEX what a patch changed,
//! by the reports from before and after. [`read`] understands what other scanners write, and [`ReportScanner`] makes a
//! scanner of it.
//!
//! | format | out | in |
//! |---|---|---|
//! | JSON of the report itself, `schema/scan-report.schema.json` | [`Format::Json`] | [`ForeignFormat::Json`] |
//! | CycloneDX JSON | 1.6, with vulnerabilities | 1.4 and later |
//! | SPDX JSON | 2.3, and 3.0 as JSON-LD | 2.2 and 2.3 |
//! | SARIF | 2.1.0 | 2.1.0: Trivy's, Grype's and ours |
//! | Trivy's JSON | schema 2 | schema 2 |
//! | Grype's JSON | | 0.6x and later |
//! | OpenVEX | 0.2.0 | see [`vex`](crate::vex) |
//!
//! What a format has no field for stands in its extensions (`properties`, `annotations`), so that reading back what was
//! written gives the same findings.

mod foreign;
mod input;
mod output;
mod property;
mod scanner;

pub use foreign::{ForeignReport, ForeignSubject};
pub use input::{ForeignFormat, ReportError, detect, read};
pub use output::{Format, ParseFormatError, WriteOptions, rescan_vex, write};
pub use scanner::ReportScanner;

pub(crate) use input::nullable;
pub(crate) use scanner::verify_layers;

#[cfg(test)]
pub(crate) mod sample;
