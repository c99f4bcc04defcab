#![allow(clippy::unwrap_used)]

use patchkit_core::{
    CvssScore, Epss, Exploitation, Finding, FixState, Package, ScanReport, Severity, Suppressed, Version,
};
use proptest::prelude::*;

use super::*;
use crate::report::{Format, WriteOptions, sample, write};

const FORMATS: [Format; 5] = [Format::CycloneDx, Format::Json, Format::Sarif, Format::Spdx, Format::Trivy];

fn round_trip(format: Format, report: &ScanReport) -> ForeignReport {
    let options = WriteOptions::new("2026-01-02T03:04:05Z".parse().unwrap()).with_name("example.org/team/app:1");
    read(write(format, std::slice::from_ref(report), &options).unwrap().as_bytes()).unwrap()
}

/// What a format keeps of a finding: all, but for Trivy's, which has no word below `low`, and knows nothing of EPSS and
/// KEV.
fn kept(format: Format, finding: &Finding) -> Finding {
    let mut finding = finding.clone();
    if format == Format::Trivy {
        finding.severity = finding.severity.max(if finding.severity == Severity::Negligible {
            Severity::Low
        } else {
            Severity::Unknown
        });
        finding.exploitation = Exploitation::default();
    }
    finding
}

fn kept_suppressed(format: Format, suppressed: &Suppressed) -> Suppressed {
    let by = if format == Format::Trivy { suppressed.source.clone() } else { suppressed.by.clone() };
    let until = suppressed.until.filter(|_| matches!(format, Format::Json | Format::Sarif | Format::Spdx));
    Suppressed { finding: kept(format, &suppressed.finding), by, until, ..suppressed.clone() }
}

#[test]
fn what_is_written_is_read_again() {
    let report = sample::report();
    for format in FORMATS {
        let read = round_trip(format, &report);
        let findings: Vec<_> = report.findings.iter().map(|finding| kept(format, finding)).collect();
        assert_eq!(read.findings, findings, "{format}");
        let suppressed: Vec<_> = report.suppressed.iter().map(|s| kept_suppressed(format, s)).collect();
        assert_eq!(read.suppressed, suppressed, "{format}");
        assert_eq!(read.distribution.as_ref().map(|d| d.id.as_str()), Some("debian"), "{format}");
        match format {
            Format::Trivy => assert!(read.subject.repository_digests.contains(&report.subject)),
            _ => assert_eq!(read.subject.manifest, Some(report.subject), "{format}"),
        }
    }
}

#[test]
fn packages_are_read_again() {
    let report = sample::report();
    for format in [Format::CycloneDx, Format::Json, Format::Spdx] {
        assert_eq!(round_trip(format, &report).packages, report.packages, "{format}");
    }
    let trivys = round_trip(Format::Trivy, &report).packages;
    let known =
        |package: &Package| (package.purl.clone(), package.version.clone(), package.source.clone(), package.layer);
    assert!(trivys.iter().map(known).eq(report.packages.iter().map(known)));
}

fn version() -> impl Strategy<Value = String> {
    "([0-9]:)?[0-9]{1,3}(\\.[0-9a-z]{1,3}){0,2}([+~][a-z0-9]{1,4})?(-[0-9]{1,2})?"
}

prop_compose! {
    fn finding()(
        kind in prop::sample::select(vec!["pkg:deb/debian/", "pkg:npm/%40scope/", "pkg:maven/org.example/", "pkg:pypi/"]),
        name in "[a-z][a-z0-9]{1,6}",
        installed in version(),
        id in prop_oneof!["CVE-20[0-2][0-9]-[1-9][0-9]{3}", "GHSA(-[2-9a-x]{4}){3}"],
        aliases in prop::collection::btree_set("D[SL]A-[1-9]{4}-[1-9]", 0..3),
        severity in prop::sample::select(Severity::ALL.to_vec()),
        fix in 0..4,
        fixed in version(),
        tenths in prop::option::of(0..=100_u8),
        exploitation in (any::<bool>(), prop::option::of((0..=100_000_u32, 0..=100_000_u32))),
        title in prop::option::of("[ -~äöü\"<>&]{0,20}[a-z]"),
    ) -> Finding {
        let scheme = kind.strip_prefix("pkg:").unwrap().split('/').next().unwrap();
        let purl: patchkit_core::Purl = format!("{kind}{name}@{installed}").parse().unwrap();
        let fix = match fix {
            0 => FixState::Fixed(Version::new(scheme, &fixed).unwrap()),
            1 => FixState::NotAffected,
            2 => FixState::NotFixed,
            _ => FixState::WillNotFix,
        };
        let mut finding = Finding::new(id.parse().unwrap(), purl, severity, fix, "test-source");
        finding.aliases = aliases.iter().map(|alias| alias.parse().unwrap()).collect();
        finding.cvss = tenths.map(|tenths| CvssScore { vector: "CVSS:3.1/AV:N/AC:L".into(), tenths }).into_iter().collect();
        let (known, epss) = exploitation;
        let epss = epss.map(|(probability, percentile)| Epss { probability, percentile });
        finding.exploitation = Exploitation { known, epss };
        finding.title = title.map(|title| title.trim().to_owned());
        finding
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_finding_survives_every_format(found in prop::collection::vec(finding(), 1..6)) {
        let mut report = sample::report();
        report.suppressed.clear();
        report.packages = found.iter().map(|f| crate::purl_pattern::package(&f.package).unwrap()).collect();
        report.findings = found;
        report.findings.sort_by_key(Finding::key);
        report.findings.dedup_by_key(|finding| finding.key());
        let report = report.sorted();
        for format in FORMATS {
            let read = round_trip(format, &report);
            let findings: Vec<_> = report.findings.iter().map(|finding| kept(format, finding)).collect();
            prop_assert_eq!(&read.findings, &findings, "{}", format);
        }
    }

    #[test]
    fn damaged_reports_are_errors_or_reports(
        format in prop::sample::select(FORMATS.to_vec()),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let options = WriteOptions::new("2026-01-02T03:04:05Z".parse().unwrap());
        let mut bytes = write(format, &[sample::report()], &options).unwrap().into_bytes();
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(report) = read(&bytes) {
            prop_assert!(report.findings.is_sorted_by_key(Finding::key));
        }
        bytes.truncate(cut.index(bytes.len()));
        drop(read(&bytes));
    }
}

#[test]
fn formats_are_known_by_their_fields() {
    for (text, format) in [
        (r#"{"bomFormat": "CycloneDX"}"#, Some(ForeignFormat::CycloneDx)),
        (r#"{"spdxVersion": "SPDX-2.3"}"#, Some(ForeignFormat::Spdx)),
        (r#"{"SchemaVersion": 2, "ArtifactName": "a"}"#, Some(ForeignFormat::Trivy)),
        (r#"{"version": "2.1.0", "runs": []}"#, Some(ForeignFormat::Sarif)),
        (r#"{"matches": []}"#, Some(ForeignFormat::Grype)),
        (r#"{"artifacts": []}"#, Some(ForeignFormat::Syft)),
        (r#"{"subject": "", "findings": []}"#, Some(ForeignFormat::Json)),
        ("{}", None),
        ("[]", None),
        ("", None),
        ("<bom/>", None),
    ] {
        assert_eq!(detect(text.as_bytes()).ok(), format, "{text}");
    }
}

#[test]
fn a_broken_report_is_told_by_its_line() {
    let error = read(b"{\"matches\":\n[{\"vulnerability\": {}}]}").unwrap_err();
    assert!(error.to_string().contains("line 2"), "{error}");
    assert!(error.to_string().starts_with("Grype's JSON: missing field `id`"), "{error}");
    for (text, version) in [
        (r#"{"bomFormat": "CycloneDX", "specVersion": "2.0"}"#, "2.0"),
        (r#"{"spdxVersion": "SPDX-4.0"}"#, "SPDX-4.0"),
        (r#"{"SchemaVersion": 1, "ArtifactName": "a"}"#, "1"),
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        assert!(matches!(&error, ReportError::UnknownVersion { version: found, .. } if found == version), "{error}");
    }
}

#[test]
fn what_does_not_fit_is_left_out_with_a_warning() {
    let text = r#"{"matches": [
        {"vulnerability": {"id": "CVE 1"}, "artifact": {"name": "a", "version": "1", "type": "deb"}},
        {"vulnerability": {"id": "CVE-2024-1000"}, "artifact": {"name": "a b", "version": "1", "type": "deb"}},
        {"vulnerability": {"id": "CVE-2024-1000"}, "artifact": {"name": "a", "version": "1", "purl": "pkg:"}},
        {"vulnerability": {"id": "CVE-2024-1000", "fix": {"versions": ["2"], "state": "fixed"}},
         "artifact": {"name": "a", "version": "1", "type": "deb"}}]}"#;
    let report = read(text.as_bytes()).unwrap();
    assert_eq!((report.findings.len(), report.warnings.len()), (1, 3), "{:?}", report.warnings);
    assert_eq!(report.findings[0].fix, FixState::Fixed(Version::new("deb", "2").unwrap()));
    assert_eq!(report.packages.len(), 1);
}
