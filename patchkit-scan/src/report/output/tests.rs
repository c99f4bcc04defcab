#![allow(clippy::unwrap_used)]

use patchkit_core::{ErrorKind, Version};
use serde_json::Value;

use super::*;
use crate::report::sample;

fn options() -> WriteOptions {
    WriteOptions::new("2026-01-02T03:04:05.678Z".parse().unwrap())
        .with_name("example.org/team/app:1.2")
        .with_author("Example Company")
}

/// The document without our own version, which changes with each release.
fn written(format: Format) -> String {
    write(format, &[sample::report()], &options()).unwrap().replace(env!("CARGO_PKG_VERSION"), "VERSION")
}

#[test]
fn cyclonedx() {
    insta::assert_snapshot!(written(Format::CycloneDx));
}

#[test]
fn json() {
    insta::assert_snapshot!(written(Format::Json));
}

#[test]
fn openvex() {
    insta::assert_snapshot!(written(Format::OpenVex));
}

#[test]
fn sarif() {
    insta::assert_snapshot!(written(Format::Sarif));
}

#[test]
fn spdx() {
    insta::assert_snapshot!(written(Format::Spdx));
}

#[test]
fn spdx3() {
    insta::assert_snapshot!(written(Format::Spdx3));
}

#[test]
fn trivy() {
    insta::assert_snapshot!(written(Format::Trivy));
}

#[test]
fn the_same_gives_the_same_bytes_and_another_time_another_name() {
    for format in Format::ALL {
        assert_eq!(written(format), written(format));
        assert_eq!(format.as_str().parse(), Ok(format));
    }
    let later = WriteOptions { timestamp: "2026-01-02T03:04:06Z".parse().unwrap(), ..options() };
    for format in [Format::CycloneDx, Format::Spdx, Format::OpenVex] {
        assert_ne!(
            write(format, &[sample::report()], &later).unwrap(),
            write(format, &[sample::report()], &options()).unwrap()
        );
    }
}

#[test]
fn several_images_are_one_document_where_the_format_can() {
    let reports = [sample::report(), sample::report()];
    for format in Format::ALL {
        let written = write(format, &reports, &options());
        match format {
            Format::CycloneDx | Format::Trivy => assert_eq!(written.unwrap_err().kind(), ErrorKind::Unsupported),
            _ => assert!(serde_json::from_str::<Value>(&written.unwrap()).is_ok()),
        }
        assert_eq!(write(format, &[], &options()).unwrap_err().kind(), ErrorKind::Invalid);
    }
}

#[test]
fn the_report_is_what_its_schema_says() {
    let schema: Value = serde_json::from_str(include_str!("../../../schema/scan-report.schema.json")).unwrap();
    let errors = |report: &Value| super::schema::errors(&schema, &schema, report, "");
    let report = to_value(&sample::report());
    assert_eq!(errors(&report), [""; 0]);
    for path in ["/findings", "/findings/0/severity", "/findings/0/fix/state", "/packages/0/version", "/base/layers"] {
        let mut bad = report.clone();
        *bad.pointer_mut(path).unwrap() = "?".into();
        assert!(!errors(&bad).is_empty(), "{path}");
    }
    let mut bad = report.clone();
    bad["findings"][0]["unknown"] = 1.into();
    assert_eq!(errors(&bad), ["/findings/0: has a field unknown that the schema does not name"]);
    bad = report;
    bad["findings"][0]["cvss"][0]["tenths"] = 101.into();
    assert_eq!(errors(&bad), ["/findings/0/cvss/0/tenths: is out of its range"]);
}

fn statuses(document: &str) -> Vec<(String, String, String)> {
    let document: Value = serde_json::from_str(document).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let statement = |s: &Value| {
        (text(&s["vulnerability"]["name"]), text(&s["status"]), text(&s["products"][0]["subcomponents"][0]["@id"]))
    };
    document["statements"].as_array().unwrap().iter().map(statement).collect()
}

/// The sample after its libssl1.1 was upgraded and the logger removed.
fn patched() -> ScanReport {
    let mut after = sample::report();
    after.subject = Digest::of("patched");
    after.findings.retain(|f| !matches!(f.id.as_str(), "CVE-2024-5535" | "CVE-2021-44228"));
    after.packages.retain(|package| package.name.as_str() != "org.example:logger");
    for package in after.packages.iter_mut().filter(|package| package.name.as_str() == "libssl1.1") {
        package.purl = package.purl.as_str().replace("1.1.1n-0%2Bdeb11u5", "1.1.1w-0%2Bdeb11u2").parse().unwrap();
        package.version = Version::new("deb", "1.1.1w-0+deb11u2").unwrap();
    }
    after.sorted()
}

#[test]
fn fixed_is_what_a_rescan_does_not_find() {
    let (before, after) = (sample::report(), patched());
    let document = rescan_vex(std::slice::from_ref(&before), std::slice::from_ref(&after), &options()).unwrap();
    insta::assert_snapshot!(document.replace(env!("CARGO_PKG_VERSION"), "VERSION"));
    let stated = statuses(&document);
    let of = |id: &str| {
        stated.iter().find(|(name, ..)| name == id).map(|(_, status, purl)| (status.as_str(), purl.as_str()))
    };
    let ssl = "pkg:deb/debian/libssl1.1@1.1.1w-0%2Bdeb11u2?arch=amd64&distro=debian-11";
    assert_eq!(of("CVE-2024-5535"), Some(("fixed", ssl)));
    assert_eq!(of("CVE-2021-44228"), Some(("fixed", "pkg:maven/org.example/logger@2.14.1")));
    assert_eq!(of("CVE-2023-52425").unwrap().0, "affected");
    assert_eq!(of("CVE-2022-28391").unwrap().0, "under_investigation", "the package is a guess");
    assert_eq!(of("CVE-2024-10041").unwrap().0, "not_affected");
    assert_eq!(of("CVE-2024-22365").unwrap().0, "affected", "a rule does not make it less vulnerable");
    let before_only = write(Format::OpenVex, &[before], &options()).unwrap();
    assert!(statuses(&before_only).iter().all(|(_, status, _)| status != "fixed"));
}

#[test]
fn what_could_not_be_judged_is_not_fixed() {
    let before = sample::report();
    let mut blind = patched();
    blind.warnings.push("no advisories for debian 11".into());
    let document = rescan_vex(std::slice::from_ref(&before), &[blind], &options()).unwrap();
    assert!(statuses(&document).iter().all(|(_, status, _)| status != "fixed"));
    // The same packages, with advisories that say less.
    let mut less = sample::report();
    less.findings.clear();
    let document = rescan_vex(std::slice::from_ref(&before), &[less], &options()).unwrap();
    assert!(statuses(&document).iter().all(|(_, status, _)| status != "fixed"));
    let mut other = sample::report();
    other.platform = "linux/arm64".parse().unwrap();
    assert_eq!(rescan_vex(&[before], &[other], &options()).unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn versions_are_taken_apart_as_trivy_does() {
    for (scheme, version, parts) in [
        ("deb", "1:1.4.0-9", (Some("1"), "1.4.0", Some("9"))),
        ("deb", "2.31-13+deb11u11", (None, "2.31", Some("13+deb11u11"))),
        ("deb", "2024a", (None, "2024a", None)),
        ("apk", "1.2-r3", (None, "1.2-r3", None)),
    ] {
        assert_eq!(evr(scheme, version), parts, "{version}");
    }
}
