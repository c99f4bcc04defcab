//! The archive client: from sources and trusted keys to verified indexes and verified packages.

mod download;
mod index;
mod mirror;
mod release;

use std::{path::PathBuf, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{Algorithm, Context, Digest, Error, ErrorKind, Result};
use tokio::task::spawn_blocking;
use url::Url;

use super::{
    cache::{Cache, CacheWriter},
    fetch::{Body, Fetch},
    index::{AvailablePackage, PackageIndex},
    sources::{Source, SourceKind, without_credentials},
    trust::TrustStore,
};

pub use mirror::{Mirror, ParseMirrorError};

/// Sources and files fetched at once.
const PARALLEL: usize = 8;
/// Bytes gathered before they are hashed and written.
const BATCH: usize = 1 << 20;

/// Reads archives: everything is verified from the signature down to the last byte before anyone sees it.
///
/// ```no_run
/// # async fn example() -> patchkit_core::Result<()> {
/// use std::sync::Arc;
/// use patchkit_core::Context;
/// use patchkit_scan::debian::apt::{
///     cache::Cache, client::ArchiveClient, fetch::FileFetch, sources::parse_sources, trust::TrustStore,
/// };
///
/// let cx = Context::new();
/// let sources = parse_sources("sources.list", b"deb file:/srv/debian stable main\n").unwrap();
/// let trust = TrustStore::new().trusting("archive.gpg", std::fs::read("archive.gpg").unwrap());
/// let client = ArchiveClient::new(Arc::new(FileFetch), Cache::open("/var/cache/patchkit")?);
/// let archive = client.update(&sources, &trust, "amd64", &cx).await?;
/// for bash in archive.named("bash") {
///     println!("{}", client.download(&bash, &cx).await?.display());
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct ArchiveClient {
    fetch: Arc<dyn Fetch>,
    cache: Cache,
    mirrors: Vec<Mirror>,
    accept_expired: bool,
}

/// What all sources together offer.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    indexes: Vec<Arc<PackageIndex>>,
    missing: Vec<String>,
}

impl Archive {
    /// An archive of indexes that were read by other means.
    #[must_use]
    pub fn new(indexes: impl Into<Vec<Arc<PackageIndex>>>) -> Self {
        Self { indexes: indexes.into(), missing: Vec::new() }
    }

    /// The indexes, in the order of the sources.
    #[must_use]
    pub fn indexes(&self) -> &[Arc<PackageIndex>] {
        &self.indexes
    }

    /// Indexes that a source names and its signed `Release` file does not have: `SOURCE: PATH`.
    #[must_use]
    pub fn missing(&self) -> &[String] {
        &self.missing
    }

    /// All packages of this name, from every index.
    pub fn named(&self, name: &str) -> impl Iterator<Item = AvailablePackage> {
        self.indexes.iter().flat_map(move |index| index.named(name))
    }

    /// All packages.
    pub fn packages(&self) -> impl Iterator<Item = AvailablePackage> + '_ {
        self.indexes.iter().flat_map(|index| index.packages())
    }

    /// How many packages there are.
    #[must_use]
    pub fn package_count(&self) -> usize {
        self.indexes.iter().map(|index| index.len()).sum()
    }
}

impl ArchiveClient {
    /// A client that reads with `fetch` and keeps what it read in `cache`.
    #[must_use]
    pub fn new(fetch: Arc<dyn Fetch>, cache: Cache) -> Self {
        Self { fetch, cache, mirrors: Vec::new(), accept_expired: false }
    }

    /// Reads from mirrors instead of the addresses that the sources name. Of several that fit, the next is asked when
    /// one fails.
    #[must_use]
    pub fn with_mirrors(self, mirrors: impl Into<Vec<Mirror>>) -> Self {
        Self { mirrors: mirrors.into(), ..self }
    }

    /// Accepts `Release` files past their `Valid-Until`, and keys that have expired since they signed, for all sources:
    /// for frozen archives.
    #[must_use]
    pub fn accepting_expired(self, accept: bool) -> Self {
        Self { accept_expired: accept, ..self }
    }

    /// Reads the indexes of all sources that offer packages for an architecture.
    ///
    /// # Errors
    /// Of any source, with its name: a repository that cannot be verified is refused and never passed over, since a
    /// fix that is not seen is a fix that is not made. `Corrupt` for bad signatures, hashes and for an archive older
    /// than one seen before; `Invalid` for one past its date; and what [`Fetch::open`] gives.
    pub async fn update(
        &self,
        sources: &[Source],
        trust: &TrustStore,
        architecture: &str,
        cx: &Context,
    ) -> Result<Archive> {
        let wanted = sources.iter().filter(|source| source.kind == SourceKind::Binary && source.offers(architecture));
        let each = stream::iter(wanted.cloned().collect::<Vec<_>>().into_iter().map(|source| async move {
            let read = self.read_source(&source, trust, architecture, cx);
            read.await.map_err(|error| error.during(format!("read {source}")))
        }));
        let parts: Vec<Archive> = each.buffered(PARALLEL).try_collect().await?;
        Ok(parts.into_iter().fold(Archive::default(), |mut all, part| {
            all.indexes.extend(part.indexes);
            all.missing.extend(part.missing);
            all
        }))
    }

    /// Fetches a package, or finds it in the cache, and says where its verified file is.
    ///
    /// # Errors
    /// `Corrupt` where size or hash are not as the index says, `Invalid` where its path leads out of the archive, and
    /// what [`Fetch::open`] gives.
    pub async fn download(&self, package: &AvailablePackage, cx: &Context) -> Result<PathBuf> {
        let file = package.file().map_err(|error| Error::invalid(error.to_string()).on(&package.origin().source))?;
        if let Some(path) = self.cached(file.digest, cx).await? {
            return Ok(path);
        }
        let url = package.origin().source.file_url(&file.path);
        self.try_mirrors(&url, |url| self.download_file(url, file.digest, file.size, cx)).await
    }

    async fn cached(&self, digest: Digest, cx: &Context) -> Result<Option<PathBuf>> {
        cx.check()?;
        let cache = self.cache.clone();
        blocking(move || cache.find(&digest)).await
    }

    async fn download_file(&self, url: Url, digest: Digest, size: u64, cx: &Context) -> Result<PathBuf> {
        let mut body = self.fetch.open(&url, cx).await?;
        tracing::debug!(url = %without_credentials(&url), size, "downloading");
        let writer = self.receive(&mut body, digest.algorithm(), size, cx).await?;
        if writer.size() != size {
            return Err(Error::corrupt(format!("has {} bytes, not {size}", writer.size())));
        }
        blocking(move || writer.finish(&digest)).await
    }

    /// Streams a body into the cache, off the asynchronous threads, and stops when it grows too large.
    async fn receive(&self, body: &mut Body, algorithm: Algorithm, size: u64, cx: &Context) -> Result<CacheWriter> {
        let mut writer = self.cache.writer(algorithm)?;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            let chunk = body.chunk(cx).await?;
            batch.extend_from_slice(chunk.as_deref().unwrap_or_default());
            if writer.size() + batch.len() as u64 > size {
                return Err(Error::corrupt(format!("has more than {size} bytes")));
            }
            if chunk.is_none() || batch.len() >= BATCH {
                let full = std::mem::take(&mut batch);
                writer = blocking(move || writer.write(&full).map(|()| writer)).await?;
            }
            if chunk.is_none() {
                return Ok(writer);
            }
        }
    }

    /// Tries every address that mirrors give for `url`, until one answers as it should. With all of them failing, the
    /// last error is told, and the others in the log.
    async fn try_mirrors<T, F: Future<Output = Result<T>>>(&self, url: &Url, read: impl Fn(Url) -> F) -> Result<T> {
        let mut addresses = mirror::addresses(&self.mirrors, url).into_iter().peekable();
        while let Some(address) = addresses.next() {
            let shown = without_credentials(&address);
            match read(address).await {
                Err(error) if addresses.peek().is_some() && error.kind() != ErrorKind::Cancel => {
                    tracing::warn!(url = %shown, %error, "trying the next mirror");
                }
                result => return result.map_err(|error| error.on(shown)),
            }
        }
        Err(Error::unexpected("no address").on(without_credentials(url)))
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    spawn_blocking(work).await.map_err(|error| Error::unexpected(error.to_string()))?
}

#[cfg(test)]
mod tests;
