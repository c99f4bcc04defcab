//! What the tests of inventory and scanning share: images made on the spot, and read from layouts.

#![allow(dead_code, clippy::unwrap_used)]

use std::path::{Path, PathBuf};

use patchkit_core::{
    Blob, Config, Context, Descriptor, Image, Layer, Manifest, ManifestBytes, MediaType,
    image::{Compression, FilePath, LayerWriter, Metadata},
};
use serde_json::{Value, json};

/// A file or folder of the shared data, or `None` (said on stderr) where it is absent.
///
/// # Panics
/// When it is absent and `PATCHKIT_REQUIRE_EXTERNAL=1`.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.map(|folder| folder.join("shared/data").join(path)).find(|candidate| candidate.exists());
    if found.is_none() {
        let required = std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_some_and(|value| value == "1");
        assert!(!required, "required: shared data {path}");
        eprintln!("skipped: shared data {path} is absent");
    }
    found
}

/// The only image of an OCI layout.
pub(crate) async fn layout_image(layout: &Path) -> Image {
    let read = |digest: &str| std::fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let bytes = read(index["manifests"][0]["digest"].as_str().unwrap());
    let manifest =
        Manifest::parse(&ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: bytes.into() }).unwrap();
    let blob = |descriptor: &Descriptor| {
        let bytes = read(&descriptor.digest.to_string());
        Blob::of(descriptor.media_type.clone(), bytes).described(descriptor.clone())
    };
    let config = Config::parse(blob(manifest.config()).read(&Context::new()).await.unwrap()).unwrap();
    let layers = manifest.layers().iter().map(blob).collect();
    Image::assemble(manifest, config, layers).unwrap()
}

/// An image of the given layers, the lowest first.
pub(crate) fn image(layers: impl IntoIterator<Item = Layer>) -> Image {
    let layers: Vec<Layer> = layers.into_iter().collect();
    let diff_ids: Vec<_> = layers.iter().map(Layer::diff_id).collect();
    let rootfs = json!({"type": "layers", "diff_ids": diff_ids});
    let config = json!({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": rootfs});
    let config = Config::parse(config.to_string().into()).unwrap();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": Descriptor::of(MediaType::OCI_CONFIG, config.bytes()),
        "layers": layers.iter().map(|layer| layer.blob().descriptor()).collect::<Vec<_>>(),
    });
    let bytes = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
    let blobs = layers.iter().map(|layer| layer.blob().clone()).collect();
    Image::assemble(Manifest::parse(&bytes).unwrap(), config, blobs).unwrap()
}

/// One thing in a layer.
pub(crate) enum Item {
    Bytes(&'static str, Vec<u8>),
    Directory(&'static str),
    File(&'static str, String),
    Hardlink(&'static str, &'static str),
    Opaque(&'static str),
    Symlink(&'static str, &'static str),
    Whiteout(&'static str),
}

/// A layer of the given things, in their order.
pub(crate) fn layer(items: impl IntoIterator<Item = Item>) -> Layer {
    let mut writer = LayerWriter::new(Compression::Gzip(1), &Context::new()).unwrap();
    let path = |text: &str| FilePath::new(text).unwrap();
    let metadata = Metadata { mode: 0o644, ..Metadata::default() };
    for item in items {
        match item {
            Item::Bytes(name, bytes) => writer.file(&path(name), &metadata, bytes.len() as u64, &mut bytes.as_slice()),
            Item::Directory(name) => writer.directory(&path(name), &metadata),
            Item::File(name, text) => writer.file(&path(name), &metadata, text.len() as u64, &mut text.as_bytes()),
            Item::Hardlink(name, target) => writer.hardlink(&path(name), &metadata, &path(target)),
            Item::Opaque(name) => writer.opaque(&path(name)),
            Item::Symlink(name, target) => writer.symlink(&path(name), &metadata, target.as_bytes()),
            Item::Whiteout(name) => writer.whiteout(&path(name)),
        }
        .unwrap();
    }
    writer.finish().unwrap()
}

/// An `os-release` of Debian 11.
pub(crate) fn debian_11() -> Item {
    Item::File("etc/os-release", "ID=debian\nVERSION_ID=\"11\"\nVERSION_CODENAME=bullseye\n".into())
}

/// The stanza of an installed package.
pub(crate) fn stanza(name: &str, version: &str) -> String {
    stanza_in(name, version, "install ok installed")
}

/// The stanza of a package in some state.
pub(crate) fn stanza_in(name: &str, version: &str, status: &str) -> String {
    format!(
        "Package: {name}\nStatus: {status}\nMaintainer: A <a@example.org>\nArchitecture: amd64\nVersion: {version}\nDescription: x\n\n"
    )
}
