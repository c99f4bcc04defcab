use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{memory::MemoryRegistry, *};

use super::faults;

faults!(RegistryFault {
    AcceptsAnyManifest
    AcceptsLies
    BreaksRanges
    EmptyForMissing
    ForgetsBlobs
    ForgetsReferrers
    IgnoresCurrent
    IgnoresFilter
    IgnoresPin
    InventsReferrers
    MangledManifests
    Once
    StuckTags
});

/// A registry with one fault.
#[derive(Debug)]
pub struct BrokenRegistry {
    inner: MemoryRegistry,
    fault: RegistryFault,
}

impl BrokenRegistry {
    pub fn new(fault: RegistryFault) -> Self {
        Self { inner: MemoryRegistry::default(), fault }
    }

    fn is(&self, fault: RegistryFault) -> bool {
        self.fault == fault
    }

    /// Stores the descriptor's promise without looking at the bytes.
    async fn swallow(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let stream = blob.open_range(ByteRange::FULL, cx).await?;
        let bytes = stream.collect(u64::MAX).await?;
        let honest = Blob::of(blob.descriptor().media_type.clone(), bytes);
        self.inner.put_blob(repository, &honest, cx).await
    }
}

impl Plugin for BrokenRegistry {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("broken", "0")
    }
}

#[async_trait]
impl Registry for BrokenRegistry {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        if self.is(RegistryFault::IgnoresPin) && reference.tag().is_some() {
            let unpinned = reference.repository().tag(reference.tag().unwrap()).unwrap();
            return self.inner.resolve(&unpinned, cx).await;
        }
        self.inner.resolve(reference, cx).await
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        let manifest = self.inner.manifest(repository, digest, cx).await;
        match self.fault {
            RegistryFault::MangledManifests => manifest.map(|manifest| ManifestBytes {
                bytes: Bytes::from([&manifest.bytes[..], b"\n"].concat()),
                ..manifest
            }),
            _ => manifest,
        }
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        match self.fault {
            RegistryFault::BreaksRanges => self.inner.blob(repository, digest, ByteRange::FULL, cx).await,
            RegistryFault::ForgetsBlobs => Err(Error::not_found("forgotten")),
            RegistryFault::EmptyForMissing => {
                Ok(self.inner.blob(repository, digest, range, cx).await.unwrap_or(ByteStream::of("")))
            }
            _ => self.inner.blob(repository, digest, range, cx).await,
        }
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let there = self.inner.blob(repository, &blob.descriptor().digest, ByteRange::FULL, cx).await.is_ok();
        match self.fault {
            RegistryFault::AcceptsLies => self.swallow(repository, blob, cx).await,
            RegistryFault::Once if there => Err(Error::conflict("it is there already")),
            _ => self.inner.put_blob(repository, blob, cx).await,
        }
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        let tagged = self.inner.resolve(reference, cx).await.ok();
        match self.fault {
            RegistryFault::AcceptsAnyManifest => Ok(manifest.descriptor()),
            RegistryFault::IgnoresCurrent => {
                self.inner.put_manifest(reference, manifest, &PutManifest::default(), cx).await
            }
            RegistryFault::StuckTags if tagged.is_some() && options.if_current.is_none() => Ok(manifest.descriptor()),
            _ => self.inner.put_manifest(reference, manifest, options, cx).await,
        }
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        match self.fault {
            RegistryFault::ForgetsReferrers => Ok(vec![]),
            RegistryFault::InventsReferrers => Ok(vec![Descriptor::of(MediaType::OCI_MANIFEST, b"")]),
            RegistryFault::IgnoresFilter => {
                self.inner.referrers(repository, digest, &ReferrersFilter::default(), cx).await
            }
            _ => self.inner.referrers(repository, digest, filter, cx).await,
        }
    }
}
