//! A tiny image in a registry in memory, and a pipeline that patches it: for examples about something else.

use std::sync::Arc;

use patchkit_core::{
    Context, Finding, FixState, Image, ImageSet, Package, Pipeline, PutManifest, Reason, Reference, Result, ScanReport,
    Severity, Target, Verdict, Verified, Version,
    image::{Compression, LayerWriter},
    memory::{LabelPatcher, MemoryRegistry, MemoryScanner, MemoryVerifier},
};

/// The label that says that the image is patched.
const LABEL: &str = "org.example.patched";

/// An image with one empty layer, `example.org/app:1`.
pub(crate) async fn target(cx: &Context) -> Result<Target> {
    let registry = MemoryRegistry::default();
    let reference: Reference = "example.org/app:1".parse().expect("it is a reference");
    let layer = LayerWriter::new(Compression::None, cx)?.finish()?;
    let platform = "linux/amd64".parse().expect("it is a platform");
    let images = ImageSet::single(Image::of_layers(&platform, vec![layer])?);
    images.push(&registry, &reference, &PutManifest::default(), cx).await?;
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
    let package = Package::new(purl.clone(), "weak".parse().expect("it is a name"), version("1"));
    let id = "EXAMPLE-1".parse().expect("it is an id");
    let finding = Finding::new(id, purl, severity, FixState::Fixed(version("2")), "tiny");
    ScanReport { packages: vec![package], findings: vec![finding], ..ScanReport::of(image) }
}
