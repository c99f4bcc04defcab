//! The scanner against Trivy, on a real image, by the same advisories; and the contract of the port.

#![allow(clippy::unwrap_used)]

mod scan_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::Arc,
};

use patchkit_core::{Context, FixState, Plugin, ScanReport, Scanner, Severity, conformance, memory::ManualClock};
use patchkit_scan::{AdvisoryScanner, AdvisoryStore};
use scan_support::{Item, debian_11, image, layer, layout_image, shared_data, stanza};

/// CVE, package and fixed version of each finding.
type Findings = BTreeSet<(String, String, String)>;

fn findings(report: &ScanReport) -> Findings {
    let show = |finding: &patchkit_core::Finding| {
        let FixState::Fixed(version) = &finding.fix else { panic!("{} has no fix", finding.key()) };
        (finding.id.to_string(), finding.package.parts().name, version.to_string())
    };
    report.findings.iter().map(show).collect()
}

fn trivys(report: &Path) -> (Findings, BTreeMap<(String, String), Vec<String>>) {
    let report: serde_json::Value = serde_json::from_slice(&std::fs::read(report).unwrap()).unwrap();
    let (mut findings, mut bulletins) = (Findings::new(), BTreeMap::new());
    for found in report["Results"][0]["Vulnerabilities"].as_array().unwrap() {
        let text = |field: &str| found[field].as_str().unwrap().to_owned();
        let ids = found["VendorIDs"].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned());
        bulletins.insert((text("VulnerabilityID"), text("PkgName")), ids.collect());
        findings.insert((text("VulnerabilityID"), text("PkgName"), text("FixedVersion")));
    }
    (findings, bulletins)
}

/// The day after the advisories were published.
fn fresh() -> Context {
    Context::new().with_clock(Arc::new(ManualClock::at("2026-08-23T00:00:00Z".parse().unwrap())))
}

/// What we find and Trivy does not, and why.
const MORE: [(&str, &str, &str); 1] = [(
    "DLA-3972-1 tzdata 2024b-0+deb11u1",
    "an announcement that names no CVE is a finding under its own id",
    "Trivy's database has CVE ids only",
)];

/// Trivy's database was made from the same advisories (`e2e/SOURCE.md`): no other difference is allowed.
#[tokio::test]
async fn the_findings_are_trivys() {
    let paths = ["images/debian-11.11-distroless", "e2e/debian-11.11-distroless/trivy-0.76.0.before.json.json"];
    let advisories = ["advisories/debian/fixes.tsv", "advisories/debian/debian-advisories.jsonl"];
    let [Some(layout), Some(report)] = paths.map(shared_data) else { return };
    let [Some(table), Some(announcements)] = advisories.map(shared_data) else { return };
    let (expected, bulletins) = trivys(&report);
    assert_eq!(expected.len(), 63);
    let image = layout_image(&layout).await;
    for sources in [vec![&table], vec![&announcements], vec![&table, &announcements]] {
        let scanner = AdvisoryScanner::new(AdvisoryStore::open(&sources).unwrap());
        let report = scanner.scan(&image, &fresh()).await.unwrap();
        assert_eq!(report.warnings, [""; 0]);
        let found = findings(&report);
        let missing: Vec<_> = expected.difference(&found).collect();
        let more: Vec<_> =
            found.difference(&expected).map(|(id, name, fixed)| format!("{id} {name} {fixed}")).collect();
        assert!(missing.is_empty(), "{sources:?}: missing {missing:#?}");
        assert_eq!(more, MORE.map(|(finding, _, _)| finding), "{sources:?}");
        for finding in report.findings.iter().filter(|finding| finding.id.is_cve()) {
            let key = (finding.id.to_string(), finding.package.parts().name);
            let ours: Vec<_> = finding.aliases.iter().map(ToString::to_string).collect();
            assert_eq!(ours, bulletins[&key], "{key:?}");
        }
    }
}

/// Taking the lower version of the two that an advisory and its regression update name would lose these.
#[tokio::test]
async fn a_cve_that_was_fixed_twice_is_fixed_in_the_higher_version() {
    let [Some(layout), Some(table)] =
        ["images/debian-11.11-distroless", "advisories/debian/fixes.tsv"].map(shared_data)
    else {
        return;
    };
    let scanner = AdvisoryScanner::new(AdvisoryStore::open([table]).unwrap());
    let report = scanner.scan(&layout_image(&layout).await, &Context::new()).await.unwrap();
    let twice = |finding: &&patchkit_core::Finding| finding.aliases.iter().any(|id| id.as_str() == "DLA-3942-2");
    let found: Vec<_> = report.findings.iter().filter(twice).collect();
    assert_eq!(found.len(), 12);
    for finding in found {
        let FixState::Fixed(version) = &finding.fix else { panic!("{finding:?}") };
        assert_eq!(version.as_str(), "1.1.1w-0+deb11u2");
    }
}

/// The whole folder of Debian's advisories, also with what has no fix.
#[tokio::test]
async fn a_folder_of_several_formats_is_one_store() {
    let [Some(folder), Some(layout)] = ["advisories/debian", "images/debian-12.15-distroless"].map(shared_data) else {
        return;
    };
    let scanner = AdvisoryScanner::new(AdvisoryStore::open([folder]).unwrap());
    let report = scanner.scan(&layout_image(&layout).await, &Context::new()).await.unwrap();
    let ignorable = report.findings.iter().find(|finding| finding.id.as_str() == "CVE-2019-1010022").unwrap();
    assert_eq!((&ignorable.fix, ignorable.severity), (&FixState::NotFixed, Severity::Negligible));
    assert!(ignorable.title.as_deref().unwrap().starts_with("GNU Libc current is affected by: Mitigation bypass"));
    // The tracker's sample says that unstable had no fix; the announcement for this release has one, and it is in.
    assert!(report.findings.iter().all(|finding| finding.id.as_str() != "CVE-2023-4911"));
}

#[tokio::test]
async fn the_scanner_keeps_the_contract() {
    let table = "CVE-2024-5535 (x)\n\t[bullseye] - curl 2\n";
    let mut builder = AdvisoryStore::builder();
    builder.read("list", table.as_bytes()).unwrap();
    let scanner = AdvisoryScanner::new(builder.build());
    let image =
        image([layer([debian_11(), Item::File("var/lib/dpkg/status", stanza("curl", "1") + &stanza("a", "1"))])]);
    assert_eq!(scanner.scan(&image, &Context::new()).await.unwrap().findings.len(), 1);
    conformance::scanner::suite(&scanner, &image).await.assert();
}

#[test]
fn other_advisories_are_another_configuration() {
    let scanner = |text: &str| {
        let mut builder = AdvisoryStore::builder();
        builder.read("list", text.as_bytes()).unwrap();
        AdvisoryScanner::new(builder.build()).info()
    };
    let one = scanner("CVE-2024-5535 (x)\n\t[bullseye] - curl 2\n");
    assert_eq!(one, scanner("CVE-2024-5535 (x)\n\t[bullseye] - curl 2\n\n"));
    assert_ne!(one, scanner("CVE-2024-5535 (x)\n\t[bullseye] - curl 3\n"));
}

#[tokio::test]
async fn old_advisories_are_said() {
    let list = "[02 Nov 2023] DSA-5546-1 chromium - x\n\t{CVE-2023-5480}\n\t[bullseye] - chromium 119\n";
    let mut builder = AdvisoryStore::builder();
    builder.source("a list", Some("2026-08-09T00:00:00Z".parse().unwrap())).read("list", list.as_bytes()).unwrap();
    let scanner = AdvisoryScanner::new(builder.build());
    let image = image([layer([debian_11(), Item::File("var/lib/dpkg/status", stanza("curl", "1"))])]);
    assert_eq!(scanner.scan(&image, &fresh()).await.unwrap().warnings, [""; 0]);
    let scanner = scanner.with_stale_after(std::time::Duration::from_secs(86_400));
    let warnings = scanner.scan(&image, &fresh()).await.unwrap().warnings;
    assert_eq!(warnings, ["the advisories may be out of date: a list, retrieved 2026-08-09"]);
}
