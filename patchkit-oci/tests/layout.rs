//! An image layout as a registry: what the contract says, and what a folder adds to it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{fs, sync::Arc, time::Duration};

use bytes::Bytes;
use patchkit_core::{
    Blob, ByteRange, Context, Current, DeleteManifest, Descriptor, Digest, ErrorKind, ImageSet, ListTags, MediaType,
    PutManifest, Reference, ReferrersFilter, Registry,
};
use patchkit_oci::{Layout, Store};
use support::{index, parts, put, put_blobs, put_index, referrer};

struct Fixture {
    folder: tempfile::TempDir,
    layout: Layout,
    cx: Context,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::create(folder.path()).await.unwrap();
        Self { folder, layout, cx: Context::new() }
    }

    fn tag(&self, tag: &str) -> Reference {
        self.layout.repository().tag(tag).unwrap()
    }

    fn digest(&self, digest: &Digest) -> Reference {
        self.layout.repository().digest(*digest)
    }

    fn index(&self) -> serde_json::Value {
        serde_json::from_slice(&fs::read(self.folder.path().join("index.json")).unwrap()).unwrap()
    }

    fn blobs(&self) -> usize {
        fs::read_dir(self.folder.path().join("blobs/sha256")).unwrap().count()
    }
}

#[tokio::test]
async fn an_image_comes_back_as_it_was_put() {
    let f = Fixture::new().await;
    let image = parts("a", 3, "amd64");
    let put = put(&f.layout, &f.tag("1"), &image).await;
    let found = f.layout.resolve(&f.tag("1"), &f.cx).await.unwrap();
    assert_eq!(found, put);
    let repository = f.layout.repository();
    assert_eq!(f.layout.manifest(repository, &found.digest, &f.cx).await.unwrap(), image.manifest);
    for blob in &image.blobs {
        let read = f.layout.blob(repository, &blob.descriptor().digest, ByteRange::FULL, &f.cx).await.unwrap();
        assert_eq!(read.collect(1 << 20).await.unwrap(), blob.read(&f.cx).await.unwrap());
    }
    let set = ImageSet::open(Arc::new(f.layout.clone()), repository, &found.digest, &f.cx).await.unwrap();
    assert_eq!(set.images()[0].layers().len(), 3);
    assert_eq!(Layout::open(f.folder.path()).await.unwrap().tags(repository, &f.cx).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn a_blob_that_lies_is_not_stored() {
    let f = Fixture::new().await;
    let honest = Descriptor::of(MediaType::OCI_LAYER, b"hello");
    for (descriptor, bytes) in
        [(honest.clone(), "hellO"), (honest.clone(), "hello!"), (Descriptor { size: 9, ..honest.clone() }, "hello")]
    {
        let blob = Blob::new(descriptor, Arc::new(Bytes::from(bytes)));
        let error = f.layout.put_blob(f.layout.repository(), &blob, &f.cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    assert_eq!(f.blobs(), 0);
    let files: Vec<_> = fs::read_dir(f.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files.len(), 3, "{files:?}");
}

#[tokio::test]
async fn a_blob_that_was_damaged_on_disk_is_found() {
    let f = Fixture::new().await;
    let blob = Blob::of(MediaType::OCI_LAYER, "hello");
    f.layout.put_blob(f.layout.repository(), &blob, &f.cx).await.unwrap();
    let digest = blob.descriptor().digest;
    fs::write(f.folder.path().join("blobs/sha256").join(digest.hex()), "hellO").unwrap();
    let stream = f.layout.blob(f.layout.repository(), &digest, ByteRange::FULL, &f.cx).await.unwrap();
    assert_eq!(stream.collect(100).await.unwrap_err().kind(), ErrorKind::Corrupt);
    // Put again, it is whole again.
    f.layout.put_blob(f.layout.repository(), &blob, &f.cx).await.unwrap();
    let stream = f.layout.blob(f.layout.repository(), &digest, ByteRange::FULL, &f.cx).await.unwrap();
    assert_eq!(stream.collect(100).await.unwrap(), "hello");
}

#[tokio::test]
async fn a_manifest_needs_everything_it_names() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    let options = PutManifest::default();
    let error = f.layout.put_manifest(&f.tag("1"), &image.manifest, &options, &f.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid, "{error}");
    let missing = index(&[image.manifest.descriptor()]);
    assert!(f.layout.put_manifest(&f.tag("1"), &missing, &options, &f.cx).await.is_err());
    assert_eq!(f.blobs(), 0);
    assert_eq!(f.layout.tags(f.layout.repository(), &f.cx).await.unwrap(), Vec::<String>::new());
}

#[tokio::test]
async fn a_manifest_with_another_digest_or_type_is_corrupt() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    put_blobs(&f.layout, f.layout.repository(), &image).await;
    let options = PutManifest::default();
    let other = f.digest(&Digest::of("other"));
    let mut lie = image.manifest.clone();
    lie.media_type = MediaType::DOCKER_MANIFEST;
    for (reference, manifest) in [(other, image.manifest), (f.tag("1"), lie)] {
        let error = f.layout.put_manifest(&reference, &manifest, &options, &f.cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    }
    assert_eq!(f.blobs(), image.blobs.len());
}

#[tokio::test]
async fn a_tag_moves_only_from_where_it_was_thought_to_be() {
    let f = Fixture::new().await;
    let (a, b) = (parts("a", 1, "amd64"), parts("b", 1, "amd64"));
    put_blobs(&f.layout, f.layout.repository(), &a).await;
    put_blobs(&f.layout, f.layout.repository(), &b).await;
    let put = async |manifest, current| {
        let options = PutManifest { if_current: current };
        f.layout.put_manifest(&f.tag("1"), manifest, &options, &f.cx).await
    };
    let is_b = Some(Current::Is(b.manifest.descriptor().digest));
    assert_eq!(put(&a.manifest, is_b).await.unwrap_err().kind(), ErrorKind::Conflict);
    let first = put(&a.manifest, Some(Current::Absent)).await.unwrap();
    assert_eq!(put(&b.manifest, Some(Current::Absent)).await.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(put(&b.manifest, is_b).await.unwrap_err().kind(), ErrorKind::Conflict);
    put(&b.manifest, Some(Current::Is(first.digest))).await.unwrap();
    assert_eq!(f.index()["manifests"].as_array().unwrap().len(), 1);
    let old = f.layout.resolve(&f.digest(&first.digest), &f.cx).await.unwrap();
    assert_eq!(old, first, "what lost its tag can still be had by digest");
    let pinned = f.tag("1").pinned(first.digest);
    assert_eq!(f.layout.resolve(&pinned, &f.cx).await.unwrap_err().kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn an_index_hides_the_entries_of_its_manifests() {
    let f = Fixture::new().await;
    let root = put_index(&f.layout, &f.tag("all"), "a").await;
    let index = f.index();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    assert_eq!(index["manifests"][0]["digest"], root.digest.to_string());
    let set = ImageSet::open(Arc::new(f.layout.clone()), f.layout.repository(), &root.digest, &f.cx).await.unwrap();
    assert_eq!(set.images().len(), 2);
}

#[tokio::test]
async fn referrers_are_found_and_outlive_a_tag() {
    let f = Fixture::new().await;
    let subject = put(&f.layout, &f.tag("1"), &parts("a", 1, "amd64")).await;
    let (sbom, signature) = (referrer(&subject, "x/sbom"), referrer(&subject, "x/signature"));
    let digest = sbom.manifest.descriptor().digest;
    put(&f.layout, &f.digest(&digest), &sbom).await;
    put(&f.layout, &f.tag("sig"), &signature).await;
    let ask = async |filter: Option<&str>| {
        let filter = ReferrersFilter { artifact_type: filter.map(MediaType::new) };
        f.layout.referrers(f.layout.repository(), &subject.digest, &filter, &f.cx).await.unwrap()
    };
    assert_eq!(ask(None).await.len(), 2);
    let found = ask(Some("x/sbom")).await;
    assert_eq!(found[0].digest, digest);
    assert_eq!(found[0].annotations["org.example.kind"], "x/sbom");
    f.layout.delete(&f.tag("sig"), &f.cx).await.unwrap();
    assert_eq!(ask(Some("x/signature")).await.len(), 1);
    f.layout.delete(&f.digest(&digest), &f.cx).await.unwrap();
    assert_eq!(ask(None).await.len(), 1);
    let none = f.layout.referrers(f.layout.repository(), &Digest::of("?"), &Default::default(), &f.cx).await;
    assert_eq!(none.unwrap(), []);
}

#[tokio::test]
async fn deleting_takes_the_tag_or_the_manifest_with_its_tags() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    let digest = put(&f.layout, &f.tag("1"), &image).await.digest;
    put(&f.layout, &f.tag("2"), &image).await;
    f.layout.delete(&f.tag("1"), &f.cx).await.unwrap();
    assert_eq!(f.layout.delete(&f.tag("1"), &f.cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(f.layout.tags(f.layout.repository(), &f.cx).await.unwrap(), ["2"]);
    f.layout.delete(&f.digest(&digest), &f.cx).await.unwrap();
    assert_eq!(f.layout.resolve(&f.tag("2"), &f.cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(f.layout.resolve(&f.digest(&digest), &f.cx).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn garbage_is_what_nothing_leads_to() {
    let f = Fixture::new().await;
    let kept = put_index(&f.layout, &f.tag("kept"), "a").await;
    let signature = referrer(&kept, "x/signature");
    put(&f.layout, &f.digest(&signature.manifest.descriptor().digest), &signature).await;
    let before = f.blobs();
    let lost = put(&f.layout, &f.tag("lost"), &parts("b", 2, "amd64")).await;
    let orphan = referrer(&lost, "x/signature");
    put(&f.layout, &f.digest(&orphan.manifest.descriptor().digest), &orphan).await;
    f.layout.delete(&f.tag("lost"), &f.cx).await.unwrap();
    let nothing = f.layout.collect_garbage(Duration::from_secs(3600), &f.cx).await.unwrap();
    assert_eq!(nothing.blobs, 0);
    let collected = f.layout.collect_garbage(Duration::ZERO, &f.cx).await.unwrap();
    assert_eq!((collected.blobs, f.blobs()), (5, before));
    let found = f.layout.referrers(f.layout.repository(), &kept.digest, &Default::default(), &f.cx).await.unwrap();
    assert_eq!(found.len(), 1);
    let set = ImageSet::open(Arc::new(f.layout.clone()), f.layout.repository(), &kept.digest, &f.cx).await;
    assert_eq!(set.unwrap().images().len(), 2);
}

#[tokio::test]
async fn garbage_behind_a_damaged_manifest_is_left_alone() {
    let f = Fixture::new().await;
    let image = put(&f.layout, &f.tag("1"), &parts("a", 1, "amd64")).await;
    let path = f.folder.path().join("blobs/sha256").join(image.digest.hex());
    fs::write(path, "{}").unwrap();
    let before = f.blobs();
    let error = f.layout.collect_garbage(Duration::ZERO, &f.cx).await.unwrap_err();
    assert_eq!((error.kind(), f.blobs()), (ErrorKind::Corrupt, before));
}

#[tokio::test]
async fn what_a_user_calls_an_image_is_found() {
    let f = Fixture::new().await;
    assert_eq!(f.layout.find(None).await.unwrap_err().kind(), ErrorKind::Invalid);
    let image = parts("a", 1, "amd64");
    let digest = image.manifest.descriptor().digest;
    put(&f.layout, &f.digest(&digest), &image).await;
    assert_eq!(f.layout.find(None).await.unwrap(), f.digest(&digest));
    put(&f.layout, &f.tag("1"), &image).await;
    assert_eq!(f.layout.find(None).await.unwrap(), f.tag("1"));
    let full: Reference = "registry.example.org/app:2".parse().unwrap();
    put(&f.layout, &full, &image).await;
    assert_eq!(f.layout.find(None).await.unwrap(), f.tag("1"), "both names are of one image");
    put(&f.layout, &full, &parts("b", 1, "amd64")).await;
    assert_eq!(f.layout.find(Some("registry.example.org/app:2")).await.unwrap(), full);
    assert_eq!(f.layout.find(Some("new")).await.unwrap(), f.tag("new"));
    let error = f.layout.find(None).await.unwrap_err().to_string();
    assert!(error.contains("1, registry.example.org/app:2"), "{error}");
    assert_eq!(f.layout.tags(full.repository(), &f.cx).await.unwrap(), ["2"]);
    assert_eq!(f.layout.tags(f.layout.repository(), &f.cx).await.unwrap(), ["1"]);
}

#[tokio::test]
async fn damage_is_named_by_file() {
    let f = Fixture::new().await;
    for (file, content, kind) in [
        ("index.json", "{", ErrorKind::Corrupt),
        ("index.json", r#"{"schemaVersion":2,"manifests":[{}]}"#, ErrorKind::Corrupt),
        ("oci-layout", "", ErrorKind::Corrupt),
        ("oci-layout", r#"{"imageLayoutVersion":"9"}"#, ErrorKind::Unsupported),
    ] {
        let path = f.folder.path().join(file);
        let good = fs::read(&path).unwrap();
        fs::write(&path, content).unwrap();
        let error = Layout::open(f.folder.path()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(file), "{error}");
        fs::write(&path, good).unwrap();
    }
    fs::remove_file(f.folder.path().join("index.json")).unwrap();
    assert_eq!(Layout::open(f.folder.path()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let nowhere = f.folder.path().join("nowhere");
    assert_eq!(Layout::open(nowhere).await.unwrap_err().kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn sha512_works_throughout() {
    let f = Fixture::new().await;
    let image = parts("a", 0, "amd64");
    put_blobs(&f.layout, f.layout.repository(), &image).await;
    let mut hasher = patchkit_core::Hasher::new(patchkit_core::Algorithm::Sha512);
    hasher.update(&image.manifest.bytes);
    let digest = hasher.finish();
    put(&f.layout, &f.digest(&digest), &image).await;
    assert_eq!(f.layout.manifest(f.layout.repository(), &digest, &f.cx).await.unwrap(), image.manifest);
    assert!(f.folder.path().join("blobs/sha512").join(digest.hex()).is_file());
}

#[tokio::test]
async fn a_store_keeps_repositories_apart_and_links_blobs() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path()).await.unwrap();
    let cx = Context::new();
    let image = parts("a", 1, "amd64");
    let references = ["h.example.org/a:1", "h.example.org/a/blobs:1", "h.example.org/a/blobs/index.json:1"];
    for reference in references {
        put(&store, &reference.parse().unwrap(), &image).await;
    }
    assert_eq!(store.repositories().await.unwrap(), ["a", "a/blobs", "a/blobs/index.json"]);
    let other: Reference = "elsewhere.example.org/a:1".parse().unwrap();
    assert_eq!(store.resolve(&other, &cx).await.unwrap(), image.manifest.descriptor());
    assert_eq!(store.tags(other.repository(), &cx).await.unwrap(), ["1"]);
    let absent: Reference = "h.example.org/b:1".parse().unwrap();
    assert_eq!(store.resolve(&absent, &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(store.tags(absent.repository(), &cx).await.unwrap_err().kind(), ErrorKind::NotFound);

    let digest = image.manifest.descriptor().digest;
    let set = ImageSet::open(Arc::new(store.clone()), other.repository(), &digest, &cx).await.unwrap();
    set.push(&store, &absent, &PutManifest::default(), &cx).await.unwrap();
    let layer = image.blobs[1].descriptor().digest.hex();
    let linked = fs::metadata(folder.path().join("b/blobs/sha256").join(layer)).unwrap();
    assert_eq!(linked.nlink(), 2);
    store.delete(&absent, &cx).await.unwrap();
    assert_eq!(store.tags(absent.repository(), &cx).await.unwrap(), Vec::<String>::new());
    assert_eq!(store.tags(other.repository(), &cx).await.unwrap(), ["1"]);
}
