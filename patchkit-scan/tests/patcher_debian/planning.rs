//! What a plan changes, what it leaves, and what it says about both.

use std::collections::BTreeMap;

use patchkit_core::{Digest, ErrorKind, Patcher, Plan};
use patchkit_scan::{PatchOptions, Repositories, Selection, debian::apt::publish::ArchiveKey};

use crate::bench::{Bench, changes, date, unfixable};

fn only(words: &[&str]) -> PatchOptions {
    PatchOptions::default().with_selection(Selection::Only(words.iter().map(ToString::to_string).collect()))
}

async fn planned(bench: &Bench, packages: &[&str], findings: &[&str], options: PatchOptions) -> Plan {
    bench.plan(&bench.image_of("amd64", packages), findings, options).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fix_brings_exactly_what_it_needs() {
    let bench = Bench::new();
    let installed = ["openssl 1.0-1; Depends: libssl (= 1.0-1)", "libssl 1.0-1; Source: openssl", "bash 5"];
    let openssl = "openssl 1.0-2; Depends: libssl (= 1.0-2), legacy";
    bench.offer("amd64", &[openssl, "libssl 1.0-2; Source: openssl", "legacy 1; Architecture: all", "bash 6"]);
    let findings = ["CVE-2026-1000 openssl 1.0-2", "CVE-2026-2000 openssl 1.0-2"];
    let image = bench.image_of("amd64", &installed);
    let plan = bench.plan(&image, &findings, PatchOptions::default()).await.unwrap();
    assert_eq!(
        changes(&plan),
        [
            "legacy:all new -> 1 (openssl needs legacy) []",
            "libssl:amd64 1.0-1 -> 1.0-2 (from the same source package openssl) []",
            "openssl:amd64 1.0-1 -> 1.0-2 (fixes 2 findings) [CVE-2026-1000 CVE-2026-2000]",
        ]
    );
    assert_eq!((plan.subject, plan.base), (*image.digest(), *image.digest()));
    let again = bench.plan(&image, &findings, PatchOptions::default()).await.unwrap();
    assert_eq!(plan.digest(), again.digest());
    let json = serde_json::to_string(&plan).unwrap();
    assert_eq!(serde_json::from_str::<Plan>(&json).unwrap(), plan);
    // The image bears a key that is new each time, so that its digest is, too.
    let of_any_image = Plan { subject: Digest::of("image"), base: Digest::of("image"), ..plan };
    insta::assert_json_snapshot!("a_plan", of_any_image);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_away_with_another_change_counts_as_fixed() {
    let bench = Bench::new();
    let installed = ["libc6 1; Source: glibc (1)", "libc-bin 1; Source: glibc (1); Depends: libc6", "bash 5"];
    bench.offer("amd64", &["libc6 3; Source: glibc", "libc-bin 3; Source: glibc; Depends: libc6 (>= 3)", "bash 6"]);
    let findings =
        ["CVE-2026-1000 libc6 2", "CVE-2026-1000 libc-bin 2", "CVE-2026-2000 libc6 3", "CVE-2026-3000 bash 6"];
    let plan = planned(&bench, &installed, &findings, only(&["CVE-2026-1000"])).await;
    assert_eq!(
        changes(&plan),
        [
            "libc-bin:amd64 1 -> 3 (fixes 1 finding) [CVE-2026-1000]",
            "libc6:amd64 1 -> 3 (fixes 2 findings) [CVE-2026-1000 CVE-2026-2000]",
        ]
    );
    assert_eq!(unfixable(&plan), ["CVE-2026-3000: not chosen"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_are_chosen_by_any_of_their_names() {
    let bench = Bench::new();
    let installed = ["libssl 1; Source: openssl", "bash 5"];
    bench.offer("amd64", &["libssl 2; Source: openssl", "bash 6"]);
    let findings = ["CVE-2026-1000 libssl 2", "CVE-2026-2000 bash 6"];
    for word in ["CVE-2026-1000", "cve-2026-1000", "libssl", "openssl"] {
        let plan = planned(&bench, &installed, &findings, only(&[word])).await;
        assert_eq!(changes(&plan), ["libssl:amd64 1 -> 2 (fixes 1 finding) [CVE-2026-1000]"], "{word}");
        assert_eq!(unfixable(&plan), ["CVE-2026-2000: not chosen"], "{word}");
    }
    assert_eq!(planned(&bench, &installed, &findings, only(&["bash", "openssl"])).await.changes.len(), 2);
}

/// Where nothing can be wanted of an archive, none is read: the image need not even name one.
#[tokio::test(flavor = "multi_thread")]
async fn what_asks_for_nothing_reads_no_archive() {
    let bench = Bench::new().with("etc/apt/sources.list", "");
    let installed = ["bash 5", "zsh 1"];
    let findings = ["CVE-2026-1000 bash 6", "CVE-2026-2000 zsh open", "CVE-2026-3000 pkg:npm/lodash@4 npm:5"];
    for (options, found, left) in [
        (PatchOptions::default(), &findings[..0], &[][..]),
        (PatchOptions::default(), &findings[1..2], &["CVE-2026-2000: no fix yet"]),
        (only(&["zsh"]), &findings[..2], &["CVE-2026-1000: not chosen", "CVE-2026-2000: no fix yet"]),
        (only(&["nobody"]), &findings[..1], &["CVE-2026-1000: not chosen"]),
        (
            PatchOptions::default(),
            &findings[2..],
            &["CVE-2026-3000: unsupported: pkg:npm/lodash@4 is no Debian package"],
        ),
    ] {
        let plan = planned(&bench, &installed, found, options).await;
        assert!(plan.is_empty());
        assert_eq!(unfixable(&plan), left);
    }
    assert_eq!(bench.fetch.take_asked(), Vec::<String>::new());
    for options in [PatchOptions::default(), PatchOptions::default().with_selection(Selection::All)] {
        let error = bench.plan(&bench.image_of("amd64", &installed), &findings[..1], options).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_finding_that_stays_has_its_reason() {
    let bench = Bench::new().with("etc/apt/preferences.d/keep", "Package: pinned\nPin: version 2\nPin-Priority: -1\n");
    let installed = [
        "open 1",
        "dropped 1",
        "old 1",
        "gone 1",
        "held 1; Status: hold ok installed",
        "pinned 1",
        "stuck 1",
        "app 1; Depends: stuck (= 1)",
        "fresh 2",
        "clean 1",
        "lib 1; Architecture: i386; Multi-Arch: same",
    ];
    bench.offer(
        "amd64",
        &["open 2", "dropped 2", "old 2", "held 2", "pinned 2", "stuck 2", "fresh 3", "clean 2", "app 1"],
    );
    let findings = [
        "CVE-2026-0001 open open",
        "CVE-2026-0002 dropped wontfix",
        "CVE-2026-0003 old 3",
        "CVE-2026-0004 gone 2",
        "CVE-2026-0005 held 2",
        "CVE-2026-0006 pinned 2",
        "CVE-2026-0007 stuck 2",
        "CVE-2026-0008 fresh 1.5",
        "CVE-2026-0009 clean unaffected",
        "CVE-2026-0010 lib 2",
        "CVE-2026-0011 pkg:npm/lodash@4 npm:5",
        "CVE-2026-0012 pkg:deb/debian/absent@1?arch=amd64 2",
    ];
    let all = PatchOptions::default().with_selection(Selection::All);
    for (options, expected) in [(PatchOptions::default(), 0), (all, 5)] {
        let plan = planned(&bench, &installed, &findings, options).await;
        assert_eq!(plan.changes.len(), expected, "{:?}", changes(&plan));
        let reasons: BTreeMap<_, _> =
            plan.unfixable.iter().map(|left| (left.finding.id.to_string(), left.reason.to_string())).collect();
        let stuck = &reasons["CVE-2026-0007"];
        assert!(
            stuck.starts_with("cannot be installed: stuck 2 cannot be installed") && stuck.contains("app"),
            "{stuck}"
        );
        let pinned = &reasons["CVE-2026-0006"];
        assert!(pinned.contains("/etc/apt/preferences.d/keep:1 gives it priority -1"), "{pinned}");
        for (id, expected) in [
            ("CVE-2026-0001", "no fix yet"),
            ("CVE-2026-0002", "will not be fixed"),
            ("CVE-2026-0003", "not available: fixed in 3, and the newest old in the archives is of 2"),
            ("CVE-2026-0004", "not available: fixed in 2, and no archive has gone"),
            ("CVE-2026-0005", "held back: apt-mark hold keeps held at 1"),
            ("CVE-2026-0008", "unsupported: fresh 2 has the fix of 1.5 already"),
            ("CVE-2026-0009", "unsupported: the package is not affected"),
            ("CVE-2026-0010", "unsupported: lib is of another architecture than the image: i386"),
            ("CVE-2026-0011", "unsupported: pkg:npm/lodash@4 is no Debian package"),
            ("CVE-2026-0012", "unsupported: the report does not list pkg:deb/debian/absent@1?arch=amd64"),
        ] {
            assert_eq!(reasons[id], expected, "{id}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_source_version_decides_what_is_fixed() {
    let bench = Bench::new();
    bench.offer("amd64", &["libfoo 7:2; Source: foo (1.1)", "libfoo 7:3; Source: foo (1.2)"]);
    let findings = ["CVE-2026-1000 libfoo 1.2", "CVE-2026-2000 libfoo 1.3"];
    let plan = planned(&bench, &["libfoo 7:1; Source: foo (1.0)"], &findings, PatchOptions::default()).await;
    assert_eq!(changes(&plan), ["libfoo:amd64 7:1 -> 7:3 (fixes 1 finding) [CVE-2026-1000]"]);
    let left = ["CVE-2026-2000: not available: fixed in 1.3, and the newest libfoo in the archives is of 1.2"];
    assert_eq!(unfixable(&plan), left);
}

/// Credentials are used for reading and are shown nowhere: not in a plan, not in an error, not in what is stored.
#[tokio::test(flavor = "multi_thread")]
async fn credentials_stay_in_the_image() {
    let bench = Bench::new().at("http://user:secret@archive.example.org/debian");
    bench.offer("amd64", &["bash 6", "zsh 2"]);
    let image = bench.image_of("amd64", &["bash 5", "zsh 1"]);
    let findings = ["CVE-2026-1000 bash 6", "CVE-2026-2000 zsh 2"];
    let plan = bench.plan(&image, &findings, PatchOptions::default()).await.unwrap();
    let url = "http://archive.example.org/debian/pool/main/b/bash/bash_6_amd64.deb";
    assert_eq!(plan.changes[0].artifact.as_ref().unwrap().url, url);
    let _ = bench.fetch.take_asked();
    let patched = bench.patch(&image, &plan).await;
    assert_eq!(bench.text(&patched, "usr/bin/bash").await.as_deref(), Some("6"));
    assert_eq!(bench.fetch.take_asked().len(), 2);
    let written = format!("{}{:?}", serde_json::to_string(&plan).unwrap(), patched.manifest().annotations());
    assert!(!written.contains("user") && !written.contains("secret"));

    let elsewhere = Bench::new().at("http://user:secret@archive.example.org/other");
    let image = elsewhere.image_of("amd64", &["bash 5"]);
    let error = elsewhere.plan(&image, &findings[..1], PatchOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(!error.to_string().contains("user") && !error.to_string().contains("secret"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_images_own_sources_win_over_a_fallback() {
    let bench = Bench::new();
    bench.offer("amd64", &["bash 6"]);
    let image = bench.image_of("amd64", &["bash 5"]);
    let sources = patchkit_scan::debian::apt::sources::parse_sources("x", b"deb http://x.example.org/ s main\n");
    let other = Repositories::new(sources.unwrap(), Default::default());
    let fallback = PatchOptions::default().with_fallback(other.clone());
    assert_eq!(bench.plan(&image, &["CVE-2026-1000 bash 6"], fallback).await.unwrap().changes.len(), 1);
    let given = PatchOptions::default().with_repositories(other);
    let error = bench.plan(&image, &["CVE-2026-1000 bash 6"], given).await.unwrap_err();
    assert!(error.to_string().contains("x.example.org"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_key_is_refused() {
    let stranger = ArchiveKey::generate("stranger", date()).unwrap().public_keyring().unwrap();
    let bench = Bench::new().with("etc/apt/trusted.gpg.d/archive.gpg", stranger);
    bench.offer("amd64", &["bash 6"]);
    let image = bench.image_of("amd64", &["bash 5"]);
    let error = bench.plan(&image, &["CVE-2026-1000 bash 6"], PatchOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_named_with_its_file_and_line() {
    for (path, text, kind, expected) in [
        (
            "etc/apt/sources.list",
            "# x\ndep http://a.example.org b c\n",
            ErrorKind::Invalid,
            "/etc/apt/sources.list:2: type \"dep\"",
        ),
        (
            "etc/apt/preferences.d/x",
            "Package: a\nPin-Priority: 1\n",
            ErrorKind::Invalid,
            "/etc/apt/preferences.d/x:1: Pin",
        ),
    ] {
        let bench = Bench::new().with(path, text);
        let image = bench.image_of("amd64", &["bash 5"]);
        let error = bench.plan(&image, &["CVE-2026-1000 bash 6"], PatchOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_outlived_its_packages_says_so() {
    let bench = Bench::new();
    bench.offer("amd64", &["bash 6"]);
    let image = bench.image_of("amd64", &["bash 5"]);
    let plan = bench.plan(&image, &["CVE-2026-1000 bash 6"], PatchOptions::default()).await.unwrap();
    bench.fetch.remove("http://archive.example.org/debian/pool/main/b/bash/bash_6_amd64.deb").unwrap();
    let error = bench.patcher(PatchOptions::default()).apply(&image, &plan, &bench.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("the archive has no bash 6 any more: plan again"), "{error}");
    let other = Plan { base: Digest::of("other"), ..plan };
    let error = bench.patcher(PatchOptions::default()).apply(&image, &other, &bench.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}
