//! The configuration of an image, kept byte for byte with everything that this library knows nothing of.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::document;
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
    #[serde(default)]
    history: Option<Vec<History>>,
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
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    diff_ids: Vec<Digest>,
}

/// One step of how the image was made.
#[derive(Clone, Debug, Deserialize)]
struct History {
    #[serde(default)]
    created: Option<String>,
    #[serde(default)]
    empty_layer: Option<bool>,
}

impl Document {
    fn check(&self) -> Result<(), String> {
        if self.rootfs.kind != "layers" {
            return Err(format!("the type of the root file system is {:?}, not \"layers\"", self.rootfs.kind));
        }
        let times = self.history.iter().flatten().map(|step| &step.created).chain([&self.created]);
        if let Some(bad) = times.flatten().find(|time| !time.is_empty() && time.parse::<Timestamp>().is_err()) {
            return Err(format!("{bad:?} is no time (RFC 3339)"));
        }
        let env = self.config.as_ref().and_then(|config| config.env.as_ref());
        match env.into_iter().flatten().find(|variable| !variable.contains('=')) {
            Some(bad) => Err(format!("{bad:?} is no NAME=value")),
            None => Ok(()),
        }
    }
}

/// Refuses other spellings of what has a meaning.
fn check_names(json: &Map<String, Value>) -> Result<()> {
    const TOP: [&str; 10] = [
        "architecture",
        "author",
        "config",
        "created",
        "history",
        "os",
        "os.features",
        "os.version",
        "rootfs",
        "variant",
    ];
    const EXECUTION: [&str; 10] = [
        "ArgsEscaped",
        "Cmd",
        "Entrypoint",
        "Env",
        "ExposedPorts",
        "Labels",
        "StopSignal",
        "User",
        "Volumes",
        "WorkingDir",
    ];
    document::check_spelling("configuration", json, &TOP)?;
    let object = |name: &str| json.get(name).and_then(Value::as_object);
    if let Some(execution) = object("config") {
        document::check_spelling("configuration: config", execution, &EXECUTION)?;
    }
    if let Some(rootfs) = object("rootfs") {
        document::check_spelling("configuration: rootfs", rootfs, &["diff_ids", "type"])?;
    }
    Ok(())
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where it is not what the specification says, or where readers could read
    /// it differently; [`Unsupported`](crate::ErrorKind::Unsupported) for one of more than 4 MiB.
    pub fn parse(bytes: Bytes) -> Result<Self> {
        let json = document::read("configuration", &bytes)?;
        check_names(&json)?;
        let document: Document = document::typed("configuration", &json)?;
        // The rest of the specification's fields, for their types.
        document::typed::<oci_spec::image::ImageConfiguration>("configuration", &json)?;
        document.check().map_err(|why| Error::corrupt(format!("configuration: {why}")))?;
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

    /// How many layers the history speaks of; `None` where there is no history.
    #[must_use]
    pub fn history_layers(&self) -> Option<usize> {
        let history = self.document.history.as_ref().filter(|history| !history.is_empty())?;
        Some(history.iter().filter(|step| step.empty_layer != Some(true)).count())
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
