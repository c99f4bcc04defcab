//! The Debian patcher on images and archives that are made and signed on the spot.

#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use jiff::Timestamp;
use patchkit_core::{
    Application, Blob, Config, Context, Digest, Finding, FixState, Image, Manifest, ManifestBytes, MediaType,
    NoteClass, Patcher, Plan, ScanReport, Severity, UnfixableReason, Version, conformance,
    image::{Compression, FilePath, LayerWriter, Metadata},
};
use patchkit_scan::{
    DebianPatcher, Inventory, PatchOptions, Repositories, Selection,
    debian::apt::{
        cache::Cache,
        client::ArchiveClient,
        fetch::MemoryFetch,
        publish::{ArchiveBuilder, ArchiveKey, DebBuilder},
        sources::parse_sources,
        trust::TrustStore,
    },
    patcher::{label, origin},
};
use serde_json::json;

/// An archive that can be filled with other packages, and a patcher that reads it.
struct Bench {
    key: ArchiveKey,
    fetch: MemoryFetch,
    cache: tempfile::TempDir,
    cx: Context,
}

fn date() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().unwrap()
}

const SOURCES: &str = "deb http://archive.example.org/debian stable main\n";

impl Bench {
    fn new() -> Self {
        let key = ArchiveKey::generate("Archive <archive@example.org>", date()).unwrap();
        Self { key, fetch: MemoryFetch::new(), cache: tempfile::tempdir().unwrap(), cx: Context::new() }
    }

    fn publish(&self, day: i64, packages: impl IntoIterator<Item = DebBuilder>) {
        let dated = Timestamp::from_second(date().as_second() + 86_400 * day).unwrap();
        let archive = ArchiveBuilder::new("stable", dated);
        let archive = packages.into_iter().fold(archive, |archive, deb| archive.with_package(deb.build().unwrap()));
        for (path, bytes) in archive.build(&self.key).unwrap() {
            self.fetch.insert(format!("http://archive.example.org/debian/{path}"), bytes);
        }
    }

    fn patcher(&self, options: PatchOptions) -> DebianPatcher {
        let client = ArchiveClient::new(Arc::new(self.fetch.clone()), Cache::open(self.cache.path()).unwrap());
        DebianPatcher::new(client, options.with_timestamp(date()))
    }

    /// An image with some packages of one architecture installed, each `NAME VERSION` with a file of its own.
    fn image(&self, architecture: &str, packages: &[(&str, &str)]) -> Image {
        let mut files = vec![
            ("etc/apt/sources.list".to_owned(), SOURCES.as_bytes().to_vec()),
            ("etc/apt/trusted.gpg.d/archive.gpg".into(), self.key.public_keyring().unwrap()),
            ("etc/os-release".into(), b"ID=debian\nVERSION_ID=12\nVERSION_CODENAME=bookworm\n".to_vec()),
        ];
        let mut status = String::new();
        for (name, version) in packages {
            status += &format!(
                "Package: {name}\nStatus: install ok installed\nMaintainer: A <a@example.org>\n\
                 Architecture: {architecture}\nVersion: {version}\nDescription: a test\n\n"
            );
            let list = format!("/.\n/usr\n/usr/bin\n/usr/bin/{name}\n");
            files.push((format!("var/lib/dpkg/info/{name}.list"), list.into_bytes()));
            files.push((format!("usr/bin/{name}"), version.as_bytes().to_vec()));
        }
        files.push(("var/lib/dpkg/status".into(), status.into_bytes()));
        image(architecture, &files, &self.cx)
    }

    async fn report(&self, image: &Image, findings: &[(&str, &str, FixState)]) -> ScanReport {
        let Inventory { distribution, packages, warnings, .. } = Inventory::of(image, &self.cx).await.unwrap();
        let findings = findings.iter().map(|(id, name, fix)| {
            let package = packages.iter().find(|package| package.name.as_str() == *name).unwrap();
            Finding::new(id.parse().unwrap(), package.purl.clone(), Severity::High, fix.clone(), "test")
        });
        let findings = findings.collect();
        ScanReport { distribution, packages, findings, warnings, ..ScanReport::of(image) }.sorted()
    }

    async fn patch(&self, image: &Image, plan: &Plan) -> Image {
        match self.patcher(PatchOptions::default()).apply(image, plan, &self.cx).await.unwrap() {
            Application::Patched { image, .. } => image,
            Application::Refused(notes) => panic!("{notes:?}"),
        }
    }

    async fn text(&self, image: &Image, path: &str) -> Option<String> {
        let files = image.files(|_, _| true, &self.cx).await.unwrap();
        let bytes = files.read(&FilePath::new(path).unwrap()).unwrap();
        bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn image(architecture: &str, files: &[(String, Vec<u8>)], cx: &Context) -> Image {
    let mut writer = LayerWriter::new(Compression::Gzip(6), cx).unwrap();
    let mut files = files.to_vec();
    files.sort();
    for (path, bytes) in &files {
        let metadata = Metadata { mode: 0o644, ..Metadata::default() };
        writer.file(&FilePath::new(path).unwrap(), &metadata, bytes.len() as u64, &mut &bytes[..]).unwrap();
    }
    let layer = writer.finish().unwrap();
    let config = json!({"architecture": architecture, "os": "linux", "config": {"Cmd": ["sh"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id()]}});
    let config = Config::parse(serde_json::to_vec_pretty(&config).unwrap().into()).unwrap();
    let named = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest(),
        "size": config.bytes().len()});
    let manifest = json!({"schemaVersion": 2, "config": named, "layers": [layer.blob().descriptor()]});
    let bytes = serde_json::to_vec_pretty(&manifest).unwrap().into();
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes };
    let blobs: Vec<Blob> = vec![layer.blob().clone()];
    Image::assemble(Manifest::parse(&manifest).unwrap(), config, blobs).unwrap()
}

fn deb(name: &str, version: &str, architecture: &str) -> DebBuilder {
    DebBuilder::new(name, version, architecture).with_file(&format!("usr/bin/{name}"), 0o755, version.as_bytes())
}

fn fixed(version: &str) -> FixState {
    FixState::Fixed(Version::new("deb", version).unwrap())
}

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
    assert_eq!(
        changes,
        [("curl".into(), "fixes 1 finding".into()), ("libnew".into(), "curl needs libnew, asked for".into()),]
    );
    let patched = bench.patch(&image, &plan).await;
    assert_eq!(bench.text(&patched, "usr/bin/curl").await.as_deref(), Some("1-2"));
    assert_eq!(bench.text(&patched, "usr/bin/libnew").await.as_deref(), Some("3"));
    assert_eq!(bench.text(&patched, "usr/bin/other").await.as_deref(), Some("8"));
    let inventory = Inventory::of(&patched, &bench.cx).await.unwrap();
    let versions: Vec<String> = inventory.packages.iter().map(|p| format!("{} {}", p.name, p.version)).collect();
    assert_eq!(versions, ["curl 1-2", "libnew 3", "other 8"]);
}

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

#[tokio::test(flavor = "multi_thread")]
async fn what_is_left_has_a_reason() {
    let bench = Bench::new();
    bench.publish(0, [deb("curl", "1-2", "amd64"), deb("zlib", "1-2", "amd64")]);
    let image = bench.image("amd64", &[("curl", "1-1"), ("zlib", "1-1")]);
    let report = bench
        .report(
            &image,
            &[
                ("CVE-2026-0001", "curl", fixed("1-2")),
                ("CVE-2026-0002", "curl", fixed("1-9")),
                ("CVE-2026-0003", "curl", FixState::WillNotFix),
                ("CVE-2026-0004", "zlib", fixed("1-2")),
            ],
        )
        .await;
    let only = Selection::Only(["curl".to_owned()].into());
    let plan =
        bench.patcher(PatchOptions::default().with_selection(only)).plan(&image, &report, &bench.cx).await.unwrap();
    assert_eq!(plan.changes.len(), 1);
    let left: Vec<(&str, &UnfixableReason)> =
        plan.unfixable.iter().map(|u| (u.finding.id.as_str(), &u.reason)).collect();
    assert!(
        matches!(
            left[..],
            [
                ("CVE-2026-0002", UnfixableReason::NotAvailable(_)),
                ("CVE-2026-0003", UnfixableReason::WillNotFix),
                ("CVE-2026-0004", UnfixableReason::NotChosen),
            ]
        ),
        "{left:?}"
    );
    let all = bench.patcher(PatchOptions::default().with_selection(Selection::All));
    assert_eq!(all.plan(&image, &report, &bench.cx).await.unwrap().changes.len(), 2);
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
