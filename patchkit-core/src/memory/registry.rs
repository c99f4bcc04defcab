use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard},
};

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;

use crate::{
    Blob, ByteRange, ByteStream, Context, Current, DeleteManifest, Descriptor, Digest, Error, ListTags, ManifestBytes,
    MediaType, Plugin, PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

/// A registry in memory. Clones share the content.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// use patchkit_core::{Blob, ByteRange, Context, MediaType, Registry, memory::MemoryRegistry};
///
/// let (registry, cx) = (MemoryRegistry::default(), Context::new());
/// let repository = "example.org/app".parse()?;
/// let blob = Blob::of(MediaType::OCI_LAYER, "hello");
/// registry.put_blob(&repository, &blob, &cx).await?;
/// let read = registry.blob(&repository, &blob.descriptor().digest, ByteRange::FULL, &cx).await?;
/// assert_eq!(read.collect(100).await?, "hello");
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct MemoryRegistry(Arc<RwLock<HashMap<Repository, Content>>>);

#[derive(Debug, Default)]
struct Content {
    blobs: HashMap<Digest, Bytes>,
    manifests: BTreeMap<Digest, ManifestBytes>,
    tags: BTreeMap<String, Digest>,
}

impl MemoryRegistry {
    fn read(&self) -> RwLockReadGuard<'_, HashMap<Repository, Content>> {
        self.0.read().expect("nobody panics while holding the lock")
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<Repository, Content>> {
        self.0.write().expect("nobody panics while holding the lock")
    }
}

impl Plugin for MemoryRegistry {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("memory", env!("CARGO_PKG_VERSION"))
    }
}

#[async_trait]
impl Registry for MemoryRegistry {
    async fn resolve(&self, reference: &Reference, _cx: &Context) -> Result<Descriptor> {
        let all = self.read();
        let content = all.get(reference.repository()).ok_or_else(|| no_such("repository", reference))?;
        let digest = match (reference.tag(), reference.digest()) {
            (Some(tag), expected) => {
                let found = content.tags.get(tag).ok_or_else(|| no_such("tag", reference))?;
                if expected.is_some_and(|expected| expected != found) {
                    return Err(Error::conflict(format!("the tag points to {found}")).on(reference));
                }
                found
            }
            (None, Some(digest)) => digest,
            (None, None) => return Err(Error::invalid("neither tag nor digest").on(reference)),
        };
        let manifest = content.manifests.get(digest).ok_or_else(|| no_such("manifest", reference))?;
        Ok(manifest.descriptor())
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, _cx: &Context) -> Result<ManifestBytes> {
        let all = self.read();
        let found = all.get(repository).and_then(|content| content.manifests.get(digest));
        found.cloned().ok_or_else(|| no_such("manifest", digest))
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        _cx: &Context,
    ) -> Result<ByteStream> {
        let all = self.read();
        let found = all.get(repository).and_then(|content| content.blobs.get(digest));
        let bytes = found.ok_or_else(|| no_such("blob", digest))?;
        let part = range.of(bytes).ok_or_else(|| Error::invalid(format!("range {range:?}")).on(digest))?;
        Ok(ByteStream::of(part))
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let bytes = blob.read(cx).await?;
        self.write().entry(repository.clone()).or_default().blobs.insert(blob.descriptor().digest, bytes);
        Ok(())
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        _cx: &Context,
    ) -> Result<Descriptor> {
        let descriptor = manifest.descriptor();
        if let Some(expected) = reference.digest().filter(|expected| **expected != descriptor.digest) {
            return Err(Error::corrupt(format!("the manifest has the digest {}", descriptor.digest)).on(expected));
        }
        let parts = Parts::of(manifest)?;
        let mut all = self.write();
        let content = all.entry(reference.repository().clone()).or_default();
        parts.are_in(content).map_err(|error| error.on(reference))?;
        if let Some(tag) = reference.tag() {
            check_current(options.if_current, content.tags.get(tag)).map_err(|error| error.on(reference))?;
            content.tags.insert(tag.into(), descriptor.digest);
        }
        content.manifests.insert(descriptor.digest, manifest.clone());
        Ok(descriptor)
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        _cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        let all = self.read();
        let manifests = all.get(repository).into_iter().flat_map(|content| content.manifests.values());
        let mut referrers = Vec::new();
        for manifest in manifests {
            let parts = Parts::of(manifest)?;
            if parts.subject.as_ref().is_some_and(|subject| subject.digest == *digest) {
                referrers.push(parts.described(manifest));
            }
        }
        referrers.retain(|found| filter.artifact_type.is_none() || found.artifact_type == filter.artifact_type);
        Ok(referrers)
    }
}

#[async_trait]
impl ListTags for MemoryRegistry {
    async fn tags(&self, repository: &Repository, _cx: &Context) -> Result<Vec<String>> {
        let all = self.read();
        let content = all.get(repository).ok_or_else(|| no_such("repository", repository))?;
        Ok(content.tags.keys().cloned().collect())
    }
}

#[async_trait]
impl DeleteManifest for MemoryRegistry {
    async fn delete(&self, reference: &Reference, _cx: &Context) -> Result<()> {
        let mut all = self.write();
        let content = all.get_mut(reference.repository()).ok_or_else(|| no_such("repository", reference))?;
        if let Some(tag) = reference.tag() {
            return content.tags.remove(tag).map(drop).ok_or_else(|| no_such("tag", reference));
        }
        let digest = reference.digest().ok_or_else(|| Error::invalid("neither tag nor digest").on(reference))?;
        content.manifests.remove(digest).ok_or_else(|| no_such("manifest", reference))?;
        content.tags.retain(|_, target| target != digest);
        Ok(())
    }
}

fn no_such(what: &str, subject: impl std::fmt::Display) -> Error {
    Error::not_found(format!("no such {what}")).on(subject)
}

fn check_current(expected: Option<Current>, found: Option<&Digest>) -> Result<()> {
    match (expected, found) {
        (Some(Current::Absent), Some(found)) => Err(Error::conflict(format!("the tag exists and points to {found}"))),
        (Some(Current::Is(digest)), found) if found != Some(&digest) => {
            let found = found.map_or("is gone".into(), |found| format!("points to {found}"));
            Err(Error::conflict(format!("the tag no longer points to {digest}, it {found}")))
        }
        _ => Ok(()),
    }
}

/// What a manifest or index names.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parts {
    #[serde(default)]
    config: Option<Descriptor>,
    #[serde(default)]
    layers: Vec<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
    #[serde(default)]
    subject: Option<Descriptor>,
    #[serde(default)]
    artifact_type: Option<MediaType>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
}

impl Parts {
    fn of(manifest: &ManifestBytes) -> Result<Self> {
        serde_json::from_slice(&manifest.bytes).map_err(|error| Error::invalid(format!("manifest: {error}")))
    }

    /// Checks that everything the manifest is made of is there. The subject need not be.
    fn are_in(&self, content: &Content) -> Result<()> {
        let mut blobs = self.config.iter().chain(&self.layers);
        if let Some(missing) = blobs.find(|blob| !content.blobs.contains_key(&blob.digest)) {
            return Err(Error::invalid(format!("the manifest names the blob {}, which is not there", missing.digest)));
        }
        let mut manifests = self.manifests.iter();
        if let Some(missing) = manifests.find(|entry| !content.manifests.contains_key(&entry.digest)) {
            let message = format!("the index names the manifest {}, which is not there", missing.digest);
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// The descriptor of a referrer, as the distribution specification has it.
    fn described(self, manifest: &ManifestBytes) -> Descriptor {
        let artifact_type = self.artifact_type.or_else(|| self.config.map(|config| config.media_type));
        Descriptor { artifact_type, annotations: self.annotations, ..manifest.descriptor() }
    }
}
