//! Images made of packages: of the sample archive, and of real ones where they can be reached.

#![allow(clippy::unwrap_used)]

mod debian_support;

use std::{collections::BTreeMap, os::unix::fs::PermissionsExt, path::PathBuf, process::Command, sync::Arc};

use patchkit_core::{
    Context, ErrorKind, Image, ImageSet, Scanner,
    image::{FilePath, FileTree, NodeKind},
};
use patchkit_scan::{
    AdvisoryScanner, AdvisoryStore, Inventory,
    advisory::{Advisory, Scope, changelog},
    debian::{
        apt::{
            cache::Cache,
            client::{Archive, ArchiveClient},
            fetch::{Fetch, MemoryFetch},
            publish::{ArchiveBuilder, ArchiveKey, DebBuilder, DebFile},
            trust::TrustStore,
        },
        bootstrap::{
            Bootstrap,
            sample::{self, Sample},
            suites::{Suites, first_outdated},
        },
    },
};
use tempfile::TempDir;

struct World {
    client: ArchiveClient,
    trust: TrustStore,
    cx: Context,
    _cache: TempDir,
}

impl World {
    fn new(fetch: impl Fetch + 'static, trust: TrustStore) -> Self {
        let cache = tempfile::tempdir().unwrap();
        let client = ArchiveClient::new(Arc::new(fetch), Cache::open(cache.path()).unwrap());
        Self { client, trust, cx: Context::new(), _cache: cache }
    }

    fn of_sample() -> Self {
        let sample = Sample::make().unwrap();
        Self::new(sample.fetch(), sample.trust())
    }

    async fn images(&self, image: &Bootstrap, suites: &Suites, architectures: &[&str]) -> ImageSet {
        let sources = [suites.main.clone()];
        image.images(&self.client, &sources, &self.trust, architectures, &self.cx).await.unwrap()
    }
}

async fn tree(image: &Image, cx: &Context) -> FileTree {
    image.files(|_, size| size < 1 << 20, cx).await.unwrap()
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

fn text(tree: &FileTree, name: &str) -> String {
    String::from_utf8(tree.read(&path(name)).unwrap().expect(name).to_vec()).unwrap()
}

/// A tree as `path mode kind`.
fn listing(tree: &FileTree) -> BTreeMap<String, String> {
    let shown = tree.iter().map(|(path, node)| {
        let kind = match &node.kind {
            NodeKind::Symlink { target } => format!("-> {}", String::from_utf8_lossy(target)),
            NodeKind::File { .. } => "file".to_owned(),
            _ => "folder".to_owned(),
        };
        (path.to_string(), format!("{:o} {kind}", node.metadata.mode))
    });
    shown.collect()
}

#[tokio::test]
async fn an_image_has_what_its_packages_have() {
    let world = World::of_sample();
    let set = world.images(&Sample::image(), &Sample::suites(), &["amd64"]).await;
    assert!(set.index().is_none());
    let image = &set.images()[0];
    assert_eq!(image.config().entrypoint(), ["/usr/bin/demo-tool"]);
    assert_eq!(image.platform().to_string(), "linux/amd64");
    assert_eq!(image.config().created(), Some("2020-01-01T00:00:00Z"));
    let tree = tree(image, &world.cx).await;
    let files = listing(&tree);
    for (name, what) in [
        ("etc/os-release", "777 -> ../usr/lib/os-release"),
        ("etc/passwd", "644 file"),
        ("tmp", "755 folder"),
        ("usr/bin/demo-tool", "755 file"),
        ("usr/share/libdemo1/words", "644 file"),
        ("var/lib/dpkg/status.d/libdemo1", "644 file"),
        ("var/lib/dpkg/status.d/libdemo1.md5sums", "644 file"),
    ] {
        assert_eq!(files.get(name).map(String::as_str), Some(what), "{name}");
    }
    assert!(text(&tree, "var/lib/dpkg/status.d/libdemo1").starts_with("Package: libdemo1\nVersion: 1.0-1\n"));
    assert_eq!(text(&tree, "usr/share/libdemo1/words"), "demo 1.0-1\n");
    assert!(text(&tree, "etc/group").contains("nogroup:x:65534:"));
}

#[tokio::test]
async fn the_same_packages_give_the_same_digest() {
    let platforms = sample::ARCHITECTURES;
    let (one, other) = (World::of_sample(), World::of_sample());
    let one = one.images(&Sample::image(), &Sample::suites(), &platforms).await;
    let other = other.images(&Sample::image(), &Sample::suites(), &platforms).await;
    assert_eq!(one.digest(), other.digest());
    let named = one.index().unwrap().manifests().iter().map(|entry| entry.platform.clone().unwrap().to_string());
    assert_eq!(named.collect::<Vec<_>>(), ["linux/amd64", "linux/arm64"]);
}

#[tokio::test]
async fn changelogs_say_what_the_image_lacks() {
    let world = World::of_sample();
    let (suites, image) = ([Sample::suites()], Sample::image());
    let outdated = first_outdated(&suites, &image, "amd64", &world.trust, &world.client, &world.cx);
    let outdated = outdated.await.unwrap();
    let fixes = outdated.fixes.iter().map(|(old, new)| format!("{} {} {}", old.name(), old.version(), new.version()));
    let fixes: Vec<_> = fixes.collect();
    assert_eq!(fixes, ["demo-tool 1.0-1 1.0-1+sec1", "libdemo1 1.0-1 1.0-1+sec1"]);

    let image = Sample::image().image(&outdated.main, "amd64", &world.client, &world.cx).await.unwrap();
    let inventory = Inventory::of(&image, &world.cx).await.unwrap();
    let distribution = inventory.distribution.unwrap();
    assert_eq!((&*distribution.id, distribution.version_id.as_deref()), ("sample", Some("1")));
    let scope = Scope::of(&distribution);
    let claims = changelog::of_upgrades(&inventory.packages, &outdated.security, &world.client, &scope, &world.cx);
    let claims = claims.await.unwrap();
    assert_eq!(claims.warnings, Vec::<String>::new());
    let report = AdvisoryScanner::new(store(claims.advisories, world.cx.now())).scan(&image, &world.cx).await.unwrap();
    let found: Vec<_> = report.findings.iter().map(|finding| format!("{} {}", finding.id, finding.package)).collect();
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found.iter().any(|found| found.starts_with("CVE-0000-0002 pkg:deb/sample/libdemo1@1.0-1")), "{found:?}");
    assert_eq!(report.warnings, Vec::<String>::new());
}

fn store(advisories: Vec<Advisory>, now: jiff::Timestamp) -> AdvisoryStore {
    let mut builder = AdvisoryStore::builder();
    builder.source(changelog::SOURCE, Some(now));
    advisories.into_iter().for_each(|advisory| builder.add(advisory));
    builder.build()
}

/// An archive of the suite `s` with these packages and base-files.
fn world_of(packages: impl IntoIterator<Item = DebBuilder>) -> (World, Suites) {
    let made = "2026-01-01T00:00:00Z".parse().unwrap();
    let key = ArchiveKey::generate("archive", made).unwrap();
    let build = |package: DebBuilder| -> DebFile { package.build().unwrap() };
    let mut archive = ArchiveBuilder::new("s", made);
    for package in packages {
        archive = archive.with_package(build(package));
    }
    let fetch = MemoryFetch::new();
    for (path, bytes) in archive.build(&key).unwrap() {
        fetch.insert(format!("http://a.example.org/{path}"), bytes);
    }
    let suites = Suites::of_archive(&"http://a.example.org/".parse().unwrap(), "s");
    (World::new(fetch, TrustStore::new().trusting("key", key.public_keyring().unwrap())), suites)
}

fn deb(name: &str) -> DebBuilder {
    DebBuilder::new(name, "1", "amd64")
}

#[tokio::test]
async fn a_merged_usr_has_links_at_the_top() {
    let packages = || {
        [
            deb("base-files").with_file("bin/x", 0o755, *b"x").with_symlink("lib64/ld.so", "/lib/ld-1.so"),
            deb("libc6").with_file("lib/ld-1.so", 0o755, *b"y").with_file("usr/lib/z", 0o644, *b"z"),
        ]
    };
    let split = packages();
    let (world, suites) = world_of(split);
    let set = world.images(&Bootstrap::of(["libc6"]), &suites, &["amd64"]).await;
    let files = listing(&tree(&set.images()[0], &world.cx).await);
    assert_eq!(files["lib"], "755 folder");
    assert!(files.contains_key("bin/x") && !files.contains_key("usr/bin/x"));

    let [base, libc] = packages();
    let base = base.with_symlink("sbin", "usr/sbin");
    let init = deb("init-system-helpers").with_field("Depends", "usrmerge | usr-is-merged");
    let (world, suites) = world_of([base, libc, init]);
    let set = world.images(&Bootstrap::of(["libc6"]), &suites, &["amd64"]).await;
    let tree = tree(&set.images()[0], &world.cx).await;
    let files = listing(&tree);
    for name in ["bin", "lib", "lib64", "sbin"] {
        assert_eq!(files[name], format!("777 -> usr/{name}"));
        assert_eq!(files[&format!("usr/{name}")], "755 folder", "{name}");
    }
    assert_eq!(files["usr/bin/x"], "755 file");
    assert_eq!(tree.resolve(&path("lib64/ld.so")), Some(path("usr/lib/ld-1.so")));
}

#[tokio::test]
async fn users_come_from_base_passwd() {
    let users = "root:x:0:0:root:/root:/bin/bash\n";
    let passwd = deb("base-passwd").with_file("usr/share/base-passwd/passwd.master", 0o644, users);
    let (world, suites) = world_of([deb("base-files"), passwd]);
    let set = world.images(&Bootstrap::of(["base-passwd"]), &suites, &["amd64"]).await;
    let tree = tree(&set.images()[0], &world.cx).await;
    assert_eq!(text(&tree, "etc/passwd"), users);
    assert_eq!(text(&tree, "usr/share/base-passwd/passwd.master"), users);
}

#[tokio::test]
async fn what_cannot_be_one_tree_is_refused() {
    let a = || deb("a").with_file("usr/x", 0o644, *b"a");
    for (other, message) in [
        (deb("b").with_file("usr/x", 0o644, *b"b"), "unpack b: usr/x: b and a both have this file"),
        (deb("b").with_file("usr/x/y", 0o644, *b"b"), "unpack b: usr/x: b has a folder where a has a file"),
        (deb("b").with_file("usr", 0o644, *b"b"), "unpack b: usr: b has a file where a folder is"),
    ] {
        let (world, suites) = world_of([deb("base-files"), a(), other]);
        let image = Bootstrap::of(["a", "b"]);
        let made = image.images(&world.client, &[suites.main], &world.trust, ["amd64"], &world.cx).await;
        let error = made.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Conflict, message));
    }
}

#[tokio::test]
async fn an_archive_that_is_not_there_is_told_from_one_that_lies() {
    let world = World::of_sample();
    let gone = Suites::of_archive(&"http://gone.example.org/".parse().unwrap(), "s");
    let image = Sample::image();
    let of = |suites: Vec<Suites>, trust: TrustStore| {
        let (world, image) = (&world, &image);
        async move { first_outdated(&suites, image, "amd64", &trust, &world.client, &world.cx).await }
    };
    let found = of(vec![gone.clone(), Sample::suites()], world.trust.clone()).await.unwrap();
    assert_eq!(found.suites, Sample::suites());
    let error = of(vec![gone], world.trust.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.to_string().contains("http://gone.example.org/"), "{error}");
    assert_eq!(of(vec![], world.trust.clone()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let stranger = Sample::make().unwrap().trust();
    assert_eq!(of(vec![Sample::suites()], stranger).await.unwrap_err().kind(), ErrorKind::Corrupt);
}

/// What `dpkg-deb` makes of packages, unpacked one after the other into a folder.
fn unpacked_by_dpkg_deb(debs: &[PathBuf]) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().unwrap();
    for deb in debs {
        let status = Command::new("dpkg-deb").arg("-x").arg(deb).arg(folder.path()).status().unwrap();
        assert!(status.success());
    }
    let (mut found, mut folders) = (BTreeMap::new(), vec![folder.path().to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let kind = match std::fs::read_link(&path) {
                Ok(target) => format!("-> {}", target.display()),
                Err(_) if metadata.is_dir() => "folder".to_owned(),
                Err(_) => "file".to_owned(),
            };
            let name = path.strip_prefix(folder.path()).unwrap().display().to_string();
            found.insert(name, format!("{:o} {kind}", metadata.permissions().mode() & 0o7777));
            folders.extend(Some(path).filter(|_| metadata.is_dir()));
        }
    }
    found
}

/// The image's tree is what `dpkg-deb` unpacks, and besides only what says what is installed and who there is.
async fn assert_as_dpkg_deb(image: &Image, archive: &Archive, packages: &Bootstrap, world: &World) {
    if !debian_support::tool("dpkg-deb") {
        return;
    }
    let mut debs = Vec::new();
    for package in packages.packages(archive).unwrap() {
        debs.push(world.client.download(&package, &world.cx).await.unwrap());
    }
    let expected = unpacked_by_dpkg_deb(&debs);
    let ours = ["etc/passwd", "etc/group", "var/lib/dpkg/status.d"];
    let mut files = listing(&tree(image, &world.cx).await);
    files.retain(|name, _| {
        let added = ours.iter().any(|ours| name.starts_with(ours)) || name.is_empty();
        !added && (expected.contains_key(name) || !["etc", "var", "var/lib", "var/lib/dpkg"].contains(&&**name))
    });
    let differences: Vec<_> = expected.iter().filter(|(name, what)| files.get(*name) != Some(what)).collect();
    assert!(differences.is_empty(), "not as dpkg-deb has it: {differences:?}");
    let surplus: Vec<_> = files.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(surplus.is_empty(), "not in any package: {surplus:?}");
}

#[tokio::test]
async fn the_tree_is_what_dpkg_deb_unpacks() {
    let world = World::of_sample();
    let sources = [Sample::suites().main];
    let archive = world.client.update(&sources, &world.trust, "arm64", &world.cx).await.unwrap();
    let image = Sample::image().image(&archive, "arm64", &world.client, &world.cx).await.unwrap();
    assert_as_dpkg_deb(&image, &archive, &Sample::image(), &world).await;
}

/// The real case: curl as two releases' main suites have it, and what their security suites have fixed since.
#[cfg(feature = "http")]
#[tokio::test(flavor = "multi_thread")]
async fn real_releases_have_fixes() {
    use patchkit_scan::debian::apt::fetch::{HttpFetch, HttpOptions, SchemeFetch};

    let machine = patchkit_scan::Repositories::of_machine(std::path::Path::new("/")).unwrap();
    let Some(first) = Suites::among(&machine.sources).into_iter().next() else {
        return debian_support::skip("the machine's apt has no release with a security suite");
    };
    let http = HttpFetch::new(&HttpOptions::default().with_retries(1, std::time::Duration::from_millis(200))).unwrap();
    let world = World::new(SchemeFetch::new(http), machine.trust);
    for suites in [first.clone(), first.of_release("bullseye")] {
        let (is_merged, candidates) = (suites.release != "bullseye", [suites]);
        let curl = Bootstrap::of(["curl"]).with_entrypoint(["/usr/bin/curl"]);
        let found = first_outdated(&candidates, &curl, "amd64", &world.trust, &world.client, &world.cx).await;
        match found {
            Ok(outdated) => real_release(&outdated, &curl, is_merged, &world).await,
            Err(error) => debian_support::skip(&error.to_string()),
        }
    }
}

#[cfg(feature = "http")]
async fn real_release(
    outdated: &patchkit_scan::debian::bootstrap::suites::Outdated,
    curl: &Bootstrap,
    is_merged: bool,
    world: &World,
) {
    let World { client, cx, .. } = world;
    let image = curl.image(&outdated.main, "amd64", client, cx).await.unwrap();
    let inventory = Inventory::of(&image, cx).await.unwrap();
    let names: Vec<_> = inventory.packages.iter().map(|package| package.name.as_str()).collect();
    assert!(["curl", "base-files", "libc6"].iter().all(|name| names.contains(name)), "{names:?}");
    let distribution = inventory.distribution.unwrap();
    assert_eq!(distribution.codename.as_deref(), Some(&*outdated.suites.release));

    let scope = Scope::of(&distribution);
    let claims = changelog::of_upgrades(&inventory.packages, &outdated.security, client, &scope, cx).await.unwrap();
    let report = AdvisoryScanner::new(store(claims.advisories, world.cx.now())).scan(&image, cx).await.unwrap();
    let size = image.layers()[0].blob().descriptor().size;
    let (packages, fixes, findings) = (names.len(), outdated.fixes.len(), report.findings.len());
    eprintln!(
        "{}: {packages} packages, {fixes} with fixes, {findings} findings, {size} bytes, warnings {:?}",
        outdated.suites.release, claims.warnings
    );
    assert!(findings > 0);
    if is_merged {
        assert_eq!(listing(&tree(&image, cx).await)["lib64"], "777 -> usr/lib64");
    } else {
        assert_as_dpkg_deb(&image, &outdated.main, curl, world).await;
    }
}
