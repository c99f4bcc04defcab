//! The configuration of an image, kept byte for byte with everything that this library knows nothing of.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{Digest, Error, Platform, Result};

/// An image configuration (OCI image specification, "Image Configuration"; Docker's is the same with more fields).
#[derive(Clone, Debug)]
pub struct Config {
    bytes: Bytes,
    document: Document,
}

#[derive(Clone, Debug, Deserialize)]
struct Document {
    architecture: String,
    os: String,
    #[serde(default)]
    variant: Option<String>,
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    config: Option<Execution>,
    rootfs: RootFs,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Execution {
    user: Option<String>,
    env: Option<Vec<String>>,
    entrypoint: Option<Vec<String>>,
    cmd: Option<Vec<String>>,
    working_dir: Option<String>,
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Clone, Debug, Deserialize)]
struct RootFs {
    diff_ids: Vec<Digest>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where it is not what the specification says.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        let document =
            serde_json::from_slice(&bytes).map_err(|error| Error::corrupt(format!("configuration: {error}")))?;
        Ok(Self { bytes, document })
    }

    /// The bytes, as they are stored.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The digest of the bytes: the image id of Docker.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(&self.bytes)
    }

    /// The platform.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where a name is none.
    pub fn platform(&self) -> Result<Platform> {
        let Document { os, architecture, variant, .. } = &self.document;
        let variant = variant.as_deref().filter(|variant| !variant.is_empty());
        Platform::new(os, architecture, variant).map_err(|error| Error::corrupt(format!("configuration: {error}")))
    }

    /// The digests of the uncompressed layers, the lowest first.
    #[must_use]
    pub fn diff_ids(&self) -> &[Digest] {
        &self.document.rootfs.diff_ids
    }

    /// When the image was made, RFC 3339, as it stands there.
    #[must_use]
    pub fn created(&self) -> Option<&str> {
        self.document.created.as_deref()
    }

    /// The labels.
    #[must_use]
    pub fn labels(&self) -> BTreeMap<&str, &str> {
        let labels = self.execution().and_then(|config| config.labels.as_ref());
        labels.into_iter().flatten().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    /// The environment, `NAME=value`.
    #[must_use]
    pub fn env(&self) -> &[String] {
        self.execution().and_then(|config| config.env.as_deref()).unwrap_or_default()
    }

    /// The entrypoint.
    #[must_use]
    pub fn entrypoint(&self) -> &[String] {
        self.execution().and_then(|config| config.entrypoint.as_deref()).unwrap_or_default()
    }

    /// The command, or the arguments of the entrypoint.
    #[must_use]
    pub fn cmd(&self) -> &[String] {
        self.execution().and_then(|config| config.cmd.as_deref()).unwrap_or_default()
    }

    /// The user, `name|uid[:group|gid]`; empty for root.
    #[must_use]
    pub fn user(&self) -> &str {
        self.execution().and_then(|config| config.user.as_deref()).unwrap_or_default()
    }

    /// The working directory; empty for the root.
    #[must_use]
    pub fn workdir(&self) -> &str {
        self.execution().and_then(|config| config.working_dir.as_deref()).unwrap_or_default()
    }

    fn execution(&self) -> Option<&Execution> {
        self.document.config.as_ref()
    }

    /// The document as JSON.
    #[must_use]
    pub fn json(&self) -> Map<String, Value> {
        serde_json::from_slice(&self.bytes).expect("it was read as an object before")
    }
}
