use std::sync::Arc;

use crate::{Context, ImageSet, Reference, Registry, Result};

/// What is to be patched: one reference, with all the images it names.
#[derive(Clone, Debug)]
pub struct Target {
    registry: Arc<dyn Registry>,
    reference: Reference,
    images: ImageSet,
}

impl Target {
    /// Opens what a reference names in a registry.
    ///
    /// # Errors
    /// Those of [`Registry::resolve`] and [`ImageSet::open`].
    pub async fn open(registry: Arc<dyn Registry>, reference: Reference, cx: &Context) -> Result<Self> {
        let root = registry.resolve(&reference, cx).await?;
        let images = ImageSet::open(registry.clone(), reference.repository(), &root.digest, cx).await?;
        Ok(Self { registry, reference, images })
    }

    /// The registry it lives in.
    #[must_use]
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// What it was called.
    #[must_use]
    pub fn reference(&self) -> &Reference {
        &self.reference
    }

    /// The images.
    #[must_use]
    pub fn images(&self) -> &ImageSet {
        &self.images
    }
}
