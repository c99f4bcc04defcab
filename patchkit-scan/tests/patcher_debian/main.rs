//! The Debian patcher on images and archives that are made and signed on the spot.

#![allow(clippy::unwrap_used)]

mod bench;
mod planning;
mod repatching;

use patchkit_core::{Application, FixState, NoteClass, Patcher, conformance};
use patchkit_scan::{
    Inventory, PatchOptions, Repositories,
    debian::apt::{sources::parse_sources, trust::TrustStore},
};

use bench::{Bench, SOURCES, deb, fixed, image};

#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_contract() {
    let bench = Bench::new();
    bench.publish(0, [deb("curl", "1-2", "amd64"), deb("zlib", "1-1", "amd64")]);
    let image = bench.image("amd64", &[("curl", "1-1"), ("zlib", "1-1")]);
    let findings = [("CVE-2026-0001", "curl", fixed("1-2")), ("CVE-2026-0002", "zlib", FixState::NotFixed)];
    let report = bench.report(&image, &findings).await;
    conformance::patcher::suite(&bench.patcher(PatchOptions::default()), &image, &report).await.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_of_another_architecture_is_patched_with_what_the_fix_needs() {
    let bench = Bench::new();
    let curl = deb("curl", "1-2", "arm64").with_field("Depends", "libnew");
    bench.publish(0, [curl, deb("libnew", "3", "arm64"), deb("other", "9", "arm64")]);
    let image = bench.image("arm64", &[("curl", "1-1"), ("other", "8")]);
    let report = bench.report(&image, &[("CVE-2026-0001", "curl", fixed("1-2"))]).await;
    let plan = bench.patcher(PatchOptions::default()).plan(&image, &report, &bench.cx).await.unwrap();
    let changes: Vec<(String, String)> =
        plan.changes.iter().map(|c| (c.package.to_string(), c.reason.clone())).collect();
    assert_eq!(changes, [("curl".into(), "fixes 1 finding".into()), ("libnew".into(), "curl needs libnew".into()),]);
    let patched = bench.patch(&image, &plan).await;
    assert_eq!(bench.text(&patched, "usr/bin/curl").await.as_deref(), Some("1-2"));
    assert_eq!(bench.text(&patched, "usr/bin/libnew").await.as_deref(), Some("3"));
    assert_eq!(bench.text(&patched, "usr/bin/other").await.as_deref(), Some("8"));
    let inventory = Inventory::of(&patched, &bench.cx).await.unwrap();
    let versions: Vec<String> = inventory.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    assert_eq!(versions, ["curl 1-2", "libnew 3", "other 8"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_distroless_image_takes_given_archives() {
    let bench = Bench::new();
    bench.publish(0, [deb("curl", "1-2", "amd64").with_file("usr/share/doc/curl/news", 0o644, b"new")]);
    let control = "Package: curl\nVersion: 1-1\nArchitecture: amd64\nMaintainer: A <a@example.org>\nDescription: d\n";
    let sums =
        "c4ca4238a0b923820dcc509a6f75849b  usr/bin/curl\nc4ca4238a0b923820dcc509a6f75849b  usr/share/doc/curl/old\n";
    let files = [
        ("var/lib/dpkg/status.d/curl".to_owned(), control.as_bytes().to_vec()),
        ("var/lib/dpkg/status.d/curl.md5sums".into(), sums.as_bytes().to_vec()),
        ("usr/bin/curl".into(), b"1".to_vec()),
    ];
    let image = image("amd64", &files, &bench.cx);
    let report = bench.report(&image, &[("CVE-2026-0001", "curl", fixed("1-2"))]).await;
    let none = bench.patcher(PatchOptions::default()).plan(&image, &report, &bench.cx).await.unwrap_err();
    assert_eq!(none.kind(), patchkit_core::ErrorKind::Invalid);
    let trust = TrustStore::new().trusting("archive.gpg", bench.key.public_keyring().unwrap());
    let given = Repositories::new(parse_sources("given", SOURCES.as_bytes()).unwrap(), trust);
    let patcher = bench.patcher(PatchOptions::default().with_fallback(given));
    let plan = patcher.plan(&image, &report, &bench.cx).await.unwrap();
    let patched = bench.patch(&image, &plan).await;
    assert_eq!(bench.text(&patched, "usr/bin/curl").await.as_deref(), Some("1-2"));
    // Its builder left the documentation out; so do we.
    assert_eq!(bench.text(&patched, "usr/share/doc/curl/news").await, None);
    assert!(bench.text(&patched, "var/lib/dpkg/status.d/curl").await.unwrap().contains("Version: 1-2\n"));
    assert!(bench.text(&patched, "var/lib/dpkg/status").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_package_that_cannot_do_without_its_script_is_refused() {
    let bench = Bench::new();
    let script = b"#!/bin/sh\nset -e\necho this version cannot be installed >&2\nexit 1\n";
    bench.publish(0, [deb("curl", "1-2", "amd64").with_control_file("preinst", 0o755, *script)]);
    let image = bench.image("amd64", &[("curl", "1-1")]);
    let report = bench.report(&image, &[("CVE-2026-0001", "curl", fixed("1-2"))]).await;
    let patcher = bench.patcher(PatchOptions::default());
    let plan = patcher.plan(&image, &report, &bench.cx).await.unwrap();
    match patcher.apply(&image, &plan, &bench.cx).await.unwrap() {
        Application::Refused(notes) => assert!(notes.iter().any(|note| note.class == NoteClass::Refuse), "{notes:?}"),
        Application::Patched { notes, .. } => panic!("patched: {notes:?}"),
    }
}
