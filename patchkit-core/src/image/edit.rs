//! A changed copy of an image, described step by step and made at once.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::{Config, Image, Layer, manifest, manifest::Manifest};
use crate::{Descriptor, Error, MediaType, Result};

/// Changes to an image, collected until [`finish`](Self::finish).
///
/// Everything that is not changed stays as it was, byte for byte where a document is untouched, field for field where
/// it is not, with fields that this library knows nothing of.
#[derive(Clone, Debug)]
#[must_use]
pub struct Edit {
    image: Image,
    layers: Vec<(Layer, Value)>,
    labels: BTreeMap<String, Option<String>>,
    annotations: BTreeMap<String, Option<String>>,
    config: Map<String, Value>,
    created: Option<Timestamp>,
}

impl Edit {
    pub(super) fn of(image: &Image) -> Self {
        Self {
            image: image.clone(),
            layers: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
            config: Map::new(),
            created: None,
        }
    }

    /// Puts a layer on top; `created_by` is what the image's history will say of it.
    pub fn append(mut self, layer: Layer, created_by: &str) -> Self {
        self.layers.push((layer, json!({ "created_by": created_by })));
        self
    }

    /// Sets a label of the configuration.
    pub fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.insert(key.into(), Some(value.into()));
        self
    }

    /// Removes a label of the configuration.
    pub fn without_label(mut self, key: impl Into<String>) -> Self {
        self.labels.insert(key.into(), None);
        self
    }

    /// Sets an annotation of the manifest.
    pub fn annotation(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), Some(value.into()));
        self
    }

    /// Removes an annotation of the manifest.
    pub fn without_annotation(mut self, key: impl Into<String>) -> Self {
        self.annotations.insert(key.into(), None);
        self
    }

    /// Sets a field of the execution parameters, such as `User` or `Env`, in the specification's spelling.
    pub fn config(mut self, field: impl Into<String>, value: Value) -> Self {
        self.config.insert(field.into(), value);
        self
    }

    /// Sets the time of creation of the image and of the history of new layers.
    pub fn created(mut self, at: Timestamp) -> Self {
        self.created = Some(at);
        self
    }

    /// Makes the new image; its digest is known at once.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where the old configuration has something else where an object or a list
    /// belongs; [`Unsupported`](crate::ErrorKind::Unsupported) for a zstd layer on a Docker manifest, which has no type
    /// for it.
    pub fn finish(self) -> Result<Image> {
        let config = self.edited_config()?;
        let manifest = self.edited_manifest(&config)?;
        let old = self.image.layers().iter().map(Layer::blob);
        let blobs = old.chain(self.layers.iter().map(|(layer, _)| layer.blob())).cloned().collect();
        Image::assemble(manifest, config, blobs)
    }

    fn edited_config(&self) -> Result<Config> {
        let mut json = self.image.config().json();
        if let Some(created) = self.created {
            json.insert("created".into(), created.to_string().into());
        }
        if !self.labels.is_empty() || !self.config.is_empty() {
            let execution = object(&mut json, "config")?;
            for (field, value) in &self.config {
                execution.insert(field.clone(), value.clone());
            }
            if !self.labels.is_empty() {
                merge(object(execution, "Labels")?, &self.labels);
            }
        }
        if !self.layers.is_empty() && self.image.config().history_layers().is_none() {
            // A history must speak of every layer or of none.
            let before = self.image.layers().iter().map(|_| json!({}));
            list(&mut json, "history")?.extend(before);
        }
        for (layer, history) in &self.layers {
            list(object(&mut json, "rootfs")?, "diff_ids")?.push(layer.diff_id().to_string().into());
            let mut history = history.clone();
            if let Some(created) = self.created {
                history["created"] = created.to_string().into();
            }
            list(&mut json, "history")?.push(history);
        }
        Config::parse(manifest::render(&json))
    }

    fn edited_manifest(&self, config: &Config) -> Result<Manifest> {
        let old = self.image.manifest();
        let mut json = old.json();
        let entry = object(&mut json, "config")?;
        entry.insert("digest".into(), config.digest().to_string().into());
        entry.insert("size".into(), config.bytes().len().into());
        for (layer, _) in &self.layers {
            let descriptor = spoken(layer.blob().descriptor(), &old.bytes().media_type)?;
            list(&mut json, "layers")?.push(json!(descriptor));
        }
        if !self.annotations.is_empty() {
            merge(object(&mut json, "annotations")?, &self.annotations);
        }
        Manifest::from_json(old.bytes().media_type.clone(), &json)
    }
}

/// The descriptor of a layer with the media type that its manifest's family has for it.
fn spoken(layer: &Descriptor, manifest: &MediaType) -> Result<Descriptor> {
    if *manifest != MediaType::DOCKER_MANIFEST {
        return Ok(layer.clone());
    }
    let media_type = match &layer.media_type {
        t if *t == MediaType::OCI_LAYER => MediaType::DOCKER_LAYER,
        t if *t == MediaType::OCI_LAYER_GZIP => MediaType::DOCKER_LAYER_GZIP,
        t if *t == MediaType::OCI_LAYER_ZSTD => {
            return Err(Error::unsupported("a Docker manifest cannot have a zstd layer"));
        }
        other => other.clone(),
    };
    Ok(Descriptor { media_type, ..layer.clone() })
}

fn merge(into: &mut Map<String, Value>, changes: &BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => into.insert(key.clone(), value.clone().into()),
            None => into.shift_remove(key),
        };
    }
}

fn object<'a>(json: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Map<String, Value>> {
    let entry = json.entry(field).or_insert(Value::Null);
    if entry.is_null() {
        *entry = json!({});
    }
    entry.as_object_mut().ok_or_else(|| Error::corrupt(format!("{field:?} is no object")))
}

fn list<'a>(json: &'a mut Map<String, Value>, field: &str) -> Result<&'a mut Vec<Value>> {
    let entry = json.entry(field).or_insert(Value::Null);
    if entry.is_null() {
        *entry = json!([]);
    }
    entry.as_array_mut().ok_or_else(|| Error::corrupt(format!("{field:?} is no list")))
}
