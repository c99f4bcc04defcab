//! What can be served: a registry, with what HTTP asks beyond the port.

use std::{
    collections::{HashMap, HashSet},
    sync::Mutex,
};

use async_trait::async_trait;
use futures::StreamExt;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, DeleteManifest, Descriptor, Digest, Error, ListTags, ManifestBytes, Plugin,
    PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

use crate::layout::Store;

/// How many sizes are remembered.
const MAX_SIZES: usize = 100_000;

/// A registry that can be served: it knows the size of a blob without reading it, which repositories there are, and
/// how to delete a blob. [`Plain`] makes one of any registry.
#[async_trait]
pub trait Hosted: ListTags + DeleteManifest {
    /// The host that repositories have on this side: `HOST` of `HOST/PATH`.
    fn host(&self) -> &str;

    /// The size of a blob in bytes; [`NotFound`](patchkit_core::ErrorKind::NotFound) where there is none.
    async fn blob_size(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<u64>;

    /// Deletes a blob, whoever names it.
    async fn delete_blob(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<()>;

    /// The paths of all repositories, sorted.
    async fn repositories(&self, cx: &Context) -> Result<Vec<String>>;
}

#[async_trait]
impl Hosted for Store {
    fn host(&self) -> &str {
        "localhost"
    }

    async fn blob_size(&self, repository: &Repository, digest: &Digest, _cx: &Context) -> Result<u64> {
        self.layout(repository).await?.blob_size(digest).await
    }

    async fn delete_blob(&self, repository: &Repository, digest: &Digest, _cx: &Context) -> Result<()> {
        self.layout(repository).await?.delete_blob(digest).await
    }

    async fn repositories(&self, _cx: &Context) -> Result<Vec<String>> {
        self.repositories().await
    }
}

/// Any registry, to be served as a host's. The size of a blob is found by reading it once; the list of repositories has
/// those that were named so far; blobs cannot be deleted.
#[derive(Debug)]
pub struct Plain<R> {
    registry: R,
    host: String,
    sizes: Mutex<HashMap<Digest, u64>>,
    seen: Mutex<HashSet<Repository>>,
}

impl<R: ListTags + DeleteManifest> Plain<R> {
    /// Serves the repositories of this host.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where it is no host.
    pub fn new(registry: R, host: &str) -> Result<Self> {
        let of_host = format!("{host}/x").parse::<Repository>().ok().filter(|repository| repository.host() == host);
        of_host.ok_or_else(|| Error::invalid("it is no registry host").on(host))?;
        Ok(Self { registry, host: host.into(), sizes: Mutex::default(), seen: Mutex::default() })
    }

    fn see(&self, repository: &Repository) {
        let mut seen = self.seen.lock().expect("no one panics while holding it");
        if seen.len() < MAX_SIZES {
            seen.insert(repository.clone());
        }
    }

    fn known(&self, digest: &Digest) -> Option<u64> {
        self.sizes.lock().expect("no one panics while holding it").get(digest).copied()
    }

    fn learn(&self, digest: &Digest, size: u64) {
        let mut sizes = self.sizes.lock().expect("no one panics while holding it");
        if sizes.len() >= MAX_SIZES {
            sizes.clear();
        }
        sizes.insert(*digest, size);
    }
}

#[async_trait]
impl<R: ListTags + DeleteManifest> Hosted for Plain<R> {
    fn host(&self) -> &str {
        &self.host
    }

    async fn blob_size(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<u64> {
        let known = self.known(digest);
        let range = if known.is_some() { ByteRange { start: 0, end: Some(0) } } else { ByteRange::FULL };
        let mut pieces = self.registry.blob(repository, digest, range, cx).await?;
        if let Some(known) = known {
            return Ok(known);
        }
        let mut size = 0;
        while let Some(piece) = pieces.next().await {
            size += piece?.len() as u64;
        }
        self.learn(digest, size);
        Ok(size)
    }

    async fn delete_blob(&self, _repository: &Repository, digest: &Digest, _cx: &Context) -> Result<()> {
        Err(Error::unsupported("this registry cannot delete blobs").on(digest))
    }

    async fn repositories(&self, cx: &Context) -> Result<Vec<String>> {
        let seen = self.seen.lock().expect("no one panics while holding it").clone();
        let mut found = Vec::new();
        for repository in seen {
            if self.registry.tags(&repository, cx).await.is_ok() {
                found.push(repository.path().to_owned());
            }
        }
        found.sort();
        Ok(found)
    }
}

impl<R: Plugin> Plugin for Plain<R> {
    fn info(&self) -> PluginInfo {
        self.registry.info()
    }
}

#[async_trait]
impl<R: ListTags + DeleteManifest> Registry for Plain<R> {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        let found = self.registry.resolve(reference, cx).await?;
        self.see(reference.repository());
        Ok(found)
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        self.registry.manifest(repository, digest, cx).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        self.registry.blob(repository, digest, range, cx).await
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        self.registry.put_blob(repository, blob, cx).await?;
        self.see(repository);
        self.learn(&blob.descriptor().digest, blob.descriptor().size);
        Ok(())
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        self.registry.put_manifest(reference, manifest, options, cx).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        self.registry.referrers(repository, digest, filter, cx).await
    }
}

#[async_trait]
impl<R: ListTags + DeleteManifest> ListTags for Plain<R> {
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        self.registry.tags(repository, cx).await
    }
}

#[async_trait]
impl<R: ListTags + DeleteManifest> DeleteManifest for Plain<R> {
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        self.registry.delete(reference, cx).await
    }
}
