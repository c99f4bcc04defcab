//! The small hand-made report that tests of formats use.

use patchkit_core::ScanReport;

/// The report, as it stands in `tests/report/sample.json`.
#[allow(clippy::unwrap_used)]
pub(crate) fn report() -> ScanReport {
    let report: ScanReport = serde_json::from_str(include_str!("../../tests/report/sample.json")).unwrap();
    assert_eq!(report, report.clone().sorted(), "the sample is sorted");
    report
}
