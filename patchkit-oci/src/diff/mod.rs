//! What is different between two images: layers, files, configuration.

mod config;
mod contents;
mod files;
mod layers;
mod text;

use patchkit_core::{Context, Digest, Image, Result};
use serde::Serialize;

pub use config::ConfigDifference;
pub use files::{Aspect, Change, Difference, FileDifference, FileKind};
pub use layers::{LayerDifference, Presence};

/// What is different between two images of one platform. Every list is sorted; equal images have only kept layers.
///
/// It prints as text for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ImageDiff {
    /// The digest of the old image.
    pub old: Digest,
    /// The digest of the new image.
    pub new: Digest,
    /// The layers of both, the lowest first, where a layer is what it is unpacked.
    pub layers: Vec<LayerDifference>,
    /// The files that are not the same, by path.
    pub files: Vec<FileDifference>,
    /// The fields of the configuration that are not the same, by name.
    pub config: Vec<ConfigDifference>,
}

impl ImageDiff {
    /// Compares two images.
    ///
    /// Each layer is read once for its names; what is in a layer that both share at their bottom is never compared
    /// again. Contents are compared only where sizes are equal and the layers are not, by digest, in one more pass over
    /// the layers that have any. Contents are never held in memory.
    ///
    /// When a file was last changed is not looked at.
    ///
    /// # Errors
    /// Those of reading the layers, such as [`Corrupt`](patchkit_core::ErrorKind::Corrupt).
    pub async fn of(old: &Image, new: &Image, cx: &Context) -> Result<Self> {
        let files = files::compare(old, new, cx).await.map_err(|error| error.during("compare images"))?;
        Ok(Self {
            old: *old.digest(),
            new: *new.digest(),
            layers: layers::compare(old.layers(), new.layers()),
            files,
            config: config::compare(&old.config().json(), &new.config().json()),
        })
    }

    /// Whether a container would see no difference: no file and no field of the configuration is another.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.files.is_empty() && self.config.is_empty()
    }
}
