//! Addresses whose content is given beforehand.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{Context, Error, Result};
use url::Url;

use super::{Body, Fetch, on_url};

/// A `Fetch` over a map from addresses to bytes. It notes what is asked of it; clones share everything.
#[derive(Clone, Debug, Default)]
pub struct MemoryFetch {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    content: BTreeMap<String, Bytes>,
    asked: Vec<String>,
}

impl MemoryFetch {
    /// One with nothing behind any address.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts bytes behind an address, in place of what was there.
    pub fn insert(&self, url: impl Into<String>, bytes: impl Into<Bytes>) {
        self.with(|shared| shared.content.insert(url.into(), bytes.into()));
    }

    /// Takes away what is behind an address and returns it.
    pub fn remove(&self, url: &str) -> Option<Bytes> {
        self.with(|shared| shared.content.remove(url))
    }

    /// What is behind an address.
    #[must_use]
    pub fn content(&self, url: &str) -> Option<Bytes> {
        self.with(|shared| shared.content.get(url).cloned())
    }

    /// The addresses asked for since the last call, in their order.
    #[must_use]
    pub fn take_asked(&self) -> Vec<String> {
        self.with(|shared| std::mem::take(&mut shared.asked))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Shared) -> T) -> T {
        work(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Fetch for MemoryFetch {
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body> {
        cx.check()?;
        let found = self.with(|shared| {
            shared.asked.push(url.to_string());
            shared.content.get(url.as_str()).cloned()
        });
        let bytes = found.ok_or_else(|| on_url(url)(Error::not_found("nothing is there")))?;
        let pieces: Vec<_> = bytes.chunks(64 << 10).map(|piece| Ok(bytes.slice_ref(piece))).collect();
        Ok(Body::new(Some(bytes.len() as u64), stream::iter(pieces).boxed()))
    }
}
