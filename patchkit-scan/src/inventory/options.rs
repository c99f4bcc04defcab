use patchkit_core::BaseLayers;

use super::LayerCache;

/// How an inventory is made.
#[derive(Clone, Debug)]
pub struct InventoryOptions {
    pub(crate) bases: Vec<BaseLayers>,
    pub(super) cache: Option<LayerCache>,
    pub(crate) languages: bool,
}

impl Default for InventoryOptions {
    /// Everything is looked for, nothing is remembered, and no base image is known.
    fn default() -> Self {
        Self { bases: Vec::new(), cache: None, languages: true }
    }
}

impl InventoryOptions {
    /// The same, with images that others may be built on.
    #[must_use]
    pub fn with_bases(self, bases: impl IntoIterator<Item = BaseLayers>) -> Self {
        Self { bases: bases.into_iter().collect(), ..self }
    }

    /// The same, with a cache of what was found in layers before.
    #[must_use]
    pub fn with_cache(self, cache: LayerCache) -> Self {
        Self { cache: Some(cache), ..self }
    }

    /// The same, without the packages of programming languages: the distribution's packages are found sooner alone.
    #[must_use]
    pub fn without_languages(self) -> Self {
        Self { languages: false, ..self }
    }
}
