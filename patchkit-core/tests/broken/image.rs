use std::sync::Arc;

use bytes::Bytes;
use patchkit_core::{
    memory::{LabelPatcher, MemoryGate, MemoryRegistry, MemoryScanner},
    *,
};
use serde_json::json;

/// An image with one layer of nothing in particular.
pub async fn image() -> Image {
    let target = target().await;
    target.images().images()[0].clone()
}

pub async fn target() -> Target {
    let (registry, cx) = (MemoryRegistry::default(), Context::new());
    let reference: Reference = "example.org/app:1".parse().unwrap();
    let layer = Blob::of(MediaType::OCI_LAYER, vec![0; 1024]);
    let diff_id = layer.descriptor().digest;
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff_id]}});
    let config = Blob::of(MediaType::OCI_CONFIG, config.to_string());
    for blob in [&layer, &config] {
        registry.put_blob(reference.repository(), blob, &cx).await.unwrap();
    }
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MediaType::OCI_MANIFEST,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: Bytes::from(manifest.to_string()) };
    registry.put_manifest(&reference, &manifest, &PutManifest::default(), &cx).await.unwrap();
    Target::open(Arc::new(registry), reference, &cx).await.unwrap()
}

/// What the toy scanner says about an image whose label tells that it is patched, or does not.
pub fn report(image: &Image) -> ScanReport {
    let patched = image.config().labels().contains_key("org.example.weak");
    let purl: Purl = if patched { "pkg:generic/weak@2" } else { "pkg:generic/weak@1" }.parse().unwrap();
    let version = |text| Version::new("semver", text).unwrap();
    let package = Package::new(purl.clone(), "weak".parse().unwrap(), version(if patched { "2" } else { "1" }));
    let finding = |id: &str, fix| Finding::new(id.parse().unwrap(), purl.clone(), Severity::High, fix, "toy");
    let findings = match patched {
        true => vec![finding("CVE-2026-0002", FixState::NotFixed)],
        false => {
            vec![finding("CVE-2026-0001", FixState::Fixed(version("2"))), finding("CVE-2026-0002", FixState::NotFixed)]
        }
    };
    ScanReport { packages: vec![package], findings, ..ScanReport::of(image) }
}

/// A verified image: what only the engine can make.
pub async fn verified() -> Arc<Verified> {
    let pipeline = Pipeline::new()
        .scan(MemoryScanner::new("toy", |image| Ok(report(image))))
        .patch(LabelPatcher::new("org.example"))
        .verify(super::verifier(None));
    pipeline.run(target().await, &Context::new()).await.unwrap()
}

pub fn decisions() -> [Decision; 3] {
    let ticket = Ticket { id: "T-1".into(), reason: Reason::yes("somebody must look") };
    [
        Decision::Allow { reason: Reason::yes("fine") },
        Decision::Deny { reason: Reason::no("not on a Friday") },
        Decision::Defer { ticket },
    ]
}

pub fn gates() -> Vec<MemoryGate> {
    let count = std::sync::atomic::AtomicUsize::new(0);
    vec![
        MemoryGate::new("allows wrongly", |_| Ok(Decision::Allow { reason: Reason::no("bad") })),
        MemoryGate::new("says nothing", |_| Ok(Decision::Deny { reason: Reason::no("") })),
        MemoryGate::new("new ticket each time", move |_| {
            let id = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
            Ok(Decision::Defer { ticket: Ticket { id, reason: Reason::yes("wait") } })
        }),
    ]
}
