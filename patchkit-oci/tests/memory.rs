//! How much memory a large blob takes on its way through a served registry into a layout and back.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Descriptor, Hasher, MediaType, Registry, Repository, Result,
};
use patchkit_oci::{FolderScratch, RegistryClient, Store, distribution::Options, serve::Server};

const PIECE: usize = 1 << 20;
const PIECES: u64 = 400;
/// The most that the whole process may have taken at any time, in KiB.
const PEAK: u64 = 150 << 10;

/// The same piece over and over: a blob that is nowhere.
#[derive(Debug)]
struct Endless;

#[async_trait]
impl BlobSource for Endless {
    async fn open(&self, range: ByteRange, _cx: &Context) -> Result<ByteStream> {
        let (size, piece) = (PIECES * PIECE as u64, Bytes::from(vec![7; PIECE]));
        let (start, end) = (range.start, range.end.unwrap_or(size).min(size));
        let starts = (start..end).step_by(PIECE);
        let pieces = starts.map(move |at| Ok(piece.slice(..usize::try_from(end - at).unwrap().min(PIECE))));
        Ok(ByteStream::new(stream::iter(pieces)))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}

fn blob() -> Blob {
    let mut hasher = Hasher::default();
    (0..PIECES).for_each(|_| hasher.update(&[7; PIECE]));
    let descriptor = Descriptor::new(MediaType::OCI_LAYER, hasher.finish(), PIECES * PIECE as u64);
    Blob::new(descriptor, Arc::new(Endless))
}

fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_is_flat_whatever_the_size() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path().join("store")).await.unwrap();
    let scratch = FolderScratch::new(folder.path().join("scratch")).unwrap();
    let cx = Context::new().with_scratch(Arc::new(scratch));
    let server = Server::bind("127.0.0.1:0".parse().unwrap(), Arc::new(store), &cx).await.unwrap();
    let client = RegistryClient::new(Options::default()).unwrap();
    let repository: Repository = format!("{}/large", server.address()).parse().unwrap();
    let blob = blob();
    client.put_blob(&repository, &blob, &cx).await.unwrap();
    let digest = blob.descriptor().digest;
    let mut pieces = client.blob(&repository, &digest, ByteRange::FULL, &cx).await.unwrap();
    let mut size = 0;
    while let Some(piece) = pieces.next().await {
        size += piece.unwrap().len() as u64;
    }
    assert_eq!(size, blob.descriptor().size);
    assert!(peak() < PEAK, "{} KiB at the peak", peak());
    server.shutdown().await;
}
