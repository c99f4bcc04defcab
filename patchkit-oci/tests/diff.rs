//! Two images compared: every kind of difference, and real images.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::sync::Arc;

use bytes::Bytes;
use patchkit_core::{
    Blob, Config, Context, Image, ImageSet, Layer, Manifest, ManifestBytes, MediaType, Registry,
    image::{Compression, FilePath, LayerWriter, Metadata, NodeKind},
};
use patchkit_oci::{
    Layout,
    diff::{Aspect, Change, FileKind, ImageDiff, Presence},
};
use serde_json::json;
use support::shared;

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

fn metadata(mode: u32) -> Metadata {
    Metadata { mode, ..Metadata::default() }
}

/// A layer that a closure writes.
fn layer(write: impl FnOnce(&mut LayerWriter)) -> Layer {
    let mut writer = LayerWriter::new(Compression::None, &Context::new()).unwrap();
    write(&mut writer);
    writer.finish().unwrap()
}

fn file(writer: &mut LayerWriter, name: &str, metadata: &Metadata, content: &str) {
    writer.file(&path(name), metadata, content.len() as u64, &mut content.as_bytes()).unwrap();
}

fn image(layers: &[Layer], env: &str) -> Image {
    let diff_ids: Vec<_> = layers.iter().map(Layer::diff_id).collect();
    let config = json!({
        "architecture": "amd64", "os": "linux", "config": { "Env": [env] }, "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let config = Config::parse(Bytes::from(config.to_string())).unwrap();
    let blobs: Vec<Blob> = layers.iter().map(|layer| layer.blob().clone()).collect();
    let manifest = json!({
        "schemaVersion": 2,
        "config": { "mediaType": MediaType::OCI_CONFIG, "digest": config.digest(), "size": config.bytes().len() },
        "layers": blobs.iter().map(Blob::descriptor).collect::<Vec<_>>(),
    });
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
    Image::assemble(Manifest::parse(&manifest).unwrap(), config, blobs).unwrap()
}

fn base() -> Layer {
    layer(|l| {
        for directory in ["bin", "dev", "etc"] {
            l.directory(&path(directory), &metadata(0o755)).unwrap();
        }
        file(l, "bin/sh", &metadata(0o755), "same content");
        l.device(&path("dev/null"), &metadata(0o666), &NodeKind::CharDevice { major: 1, minor: 3 }).unwrap();
        file(l, "etc/equal", &metadata(0o644), "equal");
        file(l, "etc/gone", &metadata(0o644), "gone");
        file(l, "etc/grown", &metadata(0o644), "short");
        l.symlink(&path("etc/link"), &metadata(0o777), b"equal").unwrap();
        file(l, "etc/swapped", &metadata(0o644), "one");
        file(l, "etc/type", &metadata(0o644), "");
        file(l, "etc/untouched", &metadata(0o600), "untouched");
    })
}

fn upper() -> Layer {
    let capability = Metadata {
        uid: 1,
        gid: 2,
        xattrs: [("security.capability".to_owned(), Bytes::from_static(b"\x01\x00cap"))].into(),
        ..metadata(0o4755)
    };
    layer(|l| {
        file(l, "bin/sh", &capability, "same content");
        l.device(&path("dev/null"), &metadata(0o666), &NodeKind::CharDevice { major: 1, minor: 5 }).unwrap();
        file(l, "etc/equal", &Metadata { mtime: 99, ..metadata(0o644) }, "equal");
        l.whiteout(&path("etc/gone")).unwrap();
        file(l, "etc/grown", &metadata(0o644), "not so short");
        l.symlink(&path("etc/link"), &metadata(0o777), b"else\x1bwhere").unwrap();
        file(l, "etc/new", &metadata(0o644), "12");
        file(l, "etc/swapped", &metadata(0o644), "two");
        l.directory(&path("etc/type"), &metadata(0o644)).unwrap();
    })
}

#[tokio::test]
async fn every_kind_of_difference_is_found_and_nothing_else() {
    let (old, new) = (image(&[base()], "A=1"), image(&[base(), upper()], "A=2"));
    let diff = ImageDiff::of(&old, &new, &Context::new()).await.unwrap();
    let text = diff.to_string();
    let lines: Vec<&str> = text.lines().skip(2).collect();
    let (kept, added) = (&new.layers()[0], &new.layers()[1]);
    let digest = |content: &str| patchkit_core::Digest::of(content);
    let expected = [
        "layers:".to_owned(),
        format!("  = {} ({} bytes)", kept.digest(), kept.blob().descriptor().size),
        format!("  + {} ({} bytes)", added.digest(), added.blob().descriptor().size),
        "files:".into(),
        "  ~ bin/sh: mode 0755 -> 4755; owner 0:0 -> 1:2; xattrs none -> security.capability=\\x01\\x00cap".into(),
        "  ~ dev/null: device 1:3 -> 1:5".into(),
        "  - etc/gone (file of 4 bytes)".into(),
        "  ~ etc/grown: content 5 bytes -> 12 bytes".into(),
        "  ~ etc/link: target equal -> else\\u{1b}where".into(),
        "  + etc/new (file of 2 bytes)".into(),
        format!("  ~ etc/swapped: content {} -> {}", digest("one"), digest("two")),
        "  ~ etc/type: type file -> directory".into(),
        "configuration:".into(),
        "  ~ config.Env.A: \"1\" -> \"2\"".into(),
    ];
    assert_eq!(lines, expected);
    assert!(!diff.is_empty());
    let json = serde_json::to_value(&diff).unwrap();
    assert_eq!(json["layers"][1]["presence"], "added");
    assert_eq!(json["files"][1]["differences"][0]["aspect"], "device");
    assert_eq!(json["files"][2], json!({ "path": "etc/gone", "change": "removed", "kind": "file", "size": 4 }));

    let back = ImageDiff::of(&new, &old, &Context::new()).await.unwrap();
    assert_eq!(back.files.len(), diff.files.len());
    assert_eq!(back.files[2].change, Change::Added(FileKind::File { size: 4 }));
    assert_eq!(back.layers[1].presence, Presence::Removed);
}

#[tokio::test]
async fn equal_content_in_other_layers_is_equal() {
    let again = layer(|l| {
        for directory in ["bin", "dev", "etc"] {
            l.directory(&path(directory), &Metadata { mtime: 5, ..metadata(0o755) }).unwrap();
        }
    });
    let (old, new) = (image(&[base(), again.clone()], "A=1"), image(&[again, base()], "A=1"));
    let diff = ImageDiff::of(&old, &new, &Context::new()).await.unwrap();
    assert!(diff.is_empty(), "{diff}");
    assert!(diff.layers.iter().any(|layer| layer.presence != Presence::Kept));
    let same = ImageDiff::of(&old, &old, &Context::new()).await.unwrap();
    assert!(same.is_empty() && same.layers.iter().all(|layer| layer.presence == Presence::Kept));
}

#[tokio::test]
async fn a_damaged_layer_is_an_error() {
    let good = upper();
    let damaged = Blob::new(good.blob().descriptor().clone(), Arc::new(Bytes::from_static(b"damaged")));
    let new = image(&[base(), Layer::new(damaged, *good.diff_id())], "A=1");
    let error = ImageDiff::of(&image(&[base()], "A=1"), &new, &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), patchkit_core::ErrorKind::Corrupt, "{error}");
}

async fn real(name: &str) -> Option<Image> {
    let (layout, cx) = (Layout::open(shared(name)?).await.unwrap(), Context::new());
    let found = layout.resolve(&layout.find(None).await.unwrap(), &cx).await.unwrap();
    let set = ImageSet::open(Arc::new(layout.clone()), layout.repository(), &found.digest, &cx).await.unwrap();
    Some(set.images()[0].clone())
}

#[tokio::test]
async fn two_releases_of_a_real_image_are_compared() {
    let (Some(old), Some(new)) =
        (real("images/debian-11.11-distroless").await, real("images/debian-12.15-distroless").await)
    else {
        return;
    };
    let diff = ImageDiff::of(&old, &new, &Context::new()).await.unwrap();
    let release = diff.files.iter().find(|file| file.path == path("usr/lib/os-release")).unwrap();
    let Change::Changed { differences } = &release.change else { panic!("{release}") };
    assert_eq!(differences[0].aspect, Aspect::Content);
    assert!(diff.files.is_sorted_by(|one, other| one.path < other.path));
    let back = ImageDiff::of(&new, &old, &Context::new()).await.unwrap();
    assert_eq!(back.files.len(), diff.files.len());
}
