//! What the tests of images in places have in common.

#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bytes::Bytes;
use patchkit_core::{
    Blob, Context, Descriptor, Digest, ManifestBytes, MediaType, PutManifest, Reference, Registry, Repository,
};
use serde_json::json;

/// A tar archive with one file.
pub fn tar(name: &str, content: &[u8]) -> Bytes {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    builder.append_data(&mut header, name, content).unwrap();
    builder.into_inner().unwrap().into()
}

/// The parts of a small image that depend on a seed.
pub struct Parts {
    pub blobs: Vec<Blob>,
    pub manifest: ManifestBytes,
}

/// An image with as many layers as asked for.
pub fn parts(seed: &str, layers: usize, architecture: &str) -> Parts {
    let layers: Vec<Bytes> = (0..layers)
        .map(|place| tar(&format!("file-{place}"), format!("{seed} {place}").repeat(1 + place * 700).as_bytes()))
        .collect();
    let diff_ids: Vec<Digest> = layers.iter().map(Digest::of).collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "config": { "Env": [format!("SEED={seed}")] },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    });
    let mut blobs = vec![Blob::of(MediaType::OCI_CONFIG, config.to_string())];
    blobs.extend(layers.into_iter().map(|layer| Blob::of(MediaType::OCI_LAYER, layer)));
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "config": blobs[0].descriptor(),
        "layers": blobs[1..].iter().map(Blob::descriptor).collect::<Vec<_>>(),
    });
    Parts { blobs, manifest: manifest_of(MediaType::OCI_MANIFEST, &manifest) }
}

pub fn manifest_of(media_type: MediaType, json: &serde_json::Value) -> ManifestBytes {
    ManifestBytes { media_type, bytes: json.to_string().into() }
}

/// An artifact without layers that refers to a manifest.
pub fn referrer(subject: &Descriptor, artifact_type: &str) -> Parts {
    let config = Blob::of(MediaType::OCI_EMPTY, "{}");
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST, "artifactType": artifact_type,
        "config": config.descriptor(), "layers": [config.descriptor()], "subject": subject,
        "annotations": { "org.example.kind": artifact_type },
    });
    Parts { blobs: vec![config], manifest: manifest_of(MediaType::OCI_MANIFEST, &manifest) }
}

/// An index of manifests.
pub fn index(manifests: &[Descriptor]) -> ManifestBytes {
    let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": manifests });
    manifest_of(MediaType::OCI_INDEX, &index)
}

/// Puts an image under a reference.
pub async fn put(registry: &dyn Registry, reference: &Reference, parts: &Parts) -> Descriptor {
    let cx = Context::new();
    put_blobs(registry, reference.repository(), parts).await;
    registry.put_manifest(reference, &parts.manifest, &PutManifest::default(), &cx).await.unwrap()
}

pub async fn put_blobs(registry: &dyn Registry, repository: &Repository, parts: &Parts) {
    for blob in &parts.blobs {
        registry.put_blob(repository, blob, &Context::new()).await.unwrap();
    }
}

/// A two-platform image under a reference.
pub async fn put_index(registry: &dyn Registry, reference: &Reference, seed: &str) -> Descriptor {
    let mut manifests = Vec::new();
    for architecture in ["amd64", "arm64"] {
        let parts = parts(seed, 2, architecture);
        let digest = reference.repository().digest(parts.manifest.descriptor().digest);
        let platform = format!("linux/{architecture}").parse().ok();
        manifests.push(Descriptor { platform, ..put(registry, &digest, &parts).await });
    }
    registry.put_manifest(reference, &index(&manifests), &PutManifest::default(), &Context::new()).await.unwrap()
}

/// Whether a tool is there. Where it is not, says so; fails where external tools are required.
pub fn has(tool: &str) -> bool {
    let found = Command::new(tool).arg("--version").output().is_ok();
    found || missing(&format!("{tool} is not installed"))
}

/// Real data beside the project, or `None` with a word why.
pub fn shared(path: &str) -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = above.map(|folder| folder.join("shared/data").join(path)).find(|path| path.exists());
    if found.is_none() {
        missing(&format!("shared/data/{path} is not there"));
    }
    found
}

fn missing(what: &str) -> bool {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{what}");
    eprintln!("skipped: {what}");
    false
}

/// Runs a tool, which must succeed.
pub fn run(tool: &str, arguments: &[&str]) -> String {
    let output = run_any(tool, arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{tool} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a tool, which may fail.
pub fn run_any(tool: &str, arguments: &[&str]) -> Output {
    Command::new(tool).args(arguments).output().unwrap()
}
