//! What `docker save` and `podman save` write (Docker image specification v1.2, "Combined Image JSON + Filesystem
//! Changeset Format", and Docker 25's, which is an OCI layout besides).

use std::{collections::HashMap, io::Write};

use patchkit_core::{Config, Descriptor, Digest, Error, Hasher, MediaType, Reference, Result};
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use super::tar::Members;
use crate::{
    file::FilePart,
    layout::{IndexFile, MAX_MANIFEST},
};

/// How much is hashed at once.
const PIECE: u64 = 1 << 20;

/// An image in a `manifest.json` of Docker's.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct DockerImage {
    /// The member that is the configuration.
    pub config: String,
    /// The full names of the image.
    #[serde(default, deserialize_with = "or_nothing")]
    pub repo_tags: Vec<String>,
    /// The members that are the layers, the lowest first.
    #[serde(default, deserialize_with = "or_nothing")]
    pub layers: Vec<String>,
}

/// A `manifest.json` that is none of Docker's.
#[derive(Debug, Error)]
#[error(transparent)]
pub struct ParseDockerManifestError(#[from] serde_json::Error);

/// Reads the `manifest.json` of an archive of Docker's.
///
/// # Errors
/// [`ParseDockerManifestError`].
pub fn parse_docker_manifest(bytes: &[u8]) -> Result<Vec<DockerImage>, ParseDockerManifestError> {
    Ok(serde_json::from_slice(bytes)?)
}

fn or_nothing<'de, D: serde::Deserializer<'de>>(json: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(json)?.unwrap_or_default())
}

/// The images of an archive as a layout would have them.
pub(super) struct Converted {
    pub(super) index: IndexFile,
    pub(super) blobs: HashMap<Digest, FilePart>,
}

/// Describes images that have no manifest of OCI's: makes one of the configuration and the layers as they are stored.
pub(super) fn convert(images: &[DockerImage], archive: &FilePart, members: &Members) -> Result<Converted> {
    let mut source = Source { archive, members, blobs: HashMap::new(), layers: HashMap::new() };
    let mut manifests = Vec::new();
    for image in images {
        let (descriptor, bytes) = source.manifest(image).map_err(|error| error.on(&image.config))?;
        manifests.push((descriptor, bytes, image));
    }
    let mut index = IndexFile::default();
    let mut file = tempfile::tempfile().map_err(unwritten)?;
    let mut offset = 0;
    for (descriptor, bytes, image) in &manifests {
        file.write_all(bytes).map_err(unwritten)?;
        enter(&mut index, descriptor, image)?;
    }
    let made = FilePart::whole(file).map_err(unwritten)?;
    for (descriptor, bytes, _) in &manifests {
        let len = bytes.len() as u64;
        source.blobs.insert(descriptor.digest, made.part(offset, len));
        offset += len;
    }
    Ok(Converted { index, blobs: source.blobs })
}

fn unwritten(error: std::io::Error) -> Error {
    Error::unexpected(format!("cannot keep the manifests that were made: {error}")).because(error)
}

fn enter(index: &mut IndexFile, descriptor: &Descriptor, image: &DockerImage) -> Result<()> {
    for name in &image.repo_tags {
        let reference: Reference = name.parse().map_err(|error| Error::corrupt(format!("RepoTags: {error}")))?;
        index.point(&reference.to_string(), descriptor);
    }
    if image.repo_tags.is_empty() {
        index.list(descriptor);
    }
    Ok(())
}

struct Source<'a> {
    archive: &'a FilePart,
    members: &'a Members,
    blobs: HashMap<Digest, FilePart>,
    /// What was found out of the compressed layers, by where they begin.
    layers: HashMap<u64, Digest>,
}

impl Source<'_> {
    fn manifest(&mut self, image: &DockerImage) -> Result<(Descriptor, Vec<u8>)> {
        let (_, part) = self.member(&image.config)?;
        let config = Config::parse(part.read(MAX_MANIFEST)?)?;
        let (diff_ids, layers) = (config.diff_ids(), &image.layers);
        if diff_ids.len() != layers.len() {
            let message = format!("{} layers, but {} diff ids in the configuration", layers.len(), diff_ids.len());
            return Err(Error::corrupt(message));
        }
        let layers = layers.iter().zip(diff_ids).map(|(name, diff_id)| self.layer(name, diff_id));
        let layers = layers.collect::<Result<Vec<_>>>()?;
        self.blobs.insert(config.digest(), part);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MediaType::OCI_MANIFEST,
            "config": Descriptor::of(MediaType::OCI_CONFIG, config.bytes()),
            "layers": layers,
        });
        let bytes = manifest.to_string().into_bytes();
        let platform = Some(config.platform()?);
        Ok((Descriptor { platform, ..Descriptor::of(MediaType::OCI_MANIFEST, &bytes) }, bytes))
    }

    /// A layer as it is stored. That an uncompressed one has its diff id is found out when it is read.
    fn layer(&mut self, name: &str, diff_id: &Digest) -> Result<Descriptor> {
        let (start, part) = self.member(name)?;
        let media_type = layer_type(&part)?;
        let digest = match (media_type == MediaType::OCI_LAYER, self.layers.get(&start)) {
            (true, _) => *diff_id,
            (false, Some(known)) => *known,
            (false, None) => hash(&part)?,
        };
        self.layers.insert(start, digest);
        let descriptor = Descriptor::new(media_type, digest, part.len());
        self.blobs.insert(digest, part);
        Ok(descriptor)
    }

    fn member(&self, name: &str) -> Result<(u64, FilePart)> {
        let found = self.members.get(name);
        let (start, len) =
            found.ok_or_else(|| Error::corrupt(format!("manifest.json names {name:?}, which is not there")))?;
        Ok((start, self.archive.part(start, len)))
    }
}

/// How a layer is compressed, by its first bytes.
fn layer_type(layer: &FilePart) -> Result<MediaType> {
    let mut magic = [0; 4];
    let len = layer.len().min(4);
    let read = &mut magic[..usize::try_from(len).expect("it is at most 4")];
    layer.fill(read, 0).map_err(|error| Error::unexpected(format!("cannot read: {error}")).because(error))?;
    Ok(match magic {
        [0x1f, 0x8b, ..] => MediaType::OCI_LAYER_GZIP,
        [0x28, 0xb5, 0x2f, 0xfd] => MediaType::OCI_LAYER_ZSTD,
        _ => MediaType::OCI_LAYER,
    })
}

fn hash(part: &FilePart) -> Result<Digest> {
    let mut hasher = Hasher::default();
    let mut offset = 0;
    while offset < part.len() {
        let len = PIECE.min(part.len() - offset);
        hasher.update(&part.part(offset, len).read(PIECE)?);
        offset += len;
    }
    Ok(hasher.finish())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lists_may_be_null() {
        let images =
            parse_docker_manifest(br#"[{"Config":"a.json","RepoTags":null,"Layers":["x/layer.tar"]}]"#).unwrap();
        assert_eq!((images[0].repo_tags.len(), images[0].layers.len()), (0, 1));
        assert!(parse_docker_manifest(br#"[{"RepoTags":[]}]"#).is_err());
        assert!(parse_docker_manifest(b"{}").is_err());
    }

    proptest! {
        #[test]
        fn never_panics(text in "\\PC{0,80}") {
            let _ = parse_docker_manifest(text.as_bytes());
        }
    }
}
