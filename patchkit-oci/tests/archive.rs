//! Images in tar archives, in and out, with skopeo and podman as the other side.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, path::Path, sync::Arc};

use patchkit_core::{
    ByteRange, Context, Digest, ErrorKind, ImageSet, ListTags, ManifestBytes, MediaType, PutManifest, Reference,
    Registry,
};
use patchkit_oci::{Archive, ArchiveFormat, Layout, write_archive};
use serde_json::{Value, json};
use support::{has, parts, put, put_index, run, run_any};

struct Fixture {
    folder: tempfile::TempDir,
    layout: Layout,
    cx: Context,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path().join("layout")).await.unwrap();
        Self { folder, layout, cx: Context::new() }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn tag(&self, tag: &str) -> Reference {
        self.layout.repository().tag(tag).unwrap()
    }

    async fn set(&self, digest: &Digest) -> ImageSet {
        open(&self.layout, digest).await
    }

    async fn image(&self) -> ImageSet {
        let put = put(&self.layout, &self.tag("1"), &parts("a", 3, "amd64")).await;
        self.set(&put.digest).await
    }

    async fn index(&self) -> ImageSet {
        let put = put_index(&self.layout, &self.tag("all"), "a").await;
        self.set(&put.digest).await
    }
}

async fn open(registry: &(impl Registry + Clone + 'static), digest: &Digest) -> ImageSet {
    let repository = "localhost/layout".parse().unwrap();
    ImageSet::open(Arc::new(registry.clone()), &repository, digest, &Context::new()).await.unwrap()
}

/// Opens an archive and what a name means there, and reads every layer.
async fn read(path: &Path, format: ArchiveFormat, name: Option<&str>) -> ImageSet {
    let (archive, cx) = (Archive::open(path, format).await.unwrap(), Context::new());
    let found = archive.resolve(&archive.find(name).unwrap(), &cx).await.unwrap();
    let set = open(&archive, &found.digest).await;
    for image in set.images() {
        for layer in image.layers() {
            layer.blob().read(&cx).await.unwrap();
        }
    }
    set
}

fn diff_ids(set: &ImageSet) -> Vec<Digest> {
    set.images()[0].config().diff_ids().to_vec()
}

#[tokio::test]
async fn an_archive_holds_what_was_written_and_always_the_same_bytes() {
    let f = Fixture::new().await;
    let set = f.index().await;
    let (one, two) = (f.path("one.tar"), f.path("two.tar"));
    for path in [&one, &two] {
        write_archive(&set, path, ArchiveFormat::Oci, Some("1.0"), &f.cx).await.unwrap();
    }
    assert_eq!(fs::read(&one).unwrap(), fs::read(&two).unwrap());
    for name in [None, Some("1.0")] {
        assert_eq!(read(&one, ArchiveFormat::Oci, name).await.digest(), set.digest());
    }
    let archive = Archive::open(&one, ArchiveFormat::Oci).await.unwrap();
    assert_eq!(archive.tags(&"localhost/layout".parse().unwrap(), &f.cx).await.unwrap(), ["1.0"]);
    let layer = set.images()[0].layers()[1].clone();
    let range = ByteRange { start: 512, end: Some(520) };
    let part = archive.blob(f.layout.repository(), layer.digest(), range, &f.cx).await.unwrap();
    assert_eq!(part.collect(8).await.unwrap(), layer.blob().read(&f.cx).await.unwrap()[512..520]);
    assert!(
        !fs::read_dir(f.folder.path())
            .unwrap()
            .any(|file| { file.unwrap().file_name().to_string_lossy().starts_with('.') })
    );
}

#[tokio::test]
async fn a_docker_archive_keeps_the_configuration_and_the_names() {
    let f = Fixture::new().await;
    let (set, path) = (f.image().await, f.path("docker.tar"));
    write_archive(&set, &path, ArchiveFormat::Docker, Some("example.org/app:1"), &f.cx).await.unwrap();
    for name in [None, Some("example.org/app:1")] {
        let found = read(&path, ArchiveFormat::Docker, name).await;
        assert_eq!(found.images()[0].config().bytes(), set.images()[0].config().bytes());
    }
    // It is a layout too, with the manifest that it came with.
    assert_eq!(read(&path, ArchiveFormat::Oci, None).await.digest(), set.digest());
    let error = write_archive(&f.index().await, &path, ArchiveFormat::Docker, None, &f.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("linux/amd64, linux/arm64"), "{error}");
    read(&path, ArchiveFormat::Docker, None).await;
}

#[tokio::test]
async fn a_failed_write_leaves_the_old_archive() {
    let f = Fixture::new().await;
    let (set, path) = (f.image().await, f.path("a.tar"));
    fs::write(&path, "old").unwrap();
    let layer = set.images()[0].layers()[2].digest().hex();
    fs::write(f.path("layout/blobs/sha256").join(layer), "damaged").unwrap();
    let error = write_archive(&set, &path, ArchiveFormat::Oci, None, &f.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(fs::read_dir(f.folder.path()).unwrap().count(), 2);
}

/// A tar archive of the given members.
fn archive_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, content.as_slice()).unwrap();
    }
    builder.into_inner().unwrap()
}

#[tokio::test]
async fn legacy_docker_archives_get_a_manifest() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    let config = image.blobs[0].read(&f.cx).await.unwrap();
    let layer = image.blobs[1].read(&f.cx).await.unwrap();
    let manifest = json!([{ "Config": "c.json", "RepoTags": ["app:1", "app:2"], "Layers": ["l/layer.tar"] }]);
    let members = [
        ("c.json", config.to_vec()),
        ("l/layer.tar", layer.to_vec()),
        ("manifest.json", manifest.to_string().into_bytes()),
    ];
    let path = f.path("legacy.tar");
    fs::write(&path, archive_of(&members)).unwrap();
    let set = read(&path, ArchiveFormat::Docker, Some("app:2")).await;
    let manifest = set.images()[0].manifest();
    assert_eq!(manifest.layers()[0].media_type, MediaType::OCI_LAYER);
    assert_eq!(read(&path, ArchiveFormat::Docker, None).await.digest(), set.digest());
    let archive = Archive::open(&path, ArchiveFormat::Docker).await.unwrap();
    assert_eq!(archive.tags(&"app".parse().unwrap(), &f.cx).await.unwrap(), ["1", "2"]);
    let blob = archive.put_blob(f.layout.repository(), &image.blobs[0], &f.cx).await.unwrap_err();
    assert_eq!(blob.kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn a_layer_that_is_not_its_diff_id_is_corrupt() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    let config = image.blobs[0].read(&f.cx).await.unwrap();
    let manifest = json!([{ "Config": "c.json", "Layers": ["l.tar"] }]).to_string().into_bytes();
    let members = [("c.json", config.to_vec()), ("l.tar", vec![0; 2048]), ("manifest.json", manifest)];
    let path = f.path("wrong.tar");
    fs::write(&path, archive_of(&members)).unwrap();
    let archive = Archive::open(&path, ArchiveFormat::Docker).await.unwrap();
    let found = archive.resolve(&archive.find(None).unwrap(), &f.cx).await.unwrap();
    let set = open(&archive, &found.digest).await;
    let error = set.images()[0].layers()[0].blob().read(&f.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn damaged_archives_are_refused_with_a_reason() {
    let f = Fixture::new().await;
    let config = parts("a", 2, "amd64").blobs[0].read(&f.cx).await.unwrap().to_vec();
    let manifest = |json: Value| ("manifest.json", json.to_string().into_bytes());
    let gzip = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0];
    for (bytes, why) in [
        (gzip, "gunzip it first"),
        (b"no tar at all".repeat(50), "damaged header"),
        (archive_of(&[("a", vec![])]), "there is no manifest.json"),
        (archive_of(&[("manifest.json", b"{".to_vec())]), "manifest.json: invalid type"),
        (archive_of(&[manifest(json!([{ "Config": "../x", "Layers": [] }]))]), "\"../x\", which is not there"),
        (archive_of(&[manifest(json!([{ "Config": "c" }])), ("c", b"{}".to_vec())]), "c: configuration"),
        (archive_of(&[manifest(json!([{ "Config": "c" }])), ("c", config)]), "0 layers, but 2 diff ids"),
    ] {
        let path = f.path("bad.tar");
        fs::write(&path, bytes).unwrap();
        let error = Archive::open(&path, ArchiveFormat::Docker).await.unwrap_err().to_string();
        assert!(error.contains(why), "{why}: {error}");
    }
    let nowhere = Archive::open(f.path("nowhere"), ArchiveFormat::Oci).await.unwrap_err();
    assert_eq!(nowhere.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_index_that_names_more_than_images_is_not_archived_in_part() {
    let f = Fixture::new().await;
    let image = put(&f.layout, &f.tag("1"), &parts("a", 1, "amd64")).await;
    let other = put(&f.layout, &f.tag("2"), &support::referrer(&image, "x/sbom")).await;
    let index = support::index(&[
        image,
        patchkit_core::Descriptor { artifact_type: Some(MediaType::new("application/x")), ..other },
    ]);
    let index: ManifestBytes = index;
    let put = f.layout.put_manifest(&f.tag("all"), &index, &PutManifest::default(), &f.cx).await.unwrap();
    let error = write_archive(&f.set(&put.digest).await, &f.path("a.tar"), ArchiveFormat::Oci, None, &f.cx).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(!f.path("a.tar").exists());
}

#[tokio::test]
async fn skopeo_reads_both_formats() {
    if !has("skopeo") {
        return;
    }
    let f = Fixture::new().await;
    let (all, one) = (f.index().await, f.image().await);
    let (oci, docker) = (f.path("oci.tar"), f.path("docker.tar"));
    write_archive(&all, &oci, ArchiveFormat::Oci, Some("all"), &f.cx).await.unwrap();
    write_archive(&one, &docker, ArchiveFormat::Docker, Some("example.org/app:1"), &f.cx).await.unwrap();
    let to = format!("oci:{}", f.path("out").display());
    let from = format!("oci-archive:{}:all", oci.display());
    run("skopeo", &["copy", "--quiet", "--all", "--preserve-digests", &from, &format!("{to}:all")]);
    let from = format!("docker-archive:{}:example.org/app:1", docker.display());
    run("skopeo", &["copy", "--quiet", &from, &format!("{to}:docker")]);
    let out = Layout::open(f.path("out")).await.unwrap();
    assert_eq!(out.resolve(&f.tag("all"), &f.cx).await.unwrap().digest, *all.digest());
    let copied = out.resolve(&f.tag("docker"), &f.cx).await.unwrap();
    assert_eq!(diff_ids(&open(&out, &copied.digest).await), diff_ids(&one));
}

#[tokio::test]
async fn what_skopeo_writes_is_read() {
    if !has("skopeo") {
        return;
    }
    let f = Fixture::new().await;
    let (all, one) = (f.index().await, f.image().await);
    let (oci, docker) = (f.path("oci.tar"), f.path("docker.tar"));
    let from = format!("oci:{}", f.path("layout").display());
    let to = format!("oci-archive:{}:all", oci.display());
    run("skopeo", &["copy", "--quiet", "--all", "--preserve-digests", &format!("{from}:all"), &to]);
    let to = format!("docker-archive:{}:example.org/app:1", docker.display());
    run("skopeo", &["copy", "--quiet", &format!("{from}:1"), &to]);
    assert_eq!(read(&oci, ArchiveFormat::Oci, None).await.digest(), all.digest());
    assert_eq!(diff_ids(&read(&docker, ArchiveFormat::Docker, Some("example.org/app:1")).await), diff_ids(&one));
}

#[tokio::test]
async fn podman_loads_and_saves() {
    if !has("podman") {
        return;
    }
    let f = Fixture::new().await;
    let (set, path, saved) = (f.image().await, f.path("docker.tar"), f.path("saved.tar"));
    write_archive(&set, &path, ArchiveFormat::Docker, Some("example.org/app:1"), &f.cx).await.unwrap();
    let (root, runroot) = (f.path("storage"), f.path("run"));
    let storage = ["--root", root.to_str().unwrap(), "--runroot", runroot.to_str().unwrap(), "--storage-driver", "vfs"];
    let podman = |arguments: &[&str]| run("podman", &[&storage, arguments].concat());
    podman(&["load", "--quiet", "--input", path.to_str().unwrap()]);
    podman(&["save", "--quiet", "--format", "docker-archive", "-o", saved.to_str().unwrap(), "example.org/app:1"]);
    run_any("podman", &[&storage[..], &["rmi", "--all", "--force"]].concat());
    let back = read(&saved, ArchiveFormat::Docker, None).await;
    assert_eq!(diff_ids(&back), diff_ids(&set));
}
