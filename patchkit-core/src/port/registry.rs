use async_trait::async_trait;
use bytes::Bytes;

use super::{Plugin, forward};
use crate::{Blob, ByteRange, ByteStream, Context, Descriptor, Digest, MediaType, Reference, Repository, Result};

/// A manifest as it travels: the bytes that the digest is of, and their type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestBytes {
    /// The media type.
    pub media_type: MediaType,
    /// The bytes, exactly as they were pushed.
    pub bytes: Bytes,
}

impl ManifestBytes {
    /// The descriptor of these bytes.
    #[must_use]
    pub fn descriptor(&self) -> Descriptor {
        Descriptor::of(self.media_type.clone(), &self.bytes)
    }
}

/// How a manifest is put.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PutManifest {
    /// Move the tag only where it still points here: an optimistic lock. `None` moves it in any case.
    pub if_current: Option<Current>,
}

/// What a tag must point to for it to be moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Current {
    /// The tag does not exist.
    Absent,
    /// The tag points to this digest.
    Is(Digest),
}

/// Which referrers are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferrersFilter {
    /// Only artifacts of this type.
    pub artifact_type: Option<MediaType>,
}

/// Where images live: content by digest, names that point to it, and what refers to it.
///
/// # Contract
/// - What is stored has the digest it is stored under: a blob or manifest with a wrong digest or length is
///   [`Corrupt`](crate::ErrorKind::Corrupt), and nothing is stored.
/// - What does not exist is [`NotFound`](crate::ErrorKind::NotFound).
/// - A manifest becomes visible whole or not at all. It may be put only when everything it names is there.
/// - Putting what is there already succeeds and changes nothing.
/// - A tag that no longer points where `if_current` says is [`Conflict`](crate::ErrorKind::Conflict), and stays.
#[async_trait]
pub trait Registry: Plugin {
    /// The descriptor of the manifest that a reference names. A digest in the reference must be the tag's.
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor>;

    /// The manifest of a digest, checked.
    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes>;

    /// The bytes of a blob. The whole of it is checked while it is read; a part cannot be.
    /// A range that starts after the end is [`Invalid`](crate::ErrorKind::Invalid).
    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream>;

    /// Stores a blob, unless it is there. Implementations may link it from [`Blob::origin`].
    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()>;

    /// Stores a manifest under its digest and, where the reference has a tag, points the tag to it.
    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor>;

    /// The manifests whose `subject` is the digest, oldest first or in digest order; none for an unknown digest.
    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>>;
}

forward!(Registry {
    fn resolve(reference: &Reference, cx: &Context) -> Result<Descriptor>;
    fn manifest(repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes>;
    fn blob(repository: &Repository, digest: &Digest, range: ByteRange, cx: &Context) -> Result<ByteStream>;
    fn put_blob(repository: &Repository, blob: &Blob, cx: &Context) -> Result<()>;
    fn put_manifest(reference: &Reference, manifest: &ManifestBytes, options: &PutManifest, cx: &Context) -> Result<Descriptor>;
    fn referrers(repository: &Repository, digest: &Digest, filter: &ReferrersFilter, cx: &Context) -> Result<Vec<Descriptor>>;
});

/// An extra power of some registries: to say which tags a repository has.
#[async_trait]
pub trait ListTags: Registry {
    /// The tags in lexical order; none for an unknown repository is [`NotFound`](crate::ErrorKind::NotFound).
    async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>>;
}

/// An extra power of some registries: to forget.
#[async_trait]
pub trait DeleteManifest: Registry {
    /// Deletes the tag, or the manifest where the reference has only a digest (and every tag that points to it).
    async fn delete(&self, reference: &Reference, cx: &Context) -> Result<()>;
}
