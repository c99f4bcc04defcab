//! Which of an image's layers came with the image that it was built on.

use patchkit_core::{BaseLayers, Digest, Image};
use serde::Deserialize;

/// The name of the base image, among the annotations (OCI image specification, pre-defined annotation keys).
const NAME: &str = "org.opencontainers.image.base.name";
/// The digest of the base image.
const DIGEST: &str = "org.opencontainers.image.base.digest";
/// What Cloud Native Buildpacks write about an application's image (platform specification, `lifecycle.metadata`).
const BUILDPACKS: &str = "io.buildpacks.lifecycle.metadata";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lifecycle {
    run_image: RunImage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunImage {
    top_layer: Digest,
    #[serde(default)]
    reference: Option<String>,
}

/// The base of an image: the known one with the most layers that the image begins with, else what the image says.
/// Where an image only names its base, and that is not known, its layers cannot be told and the list is empty.
pub(super) fn of(image: &Image, known: &[BaseLayers]) -> Option<BaseLayers> {
    let begins = |base: &&BaseLayers| !base.layers.is_empty() && image.config().diff_ids().starts_with(&base.layers);
    let known = known.iter().filter(begins).max_by_key(|base| base.layers.len()).cloned();
    known.or_else(|| buildpacks(image)).or_else(|| annotated(image))
}

fn annotated(image: &Image) -> Option<BaseLayers> {
    let labels = image.config().labels();
    let field = |key| image.manifest().annotations().get(key).map(String::as_str).or_else(|| labels.get(key).copied());
    let (name, digest) = (field(NAME).map(Into::into), field(DIGEST).and_then(|digest| digest.parse().ok()));
    (name.is_some() || digest.is_some()).then(|| BaseLayers { name, digest, layers: Vec::new() })
}

fn buildpacks(image: &Image) -> Option<BaseLayers> {
    let label = image.config().labels().remove(BUILDPACKS)?;
    let RunImage { top_layer, reference } = serde_json::from_str::<Lifecycle>(label).ok()?.run_image;
    let layers = image.config().diff_ids();
    let top = layers.iter().position(|layer| *layer == top_layer)?;
    let digest = reference.as_deref().and_then(|reference| reference.rsplit_once('@')?.1.parse().ok());
    Some(BaseLayers { name: reference, digest, layers: layers[..=top].to_vec() })
}
