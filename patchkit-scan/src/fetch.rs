//! Where bytes come from: one small trait, and its implementations for files and memory (and HTTP, by feature).

mod file;
#[cfg(feature = "http")]
mod http;
mod memory;
mod refresh;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use patchkit_core::{Context, Error, Result};
use url::Url;

pub use file::FileFetch;
#[cfg(feature = "http")]
pub use http::{HttpFetch, HttpOptions, install_crypto_provider};
pub use memory::MemoryFetch;
pub use refresh::{Held, Partial, Refresh, Refreshed, Validators};

/// Reads addresses. What is read is not believed before its hash or signature was checked, so that a `Fetch` needs to
/// be reliable but not trustworthy.
///
/// An implementation retries and resumes on its own where that may help: its callers do not.
#[async_trait]
pub trait Fetch: fmt::Debug + Send + Sync {
    /// Begins to read an address.
    ///
    /// # Errors
    /// `NotFound` where nothing is there, `Denied` where we may not, `Unavailable` where nobody answers,
    /// `Unsupported` for a scheme that this implementation does not have.
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body>;
}

/// The bytes behind an address, as they arrive.
pub struct Body {
    length: Option<u64>,
    chunks: BoxStream<'static, Result<Bytes>>,
}

impl Body {
    /// A body of `length` bytes, where that is known beforehand.
    #[must_use]
    pub fn new(length: Option<u64>, chunks: BoxStream<'static, Result<Bytes>>) -> Self {
        Self { length, chunks }
    }

    /// How many bytes were promised. Only a promise.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes, or `None` at the end.
    ///
    /// # Errors
    /// What the implementation could not make good by retrying; `Cancel`.
    pub async fn chunk(&mut self, cx: &Context) -> Result<Option<Bytes>> {
        cx.guard(async { self.chunks.next().await.transpose() }).await
    }

    /// Reads everything into memory.
    ///
    /// # Errors
    /// `Corrupt` above `limit` bytes, and what [`chunk`](Self::chunk) gives.
    pub async fn read(mut self, limit: u64, cx: &Context) -> Result<Vec<u8>> {
        let too_large = || Error::corrupt(format!("more than {limit} bytes"));
        if self.length.is_some_and(|length| length > limit) {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.length.unwrap_or(0)).unwrap_or(0).min(1 << 20));
        while let Some(chunk) = self.chunk(cx).await? {
            if bytes.len() as u64 + chunk.len() as u64 > limit {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}

/// Reads `file:` with [`FileFetch`] and everything else with another.
#[derive(Debug)]
pub struct SchemeFetch<F> {
    other: F,
}

impl<F: Fetch> SchemeFetch<F> {
    /// A reader of files that leaves every other scheme to `other`.
    pub fn new(other: F) -> Self {
        Self { other }
    }
}

#[async_trait]
impl<F: Fetch> Fetch for SchemeFetch<F> {
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body> {
        if url.scheme() == "file" { FileFetch.open(url, cx).await } else { self.other.open(url, cx).await }
    }
}

#[async_trait]
impl<F: Fetch + ?Sized> Fetch for std::sync::Arc<F> {
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body> {
        (**self).open(url, cx).await
    }
}

/// An address without the user name and password that it may hold (a token often stands in the place of the name): to
/// show to people, and to store.
#[must_use]
pub fn without_credentials(url: &Url) -> Url {
    let mut shown = url.clone();
    if shown.password().is_some() || !shown.username().is_empty() {
        // Neither can fail: an address that has one of them has a host.
        let _ = shown.set_password(None);
        let _ = shown.set_username("");
    }
    shown
}

/// The same error with the address, password left out.
fn on_url(url: &Url) -> impl Fn(Error) -> Error + use<> {
    let shown = without_credentials(url).to_string();
    move |error| error.during("fetch").on(&shown)
}

fn unsupported(url: &Url) -> Error {
    on_url(url)(Error::unsupported(format!("scheme {}: cannot be read here", url.scheme())))
}

#[cfg(test)]
mod tests;
