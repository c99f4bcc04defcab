//! A tiny image in a registry in memory, and a pipeline that patches it: for examples about something else.

use std::sync::Arc;

use bytes::Bytes;
use patchkit_core::{
    Blob, Context, Finding, FixState, Image, ManifestBytes, MediaType, Package, Pipeline, PutManifest, Reason,
    Reference, Registry, Result, ScanReport, Severity, Target, Verdict, Verified, Version,
    memory::{LabelPatcher, MemoryRegistry, MemoryScanner, MemoryVerifier},
};
use serde_json::json;

/// The label that says that the image is patched.
const LABEL: &str = "org.example.patched";

/// An image without layers, `example.org/app:1`.
pub(crate) async fn target(cx: &Context) -> Result<Target> {
    let registry = MemoryRegistry::default();
    let reference: Reference = "example.org/app:1".parse().expect("it is a reference");
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = Blob::of(MediaType::OCI_CONFIG, config.to_string());
    registry.put_blob(reference.repository(), &config, cx).await?;
    let manifest = json!({"schemaVersion": 2, "config": config.descriptor(), "layers": []});
    let bytes = Bytes::from(manifest.to_string());
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes };
    registry.put_manifest(&reference, &manifest, &PutManifest::default(), cx).await?;
    Target::open(Arc::new(registry), reference, cx).await
}

/// A pipeline that finds one vulnerability of the given severity and fixes it.
pub(crate) fn verified(severity: Severity) -> Pipeline<Verified> {
    let exists = MemoryVerifier::new("exists", |patched| {
        let reasons = vec![Reason::yes("it exists")];
        Ok(Verdict { subject: *patched.images().digest(), reasons, evidence: Vec::new() })
    });
    let scanner = MemoryScanner::new(&format!("tiny-{severity}"), move |image| Ok(report(image, severity)));
    Pipeline::new().scan(scanner).patch(LabelPatcher::new(LABEL)).verify(exists)
}

fn report(image: &Image, severity: Severity) -> ScanReport {
    let purl: patchkit_core::Purl = "pkg:generic/weak@1".parse().expect("it is a package URL");
    let version = |text| Version::new("generic", text).expect("it is a version");
    let package = Package {
        purl: purl.clone(),
        name: "weak".parse().expect("it is a name"),
        version: version("1"),
        architecture: None,
        source: None,
        locations: [].into(),
        layer: None,
    };
    let finding = Finding {
        id: "EXAMPLE-1".parse().expect("it is an id"),
        aliases: Vec::new(),
        package: purl,
        severity,
        fix: FixState::Fixed(version("2")),
        title: None,
        source: "tiny".into(),
    };
    ScanReport {
        subject: *image.digest(),
        platform: image.platform().clone(),
        distribution: None,
        packages: vec![package],
        findings: vec![finding],
        warnings: Vec::new(),
    }
}
