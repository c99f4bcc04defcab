//! The consistency check finds every fault of an image, one by one and together; edits keep what they do not change.
#![allow(clippy::unwrap_used)]

mod image;

use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use patchkit_core::{
    Blob, Config, Context, Descriptor, Digest, ErrorKind, Image, ImageSet, Layer, Manifest, ManifestBytes, MediaType,
    PutManifest, Registry, Repository,
    image::{Compression, FilePath, LayerWriter, Metadata, check},
    memory::MemoryRegistry,
};
use serde_json::{Value, json};

fn layer(compression: Compression, build: impl FnOnce(&mut LayerWriter)) -> Layer {
    let mut layer = LayerWriter::new(compression, &Context::new()).unwrap();
    build(&mut layer);
    layer.finish().unwrap()
}

fn file(layer: &mut LayerWriter, name: &str, text: &str) {
    let path = FilePath::new(name).unwrap();
    layer.file(&path, &Metadata::default(), text.len() as u64, &mut text.as_bytes()).unwrap();
}

fn link(layer: &mut LayerWriter, name: &str, target: &str) {
    let (path, target) = (FilePath::new(name).unwrap(), FilePath::new(target).unwrap());
    layer.hardlink(&path, &Metadata::default(), &target).unwrap();
}

fn repository(name: &str) -> Repository {
    format!("example.org/{name}").parse().unwrap()
}

/// A registry and what stands in one of its repositories, for tests that need it to be wrong.
struct Place {
    registry: Arc<MemoryRegistry>,
    repository: Repository,
    cx: Context,
}

impl Place {
    fn new() -> Self {
        Self { registry: Arc::default(), repository: repository("app"), cx: Context::new() }
    }

    async fn blob(&self, media_type: MediaType, bytes: impl Into<Bytes>) -> Descriptor {
        let blob = Blob::of(media_type, bytes);
        self.registry.put_blob(&self.repository, &blob, &self.cx).await.unwrap();
        blob.descriptor().clone()
    }

    async fn manifest(&self, media_type: MediaType, document: &Value) -> Descriptor {
        let manifest = ManifestBytes { media_type, bytes: document.to_string().into() };
        let reference = self.repository.digest(manifest.descriptor().digest);
        self.registry.put_manifest(&reference, &manifest, &PutManifest::default(), &self.cx).await.unwrap()
    }

    async fn layer(&self, layer: &Layer) -> Descriptor {
        self.registry.put_blob(&self.repository, layer.blob(), &self.cx).await.unwrap();
        layer.blob().descriptor().clone()
    }

    /// An image whose documents can be changed before they are stored.
    async fn image(&self, layers: &[Layer], change: impl Fn(&mut Value, &mut Value)) -> Descriptor {
        let diff_ids: Vec<_> = layers.iter().map(Layer::diff_id).collect();
        let mut config = json!({
            "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": diff_ids },
            "x-unknown": { "kept": [1, 2.5, null] },
        });
        let mut manifest = json!({ "schemaVersion": 2, "x-unknown": "kept", "layers": [] });
        for layer in layers {
            manifest["layers"].as_array_mut().unwrap().push(json!(self.layer(layer).await));
        }
        change(&mut config, &mut manifest);
        manifest["config"] = json!(self.blob(MediaType::OCI_CONFIG, config.to_string()).await);
        self.manifest(MediaType::OCI_MANIFEST, &manifest).await
    }

    async fn faults(&self, digest: &Digest) -> Vec<String> {
        let faults = check(self.registry.clone(), &self.repository, digest, &self.cx).await.unwrap();
        faults.iter().map(ToString::to_string).collect()
    }
}

fn good() -> Vec<Layer> {
    let low = layer(Compression::Gzip(6), |layer| file(layer, "a", "1"));
    let high = layer(Compression::Zstd(3), |layer| link(layer, "b", "a"));
    vec![low, high]
}

#[tokio::test]
async fn a_good_image_has_no_fault() {
    let place = Place::new();
    let layers = good();
    let image = place.image(&layers, |config, _| {
        config["history"] = json!([{}, { "empty_layer": true }, {}]);
    });
    let image = image.await;
    assert_eq!(place.faults(&image.digest).await, [""; 0]);
    let index = json!({ "schemaVersion": 2, "manifests": [image] });
    let index = place.manifest(MediaType::OCI_INDEX, &index).await;
    assert_eq!(place.faults(&index.digest).await, [""; 0]);
}

#[tokio::test]
async fn real_images_have_no_fault() {
    let Some(images) = image::shared("images") else { return };
    for name in ["debian-11.11-distroless", "debian-12.15-distroless"] {
        let faults = image::open_layout(&images.join(name)).check(&Context::new()).await.unwrap();
        assert_eq!(faults, [], "{name}");
    }
}

#[tokio::test]
async fn every_fault_is_found_and_all_of_them() {
    let place = Place::new();
    let other = Digest::of("other");
    let image = place
        .image(&good(), |config, manifest| {
            config["history"] = json!([{}]);
            config["rootfs"]["diff_ids"][0] = json!(other);
            manifest["layers"][1]["mediaType"] = json!(MediaType::OCI_LAYER_GZIP);
        })
        .await;
    let faults = place.faults(&image.digest).await;
    assert_eq!(faults.len(), 3, "{faults:#?}");
    assert!(faults[0].contains("the history speaks of 1 layers, but there are 2"), "{faults:#?}");
    assert!(faults[1].contains(&format!("not its diff id {other}")), "{faults:#?}");
    assert!(faults[2].contains("the media type says gzip, but the content is zstd"), "{faults:#?}");
}

#[tokio::test]
async fn what_does_not_fit_the_layers_below_is_found() {
    let place = Place::new();
    let low = layer(Compression::None, |layer| file(layer, "a", "1"));
    let high = layer(Compression::None, |layer| {
        link(layer, "b", "nothing");
        file(layer, "a/x", "2");
        file(layer, "c", "3");
    });
    let faults = place.faults(&place.image(&[low, high], |_, _| {}).await.digest).await;
    assert_eq!(faults.len(), 2, "{faults:#?}");
    assert!(faults[0].contains("a hard link to \"nothing\"") && faults[1].contains("is no directory"), "{faults:#?}");
}

#[tokio::test]
async fn sizes_platforms_and_documents_are_compared() {
    let place = Place::new();
    let image = place.image(&good(), |_, _| {}).await;
    let mut entry = json!(image);
    entry["platform"] = json!({ "os": "linux", "architecture": "arm64" });
    entry["size"] = json!(image.size + 1);
    let few = place.image(&good(), |config, _| config["rootfs"]["diff_ids"] = json!([])).await;
    let bad = place.image(&good(), |config, _| config["os"] = json!(1)).await;
    let index = json!({ "schemaVersion": 2, "manifests": [entry, few, bad] });
    let faults = place.faults(&place.manifest(MediaType::OCI_INDEX, &index).await.digest).await;
    assert_eq!(faults.len(), 4, "{faults:#?}");
    for (fault, part) in faults.iter().zip([
        "but the index says",
        "the index says linux/arm64",
        "0 diff ids, but 2 layers",
        "invalid type",
    ]) {
        assert!(fault.contains(part), "{part}: {faults:#?}");
    }
    let nothing = place.faults(&Digest::of("nothing")).await;
    assert!(nothing.len() == 1 && nothing[0].contains("not found"), "{nothing:?}");
}

async fn open(place: &Place, digest: &Digest) -> Image {
    Image::open(place.registry.clone(), &place.repository, digest, &place.cx).await.unwrap()
}

#[tokio::test]
async fn an_edit_changes_what_it_says_and_nothing_else() {
    let place = Place::new();
    let layers = good();
    let old = place.image(&layers, |config, _| {
        config["history"] = json!([{}, {}]);
        config["config"] = json!({ "Env": ["A=1"], "OnBuild": ["x"], "Labels": { "a": "1", "b": "2" } });
    });
    let old = open(&place, &old.await.digest).await;
    let new = layer(Compression::Gzip(6), |layer| file(layer, "n", "new"));
    let image = old
        .edit()
        .append(new.clone(), "patchkit")
        .label("c", "3")
        .without_label("a")
        .annotation("org.example.k", "v")
        .config("User", json!("nobody"))
        .created(Timestamp::from_second(1).unwrap())
        .finish()
        .unwrap();
    let (was, is) = (old.config().json(), image.config().json());
    assert_eq!(is["x-unknown"], was["x-unknown"]);
    assert_eq!(
        is["config"],
        json!({ "Env": ["A=1"], "OnBuild": ["x"], "Labels": { "b": "2", "c": "3" }, "User": "nobody" })
    );
    assert_eq!(is["history"][2], json!({ "created_by": "patchkit", "created": "1970-01-01T00:00:01Z" }));
    assert_eq!(image.config().diff_ids().last(), Some(new.diff_id()));
    let manifest: Value = serde_json::from_slice(&image.manifest().bytes().bytes).unwrap();
    assert_eq!((&manifest["x-unknown"], &manifest["annotations"]["org.example.k"]), (&json!("kept"), &json!("v")));
    assert_eq!(*image.digest(), Digest::of(&image.manifest().bytes().bytes));
    assert_eq!(image.check(&place.cx).await.unwrap(), []);
    assert_eq!(*old.digest(), *open(&place, old.digest()).await.digest(), "the old image is as it was");
}

#[tokio::test]
async fn an_edit_of_nothing_is_the_same_image() {
    let place = Place::new();
    let old = open(&place, &place.image(&good(), |_, _| {}).await.digest).await;
    assert_eq!(old.edit().finish().unwrap().digest(), old.digest());
}

#[tokio::test]
async fn a_docker_image_stays_one() {
    let low = layer(Compression::Gzip(6), |layer| file(layer, "a", "1"));
    let config = json!({
        "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [low.diff_id()] },
    });
    let config = Config::parse(config.to_string().into()).unwrap();
    let named = Descriptor { media_type: MediaType::DOCKER_LAYER_GZIP, ..low.blob().descriptor().clone() };
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MediaType::DOCKER_MANIFEST,
        "config": Descriptor::of(MediaType::DOCKER_CONFIG, config.bytes()), "layers": [named],
    });
    let bytes = ManifestBytes { media_type: MediaType::DOCKER_MANIFEST, bytes: manifest.to_string().into() };
    let old = Image::assemble(Manifest::parse(&bytes).unwrap(), config, vec![low.blob().clone()]).unwrap();
    let new = layer(Compression::Gzip(6), |layer| file(layer, "n", "new"));
    let image = old.edit().append(new, "patchkit").finish().unwrap();
    let types: Vec<_> = image.manifest().layers().iter().map(|layer| layer.media_type.clone()).collect();
    assert_eq!(types, [MediaType::DOCKER_LAYER_GZIP, MediaType::DOCKER_LAYER_GZIP]);
    assert_eq!(image.manifest().bytes().media_type, MediaType::DOCKER_MANIFEST);
    assert_eq!(image.check(&Context::new()).await.unwrap(), []);
    let zstd = layer(Compression::Zstd(3), |layer| file(layer, "n", "new"));
    let error = old.edit().append(zstd, "patchkit").finish().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// An index of two images, each with an attestation as BuildKit makes them, and something that is neither.
async fn attested(place: &Place) -> ImageSet {
    let mut entries = Vec::new();
    for (architecture, name) in [("amd64", "a"), ("arm64", "b")] {
        let layers = [layer(Compression::Gzip(6), |layer| file(layer, name, "1"))];
        let image = place.image(&layers, |config, _| config["architecture"] = json!(architecture)).await;
        let mut entry = json!(image);
        entry["platform"] = json!({ "os": "linux", "architecture": architecture, "os.features": ["x"] });
        let statement =
            place.blob(MediaType::new("application/vnd.in-toto+json"), format!("{{\"of\":\"{name}\"}}")).await;
        let config = place.blob(MediaType::OCI_CONFIG, "{}").await;
        let attestation = json!({ "schemaVersion": 2, "config": config, "layers": [statement] });
        let mut attestation = json!(place.manifest(MediaType::OCI_MANIFEST, &attestation).await);
        attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
        attestation["annotations"] = json!({
            "vnd.docker.reference.digest": image.digest, "vnd.docker.reference.type": "attestation-manifest",
        });
        entries.extend([entry, attestation]);
    }
    let index = json!({ "schemaVersion": 2, "manifests": entries, "annotations": { "k": "v" }, "x": 1 });
    let index = place.manifest(MediaType::OCI_INDEX, &index).await;
    ImageSet::open(place.registry.clone(), &place.repository, &index.digest, &place.cx).await.unwrap()
}

#[tokio::test]
async fn attestations_of_what_was_replaced_go_and_the_others_travel_along() {
    let place = Place::new();
    let set = attested(&place).await;
    assert_eq!(set.images().len(), 2);
    let patched = set.images()[0].edit().label("patched", "yes").finish().unwrap();
    let set = set.with_images(vec![patched.clone(), set.images()[1].clone()]).unwrap();
    let index: Value = serde_json::from_slice(&set.manifest().bytes).unwrap();
    let entries = index["manifests"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "the attestation of the first image is gone");
    assert_eq!(entries[0]["digest"], json!(patched.digest()));
    assert_eq!(entries[0]["platform"]["os.features"], json!(["x"]));
    assert_eq!((&index["annotations"]["k"], &index["x"]), (&json!("v"), &json!(1)));

    let elsewhere = Place { repository: repository("elsewhere"), ..Place::new() };
    let reference = elsewhere.repository.digest(*set.digest());
    set.push(&*elsewhere.registry, &reference, &PutManifest::default(), &elsewhere.cx).await.unwrap();
    assert_eq!(elsewhere.faults(set.digest()).await, [""; 0]);
    for entry in set.index().unwrap().manifests() {
        elsewhere.registry.manifest(&elsewhere.repository, &entry.digest, &elsewhere.cx).await.unwrap();
    }
}

#[tokio::test]
async fn an_artifact_is_no_image() {
    let place = Place::new();
    let config = place.blob(MediaType::OCI_EMPTY, "{}").await;
    let artifact = json!({ "schemaVersion": 2, "config": config, "layers": [config] });
    let artifact = place.manifest(MediaType::OCI_MANIFEST, &artifact).await;
    let error = Image::open(place.registry.clone(), &place.repository, &artifact.digest, &place.cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}
