//! What content is and how to check it (OCI image specification, "Descriptors").

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::{Digest, Platform};

/// The kind of some content, an RFC 6838 media type.
///
/// The constants are those of the OCI image specification and of Docker's image manifest version 2, schema 2.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MediaType(std::borrow::Cow<'static, str>);

macro_rules! media_types {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        impl MediaType { $($(#[$doc])* pub const $name: Self = Self(std::borrow::Cow::Borrowed($text));)* }
    };
}

media_types! {
    /// An OCI image index.
    OCI_INDEX = "application/vnd.oci.image.index.v1+json";
    /// An OCI image manifest.
    OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json";
    /// An OCI image configuration.
    OCI_CONFIG = "application/vnd.oci.image.config.v1+json";
    /// The empty JSON object, `{}`.
    OCI_EMPTY = "application/vnd.oci.empty.v1+json";
    /// An uncompressed layer.
    OCI_LAYER = "application/vnd.oci.image.layer.v1.tar";
    /// A gzip layer.
    OCI_LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip";
    /// A zstd layer.
    OCI_LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd";
    /// Docker's manifest list.
    DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json";
    /// Docker's image manifest.
    DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json";
    /// Docker's image configuration.
    DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json";
    /// Docker's uncompressed layer.
    DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";
    /// Docker's gzip layer.
    DOCKER_LAYER_GZIP = "application/vnd.docker.image.rootfs.diff.tar.gzip";
}

impl MediaType {
    /// The media type of the given text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into().into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is an index of manifests, OCI's or Docker's.
    #[must_use]
    pub fn is_index(&self) -> bool {
        *self == Self::OCI_INDEX || *self == Self::DOCKER_INDEX
    }

    /// Whether it is an image configuration, OCI's or Docker's.
    #[must_use]
    pub fn is_config(&self) -> bool {
        *self == Self::OCI_CONFIG || *self == Self::DOCKER_CONFIG
    }

    /// Whether it is an image manifest, OCI's or Docker's.
    #[must_use]
    pub fn is_manifest(&self) -> bool {
        *self == Self::OCI_MANIFEST || *self == Self::DOCKER_MANIFEST
    }
}

impl fmt::Display for MediaType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Points at content: its type, digest and size, and what may be said of it without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: MediaType,
    /// The digest of the content.
    pub digest: Digest,
    /// The size of the content in bytes.
    pub size: u64,
    /// The type of an artifact, for a manifest that is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<MediaType>,
    /// The platform an image manifest is for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "platform_object")]
    pub platform: Option<Platform>,
    /// Arbitrary words about the content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

impl Descriptor {
    /// A descriptor with nothing optional.
    #[must_use]
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self { media_type, digest, size, artifact_type: None, platform: None, annotations: BTreeMap::new() }
    }

    /// The descriptor of some bytes (SHA-256).
    #[must_use]
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }
}

/// A platform as the object that a descriptor holds, while everywhere else it is a string.
mod platform_object {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    use crate::Platform;

    #[derive(Serialize, Deserialize)]
    struct Object {
        architecture: String,
        os: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        variant: Option<String>,
    }

    pub(super) fn serialize<S: Serializer>(platform: &Option<Platform>, s: S) -> Result<S::Ok, S::Error> {
        let object = platform.as_ref().map(|p| Object {
            architecture: p.architecture().into(),
            os: p.os().into(),
            variant: p.variant().map(Into::into),
        });
        object.serialize(s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Platform>, D::Error> {
        let Some(Object { architecture, os, variant }) = Option::<Object>::deserialize(d)? else {
            return Ok(None);
        };
        let variant = variant.as_deref().filter(|variant| !variant.is_empty());
        Platform::new(&os, &architecture, variant).map(Some).map_err(D::Error::custom)
    }
}
