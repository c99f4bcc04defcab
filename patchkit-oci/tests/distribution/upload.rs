//! Blobs on their way out.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream;
use patchkit_core::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Descriptor, Error, ErrorKind, MediaType, Registry, Repository,
    Result,
};
use patchkit_oci::distribution::RegistryClient;

use crate::{
    client,
    fake::{Fake, What, shared},
    noise, options, repository,
    server::{Answer, Server},
};

fn layer(bytes: impl Into<Bytes>) -> Blob {
    Blob::of(MediaType::OCI_LAYER, bytes)
}

/// A source that comes in pieces, and perhaps from somewhere.
#[derive(Debug)]
struct Pieces(Bytes, Option<Repository>);

#[async_trait]
impl BlobSource for Pieces {
    async fn open(&self, range: ByteRange, _cx: &Context) -> Result<ByteStream> {
        let part = range.of(&self.0).ok_or_else(|| Error::invalid("outside"))?;
        let pieces: Vec<_> = part.chunks(16 << 10).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
        Ok(ByteStream::new(stream::iter(pieces)))
    }

    fn origin(&self) -> Option<&Repository> {
        self.1.as_ref()
    }
}

fn pieces(bytes: impl Into<Bytes>, origin: Option<Repository>) -> Blob {
    let bytes = bytes.into();
    Blob::new(Descriptor::of(MediaType::OCI_LAYER, &bytes), Arc::new(Pieces(bytes, origin)))
}

/// A client that streams everything.
fn streaming() -> RegistryClient {
    RegistryClient::new(options().with_monolithic(0)).unwrap()
}

#[tokio::test]
async fn small_ones_in_one_request_and_what_is_there_in_none() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let blob = layer("small");
    let digest = blob.descriptor().digest;
    for _ in 0..2 {
        client().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    }
    assert_eq!(fake.blobs.lock().unwrap()[&digest.to_string()], "small");
    let head = format!("HEAD /v2/app/blobs/{digest}");
    assert_eq!(server.lines(), [&head, "POST /v2/app/blobs/uploads/", "PUT /v2/app/blobs/uploads/u0", &head]);
}

#[tokio::test]
async fn large_ones_as_a_stream() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    *fake.absolute.lock().unwrap() = Some(server.url(""));
    let blob = pieces(noise(3 << 20), None);
    client().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(fake.has(&blob.descriptor().digest));
    let seen = server.seen();
    assert_eq!(seen[2].method, "PATCH");
    assert_eq!(seen[2].header("content-length"), Some("3145728"));
    assert_eq!(seen[2].header("content-range"), None);
}

#[tokio::test]
async fn in_chunks_no_smaller_than_the_registry_wants() {
    for (least, sizes) in [(None, vec!["40000", "40000", "20000"]), (Some(60_000), vec!["60000", "40000"])] {
        let (fake, handler) = shared(Fake { least_chunk: least, ..Fake::default() });
        let server = Server::start_shared(handler).await;
        let blob = pieces(noise(100_000), None);
        let client = RegistryClient::new(options().with_monolithic(0).with_chunk(40_000)).unwrap();
        client.put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
        assert!(fake.has(&blob.descriptor().digest));
        let seen = server.seen();
        let sent: Vec<_> = seen.iter().filter(|seen| seen.method == "PATCH").collect();
        assert_eq!(sent.iter().map(|seen| seen.header("content-length").unwrap()).collect::<Vec<_>>(), sizes);
        assert!(sent[1].header("content-range").unwrap().starts_with(&format!("{}-", sizes[0])));
    }
}

#[tokio::test]
async fn a_dropped_upload_goes_on_where_it_broke() {
    let (fake, handler) = shared(Fake::default());
    fake.fail("PATCH", What::ReadOnly(1_000_000)).fail("PATCH", What::ReadOnly(0));
    let server = Server::start_shared(handler).await;
    let blob = pieces(noise(3 << 20), None);
    streaming().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(fake.has(&blob.descriptor().digest));
    let seen = server.seen();
    let methods: Vec<_> = seen.iter().map(|seen| seen.method.as_str()).collect();
    assert_eq!(methods, ["HEAD", "POST", "PATCH", "GET", "PATCH", "GET", "PATCH", "PUT"]);
    for at in [4, 6] {
        assert_eq!(seen[at].header("content-range"), Some("1000000-3145727"));
        assert_eq!(seen[at].header("content-length"), Some("2145728"));
    }
}

#[tokio::test]
async fn an_upload_that_is_forgotten_begins_anew() {
    let (fake, handler) = shared(Fake::default());
    fake.fail("PATCH", What::Answer(Answer::error(404, "BLOB_UPLOAD_UNKNOWN")));
    fake.fail("PATCH", What::Answer(Answer::new(416)));
    fake.fail("PUT", What::Answer(Answer::error(404, "BLOB_UPLOAD_UNKNOWN")));
    let server = Server::start_shared(handler).await;
    let blob = pieces(noise(100_000), None);
    streaming().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(fake.has(&blob.descriptor().digest));
    assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 4);
}

#[tokio::test]
async fn an_end_that_nobody_confirmed_is_looked_up() {
    for client in [client(), streaming()] {
        let (fake, handler) = shared(Fake::default());
        fake.fail("PUT", What::Unanswered);
        let server = Server::start_shared(handler).await;
        let blob = pieces(noise(100_000), None);
        client.put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
        assert!(fake.has(&blob.descriptor().digest));
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), 1);
    }
}

#[tokio::test]
async fn a_busy_registry_is_waited_for() {
    let (fake, handler) = shared(Fake::default());
    for on in ["HEAD", "POST", "PATCH", "PUT"] {
        fake.fail(on, What::Answer(Answer::new(429).header("retry-after", 0))).fail(on, What::Answer(Answer::new(503)));
    }
    let server = Server::start_shared(handler).await;
    let blob = pieces(noise(100_000), None);
    let retry = patchkit_oci::distribution::RetryPolicy { attempts: 20, ..options().retry };
    let client = RegistryClient::new(options().with_monolithic(0).with_retry(retry)).unwrap();
    client.put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(fake.has(&blob.descriptor().digest));
}

#[tokio::test]
async fn mounts_from_another_repository_of_the_host() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let origin: Repository = format!("{}/base", server.host()).parse().unwrap();
    // The fake has one store, so the blob must seem missing at first.
    fake.fail("HEAD", What::Answer(Answer::new(404)));
    let blob = pieces("base layer", Some(origin));
    fake.add_blob("base layer");
    client().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    let seen = server.seen();
    assert_eq!(seen.len(), 2);
    assert_eq!(seen[1].query("from"), ["base"]);
    assert_eq!(seen[1].query("mount"), [blob.descriptor().digest.to_string()]);
}

#[tokio::test]
async fn a_refused_mount_is_an_upload() {
    for refusal in [None, Some(Answer::error(403, "DENIED")), Some(Answer::error(404, "NAME_UNKNOWN"))] {
        let (fake, handler) = shared(Fake { no_mount: true, ..Fake::default() });
        let posts = if refusal.is_some() { 2 } else { 1 };
        if let Some(refusal) = refusal {
            fake.fail("POST", What::Answer(refusal));
        }
        let server = Server::start_shared(handler).await;
        let origin: Repository = format!("{}/base", server.host()).parse().unwrap();
        let blob = pieces(noise(100_000), Some(origin));
        streaming().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
        assert!(fake.has(&blob.descriptor().digest));
        assert_eq!(server.lines().iter().filter(|line| line.starts_with("POST")).count(), posts);
    }
}

#[tokio::test]
async fn nothing_is_mounted_from_another_host() {
    let (_fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let blob = pieces("x", Some("other.example.org/base".parse().unwrap()));
    client().put_blob(&repository(&server), &blob, &Context::new()).await.unwrap();
    assert!(server.seen().iter().all(|seen| seen.query("mount").is_empty()));
}

#[tokio::test]
async fn wrong_content_is_corrupt_and_not_stored() {
    let content = Bytes::from(noise(200_000));
    let honest = Descriptor::of(MediaType::OCI_LAYER, &content);
    let mut other = content.to_vec();
    other[199_999] ^= 1;
    for (name, bytes) in [
        ("other", Bytes::from(other)),
        ("short", content.slice(..100_000)),
        ("long", [&content[..], b"!"].concat().into()),
    ] {
        for client in
            [client(), streaming(), RegistryClient::new(options().with_monolithic(0).with_chunk(70_000)).unwrap()]
        {
            let (fake, handler) = shared(Fake::default());
            let server = Server::start_shared(handler).await;
            let blob = Blob::new(honest.clone(), Arc::new(Pieces(bytes.clone(), None)));
            let result = client.put_blob(&repository(&server), &blob, &Context::new()).await;
            if name == "long" && result.is_ok() {
                // In chunks only the first 200,000 bytes are ever asked for.
                continue;
            }
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Corrupt, "{name}");
            assert!(!fake.has(&honest.digest));
            // What was begun is taken back, and never tried again.
            let lines = server.lines();
            assert_eq!(lines.iter().filter(|line| line.starts_with("POST")).count(), 1);
            assert!(lines.last().unwrap().starts_with("DELETE"), "{lines:?}");
        }
    }
}

#[tokio::test]
async fn a_registry_that_stored_something_else_is_found_out() {
    let (fake, handler) = shared(Fake::default());
    let lie = Answer::new(201).header("docker-content-digest", patchkit_core::Digest::of(b"else"));
    fake.fail("PUT", What::Answer(lie));
    let server = Server::start_shared(handler).await;
    let error = client().put_blob(&repository(&server), &layer("x"), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);

    // The right digest, but another length.
    fake.fail("HEAD", What::Answer(Answer::new(200).claiming(7)));
    let error = client().put_blob(&repository(&server), &layer("x"), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
