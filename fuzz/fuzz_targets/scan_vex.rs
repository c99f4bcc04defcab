//! VEX documents and ignore rules: applying them loses no finding.

use patchkit_core::{Digest, Finding, FixState, Platform, ScanReport, Severity};
use patchkit_scan::{ignore::Rules, vex::Vex};

fn report() -> ScanReport {
    let purls = ["pkg:deb/debian/libssl1.1@1.1.1n-0?arch=amd64", "pkg:npm/%40example/parser@1.2.3"];
    let finding = |purl: &str| {
        let id = "CVE-2024-5535".parse().expect("a constant");
        Finding::new(id, purl.parse().expect("a constant"), Severity::High, FixState::NotFixed, "fuzz")
    };
    let report = ScanReport {
        subject: Digest::of(b"image"),
        platform: Platform::new("linux", "amd64", None).expect("a constant"),
        distribution: None,
        packages: Vec::new(),
        findings: purls.map(finding).into(),
        suppressed: Vec::new(),
        base: None,
        warnings: Vec::new(),
    };
    report.sorted()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(vex) = Vex::new().with_document(data) {
        let after = vex.apply(report());
        assert_eq!(after.findings.len() + after.suppressed.len(), 2);
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(rules) = Rules::read("rules", text) {
        let after = rules.apply(report(), "2026-01-01T00:00:00Z".parse().expect("a constant"));
        assert_eq!(after.findings.len() + after.suppressed.len(), 2);
    }
});
