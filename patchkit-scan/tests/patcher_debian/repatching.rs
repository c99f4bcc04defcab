//! Images that were patched before.

use patchkit_core::{Digest, ErrorKind, Image, Patcher};
use patchkit_scan::{
    PatchOptions, Selection,
    patcher::{label, origin},
};

use crate::bench::{Bench, changes, deb, fixed, unfixable};

#[tokio::test(flavor = "multi_thread")]
async fn a_second_patch_starts_again_from_the_base() {
    let bench = Bench::new();
    bench.publish(0, [deb("curl", "1-2", "amd64"), deb("zlib", "1-1", "amd64")]);
    let base = bench.image("amd64", &[("curl", "1-1"), ("zlib", "1-1")]);
    let report = bench.report(&base, &[("CVE-2026-0001", "curl", fixed("1-2"))]).await;
    let patcher = bench.patcher(PatchOptions::default());
    let once = bench.patch(&base, &patcher.plan(&base, &report, &bench.cx).await.unwrap()).await;
    assert_eq!(origin(&once).unwrap().digest(), base.digest());
    assert_eq!(origin(&once).unwrap().config().bytes(), base.config().bytes());
    let annotations = once.manifest().annotations();
    assert_eq!(annotations[label::FIXED], "CVE-2026-0001");
    assert_eq!(once.config().labels()[label::CHANGED], "curl 1-1 -> 1-2");

    bench.publish(1, [deb("curl", "1-2", "amd64"), deb("zlib", "1-3", "amd64")]);
    let report = bench.report(&once, &[("CVE-2026-0002", "zlib", fixed("1-2"))]).await;
    let plan = patcher.plan(&once, &report, &bench.cx).await.unwrap();
    assert_eq!((plan.subject, plan.base), (*once.digest(), *base.digest()));
    let twice = bench.patch(&once, &plan).await;
    assert_eq!(twice.layers().len(), base.layers().len() + 1);
    assert_eq!(origin(&twice).unwrap().digest(), base.digest());
    assert_eq!(bench.text(&twice, "usr/bin/curl").await.as_deref(), Some("1-2"));
    assert_eq!(bench.text(&twice, "usr/bin/zlib").await.as_deref(), Some("1-3"));
    assert_eq!(twice.manifest().annotations()[label::FIXED], "CVE-2026-0001,CVE-2026-0002");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_patch_says_what_the_first_brought() {
    let (bench, once) = patched_once().await;
    bench.offer("amd64", &["curl 1-2; Depends: libnew", "libnew 3", "zlib 1-3"]);
    let plan = bench.plan(&once, &["CVE-2026-0002 zlib 1-2"], PatchOptions::default()).await.unwrap();
    assert_eq!(
        changes(&plan),
        [
            "curl:amd64 1-1 -> 1-2 (brought by an earlier patch) []",
            "libnew:amd64 new -> 3 (curl needs libnew) []",
            "zlib:amd64 1-1 -> 1-3 (fixes 1 finding) [CVE-2026-0002]",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_new_is_no_second_patch() {
    let (bench, once) = patched_once().await;
    for options in [PatchOptions::default(), PatchOptions::default().with_selection(Selection::All)] {
        let plan = bench.plan(&once, &["CVE-2026-0002 zlib 1-2"], options).await.unwrap();
        assert_eq!((changes(&plan), plan.base), (vec![], *once.digest()));
        let left = "CVE-2026-0002: not available: fixed in 1-2, and the newest zlib in the archives is of 1-1";
        assert_eq!(unfixable(&plan), [left]);
        assert_eq!(bench.patch(&once, &plan).await.digest(), once.digest());
    }
}

/// What the first patch brought is in no archive any more, or what came with it is not asked for any more: the second
/// patch then goes on top, rather than to take a fix back.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_patch_never_loses_what_the_first_brought() {
    for offered in [&["zlib 1-3"][..], &["curl 1-1", "zlib 1-3"], &["curl 1-2", "zlib 1-3"]] {
        let (bench, once) = patched_once().await;
        bench.offer("amd64", offered);
        let plan = bench.plan(&once, &["CVE-2026-0002 zlib 1-2"], PatchOptions::default()).await.unwrap();
        assert_eq!((plan.subject, plan.base), (*once.digest(), *once.digest()), "{offered:?}");
        assert_eq!(changes(&plan), ["zlib:amd64 1-1 -> 1-3 (fixes 1 finding) [CVE-2026-0002]"]);
        let twice = bench.patch(&once, &plan).await;
        for (name, version) in [("curl", "1-2"), ("libnew", "3"), ("zlib", "1-3")] {
            assert_eq!(bench.text(&twice, &format!("usr/bin/{name}")).await.as_deref(), Some(version), "{offered:?}");
        }
        assert_eq!(twice.layers().len(), once.layers().len() + 1);
        assert_eq!(origin(&twice).unwrap().digest(), once.digest());
    }
}

/// A second patch made from the first one's plan, whose packages have gone since, is refused with what is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_patch_that_cannot_be_had_any_more_is_refused() {
    let (bench, once) = patched_once().await;
    bench.offer("amd64", &["curl 1-3; Depends: libnew", "libnew 3", "zlib 1-3"]);
    let plan = bench.plan(&once, &["CVE-2026-0002 zlib 1-2"], PatchOptions::default()).await.unwrap();
    assert_ne!(plan.base, plan.subject);
    bench.fetch.remove("http://archive.example.org/debian/pool/main/z/zlib/zlib_1-3_amd64.deb").unwrap();
    let error = bench.patcher(PatchOptions::default()).apply(&once, &plan, &bench.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("the archive has no zlib 1-3 any more: plan again"), "{error}");
}

/// An image in which curl, and with it libnew, came by a patch.
async fn patched_once() -> (Bench, Image) {
    let bench = Bench::new();
    bench.offer("amd64", &["curl 1-2; Depends: libnew", "libnew 3", "zlib 1-1"]);
    let base = bench.image("amd64", &[("curl", "1-1"), ("zlib", "1-1")]);
    let plan = bench.plan(&base, &["CVE-2026-0001 curl 1-2"], PatchOptions::default()).await.unwrap();
    let once = bench.patch(&base, &plan).await;
    (bench, once)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_doctored_origin_is_refused() {
    let bench = Bench::new();
    bench.publish(0, [deb("curl", "1-2", "amd64")]);
    let base = bench.image("amd64", &[("curl", "1-1")]);
    let report = bench.report(&base, &[("CVE-2026-0001", "curl", fixed("1-2"))]).await;
    let patcher = bench.patcher(PatchOptions::default());
    let patched = bench.patch(&base, &patcher.plan(&base, &report, &bench.cx).await.unwrap()).await;
    for (name, value) in [(label::BASE_DIGEST, Digest::of(b"x").to_string()), (label::ORIGIN, "!".into())] {
        let doctored = patched.edit().annotation(name, value).finish().unwrap();
        assert_eq!(origin(&doctored).unwrap_err().kind(), patchkit_core::ErrorKind::Corrupt, "{name}");
    }
}
