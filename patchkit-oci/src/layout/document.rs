//! What a manifest or an index says that a store must know: its type, what it names, what it refers to.

use std::collections::BTreeMap;

use patchkit_core::{Descriptor, Digest, Error, ManifestBytes, MediaType, Result};
use serde::Deserialize;

/// The most bytes of a manifest: 4 MiB, as registries limit them.
pub(crate) const MAX_MANIFEST: u64 = 4 << 20;

/// The fields of manifests and indexes, OCI's and Docker's, that matter to a store.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Document {
    schema_version: u32,
    media_type: Option<MediaType>,
    artifact_type: Option<MediaType>,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
    subject: Option<Descriptor>,
    annotations: Option<BTreeMap<String, String>>,
}

impl Document {
    /// Reads a manifest or an index.
    ///
    /// # Errors
    /// `Corrupt` where it is neither; `Unsupported` for another schema version or media type.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self> {
        let document: Self = serde_json::from_slice(bytes)
            .map_err(|error| Error::corrupt(format!("manifest: {error}")).because(error))?;
        if document.schema_version != 2 {
            let message = format!("manifest of schema version {}", document.schema_version);
            return Err(Error::unsupported(message));
        }
        document.media_type()?;
        Ok(document)
    }

    /// Reads a manifest that came with a media type, which must be what it says itself.
    pub(crate) fn of(manifest: &ManifestBytes) -> Result<Self> {
        if manifest.bytes.len() as u64 > MAX_MANIFEST {
            let message = format!("manifest of {} bytes, more than {MAX_MANIFEST}", manifest.bytes.len());
            return Err(Error::unsupported(message));
        }
        let document = Self::parse(&manifest.bytes)?;
        let found = document.media_type()?;
        if found != manifest.media_type {
            let message = format!("manifest: it is {found}, but came as {}", manifest.media_type);
            return Err(Error::corrupt(message));
        }
        Ok(document)
    }

    /// The media type that it names, or that follows from its shape where it names none, as OCI allows.
    pub(crate) fn media_type(&self) -> Result<MediaType> {
        let (image, index) = (self.config.is_some() && self.layers.is_some(), self.manifests.is_some());
        match (&self.media_type, image, index) {
            (Some(named), true, false) if named.is_manifest() => Ok(named.clone()),
            (Some(named), false, true) if named.is_index() => Ok(named.clone()),
            (None, true, false) => Ok(MediaType::OCI_MANIFEST),
            (None, false, true) => Ok(MediaType::OCI_INDEX),
            (Some(named), ..) if !named.is_manifest() && !named.is_index() => {
                Err(Error::unsupported(format!("manifest of the type {named}")))
            }
            _ => Err(Error::corrupt("manifest: neither an image (config, layers) nor an index (manifests)")),
        }
    }

    /// The blobs that must be there for it to be whole. Layers that may not be distributed are kept elsewhere.
    pub(crate) fn blobs(&self) -> impl Iterator<Item = &Descriptor> {
        let layers = self.layers.iter().flatten().filter(|layer| !is_foreign(&layer.media_type));
        self.config.iter().chain(layers)
    }

    /// The manifests that must be there for it to be whole.
    pub(crate) fn manifests(&self) -> impl Iterator<Item = &Descriptor> {
        self.manifests.iter().flatten()
    }

    /// The digest of the manifest it refers to.
    pub(crate) fn subject(&self) -> Option<&Digest> {
        self.subject.as_ref().map(|subject| &subject.digest)
    }

    /// How a list of referrers describes it (distribution specification, "Listing Referrers").
    pub(crate) fn referrer(&self, digest: Digest, size: u64) -> Result<Descriptor> {
        let config = self.config.as_ref().map(|config| config.media_type.clone());
        Ok(Descriptor {
            artifact_type: self.artifact_type.clone().or(config),
            annotations: self.annotations.clone().unwrap_or_default(),
            ..Descriptor::new(self.media_type()?, digest, size)
        })
    }

    /// Its own descriptor.
    pub(crate) fn descriptor(&self, digest: Digest, size: u64) -> Result<Descriptor> {
        let artifact_type = self.artifact_type.clone();
        Ok(Descriptor { artifact_type, ..Descriptor::new(self.media_type()?, digest, size) })
    }
}

fn is_foreign(layer: &MediaType) -> bool {
    layer.as_str().contains(".nondistributable.") || layer.as_str().contains(".foreign.")
}
