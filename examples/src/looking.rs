//! How it is found out what is installed: what is remembered, and on which images others are built.

use patchkit_core::{BaseLayers, Context, Result};
use patchkit_oci::ImageName;
use patchkit_scan::{InventoryOptions, LayerCache};

use crate::{
    archive,
    cli::{Global, Looking},
    place,
};

/// The options of an inventory, as the command line says.
pub(crate) async fn options(looking: &Looking, global: &Global, cx: &Context) -> Result<InventoryOptions> {
    let mut bases = Vec::new();
    for name in &looking.base {
        bases.extend(layers(name, global, cx).await?);
    }
    let options = InventoryOptions::default().with_bases(bases);
    if looking.no_cache {
        return Ok(options);
    }
    let root = looking.cache.clone().unwrap_or_else(archive::default_cache);
    Ok(options.with_cache(LayerCache::open(root.join("layers"))?))
}

/// The layers of a base image, on each of its platforms.
async fn layers(name: &ImageName, global: &Global, cx: &Context) -> Result<Vec<BaseLayers>> {
    let target = place::target(name, global, cx).await?;
    let images = target.images().images().iter().map(|image| BaseLayers {
        name: Some(name.to_string()),
        digest: Some(*image.digest()),
        layers: image.config().diff_ids().to_vec(),
    });
    Ok(images.collect())
}
