//! What an index holds beside images: attestations and whatever else belongs to the set.

use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Index, Manifest, RegistryBlob};
use crate::{Blob, Context, Descriptor, Error, Registry, Repository, Result};

/// How deep indexes may lie in each other.
const MAX_DEPTH: usize = 4;

/// Where a set came from, and so where its companions are.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) registry: Arc<dyn Registry>,
    pub(super) repository: Repository,
}

impl Origin {
    /// Copies a manifest with everything that it names to another repository.
    pub(super) async fn copy(
        &self,
        entry: &Descriptor,
        registry: &dyn Registry,
        repository: &Repository,
        cx: &Context,
    ) -> Result<()> {
        self.copy_at(0, entry, registry, repository, cx).await
    }

    fn copy_at<'a>(
        &'a self,
        depth: usize,
        entry: &'a Descriptor,
        registry: &'a dyn Registry,
        repository: &'a Repository,
        cx: &'a Context,
    ) -> BoxFuture<'a, Result<()>> {
        Box::pin(async move {
            if depth == MAX_DEPTH {
                return Err(Error::unsupported("indexes in indexes in indexes").on(entry.digest));
            }
            let manifest = self.registry.manifest(&self.repository, &entry.digest, cx).await?;
            if manifest.media_type.is_index() {
                for inner in Index::parse(&manifest).map_err(|error| error.on(entry.digest))?.manifests() {
                    self.copy_at(depth + 1, inner, registry, repository, cx).await?;
                }
            } else if manifest.media_type.is_manifest() {
                let parsed = Manifest::parse(&manifest).map_err(|error| error.on(entry.digest))?;
                for blob in parsed.layers().iter().chain([parsed.config()]) {
                    registry.put_blob(repository, &self.blob(blob), cx).await?;
                }
            }
            registry.put_manifest(&repository.digest(entry.digest), &manifest, &Default::default(), cx).await?;
            Ok(())
        })
    }

    fn blob(&self, descriptor: &Descriptor) -> Blob {
        let Self { registry, repository } = self.clone();
        Blob::new(descriptor.clone(), Arc::new(RegistryBlob { registry, repository, digest: descriptor.digest }))
    }
}
