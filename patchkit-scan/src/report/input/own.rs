//! Our own JSON: `schema/scan-report.schema.json`.

use patchkit_core::ScanReport;

use super::{ForeignFormat, ForeignReport, ReportError, json};
use crate::report::ForeignSubject;

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let report: ScanReport = json(ForeignFormat::Json, bytes)?;
    let ScanReport { subject, distribution, packages, findings, suppressed, warnings, .. } = report.sorted();
    let subject = ForeignSubject { manifest: Some(subject), ..ForeignSubject::default() };
    let tool = Some("patchkit".to_owned());
    Ok(ForeignReport {
        format: ForeignFormat::Json,
        tool,
        subject,
        distribution,
        packages,
        findings,
        suppressed,
        warnings,
    })
}
