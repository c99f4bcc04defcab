use std::{fmt, sync::Arc};

use async_trait::async_trait;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, DeleteManifest, Descriptor, Digest, Error, ListTags, ManifestBytes, Plugin,
    PluginInfo, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
};

use super::{auth::Auth, endpoint::Endpoints, options::Options, wire::Wire};

/// The registries of the world, over HTTP (OCI distribution specification 1.1).
///
/// It answers challenges (Basic, Bearer with and without an OAuth2 refresh token), tries again what may be tried again,
/// goes on with a transfer where it broke, and never sends credentials to another host than theirs. A layer of any size
/// passes in the same little memory. Clones share connections, tokens and configuration; how much happens at once is
/// the caller's choice.
///
/// # Moving a tag
/// The specification has no conditional put. With [`PutManifest::if_current`] the tag is read right before it is
/// written, and the condition is sent along as `If-Match` or `If-None-Match`. A registry that honours those makes the
/// move atomic; with any other there is a window of one round trip in which somebody else's move is overwritten unseen.
///
/// # Referrers
/// Where the registry does not know the referrers API, or does not say that it took notice of a `subject`, the tag
/// `<algorithm>-<hex>` is read and written in its place. Two writers of that tag have the same window; each reads the
/// tag again after writing and adds itself once more if it is missing.
#[derive(Clone)]
pub struct RegistryClient(Arc<Inner>);

/// What all clones of a client share. What is asked of a registry is in the modules beside this one.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: Options,
    pub(super) endpoints: Arc<Endpoints>,
    pub(super) wire: Arc<Wire>,
    pub(super) auth: Auth,
}

impl RegistryClient {
    /// A client with the given options. Nothing is connected to, and no file is read, before the first call.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) for a mirror, proxy or certificate that is none.
    pub fn new(options: Options) -> Result<Self> {
        let endpoints = Arc::new(Endpoints::new(&options)?);
        let wire = Arc::new(Wire::new(&options, Arc::clone(&endpoints))?);
        let auth = Auth::new(&options, Arc::clone(&wire));
        Ok(Self(Arc::new(Inner { options, endpoints, wire, auth })))
    }
}

impl fmt::Debug for RegistryClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RegistryClient").field("options", &self.0.options).finish_non_exhaustive()
    }
}

impl Plugin for RegistryClient {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("distribution", env!("CARGO_PKG_VERSION"))
            .configured(&self.0.options.configuration())
            .needing("network")
    }
}

#[async_trait]
impl Registry for RegistryClient {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        self.0.resolve(reference, cx).await.map_err(told("resolve", reference))
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        self.0.manifest(repository, digest, cx).await.map_err(told("pull manifest", repository.digest(*digest)))
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        let opened = Arc::clone(&self.0).blob(repository, digest, range, cx).await;
        opened.map_err(told("pull blob", repository.digest(*digest)))
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let subject = repository.digest(blob.descriptor().digest);
        self.0.put_blob(repository, blob, cx).await.map_err(told("push blob", subject))
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        self.0.put_manifest(reference, manifest, options, cx).await.map_err(told("push manifest", reference))
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        let found = self.0.referrers(repository, digest, filter, cx).await;
        found.map_err(told("list referrers", repository.digest(*digest)))
    }
}

#[async_trait]
impl ListTags for RegistryClient {
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        self.0.tags(repository, cx).await.map_err(told("list tags", repository))
    }
}

#[async_trait]
impl DeleteManifest for RegistryClient {
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()> {
        self.0.delete(reference, cx).await.map_err(told("delete", reference))
    }
}

/// Adds to an error what was done, to what, and by whom.
pub(super) fn told(operation: &'static str, subject: impl fmt::Display) -> impl FnOnce(Error) -> Error {
    move |error| error.during(operation).on(subject).by("distribution")
}
