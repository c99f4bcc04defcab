//! From a verified `Release` file to verified indexes.

use std::{
    io::{self, Read},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{Context, Error, ErrorKind, Hasher, Result};
use url::Url;

use super::{Archive, ArchiveClient, blocking};
use crate::debian::{
    apt::{
        index::{MAX_INDEX_SIZE, Origin, PackageIndex},
        release::{IndexEntry, Release},
        sources::{self, ByHash, Source},
        trust::TrustStore,
    },
    deb::Compression,
};

/// In the order of our liking: the quickest to read first, of those that archives have.
const COMPRESSIONS: [Compression; 5] =
    [Compression::Zstd, Compression::Xz, Compression::Gzip, Compression::Bzip2, Compression::None];

impl ArchiveClient {
    /// Reads everything that one source offers.
    pub(super) async fn read_source(
        &self,
        source: &Source,
        trust: &TrustStore,
        architecture: &str,
        cx: &Context,
    ) -> Result<Archive> {
        let release = self.read_release(source, trust, cx).await?;
        let (present, missing): (Vec<_>, Vec<_>) =
            wanted(source, &release, architecture).into_iter().partition(|path| is_listed(&release, path));
        for path in &missing {
            tracing::warn!(%source, path, "the repository does not have this index");
        }
        let release = &release;
        let each = stream::iter(present.into_iter().map(|path| async move {
            let text = self.read_index(source, release, &path, cx).await?;
            parse(text, architecture, origin(source, release, &path), cx).await.map_err(|error| error.on(&path))
        }));
        let indexes: Vec<_> = each.buffered(2).try_collect().await?;
        Ok(Archive { indexes, missing: missing.iter().map(|path| format!("{source}: {path}")).collect() })
    }

    /// The text of an index: from the cache by its own hash, or fetched in the first form that can be had.
    async fn read_index(&self, source: &Source, release: &Release, path: &str, cx: &Context) -> Result<Vec<u8>> {
        let plain = release.index(path);
        if let Some(entry) = plain
            && let Some(text) = self.cached_text(entry, cx).await?
        {
            return Ok(text);
        }
        let mut absent = None;
        for compression in COMPRESSIONS {
            let name = format!("{path}{}", compression.extension());
            let Some(entry) = release.index(&name) else {
                continue;
            };
            match self.fetch_listed(source, release, &name, entry, cx).await {
                Ok(bytes) => {
                    return self.unpack(bytes, compression, plain, cx).await.map_err(|error| error.on(&name));
                }
                Err(error) if error.kind() == ErrorKind::NotFound => absent = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(absent.unwrap_or_else(|| Error::unsupported("in no compression that can be read").on(path)))
    }

    async fn cached_text(&self, entry: IndexEntry, cx: &Context) -> Result<Option<Vec<u8>>> {
        cx.check()?;
        let cache = self.cache.clone();
        blocking(move || cache.read(&entry.digest)).await
    }

    /// Fetches a file that the `Release` file lists, by its hash or else by its name, and verifies it.
    async fn fetch_listed(
        &self,
        source: &Source,
        release: &Release,
        name: &str,
        entry: IndexEntry,
        cx: &Context,
    ) -> Result<Vec<u8>> {
        let folder = source.release_folder();
        if uses_by_hash(source, release) {
            match self.fetch_verified(&by_hash(&folder, name, entry), entry, cx).await {
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                result => return result,
            }
        }
        self.fetch_verified(&sources::join(&folder, name), entry, cx).await
    }

    async fn fetch_verified(&self, url: &Url, entry: IndexEntry, cx: &Context) -> Result<Vec<u8>> {
        let read = |url: Url| async move {
            let bytes = self.fetch.open(&url, cx).await?.read(entry.size, cx).await?;
            blocking(move || verified(bytes, entry)).await
        };
        self.try_mirrors(url, read).await
    }

    /// Decompresses an index; verified again, it goes into the cache as the text that it is.
    async fn unpack(
        &self,
        bytes: Vec<u8>,
        compression: Compression,
        plain: Option<IndexEntry>,
        cx: &Context,
    ) -> Result<Vec<u8>> {
        cx.check()?;
        let cache = self.cache.clone();
        blocking(move || {
            let text = decompress(bytes, compression, plain.map_or(MAX_INDEX_SIZE as u64, |entry| entry.size))?;
            let Some(entry) = plain else { return Ok(text) };
            let text = verified(text, entry)?;
            cache.store(&entry.digest, &text)?;
            Ok(text)
        })
        .await
    }
}

/// The paths of a source's indexes: the architecture's own, and those for all where they are apart.
fn wanted(source: &Source, release: &Release, architecture: &str) -> Vec<String> {
    let mut paths = source.index_paths(architecture);
    if release.has_index_for_all() && matches!(source.suite, sources::Suite::Distribution { .. }) {
        let all = source.index_paths("all");
        paths.extend(all.into_iter().filter(|path| is_listed(release, path)));
    }
    paths
}

fn is_listed(release: &Release, path: &str) -> bool {
    COMPRESSIONS.iter().any(|compression| release.index(&format!("{path}{}", compression.extension())).is_some())
}

fn origin(source: &Source, release: &Arc<Release>, path: &str) -> Origin {
    let component = path.split_once("/binary-").map_or("", |(component, _)| component).to_owned();
    Origin { source: source.clone(), release: Arc::clone(release), component }
}

async fn parse(text: Vec<u8>, architecture: &str, origin: Origin, cx: &Context) -> Result<Arc<PackageIndex>> {
    cx.check()?;
    let architecture = architecture.to_owned();
    blocking(move || {
        let index = PackageIndex::parse(text, &architecture, origin);
        index.map(Arc::new).map_err(|error| Error::corrupt(error.to_string()).because(error))
    })
    .await
}

fn uses_by_hash(source: &Source, release: &Release) -> bool {
    match source.options.by_hash {
        ByHash::Auto => release.by_hash,
        ByHash::Force => true,
        ByHash::No => false,
    }
}

/// `main/binary-amd64/by-hash/SHA256/…`
fn by_hash(folder: &Url, name: &str, entry: IndexEntry) -> Url {
    let parent = name.rsplit_once('/').map_or(String::new(), |(parent, _)| format!("{parent}/"));
    let algorithm = entry.digest.algorithm().as_str().to_ascii_uppercase();
    sources::join(folder, &format!("{parent}by-hash/{algorithm}/{}", entry.digest.hex()))
}

fn verified(bytes: Vec<u8>, entry: IndexEntry) -> Result<Vec<u8>> {
    if bytes.len() as u64 != entry.size {
        return Err(Error::corrupt(format!("has {} bytes, not {}", bytes.len(), entry.size)));
    }
    let mut hasher = Hasher::new(entry.digest.algorithm());
    hasher.update(&bytes);
    let found = hasher.finish();
    if found == entry.digest {
        Ok(bytes)
    } else {
        Err(Error::corrupt(format!("has the digest {found}, not {}", entry.digest)))
    }
}

/// Decompresses at most `limit` bytes; one more is damage, not a reason for more memory.
fn decompress(bytes: Vec<u8>, compression: Compression, limit: u64) -> Result<Vec<u8>> {
    if compression == Compression::None {
        return Ok(bytes);
    }
    let damaged = |error: io::Error| Error::corrupt(format!("cannot be decompressed: {error}")).because(error);
    let decoder = compression.decoder(bytes.as_slice()).map_err(damaged)?;
    let mut text = Vec::with_capacity(usize::try_from(limit).unwrap_or(0).min(bytes.len().saturating_mul(8)));
    decoder.take(limit + 1).read_to_end(&mut text).map_err(damaged)?;
    if text.len() as u64 > limit {
        return Err(Error::corrupt(format!("is larger than {limit} bytes when decompressed")));
    }
    Ok(text)
}
