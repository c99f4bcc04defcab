//! Images: immutable, lazy, identified at once.
//!
//! An [`Image`] is one platform's manifest with its configuration and layers; an [`ImageSet`] is what a reference
//! names: one image, or an index of several. Both know their digest from the start and open a layer only when someone
//! reads it. Editing yields a new image and leaves the old one alone.

mod check;
mod codec;
mod companion;
mod config;
mod document;
mod edit;
mod entry;
mod limits;
mod manifest;
mod merge;
mod path;
mod set;
mod tar;
mod tree;
mod visit;

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

pub use check::{Fault, check};
pub use codec::{Compression, decompress};
pub use config::Config;
pub use edit::Edit;
pub use entry::{Entry, EntryKind, Metadata, NodeKind};
pub use limits::ReadLimits;
pub use manifest::{Index, Manifest};
pub use path::{FilePath, ParseFilePathError};
pub use set::ImageSet;
pub use tar::{LayerWriter, read_tar};
pub use tree::{FileTree, Node};
pub use visit::{LayerVisitor, list_layer};

use crate::{
    Blob, ByteRange, ByteStream, Context, Descriptor, Digest, Error, ManifestBytes, MediaType, Platform, Registry,
    Repository, Result, blob::BlobSource,
};

/// The most bytes of a manifest, an index or a configuration that are read: 4 MiB, as registries limit them.
const MAX_DOCUMENT: u64 = 4 << 20;

/// One platform's image.
#[derive(Clone)]
pub struct Image(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    descriptor: Descriptor,
    manifest: Manifest,
    config: Config,
    platform: Platform,
    layers: Vec<Layer>,
}

/// A layer of an image: a tar archive of changes, compressed or not.
#[derive(Clone, Debug)]
pub struct Layer {
    blob: Blob,
    diff_id: Digest,
}

impl Layer {
    /// The layer whose bytes are the blob and whose uncompressed bytes have the given digest.
    #[must_use]
    pub fn new(blob: Blob, diff_id: Digest) -> Self {
        Self { blob, diff_id }
    }

    /// The layer as it is stored.
    #[must_use]
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The digest of the layer's bytes as stored.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.blob.descriptor().digest
    }

    /// The digest of the uncompressed archive.
    #[must_use]
    pub fn diff_id(&self) -> &Digest {
        &self.diff_id
    }
}

impl Image {
    /// Opens the image whose manifest is in a registry: reads manifest and configuration, no layer.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where manifest and configuration do not fit each other;
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for a manifest that is no image's; those of the registry.
    pub async fn open(
        registry: Arc<dyn Registry>,
        repository: &Repository,
        digest: &Digest,
        cx: &Context,
    ) -> Result<Self> {
        let manifest = registry.manifest(repository, digest, cx).await?;
        Self::from_manifest(registry, repository, manifest, cx).await.map_err(|error| error.on(digest))
    }

    async fn from_manifest(
        registry: Arc<dyn Registry>,
        repository: &Repository,
        manifest: ManifestBytes,
        cx: &Context,
    ) -> Result<Self> {
        let manifest = Manifest::parse(&manifest)?;
        if !manifest.config().media_type.is_config() {
            let media_type = &manifest.config().media_type;
            return Err(Error::unsupported(format!("an artifact, not an image: its configuration is {media_type}")));
        }
        let blob = |descriptor: &Descriptor| {
            let source =
                RegistryBlob { registry: registry.clone(), repository: repository.clone(), digest: descriptor.digest };
            Blob::new(descriptor.clone(), Arc::new(source))
        };
        let config = blob(manifest.config());
        if config.descriptor().size > MAX_DOCUMENT {
            return Err(Error::unsupported(format!("a configuration of {} bytes", config.descriptor().size)));
        }
        let config = Config::parse(config.read(cx).await?)?;
        let blobs = manifest.layers().iter().map(blob).collect();
        Self::assemble(manifest, config, blobs)
    }

    /// Makes an image of some layers, the lowest first, with an OCI configuration that says nothing else.
    ///
    /// ```
    /// use patchkit_core::{Context, Image, image::{Compression, LayerWriter}};
    ///
    /// let layer = LayerWriter::new(Compression::default(), &Context::new())?.finish()?;
    /// let image = Image::of_layers(&"linux/arm64".parse().unwrap(), vec![layer])?;
    /// assert_eq!(image.platform().architecture(), "arm64");
    /// # Ok::<_, patchkit_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where there is no layer, which the specification does not allow.
    pub fn of_layers(platform: &Platform, layers: Vec<Layer>) -> Result<Self> {
        let diff_ids: Vec<_> = layers.iter().map(Layer::diff_id).collect();
        let mut config = json!({
            "architecture": platform.architecture(), "os": platform.os(),
            "rootfs": { "type": "layers", "diff_ids": diff_ids },
        });
        if let Some(variant) = platform.variant() {
            config["variant"] = variant.into();
        }
        let config = Config::parse(config.to_string().into())?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": Descriptor::of(MediaType::OCI_CONFIG, config.bytes()),
            "layers": layers.iter().map(|layer| layer.blob().descriptor()).collect::<Vec<_>>(),
        });
        let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
        let blobs = layers.into_iter().map(|layer| layer.blob).collect();
        Self::assemble(Manifest::parse(&manifest)?, config, blobs)
    }

    /// Puts an image together from its parts.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where the manifest does not name this configuration and these layers, or
    /// the configuration does not have a diff id for each layer.
    pub fn assemble(manifest: Manifest, config: Config, layers: Vec<Blob>) -> Result<Self> {
        if manifest.config().digest != config.digest() {
            return Err(Error::corrupt("the manifest names another configuration"));
        }
        let named = manifest.layers().iter().map(|layer| layer.digest);
        if !named.eq(layers.iter().map(|blob| blob.descriptor().digest)) {
            return Err(Error::corrupt("the manifest names other layers"));
        }
        let diff_ids = config.diff_ids();
        if diff_ids.len() != layers.len() {
            let message = format!("{} layers, but {} diff ids in the configuration", layers.len(), diff_ids.len());
            return Err(Error::corrupt(message));
        }
        let blobs = layers.into_iter().zip(manifest.layers()).map(|(blob, named)| blob.described(named.clone()));
        let layers = blobs.zip(diff_ids).map(|(blob, diff_id)| Layer::new(blob, *diff_id)).collect();
        let platform = config.platform()?;
        let descriptor = Descriptor { platform: Some(platform.clone()), ..manifest.descriptor() };
        Ok(Self(Arc::new(Inner { descriptor, manifest, config, platform, layers })))
    }

    /// The digest of the manifest: the image's identity.
    #[must_use]
    pub fn digest(&self) -> &Digest {
        &self.0.descriptor.digest
    }

    /// The descriptor of the manifest, with the platform.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.0.descriptor
    }

    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.0.manifest
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.0.config
    }

    /// The platform, as the configuration says.
    #[must_use]
    pub fn platform(&self) -> &Platform {
        &self.0.platform
    }

    /// The layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Layer] {
        &self.0.layers
    }

    /// Starts a changed copy.
    pub fn edit(&self) -> Edit {
        Edit::of(self)
    }

    /// Stores configuration, layers and manifest (without a tag) in a repository; what is there already is not sent.
    ///
    /// # Errors
    /// Those of reading the layers and of the registry.
    pub async fn push(&self, registry: &dyn Registry, repository: &Repository, cx: &Context) -> Result<()> {
        use futures::{StreamExt, TryStreamExt, stream};
        let config = Blob::of(self.manifest().config().media_type.clone(), self.config().bytes().clone());
        let mut blobs: Vec<Blob> = self.layers().iter().map(Layer::blob).cloned().collect();
        blobs.push(config);
        let puts = blobs.into_iter().map(|blob| async move { registry.put_blob(repository, &blob, cx).await });
        stream::iter(puts).buffer_unordered(PARALLEL_BLOBS).try_collect::<()>().await?;
        let reference = repository.digest(*self.digest());
        registry.put_manifest(&reference, self.manifest().bytes(), &Default::default(), cx).await?;
        Ok(())
    }
}

/// How many blobs of an image travel at once.
const PARALLEL_BLOBS: usize = 4;

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image")
            .field("digest", self.digest())
            .field("platform", self.platform())
            .field("layers", &self.layers().len())
            .finish_non_exhaustive()
    }
}

/// A blob that is read from a registry when someone wants it.
#[derive(Debug)]
struct RegistryBlob {
    registry: Arc<dyn Registry>,
    repository: Repository,
    digest: Digest,
}

#[async_trait]
impl BlobSource for RegistryBlob {
    async fn open(&self, range: ByteRange, cx: &Context) -> Result<ByteStream> {
        self.registry.blob(&self.repository, &self.digest, range, cx).await
    }

    fn origin(&self) -> Option<&Repository> {
        Some(&self.repository)
    }
}
