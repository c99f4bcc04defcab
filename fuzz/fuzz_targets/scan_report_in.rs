//! Reports and bills of materials of other tools: what is read is whole, and what we write of it is read again.

use patchkit_core::{Digest, Finding, Platform, ScanReport};
use patchkit_scan::{
    Sbom,
    report::{self, Format, WriteOptions},
};

fuzz_target!(|data: &[u8]| {
    let _ = Sbom::read(data);
    let Ok(read) = report::read(data) else { return };
    let report = ScanReport {
        subject: Digest::of(b"image"),
        platform: Platform::new("linux", "amd64", None).expect("a constant"),
        distribution: read.distribution,
        packages: read.packages,
        findings: read.findings,
        suppressed: read.suppressed,
        base: None,
        warnings: read.warnings,
    };
    let report = report.sorted();
    let options = WriteOptions::new("2026-01-01T00:00:00Z".parse().expect("a constant"));
    for format in Format::ALL {
        let written =
            report::write(format, std::slice::from_ref(&report), &options).expect("one report fits any format");
        if format == Format::Sarif {
            let again = report::read(written.as_bytes()).expect("it is ours");
            assert!(again.findings.len() <= report.findings.len());
            assert!(again.findings.is_sorted_by_key(Finding::key));
        }
    }
});
