//! Testing code of one's own against a registry that is a value: here, one that is down, and then is back.
//!
//! `cargo run --example mock_registry`; the same lines are a test in a test file.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use patchkit_core::{
    Blob, ByteRange, ByteStream, Context, Descriptor, Digest, Error, ErrorKind, ManifestBytes, Plugin, PluginInfo,
    PutManifest, Reference, ReferrersFilter, Registry, Repository, Result,
    memory::MemoryRegistry,
    wrap::{Record, Retry, Wrap},
};

/// The code under test: whether a tag exists.
async fn exists(registry: &dyn Registry, reference: &Reference, cx: &Context) -> Result<bool> {
    match registry.resolve(reference, cx).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// A registry that fails so many times, and then is the one inside.
#[derive(Debug)]
struct Down {
    failures: Mutex<u32>,
    inner: MemoryRegistry,
}

impl Down {
    fn up(&self) -> Result<&MemoryRegistry> {
        let mut left = self.failures.lock().expect("nobody panics while holding the lock");
        match left.checked_sub(1) {
            Some(fewer) => {
                *left = fewer;
                Err(Error::unavailable("the registry is down"))
            }
            None => Ok(&self.inner),
        }
    }
}

impl Plugin for Down {
    fn info(&self) -> PluginInfo {
        self.inner.info()
    }
}

#[async_trait]
impl Registry for Down {
    async fn resolve(&self, reference: &Reference, cx: &Context) -> Result<Descriptor> {
        self.up()?.resolve(reference, cx).await
    }

    async fn manifest(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<ManifestBytes> {
        self.up()?.manifest(repository, digest, cx).await
    }

    async fn blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        self.up()?.blob(repository, digest, range, cx).await
    }

    async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        self.up()?.put_blob(repository, blob, cx).await
    }

    async fn put_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
        cx: &Context,
    ) -> Result<Descriptor> {
        self.up()?.put_manifest(reference, manifest, options, cx).await
    }

    async fn referrers(
        &self,
        repository: &Repository,
        digest: &Digest,
        filter: &ReferrersFilter,
        cx: &Context,
    ) -> Result<Vec<Descriptor>> {
        self.up()?.referrers(repository, digest, filter, cx).await
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cx = Context::new();
    let reference: Reference = "example.org/app:1".parse().expect("it is a reference");
    let down = |failures| Down { failures: Mutex::new(failures), inner: MemoryRegistry::default() };

    let error = exists(&down(1), &reference, &cx).await.expect_err("nobody tries again");
    println!("without retries: {error}");

    let calls = Record::default();
    let patient = Retry { first: Duration::from_millis(10), ..Retry::default() };
    let registry = Arc::new(down(2)).wrapped(calls.clone()).wrapped(patient);
    assert!(!exists(&registry, &reference, &cx).await?);
    println!("with retries: no such tag, after {} calls", calls.calls().len());
    Ok(())
}
