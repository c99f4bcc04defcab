//! The verifier that looks again: what it lets pass, and everything that it does not.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::sync::Arc;

use jiff::Timestamp;
use patchkit_core::{
    Change, Context, Finding, Image, ImageSet, Patched, Plan, Planned, PutManifest, Reason, ScanReport, Scanned,
    Scanner, Target, Verifier, Version, conformance, memory::MemoryRegistry,
};
use patchkit_scan::{AdvisoryScanner, AdvisoryStore, Rescan, rescan};
use scan_support::{Item, debian_11, image, layer, stanza};

const LIST: &str = "CVE-2024-1000 (one)\n\t[bullseye] - curl 2\nCVE-2024-1001 (two)\n\t[bullseye] - curl <no-dsa> (Minor)\n\
                    CVE-2024-1002 (three)\n\t[bullseye] - nghttp2 1.1\nCVE-2024-1003 (four)\n\t[bullseye] - libnew 9\n";

fn scanner() -> AdvisoryScanner {
    let mut builder = AdvisoryStore::builder();
    builder.read("list", LIST.as_bytes()).unwrap();
    AdvisoryScanner::new(builder.build())
}

/// A binary package of another source.
fn built_from(name: &str, version: &str, source: &str) -> String {
    stanza(name, version).replace("Maintainer", &format!("Source: {source}\nMaintainer"))
}

fn debian(packages: &[&str]) -> Image {
    image([layer([debian_11(), Item::File("var/lib/dpkg/status", packages.concat())])])
}

async fn scan(image: &Image) -> ScanReport {
    scanner().scan(image, &Context::new()).await.unwrap()
}

fn version(text: &str) -> Version {
    Version::new("deb", text).unwrap()
}

fn change(name: &str, from: Option<&str>, to: Option<&str>, fixes: &[&Finding]) -> Change {
    Change {
        package: name.parse().unwrap(),
        architecture: Some("amd64".into()),
        from: from.map(version),
        to: to.map(version),
        artifact: None,
        fixes: fixes.iter().map(|finding| finding.key()).collect(),
        reason: "test".into(),
    }
}

fn plan(before: &ScanReport, changes: Vec<Change>) -> Plan {
    let timestamp = Timestamp::UNIX_EPOCH;
    Plan { subject: before.subject, base: before.subject, timestamp, changes, unfixable: vec![] }
}

/// The plan to bring curl from 1 to 2, which promises to fix CVE-2024-1000.
fn upgrade(before: &ScanReport) -> Plan {
    let fixes: Vec<_> = before.findings.iter().filter(|finding| finding.id.as_str() == "CVE-2024-1000").collect();
    assert_eq!(fixes.len(), 1);
    plan(before, vec![change("curl", Some("1"), Some("2"), &fixes)])
}

/// The messages of all that does not hold.
fn faults(reason: &Reason) -> Vec<String> {
    let own = [reason].into_iter().filter(|reason| !reason.holds && reason.because.is_empty());
    own.map(|reason| reason.message.clone()).chain(reason.because.iter().flat_map(faults)).collect()
}

#[tokio::test]
async fn what_differs_from_the_plan_is_found() {
    let openssl = || stanza("openssl", "3");
    let before = scan(&debian(&[&stanza("curl", "1"), &openssl()])).await;
    let plan = upgrade(&before);
    for (what, after, expected) in [
        ("as planned", debian(&[&stanza("curl", "2"), &openssl()]), vec![]),
        (
            "nothing was done",
            debian(&[&stanza("curl", "1"), &openssl()]),
            vec![
                "CVE-2024-1000 in pkg:deb/debian/curl@1?arch=amd64&distro=debian-11",
                "curl:amd64 2 is missing",
                "curl:amd64 1 is there, which is not planned",
            ],
        ),
        (
            "too new a version",
            debian(&[&stanza("curl", "3"), &openssl()]),
            vec!["curl:amd64 2 is missing", "curl:amd64 3 is there, which is not planned"],
        ),
        ("another package vanished", debian(&[&stanza("curl", "2")]), vec!["openssl:amd64 3 is missing"]),
        (
            "another package came, with a vulnerability",
            debian(&[&stanza("curl", "2"), &openssl(), &stanza("libnew", "1")]),
            vec![
                "CVE-2024-1003 in pkg:deb/debian/libnew@1?arch=amd64&distro=debian-11",
                "libnew:amd64 1 is there, which is not planned",
            ],
        ),
        (
            "the database is gone",
            image([layer([debian_11()])]),
            vec![
                "curl:amd64 2 is missing",
                "openssl:amd64 3 is missing",
                "the image has no package database of a known kind (dpkg, apk, rpm, pacman)",
            ],
        ),
    ] {
        let reason = rescan::compare(&before, &plan, &scan(&after).await);
        assert_eq!(faults(&reason), expected, "{what}: {reason}");
        assert_eq!(reason.holds, expected.is_empty(), "{what}");
    }
}

#[tokio::test]
async fn another_system_is_found() {
    let before = scan(&debian(&[&stanza("curl", "1")])).await;
    let bookworm = Item::File("etc/os-release", "ID=debian\nVERSION_ID=12\n".into());
    let after = image([layer([bookworm, Item::File("var/lib/dpkg/status", stanza("curl", "2"))])]);
    let reason = rescan::compare(&before, &upgrade(&before), &scan(&after).await);
    let expected = [
        "the distribution was debian 11 and is debian 12",
        "no advisories for debian 12: its packages were not judged",
    ];
    assert_eq!(faults(&reason), expected, "{reason}");
}

#[tokio::test]
async fn a_known_vulnerability_in_a_new_package_of_the_same_source_is_not_new() {
    let before = scan(&debian(&[&stanza("curl", "1")])).await;
    let mut plan = upgrade(&before);
    plan.changes.push(change("libcurl4", None, Some("2"), &[]));
    let after = scan(&debian(&[&stanza("curl", "2"), &built_from("libcurl4", "2", "curl")])).await;
    assert_eq!(after.findings.len(), 2);
    assert_eq!(faults(&rescan::compare(&before, &plan, &after)), [""; 0]);
    let foreign = scan(&debian(&[&stanza("curl", "2"), &built_from("libcurl4", "1", "nghttp2")])).await;
    let found = faults(&rescan::compare(&before, &plan, &foreign));
    assert!(found[0].starts_with("CVE-2024-1002 in pkg:deb/debian/libcurl4@1"), "{found:?}");
}

#[tokio::test]
async fn removals_and_changes_of_architecture_are_understood() {
    let all = |name: &str, version: &str| stanza(name, version).replace("amd64", "all");
    let before = scan(&debian(&[&stanza("curl", "1"), &stanza("old", "1"), &all("tzdata", "1")])).await;
    let mut plan = upgrade(&before);
    plan.changes.extend([change("old", Some("1"), None, &[]), change("tzdata", Some("1"), Some("2"), &[])]);
    let after = scan(&debian(&[&stanza("curl", "2"), &stanza("tzdata", "2")])).await;
    assert_eq!(faults(&rescan::compare(&before, &plan, &after)), [""; 0]);
}

/// A plan for a patched image may start from the original, which has older versions than the report.
#[tokio::test]
async fn a_plan_may_start_from_an_older_image() {
    let before = scan(&debian(&[&stanza("curl", "1"), &stanza("openssl", "3")])).await;
    let fixes: Vec<_> = before.findings.iter().filter(|finding| finding.id.as_str() == "CVE-2024-1000").collect();
    let changes = vec![change("curl", Some("0.1"), Some("2"), &fixes), change("openssl", Some("2"), Some("3"), &[])];
    let after = scan(&debian(&[&stanza("curl", "2"), &stanza("openssl", "3")])).await;
    assert_eq!(faults(&rescan::compare(&before, &plan(&before, changes), &after)), [""; 0]);
}

async fn patched(before: &Image, after: &Image) -> Patched {
    let (cx, registry) = (Context::new(), Arc::new(MemoryRegistry::default()));
    let reference: patchkit_core::Reference = "example.org/app:1".parse().unwrap();
    let original = ImageSet::single(before.clone());
    original.push(&*registry, &reference, &PutManifest::default(), &cx).await.unwrap();
    let target = Arc::new(Target::open(registry.clone(), reference.clone(), &cx).await.unwrap());
    let report = scan(before).await;
    let plan = upgrade(&report);
    let scanned = Arc::new(Scanned::new(target, vec![report]).unwrap());
    let planned = Arc::new(Planned::new(scanned, vec![plan]).unwrap());
    let place = (registry as Arc<dyn patchkit_core::Registry>, reference.repository().clone());
    Patched::new(planned, place, ImageSet::single(after.clone()), vec![vec![]]).unwrap()
}

#[tokio::test]
async fn the_verdict_is_about_the_patched_image_and_has_the_report() {
    let (before, after) = (debian(&[&stanza("curl", "1")]), debian(&[&stanza("curl", "2")]));
    let verdict = Rescan::new(scanner()).verify(&patched(&before, &after).await, &Context::new()).await.unwrap();
    assert!(verdict.passes(), "{:?}", verdict.reasons);
    let evidence = &verdict.evidence[0];
    assert_eq!(evidence.name, format!("rescan-linux-amd64-{}.json", after.digest().short()));
    let report: ScanReport = serde_json::from_str(&evidence.content).unwrap();
    assert_eq!(report, scan(&after).await);
    let verdict = Rescan::new(scanner()).verify(&patched(&before, &before).await, &Context::new()).await.unwrap();
    assert!(!verdict.passes());
}

#[tokio::test]
async fn the_verifier_keeps_the_contract() {
    let patched = patched(&debian(&[&stanza("curl", "1")]), &debian(&[&stanza("curl", "2")])).await;
    conformance::verifier::suite(&Rescan::new(scanner()), &patched).await.assert();
}
