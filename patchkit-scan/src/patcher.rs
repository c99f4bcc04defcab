//! What every patcher of this crate has in common: how a patched image says what was done, and how the image that it
//! was made from is found again.
//!
//! A patched image carries the manifest and configuration that it was made from, so that the next patch starts there:
//! patch layers never pile up.

use std::collections::BTreeSet;

use base64::{Engine, engine::general_purpose::STANDARD};
use patchkit_core::{Blob, Config, Digest, Edit, Error, Image, Layer, Manifest, ManifestBytes, Plan, Result};
use serde_json::{Map, Value};

/// The names under which a patched image says what was done, in its labels and annotations alike.
pub mod label {
    /// What all of them begin with.
    pub(super) const PREFIX: &str = "dev.patchkit.";
    /// The digest of the manifest that the patch was made from.
    pub const BASE_DIGEST: &str = "dev.patchkit.base.digest";
    /// What changed: `curl 7.74.0-1 -> 7.74.0-2, …`, sorted.
    pub const CHANGED: &str = "dev.patchkit.changed";
    /// The vulnerabilities of the base that were fixed, by their ids, sorted, with commas between.
    pub const FIXED: &str = "dev.patchkit.fixed";
    /// The manifest and configuration that the patch was made from, packed: an annotation only.
    pub const ORIGIN: &str = "dev.patchkit.origin";
    /// The digest of the plan that was applied.
    pub const PLAN_DIGEST: &str = "dev.patchkit.plan.digest";
}

/// What the history of an image says of a patch's layer.
const CREATED_BY: &str = "patchkit patch";
/// The most bytes that a packed manifest and configuration may have: 8 MiB.
const MAX_ORIGIN: usize = 8 << 20;
/// The level of zstd for them.
const LEVEL: i32 = 19;

/// The image that a patched image was made from; the image itself where it is no patched one.
///
/// # Errors
/// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where the image says that it is patched, but what it was made from
/// cannot be put together again, or has another digest than it should.
pub fn origin(image: &Image) -> Result<Image> {
    let annotations = image.manifest().annotations();
    let annotation = |name: &str| annotations.get(name).map(ToString::to_string);
    let (Some(packed), Some(digest)) = (annotation(label::ORIGIN), annotation(label::BASE_DIGEST)) else {
        return Ok(image.clone());
    };
    let restored = restore(image, &packed).map_err(|error| error.during("find the image before the patch"))?;
    match digest.parse::<Digest>() {
        Ok(digest) if digest == *restored.digest() && is_only_patched(image, &restored) => Ok(restored),
        // Somebody built on the patched image: what they added is not ours to take away.
        Ok(digest) if digest == *restored.digest() => Ok(image.clone()),
        _ => Err(Error::corrupt(format!("the image before the patch is {}, not {digest}", restored.digest()))),
    }
}

/// Whether nothing but a patch lies between the two: one layer, and our own labels.
fn is_only_patched(image: &Image, base: &Image) -> bool {
    let execution = |image: &Image| {
        let mut config = image.config().json().remove("config").unwrap_or_default();
        if let Some(labels) = config.get_mut("Labels").and_then(Value::as_object_mut) {
            labels.retain(|name, _| !name.starts_with(label::PREFIX));
        }
        let unlabelled = |labels: &Value| labels.is_null() || labels.as_object().is_some_and(Map::is_empty);
        if let Some(fields) = config.as_object_mut() {
            fields.retain(|name, value| name != "Labels" || !unlabelled(value));
        }
        config
    };
    image.layers().len() == base.layers().len() + 1 && execution(image) == execution(base)
}

fn restore(image: &Image, packed: &str) -> Result<Image> {
    let corrupt = |what: &str| Error::corrupt(format!("the annotation {}: {what}", label::ORIGIN)).on(image.digest());
    let packed = STANDARD.decode(packed).map_err(|_| corrupt("no base64"))?;
    let bytes = zstd::bulk::decompress(&packed, MAX_ORIGIN).map_err(|error| corrupt(&error.to_string()))?;
    let (length, rest) = bytes.split_first_chunk().ok_or_else(|| corrupt("too short"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (manifest, config) = rest.split_at_checked(length).ok_or_else(|| corrupt("too short"))?;
    let media_type = image.manifest().bytes().media_type.clone();
    let manifest = Manifest::parse(&ManifestBytes { media_type, bytes: manifest.to_vec().into() })?;
    let config = Config::parse(config.to_vec().into())?;
    let layers = manifest.layers().iter().zip(image.layers());
    let layers: Vec<Blob> = layers.map(|(named, layer)| layer.blob().clone().described(named.clone())).collect();
    Image::assemble(manifest, config, layers)
}

/// The patched image: the base with one layer more, and what was done in its labels, annotations and history.
///
/// The image is what the plan is for. Where that is an earlier patch of the base, what the earlier patch fixed counts
/// too: the plan, made from a report about the image, does not know of it.
///
/// # Errors
/// Those of [`Edit::finish`].
pub(crate) fn patched(image: &Image, base: &Image, plan: &Plan, layer: Layer) -> Result<Image> {
    let annotations = image.manifest().annotations();
    let before = annotations.get(label::FIXED).filter(|_| image.digest() != base.digest());
    let facts = [
        (label::BASE_DIGEST, base.digest().to_string()),
        (label::CHANGED, changed(plan)),
        (label::FIXED, fixed(plan, before.map_or("", |ids| ids.as_ref()))),
        (label::PLAN_DIGEST, plan.digest().to_string()),
    ];
    let edit: Edit = base.edit().append(layer, CREATED_BY).created(plan.timestamp);
    let edit =
        facts.into_iter().fold(edit, |edit, (name, value)| edit.label(name, value.clone()).annotation(name, value));
    edit.annotation(label::ORIGIN, packed(base)?).finish()
}

fn packed(base: &Image) -> Result<String> {
    let manifest = &base.manifest().bytes().bytes;
    let length = u32::try_from(manifest.len()).map_err(|_| Error::unsupported("a manifest of more than 4 GiB"))?;
    let bytes = [&length.to_le_bytes(), &manifest[..], &base.config().bytes()[..]].concat();
    let packed = zstd::bulk::compress(&bytes, LEVEL).map_err(|error| Error::unexpected(format!("zstd: {error}")))?;
    Ok(STANDARD.encode(packed))
}

fn changed(plan: &Plan) -> String {
    let version = |version: &Option<patchkit_core::Version>| version.as_ref().map_or("-", |v| v.as_str()).to_owned();
    let one = |change: &patchkit_core::Change| {
        format!("{} {} -> {}", change.package, version(&change.from), version(&change.to))
    };
    plan.changes.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn fixed(plan: &Plan, before: &str) -> String {
    let before = before.split(',').filter(|id| !id.is_empty());
    let ids: BTreeSet<&str> = plan.fixes().into_iter().map(|key| key.id.as_str()).chain(before).collect();
    ids.into_iter().collect::<Vec<_>>().join(",")
}
