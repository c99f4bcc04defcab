//! Image manifests and indexes, OCI's and Docker's, kept byte for byte.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::document::{self, check_descriptor};
use crate::{Descriptor, Digest, Error, ManifestBytes, MediaType, Result};

/// An image manifest: the bytes it came as, and what they say.
#[derive(Clone, Debug)]
pub struct Manifest {
    bytes: ManifestBytes,
    document: Document,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<MediaType>,
    #[serde(default)]
    artifact_type: Option<MediaType>,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Manifest {
    /// Reads a manifest.
    ///
    /// # Errors
    /// [`Unsupported`](crate::ErrorKind::Unsupported) for another media type or schema version, or one of more than
    /// 4 MiB, or digests of an unknown algorithm; [`Corrupt`](crate::ErrorKind::Corrupt) for anything that is not what
    /// the specification says, or that readers could read differently: a name twice or in another spelling, no layer,
    /// or the entries of an index beside.
    pub fn parse(bytes: &ManifestBytes) -> Result<Self> {
        if !bytes.media_type.is_manifest() {
            return Err(Error::unsupported(format!("{} is not an image manifest", bytes.media_type)));
        }
        let json = read("manifest", bytes, &["config", "layers"], &["manifests", "fsLayers"])?;
        check_descriptor("manifest: config", json.get("config").unwrap_or(&Value::Null))?;
        check_descriptors("manifest: layers", json.get("layers"))?;
        let document: Document = document::typed("manifest", &json)?;
        if document.layers.is_empty() {
            return Err(Error::corrupt("manifest: there is no layer"));
        }
        check("manifest", bytes, document.schema_version, document.media_type.as_ref())?;
        Ok(Self { bytes: bytes.clone(), document })
    }

    /// The manifest's own descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        let artifact_type = self.document.artifact_type.clone();
        Descriptor { artifact_type, ..self.bytes.descriptor() }
    }

    /// The manifest as it travels.
    #[must_use]
    pub fn bytes(&self) -> &ManifestBytes {
        &self.bytes
    }

    /// The descriptor of the configuration.
    #[must_use]
    pub fn config(&self) -> &Descriptor {
        &self.document.config
    }

    /// The descriptors of the layers, the lowest first.
    #[must_use]
    pub fn layers(&self) -> &[Descriptor] {
        &self.document.layers
    }

    /// What kind of artifact it is, where it is no plain image.
    #[must_use]
    pub fn artifact_type(&self) -> Option<&MediaType> {
        self.document.artifact_type.as_ref()
    }

    /// The manifest that this one refers to.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        self.document.subject.as_ref()
    }

    /// Words about the image.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.document.annotations
    }

    /// The document as JSON, with everything that this library knows nothing of.
    pub(super) fn json(&self) -> Map<String, Value> {
        object(&self.bytes.bytes)
    }

    /// The manifest with this content.
    pub(super) fn from_json(media_type: MediaType, json: &Map<String, Value>) -> Result<Self> {
        Self::parse(&ManifestBytes { media_type, bytes: render(json) })
    }
}

/// An index of manifests, one a platform.
#[derive(Clone, Debug)]
pub struct Index {
    bytes: ManifestBytes,
    document: IndexDocument,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct IndexDocument {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<MediaType>,
    manifests: Vec<Descriptor>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Index {
    /// Reads an index.
    ///
    /// # Errors
    /// As [`Manifest::parse`].
    pub fn parse(bytes: &ManifestBytes) -> Result<Self> {
        if !bytes.media_type.is_index() {
            return Err(Error::unsupported(format!("{} is not an index", bytes.media_type)));
        }
        let json = read("index", bytes, &["manifests"], &["config", "layers", "fsLayers"])?;
        check_descriptors("index: manifests", json.get("manifests"))?;
        let document: IndexDocument = document::typed("index", &json)?;
        check("index", bytes, document.schema_version, document.media_type.as_ref())?;
        Ok(Self { bytes: bytes.clone(), document })
    }

    /// An OCI index of these manifests.
    pub(super) fn of<'a>(manifests: impl Iterator<Item = &'a Descriptor>) -> Result<Self> {
        let manifests: Vec<_> = manifests.collect();
        let media_type = MediaType::OCI_INDEX;
        let json = serde_json::json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        let bytes = serde_json::to_vec(&json).expect("a JSON value has only string keys").into();
        Self::parse(&ManifestBytes { media_type, bytes })
    }

    /// The index as it travels.
    #[must_use]
    pub fn bytes(&self) -> &ManifestBytes {
        &self.bytes
    }

    /// The descriptors of everything in it, in its order.
    #[must_use]
    pub fn manifests(&self) -> &[Descriptor] {
        &self.document.manifests
    }

    /// Words about the index.
    #[must_use]
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.document.annotations
    }

    /// The index with some manifests replaced and everything else as it was, but for entries that speak about what was
    /// replaced: BuildKit's attestations name it in an annotation, and would now speak about something else.
    pub(super) fn replaced(&self, replace: impl Fn(&Digest) -> Option<Descriptor>) -> Result<Self> {
        let mut json = object(&self.bytes.bytes);
        let replaced = |old: &Digest| replace(old).filter(|new| new.digest != *old);
        let entries = json.get_mut("manifests").and_then(Value::as_array_mut).map(std::mem::take);
        let entries = entries.into_iter().flatten().zip(&self.document.manifests);
        let entries = entries.filter(|(_, old)| about(old).is_none_or(|subject| replaced(&subject).is_none()));
        let entries: Vec<Value> = entries.map(|(entry, old)| with(entry, replaced(&old.digest))).collect();
        json.insert("manifests".into(), entries.into());
        Self::parse(&ManifestBytes { media_type: self.bytes.media_type.clone(), bytes: render(&json) })
    }
}

/// The digest of the manifest that an entry of an index only speaks about.
fn about(entry: &Descriptor) -> Option<Digest> {
    entry.annotations.get("vnd.docker.reference.digest")?.parse().ok()
}

/// An entry of an index that names another manifest; content of the old one that it brought along goes.
fn with(mut entry: Value, new: Option<Descriptor>) -> Value {
    if let (Some(new), Some(entry)) = (new, entry.as_object_mut()) {
        entry.insert("mediaType".into(), new.media_type.as_str().into());
        entry.insert("digest".into(), new.digest.to_string().into());
        entry.insert("size".into(), new.size.into());
        entry.shift_remove("data");
        entry.shift_remove("urls");
    }
    entry
}

/// Reads a document and checks what manifests and indexes have in common. What only the other kind has must not be
/// there, in any spelling: a reader that looks for that would see another image (CVE-2021-41190).
fn read(what: &str, bytes: &ManifestBytes, own: &[&str], foreign: &[&str]) -> Result<Map<String, Value>> {
    let json = document::read(what, &bytes.bytes)?;
    let common = ["annotations", "artifactType", "mediaType", "schemaVersion", "subject"];
    document::check_spelling(what, &json, &[&common[..], own, foreign].concat())?;
    if let Some(both) = foreign.iter().find(|name| json.contains_key(**name)) {
        return Err(Error::corrupt(format!("{what}: it has {both:?}, as another kind of document has")));
    }
    if let Some(subject) = json.get("subject").filter(|subject| !subject.is_null()) {
        check_descriptor(&format!("{what}: subject"), subject)?;
    }
    for name in ["mediaType", "artifactType"] {
        let text = json.get(name).and_then(Value::as_str);
        if text.is_some_and(|text| !text.is_empty() && !document::is_media_type(text)) {
            return Err(Error::corrupt(format!("{what}: the {name} is none (RFC 6838, 4.2)")));
        }
    }
    Ok(json)
}

fn check_descriptors(what: &str, list: Option<&Value>) -> Result<()> {
    let mut list = list.and_then(Value::as_array).into_iter().flatten().enumerate();
    list.try_for_each(|(index, entry)| check_descriptor(&format!("{what}: {index}"), entry))
}

fn check(what: &str, bytes: &ManifestBytes, schema: u32, named: Option<&MediaType>) -> Result<()> {
    if schema != 2 {
        return Err(Error::unsupported(format!("{what} of schema version {schema}")));
    }
    match named {
        Some(named) if *named != bytes.media_type => {
            Err(Error::corrupt(format!("{what} says it is {named}, but came as {}", bytes.media_type)))
        }
        _ => Ok(()),
    }
}

fn object(bytes: &Bytes) -> Map<String, Value> {
    serde_json::from_slice(bytes).expect("it was read as an object before")
}

/// JSON as it is written everywhere here: compact, fields in the order they came.
pub(super) fn render(json: &Map<String, Value>) -> Bytes {
    serde_json::to_vec(json).expect("a JSON value has only string keys").into()
}
