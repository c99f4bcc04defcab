//! Images for tests: from layers, from layouts on disk, from published archives.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use patchkit_core::{
    Blob, Config, Context, Digest, Image, Layer, Manifest, ManifestBytes, MediaType,
    image::{ReadLimits, decompress},
};
use serde_json::{Value, json};

/// An image of some layers.
pub(crate) fn image_of(layers: Vec<Layer>) -> Image {
    Image::of_layers(&"linux/amd64".parse().unwrap(), layers).unwrap()
}

/// Says why a test cannot run here; fails where everything must be there.
pub(crate) fn skip(reason: &str) {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{reason}");
    eprintln!("skipped: {reason}");
}

/// A folder of the shared data; `None`, and the reason printed, where it is not there.
pub(crate) fn shared(folder: &str) -> Option<PathBuf> {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.find_map(|above| Some(above.join("shared/data").join(folder)).filter(|path| path.is_dir()));
    if found.is_none() {
        skip(&format!("there is no shared/data/{folder} here"));
    }
    found
}

/// The first image of a layout on disk.
pub(crate) fn open_layout(layout: &Path) -> Image {
    let blob = |digest: &str| std::fs::read(layout.join("blobs").join(digest.replace(':', "/"))).unwrap();
    let index: Value = serde_json::from_slice(&std::fs::read(layout.join("index.json")).unwrap()).unwrap();
    let bytes = blob(index["manifests"][0]["digest"].as_str().unwrap());
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: bytes.into() };
    let manifest = Manifest::parse(&manifest).unwrap();
    let config = Config::parse(blob(&manifest.config().digest.to_string()).into()).unwrap();
    let layers = manifest.layers().iter().map(|layer| {
        let bytes = blob(&layer.digest.to_string());
        Blob::new(layer.clone(), std::sync::Arc::new(bytes::Bytes::from(bytes)))
    });
    let layers = layers.collect();
    Image::assemble(manifest, config, layers).unwrap()
}

/// Writes a layout with the one image, tagged `latest`.
pub(crate) async fn write_layout(layout: &Path, image: &Image) {
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let put = |digest: &Digest, bytes: &[u8]| std::fs::write(blobs.join(digest.hex()), bytes).unwrap();
    for layer in image.layers() {
        put(layer.digest(), &layer.blob().read(&Context::new()).await.unwrap());
    }
    put(&image.config().digest(), image.config().bytes());
    put(image.digest(), &image.manifest().bytes().bytes);
    let mut entry = json!(image.manifest().descriptor());
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": "latest" });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    std::fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
}

/// All files below a folder whose names end in one of these ways, sorted.
pub(crate) fn find(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.to_string_lossy().into_owned();
        if path.is_dir() {
            find(&path, endings, found);
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            found.push(path);
        }
    }
}

/// The bytes of an archive, decompressed as its name says.
pub(crate) fn uncompressed(archive: &Path) -> Vec<u8> {
    let media_type = match archive.extension().and_then(|ending| ending.to_str()) {
        Some("gz") => MediaType::OCI_LAYER_GZIP,
        Some("zst") => MediaType::OCI_LAYER_ZSTD,
        _ => MediaType::OCI_LAYER,
    };
    decompress(&media_type, std::fs::read(archive).unwrap(), &ReadLimits::default()).unwrap()
}

/// The names in an archive, as GNU tar lists them.
pub(crate) fn tar_list(archive: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut tar = Command::new("tar");
    tar.args(["--list", "--file=-", "--quoting-style=literal", "--show-transformed-names"]);
    let mut tar = match tar.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn() {
        Ok(tar) => tar,
        Err(error) => {
            skip(&format!("tar does not run: {error}"));
            return None;
        }
    };
    let mut stdin = tar.stdin.take().unwrap();
    let archive = archive.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&archive));
    let output = tar.wait_with_output().unwrap();
    // tar may stop reading at the end of the archive, before the padding.
    let _ = writer.join().unwrap();
    assert!(output.status.success());
    Some(output.stdout.split(|byte| *byte == b'\n').filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
}
