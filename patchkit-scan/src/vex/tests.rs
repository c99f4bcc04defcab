#![allow(clippy::unwrap_used)]

use patchkit_core::ScanReport;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::report::{Format, WriteOptions, sample, write};

const CVE: &str = "CVE-2024-5535";
const SSL: &str = "pkg:deb/debian/libssl1.1";

fn report() -> ScanReport {
    let mut report = sample::report();
    report.suppressed.clear();
    report.warnings.clear();
    report
}

fn vex(statements: Value) -> Value {
    json!({
        "@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1", "author": "A team",
        "timestamp": "2026-01-01T00:00:00Z", "statements": statements,
    })
}

fn apply(documents: &[Value]) -> ScanReport {
    let vex = documents.iter().fold(Vex::new(), |vex, d| vex.with_document(d.to_string().as_bytes()).unwrap());
    vex.apply(report())
}

/// The finding's reason, where it is suppressed.
fn cleared(report: &ScanReport) -> Option<&str> {
    let kept = report.findings.iter().any(|finding| finding.id.as_str() == CVE);
    let dropped = report.suppressed.iter().find(|suppressed| suppressed.finding.id.as_str() == CVE);
    assert_ne!(kept, dropped.is_some(), "a finding is in one of the two");
    dropped.map(|suppressed| suppressed.reason.as_str())
}

fn statement(name: &str, product: Value, status: &str) -> Value {
    json!({"vulnerability": {"name": name}, "products": [product], "status": status,
        "justification": "vulnerable_code_not_present"})
}

#[test]
fn products_are_told_by_all_their_names() {
    let digest = report().subject;
    let hash = json!({"sha-256": digest.hex()});
    let oci = format!("pkg:oci/app@{digest}?repository_url=example.org/app");
    let other = format!("pkg:oci/app@sha256:{}", "0".repeat(64));
    for (product, clears) in [
        (json!({"@id": SSL}), true),
        (json!({"@id": "pkg:deb/debian/libssl1.1@1.1.1n-0%2Bdeb11u5"}), true),
        (json!({"@id": "pkg:deb/debian/libssl1.1@1.1.1n-0%2Bdeb11u4"}), false),
        (json!({"@id": "pkg:deb/debian/openssl?arch=source"}), true),
        (json!({"@id": "pkg:deb/debian/openssl"}), false),
        (json!({"@id": "pkg:deb/ubuntu/libssl1.1"}), false),
        (json!({"@id": oci}), true),
        (json!({"@id": other}), false),
        (json!({"@id": "pkg:oci/app"}), false),
        (json!({"hashes": hash}), true),
        (json!({"hashes": hash, "subcomponents": [{"@id": SSL}]}), true),
        (json!({"hashes": hash, "subcomponents": [{"identifiers": {"purl": SSL}}]}), true),
        (json!({"hashes": hash, "subcomponents": [{"@id": "pkg:deb/debian/libexpat1"}]}), false),
        (json!({"hashes": hash, "subcomponents": [{"@id": "something"}]}), false),
        (json!({"@id": other, "subcomponents": [{"@id": SSL}]}), false),
        (json!({"@id": "pkg:deb/debian/libexpat1", "subcomponents": [{"@id": SSL}]}), true),
        (json!({"@id": "pkg:deb/debian/curl", "subcomponents": [{"@id": SSL}]}), false),
    ] {
        let report = apply(&[vex(json!([statement(CVE, product.clone(), "not_affected")]))]);
        let expected = clears.then_some("vulnerable_code_not_present");
        assert_eq!(cleared(&report), expected, "{product}");
        if clears {
            let suppressed = &report.suppressed[0];
            assert_eq!((suppressed.by.as_str(), suppressed.source.as_str()), ("A team", "https://example.org/vex/1"));
        }
    }
}

#[test]
fn an_image_may_have_a_name() {
    let document =
        vex(json!([statement(CVE, json!({"@id": "pkg:oci/app?repository_url=example.org/app"}), "not_affected")]));
    let vex = Vex::new().with_document(document.to_string().as_bytes()).unwrap();
    assert_eq!(cleared(&vex.apply(report())), None);
    let other = vex.clone().with_image_name("pkg:oci/app?repository_url=example.org/other".parse().unwrap());
    assert_eq!(cleared(&other.apply(report())), None);
    let named = vex.with_image_name("pkg:oci/app?repository_url=example.org/app".parse().unwrap());
    assert!(cleared(&named.apply(report())).is_some());
}

#[test]
fn an_alias_is_enough_and_another_vulnerability_is_not() {
    for (name, clears) in [(CVE, true), ("DLA-3942-2", true), ("CVE-2024-5536", false)] {
        let report = apply(&[vex(json!([statement(name, json!({"@id": SSL}), "fixed")]))]);
        assert_eq!(cleared(&report), clears.then_some("fixed"), "{name}");
    }
}

#[test]
fn an_announcement_in_common_is_not_enough() {
    let mut about = statement("CVE-2024-9143", json!({"@id": SSL}), "not_affected");
    about["vulnerability"]["aliases"] = json!(["DLA-3942-2"]);
    assert_eq!(cleared(&apply(&[vex(json!([about]))])), None);
}

#[test]
fn the_latest_statement_counts() {
    let at = |time: &str, status: &str| {
        let mut statement = statement(CVE, json!({"@id": SSL}), status);
        statement["timestamp"] = time.into();
        statement
    };
    let (old, new) = ("2025-01-01T00:00:00Z", "2025-06-01T12:00:00+02:00");
    for (statements, expected) in [
        (vec![at(old, "affected"), at(new, "not_affected")], true),
        (vec![at(new, "not_affected"), at(old, "affected")], true),
        (vec![at(old, "not_affected"), at(new, "affected")], false),
        (vec![at(old, "not_affected"), at(new, "under_investigation")], false),
        (vec![at("2025-06-01T10:00:00Z", "fixed"), at(new, "not_affected")], true),
    ] {
        let report = apply(&[vex(json!(statements))]);
        assert_eq!(cleared(&report).is_some(), expected, "{statements:?}");
        assert_eq!(report.warnings, [""; 0]);
    }
}

#[test]
fn what_is_contradicted_stays_with_a_warning() {
    let mut other = vex(json!([statement(CVE, json!({"@id": SSL}), "affected")]));
    other["author"] = "B team".into();
    let report = apply(&[vex(json!([statement(CVE, json!({"@id": SSL}), "not_affected")])), other]);
    assert_eq!(cleared(&report), None);
    let [warning] = &report.warnings[..] else { panic!("{:?}", report.warnings) };
    assert!(
        warning.contains("A team says not_affected (https://example.org/vex/1), B team says affected"),
        "{warning}"
    );
}

#[test]
fn the_first_openvex_is_read_too() {
    let document = json!({
        "@context": "https://openvex.dev/ns", "@id": "x", "author": "a", "timestamp": "2023-01-08T18:02:03.647787998-06:00",
        "version": "1", "statements": [
            {"vulnerability": CVE, "products": ["pkg:deb/debian/libssl1.1@1.1.1n-0+deb11u5?arch=amd64"], "status": "fixed"},
            {"vulnerability": "CVE-2021-44228", "products": [report().subject], "status": "not_affected",
             "subcomponents": ["pkg:maven/org.example/logger@2.14.1"], "impact_statement": "not used"},
        ],
    });
    let report = apply(&[document]);
    assert_eq!(cleared(&report), Some("fixed"));
    let reasons: Vec<_> = report.suppressed.iter().map(|suppressed| suppressed.reason.as_str()).collect();
    assert_eq!(reasons, ["not_affected: not used", "fixed"]);
}

fn csaf(cpe: &str, status: &str) -> Value {
    json!({
        "document": {
            "category": "csaf_vex", "publisher": {"name": "Example Vendor"},
            "tracking": {"id": "EX-1", "current_release_date": "2026-01-01T00:00:00Z"},
        },
        "product_tree": {
            "branches": [{"branches": [
                {"product": {"product_id": "OS", "product_identification_helper": {"cpe": cpe}}},
                {"branches": [{"product": {"product_id": "ssl", "product_identification_helper": {"purl": SSL}}}]},
                {"product": {"product_id": "unknown", "name": "x"}},
            ]}],
            "relationships": [{
                "category": "default_component_of", "full_product_name": {"product_id": "OS:ssl"},
                "product_reference": "ssl", "relates_to_product_reference": "OS",
            }],
        },
        "vulnerabilities": [{
            "cve": CVE, "product_status": {status: ["OS:ssl"], "known_affected": ["unknown"]},
            "flags": [{"label": "vulnerable_code_not_in_execute_path", "product_ids": ["OS:ssl"]}],
            "threats": [{"category": "impact", "details": "never called", "product_ids": ["OS:ssl"]}],
        }],
    })
}

#[test]
fn csaf_speaks_of_its_own_distribution() {
    let debian = "cpe:/o:debian:debian_linux:11";
    for (cpe, status, reason) in [
        (debian, "known_not_affected", Some("vulnerable_code_not_in_execute_path: never called")),
        (debian, "fixed", Some("fixed: never called")),
        (debian, "known_affected", None),
        (debian, "recommended", None),
        ("cpe:2.3:o:debian:debian_linux:11:*:*:*:*:*:*:*", "fixed", Some("fixed: never called")),
        ("cpe:/o:debian:debian_linux:1", "fixed", None),
        ("cpe:/o:debian:debian_linux", "fixed", None),
        ("cpe:/o:redhat:enterprise_linux:11", "fixed", None),
    ] {
        let report = apply(&[csaf(cpe, status)]);
        assert_eq!(cleared(&report), reason, "{cpe} {status}");
        assert!(report.warnings[0].starts_with("VEX document EX-1: CVE-2024-5535: "), "{:?}", report.warnings);
    }
}

#[test]
fn cyclonedx_speaks_of_components() {
    let digest = report().subject.to_string();
    let document = |image: &str, state: &str, affects: Value| {
        json!({
            "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": "urn:uuid:1",
            "metadata": {"timestamp": "2026-01-01T00:00:00Z", "authors": [{"name": "C team"}],
                "component": {"type": "container", "bom-ref": "image", "version": image}},
            "components": [{"bom-ref": "the-library", "purl": SSL}],
            "vulnerabilities": [{"id": CVE, "affects": [affects],
                "analysis": {"state": state, "justification": "code_not_reachable"}}],
        })
    };
    for (image, state, affects, clears) in [
        (digest.as_str(), "not_affected", json!({"ref": "the-library"}), true),
        ("1.2", "not_affected", json!({"ref": "the-library"}), true),
        ("1.2", "not_affected", json!({"ref": format!("urn:cdx:x/1#{SSL}")}), true),
        ("1.2", "not_affected", json!({"ref": "another"}), false),
        ("1.2", "in_triage", json!({"ref": "the-library"}), false),
        ("1.2", "exploitable", json!({"ref": "the-library"}), false),
        (digest.as_str(), "not_affected", json!({"ref": "image"}), true),
        (&format!("sha256:{}", "0".repeat(64)), "not_affected", json!({"ref": "the-library"}), false),
        ("1.2", "not_affected", json!({"ref": "the-library", "versions": [{"version": "1.1.1n-0+deb11u5"}]}), true),
        ("1.2", "not_affected", json!({"ref": "the-library", "versions": [{"version": "1"}]}), false),
        ("1.2", "not_affected", json!({"ref": "the-library", "versions": [{"range": "vers:deb/<2"}]}), false),
    ] {
        let report = apply(&[document(image, state, affects.clone())]);
        assert_eq!(
            cleared(&report),
            clears.then_some("vulnerable_code_not_in_execute_path"),
            "{image} {state} {affects}"
        );
    }
}

/// What we write as OpenVEX and CycloneDX has the effect that it has with us.
#[test]
fn our_own_statements_are_understood() {
    let whole = sample::report();
    let options = WriteOptions::new("2026-01-01T00:00:00Z".parse().unwrap());
    for format in [Format::OpenVex, Format::CycloneDx] {
        let document = write(format, std::slice::from_ref(&whole), &options).unwrap();
        let mut bare = whole.clone();
        bare.findings.extend(std::mem::take(&mut bare.suppressed).into_iter().map(|suppressed| suppressed.finding));
        let judged = Vex::new().with_document(document.as_bytes()).unwrap().apply(bare.sorted());
        let cleared: Vec<_> = judged.suppressed.iter().map(|s| s.finding.id.as_str()).collect();
        assert_eq!(cleared, ["CVE-2024-10041"], "{format}: the rule's finding counts for others");
    }
}

#[test]
fn what_is_no_vex_is_refused() {
    for text in ["", "[]", "{}", "{\"statements\": []}", "{\"@context\": \"https://example.org\"}"] {
        assert!(matches!(VexDocument::read(text.as_bytes()), Err(VexError::UnknownFormat(_))), "{text}");
    }
    let broken = "{\"@context\": \"https://openvex.dev/ns\",\n\"statements\": [{\"status\": \"fine\"}]}";
    let error = VexDocument::read(broken.as_bytes()).unwrap_err().to_string();
    assert!(error.starts_with("OpenVEX: ") && error.contains("line 2"), "{error}");
    let nameless = vex(
        json!([{"vulnerability": {"name": "a b"}, "products": [], "status": "fixed"}, statement(CVE, json!({"@id": "x"}), "fixed")]),
    );
    let document = VexDocument::read(nameless.to_string().as_bytes()).unwrap();
    assert_eq!((document.statements.len(), document.warnings.len()), (0, 2));
}

proptest! {
    #[test]
    fn damaged_documents_are_errors_or_documents(
        which in 0..3,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let options = WriteOptions::new("2026-01-01T00:00:00Z".parse().unwrap());
        let mut bytes = match which {
            0 => write(Format::OpenVex, &[sample::report()], &options).unwrap().into_bytes(),
            1 => write(Format::CycloneDx, &[sample::report()], &options).unwrap().into_bytes(),
            _ => csaf("cpe:/o:debian:debian_linux:11", "fixed").to_string().into_bytes(),
        };
        for (place, byte) in damage {
            let at = place.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(vex) = Vex::new().with_document(&bytes) {
            let before = sample::report();
            let after = vex.apply(before.clone());
            prop_assert_eq!(before.findings.len() + before.suppressed.len(), after.findings.len() + after.suppressed.len());
        }
    }
}
