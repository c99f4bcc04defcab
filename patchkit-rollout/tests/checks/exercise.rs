use std::collections::BTreeSet;

use jiff::Timestamp;
use patchkit_core::{
    Change, Context, Digest, Entry, FindingKey, Image, Plan, Reason, Record, Seen, Used, Verdict, Version,
};
use patchkit_rollout::verify::exercise::{
    Changes, Exercise, FileClass, Require, Sight, TestStep, exercise, history, review,
};
use serde_json::json;

use super::support::{Made, alpine, faults, image, layout_image, over, patched, path, plain, planned, shared_data};

fn plan(image: &Image, changes: &[(&str, &str)]) -> Plan {
    let version = |text| Some(Version::new("deb", text).unwrap());
    let change = |(package, cve): &(&str, &str)| Change {
        package: package.parse().unwrap(),
        architecture: None,
        from: version("1"),
        to: version("2"),
        artifact: None,
        fixes: vec![FindingKey {
            id: cve.parse().unwrap(),
            package: format!("pkg:deb/debian/{package}@1").parse().unwrap(),
        }],
        reason: "fixes 1 finding".into(),
    };
    let (subject, timestamp) = (*image.digest(), Timestamp::UNIX_EPOCH);
    let changes = changes.iter().map(change).collect();
    Plan { subject, base: subject, timestamp, changes, unfixable: vec![] }
}

fn used(seen: Seen, files: &[&str]) -> Used {
    Used { seen, files: files.iter().map(|file| path(file)).collect() }
}

/// A merged-/usr system with two packages, one file under two names, and their lists.
fn system() -> Image {
    let layer = Made::new()
        .link("lib", "usr/lib")
        .file("usr/lib/libssl.so.3", "old")
        .program("usr/bin/openssl", "old")
        .program("usr/bin/git", "old")
        .hard_link("usr/bin/git-log", "usr/bin/git")
        .file("usr/share/git/hook.sh", "old")
        .file("etc/ssl/openssl.cnf", "old")
        .file("usr/share/doc/git/README", "old")
        .file("var/lib/dpkg/info/libssl3:amd64.list", "/.\n/lib/libssl.so.3\n/usr/bin/openssl\n/etc/ssl/openssl.cnf\n")
        .file("var/lib/dpkg/info/git.list", "/usr\n/usr/bin/git\n/usr/bin/git-log\n/usr/share/git/hook.sh\n");
    image(vec![layer.finish()])
}

async fn changes(before: &Image) -> Changes {
    let layer = Made::new()
        .file("usr/lib/libssl.so.3", "new")
        .program("usr/bin/openssl", "new")
        .program("usr/bin/git", "new")
        .hard_link("usr/bin/git-log", "usr/bin/git")
        .file("usr/share/git/hook.sh", "new")
        .file("etc/ssl/openssl.cnf", "new")
        .file("usr/share/doc/git/README", "new")
        .file("var/lib/dpkg/status", "new")
        .file("usr/lib/python3/__pycache__/x.pyc", "new")
        .file("usr/lib/libnew.so.1", "new");
    let plan = plan(before, &[("libssl3", "CVE-2026-0001"), ("git", "CVE-2026-0002")]);
    let patched = planned(before, &over(before, layer), plan).await;
    Changes::of(&patched, &Context::new()).await.unwrap().remove(0)
}

#[tokio::test]
async fn changes_have_packages_and_classes() {
    let changes = changes(&system()).await;
    let files: Vec<_> =
        changes.files().iter().map(|file| (file.path.to_string(), file.class, file.package.as_deref())).collect();
    let file = |name: &str, class, package| (name.to_owned(), class, package);
    assert_eq!(
        files,
        [
            file("etc/ssl/openssl.cnf", FileClass::Other, Some("libssl3")),
            file("usr/bin/git", FileClass::Program, Some("git")),
            file("usr/bin/git-log", FileClass::Program, Some("git")),
            file("usr/bin/openssl", FileClass::Program, Some("libssl3")),
            file("usr/lib/libnew.so.1", FileClass::Library, None),
            file("usr/lib/libssl.so.3", FileClass::Library, Some("libssl3")),
            file("usr/share/git/hook.sh", FileClass::Code, Some("git")),
        ]
    );
    assert_eq!(changes.packages().into_iter().collect::<Vec<_>>(), ["git", "libssl3"]);
}

#[tokio::test]
async fn tests_cover_what_they_use() {
    let changes = changes(&system()).await;
    // By the old name of the folder, and by the other name of the file.
    let (tls, log) = (used(Seen::Opened, &["lib/libssl.so.3"]), used(Seen::Opened, &["usr/bin/git-log", "etc/passwd"]));
    let idle = used(Seen::Opened, &["etc/passwd", "gone"]);
    let steps = [
        TestStep { name: "tls", used: Some(&tls) },
        TestStep { name: "log", used: Some(&log) },
        TestStep { name: "idle", used: Some(&idle) },
    ];
    let found = exercise(&changes, &steps);
    let covered: Vec<_> = found.covered.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(covered, ["usr/bin/git", "usr/bin/git-log", "usr/lib/libssl.so.3"]);
    assert_eq!(found.idle_tests, BTreeSet::from(["idle".into()]));
    assert_eq!(found.tests_by_package["libssl3"], BTreeSet::from(["tls".into()]));
    assert_eq!(found.tests_by_package["git"], BTreeSet::from(["log".into()]));
    assert_eq!((found.seen, found.other_untouched), (Sight::Opened, 1));
    let reason = found.reason(Require::Nothing);
    assert_eq!(
        reason.to_string(),
        "✓ 3 changed files were used, 3 were not\n  \
         ✓ files of no package: nothing was used: usr/lib/libnew.so.1\n  \
         ✓ git (fixes CVE-2026-0002): not everything was used: usr/share/git/hook.sh\n  \
         ✓ libssl3 (fixes CVE-2026-0001): not everything was used: usr/bin/openssl"
    );
    assert!(found.reason(Require::EveryFix).holds);
    assert_eq!(faults(&[found.reason(Require::EveryFile)]).len(), 3);
}

#[tokio::test]
async fn a_fix_that_nobody_used_can_fail() {
    let changes = changes(&system()).await;
    let log = used(Seen::Mapped, &["usr/bin/git"]);
    let found = exercise(&changes, &[TestStep { name: "log", used: Some(&log) }]);
    let faults = faults(&[found.reason(Require::EveryFix)]);
    assert_eq!(faults, ["libssl3 (fixes CVE-2026-0001): nothing was used: usr/bin/openssl, usr/lib/libssl.so.3"]);
    assert!(found.reason(Require::Nothing).message.ends_with("(short uses may have been missed)"));
}

#[tokio::test]
async fn what_nobody_saw_is_not_known() {
    let changes = changes(&system()).await;
    let all = used(Seen::Opened, &["lib/libssl.so.3", "usr/bin/git"]);
    let steps = [TestStep { name: "a", used: Some(&all) }, TestStep { name: "b", used: None }];
    for (steps, text) in [(&steps[..], "nobody saw what 1 tests used"), (&[], "no test ran")] {
        let found = exercise(&changes, steps);
        assert_eq!(found.seen, Sight::Nothing);
        let reason = found.reason(Require::Nothing);
        assert!(reason.holds && reason.because.last().unwrap().message == text, "{reason}");
        let reason = found.reason(Require::EveryFix);
        assert!(!reason.holds && reason.because.last().unwrap().message.starts_with("could not tell"), "{reason}");
    }
    // Nothing was changed: nothing is missing.
    let image = plain();
    let none = Changes::of(&patched(&image, &image).await, &Context::new()).await.unwrap().remove(0);
    assert!(exercise(&none, &[]).reason(Require::EveryFile).holds);
}

#[tokio::test]
async fn a_patch_in_the_place_of_another_counts_by_what_differs() {
    let base = system();
    let first = over(&base, Made::new().file("usr/lib/libssl.so.3", "new").program("usr/bin/openssl", "new"));
    let second = over(&base, Made::new().file("usr/lib/libssl.so.3", "new").program("usr/bin/git", "new"));
    let found = Changes::between(&first, &second, &plan(&first, &[]), &Context::new()).await.unwrap();
    let files: Vec<_> = found.files().iter().map(|file| file.path.to_string()).collect();
    // The library is as it was; one program went back; git-log is another file than git now.
    assert_eq!(files, ["usr/bin/git", "usr/bin/openssl"]);
}

#[tokio::test]
async fn a_history_finds_what_the_suite_does_not_need() {
    let changes = changes(&system()).await;
    let (log, idle) = (used(Seen::Opened, &["usr/bin/git"]), used(Seen::Opened, &["etc/passwd"]));
    let steps = |name, used| [TestStep { name: "idle", used: Some(&idle) }, TestStep { name, used: Some(used) }];
    let first = exercise(&changes, &steps("log", &log));
    let second = exercise(&changes, &steps("log", &idle));
    let entry = |exercise: &Exercise| {
        let subject = Digest::of(b"image");
        let verdict = Verdict { subject, reasons: vec![Reason::yes("x")], evidence: vec![exercise.evidence("suite")] };
        let body = json!({"plugin": {"name": "suite"}, "result": verdict});
        let at = Timestamp::UNIX_EPOCH;
        Entry::after(None, Record { kind: "verify".into(), subject, run: "r".into(), at, body })
    };
    let read = history(&[entry(&first), entry(&second)]);
    assert_eq!(read, [first, second]);
    let found = review(&read);
    assert_eq!(found.patches, 2);
    assert_eq!(found.never_needed, BTreeSet::from(["idle".into()]));
    assert_eq!(found.never_covered.into_iter().collect::<Vec<_>>(), [("libssl3".to_owned(), 2)]);
    assert_eq!(review(&read[1..]).never_needed.len(), 2);
}

#[tokio::test]
async fn real_images_name_their_packages() {
    let names = ["images/debian-12.15-distroless", "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz"];
    let [Some(debian), Some(alpine_archive)] = names.map(shared_data) else { return };
    for (image, file, package, used_as) in [
        (
            layout_image(&debian).await,
            "usr/lib/x86_64-linux-gnu/libssl.so.3",
            "libssl3",
            "usr/lib/x86_64-linux-gnu/libssl.so.3",
        ),
        (alpine(&alpine_archive), "lib/libcrypto.so.3", "libcrypto3", "usr/lib/libcrypto.so.3"),
    ] {
        let after = over(&image, Made::new().file(file, "new"));
        let plan = plan(&image, &[(package, "CVE-2026-1000")]);
        let changes = Changes::between(&image, &after, &plan, &Context::new()).await.unwrap();
        let owners: Vec<_> = changes.files().iter().map(|file| file.package.as_deref()).collect();
        assert_eq!(owners, [Some(package)]);
        let used = used(Seen::Opened, &[used_as]);
        let found = exercise(&changes, &[TestStep { name: "tls", used: Some(&used) }]);
        assert!(found.gaps.is_empty() && found.reason(Require::EveryFile).holds, "{found:?}");
    }
}
