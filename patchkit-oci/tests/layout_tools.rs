//! Layouts between this library and skopeo and umoci, in both directions.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use patchkit_core::{ByteRange, Context, ImageSet, ListTags, PutManifest, Registry};
use patchkit_oci::Layout;
use serde_json::Value;
use support::{has, parts, put, put_index, referrer, run, shared};

fn oci(folder: &tempfile::TempDir, tag: &str) -> String {
    format!("oci:{}:{tag}", folder.path().display())
}

#[tokio::test]
async fn skopeo_reads_what_was_written() {
    if !has("skopeo") {
        return;
    }
    let (folder, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layout = Layout::create(folder.path()).await.unwrap();
    let tag = |tag: &str| layout.repository().tag(tag).unwrap();
    let single = put(&layout, &tag("single"), &parts("a", 2, "amd64")).await;
    let all = put_index(&layout, &tag("all"), "b").await;
    let signature = referrer(&single, "x/signature");
    put(&layout, &layout.repository().digest(signature.manifest.descriptor().digest), &signature).await;
    let full = "registry.example.org/app:3".parse().unwrap();
    put(&layout, &full, &parts("c", 1, "amd64")).await;

    for name in ["single", "all", "registry.example.org/app:3"] {
        run("skopeo", &["copy", "--quiet", "--all", "--preserve-digests", &oci(&folder, name), &oci(&copy, name)]);
    }
    let inspected: Value = serde_json::from_str(&run("skopeo", &["inspect", &oci(&folder, "single")])).unwrap();
    assert_eq!(inspected["Digest"], single.digest.to_string());
    assert_eq!(inspected["Layers"].as_array().unwrap().len(), 2);

    let copied = Layout::open(copy.path()).await.unwrap();
    let cx = Context::new();
    assert_eq!(copied.resolve(&tag("single"), &cx).await.unwrap().digest, single.digest);
    let found = copied.resolve(&tag("all"), &cx).await.unwrap();
    assert_eq!(found.digest, all.digest);
    let set = ImageSet::open(Arc::new(copied.clone()), copied.repository(), &found.digest, &cx).await.unwrap();
    assert_eq!(set.images().len(), 2);
    assert_eq!(copied.resolve(&full, &cx).await.unwrap(), layout.resolve(&full, &cx).await.unwrap());
    assert_eq!(copied.tags(full.repository(), &cx).await.unwrap(), ["3"]);
}

#[tokio::test]
async fn skopeo_and_this_write_into_one_layout() {
    let Some(real) = shared("images/debian-12.15-distroless") else {
        return;
    };
    if !has("skopeo") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let tag = |tag: &str| layout.repository().tag(tag).unwrap();
    let mine = put(&layout, &tag("mine"), &parts("a", 1, "amd64")).await;
    let source = Layout::open(&real).await.unwrap();
    let name = source.find(None).await.unwrap();
    let from = match name.tag() {
        Some(tag) => format!("oci:{}:{tag}", real.display()),
        None => format!("oci:{}", real.display()),
    };
    run("skopeo", &["copy", "--quiet", &from, &oci(&folder, "theirs")]);
    let cx = Context::new();
    assert_eq!(layout.tags(layout.repository(), &cx).await.unwrap(), ["mine", "theirs"]);
    assert_eq!(layout.resolve(&tag("mine"), &cx).await.unwrap().digest, mine.digest);
    let theirs = layout.resolve(&tag("theirs"), &cx).await.unwrap();
    let set = ImageSet::open(Arc::new(layout.clone()), layout.repository(), &theirs.digest, &cx).await.unwrap();
    for layer in set.images()[0].layers() {
        let read = layout.blob(layout.repository(), layer.digest(), ByteRange::FULL, &cx).await.unwrap();
        read.collect(1 << 30).await.unwrap();
    }
}

#[tokio::test]
async fn umoci_reads_lists_and_unpacks() {
    let Some(real) = shared("images/debian-12.15-distroless") else {
        return;
    };
    if !has("umoci") {
        return;
    }
    let cx = Context::new();
    let (folder, bundle) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let layout = Layout::create(folder.path()).await.unwrap();
    let source = Layout::open(&real).await.unwrap();
    let from = source.resolve(&source.find(None).await.unwrap(), &cx).await.unwrap();
    let set = ImageSet::open(Arc::new(source.clone()), source.repository(), &from.digest, &cx).await.unwrap();
    let image = ImageSet::single(set.images()[0].clone());
    let reference = layout.repository().tag("debian").unwrap();
    image.push(&layout, &reference, &PutManifest::default(), &cx).await.unwrap();
    assert_eq!(run("umoci", &["ls", "--layout", folder.path().to_str().unwrap()]).trim(), "debian");
    let to = bundle.path().join("bundle");
    let named = format!("{}:debian", folder.path().display());
    run("umoci", &["unpack", "--rootless", "--image", &named, to.to_str().unwrap()]);
    assert!(to.join("rootfs/etc").is_dir());
    run("umoci", &["tag", "--image", &named, "again"]);
    run("umoci", &["gc", "--layout", folder.path().to_str().unwrap()]);
    let again = layout.resolve(&layout.repository().tag("again").unwrap(), &cx).await.unwrap();
    assert_eq!(again.digest, *image.digest());
}
