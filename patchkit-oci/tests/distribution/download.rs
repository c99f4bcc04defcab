//! Blobs on their way in.

use bytes::Bytes;
use futures::StreamExt;
use patchkit_core::{ByteRange, Context, Digest, ErrorKind, Registry, Repository, Result};
use patchkit_oci::distribution::{Mirror, RegistryClient};

use crate::{
    client,
    fake::{Fake, What, shared},
    noise, options, repository,
    server::{Answer, Seen, Server},
};

const LIMIT: u64 = 1 << 30;

async fn pull(client: &RegistryClient, from: &Repository, digest: &Digest, range: ByteRange) -> Result<Bytes> {
    client.blob(from, digest, range, &Context::new()).await?.collect(LIMIT).await
}

#[tokio::test]
async fn a_dropped_download_goes_on_where_it_broke() {
    let content = noise(1 << 20);
    let (fake, handler) = shared(Fake::default());
    let digest = fake.add_blob(content.clone());
    fake.fail("GET", What::CutAfter(300_000)).fail("GET", What::CutAfter(1)).fail("GET", What::CutAfter(0));
    let server = Server::start_shared(handler).await;
    assert_eq!(pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap(), content);
    let ranges: Vec<_> = server.seen().iter().map(|seen| seen.header("range").map(str::to_owned)).collect();
    assert_eq!(
        ranges,
        [None, Some("bytes=300000-".into()), Some("bytes=300001-".into()), Some("bytes=300001-".into())]
    );
    assert_eq!(server.seen()[1].header("if-range"), Some(format!("\"{digest}\"").as_str()));
}

#[tokio::test]
async fn so_it_does_where_ranges_are_not_understood() {
    let content = noise(500_000);
    let (fake, handler) = shared(Fake { no_ranges: true, ..Fake::default() });
    let digest = fake.add_blob(content.clone());
    fake.fail("GET", What::CutAfter(123_456));
    let server = Server::start_shared(handler).await;
    assert_eq!(pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap(), content);
    let part = ByteRange { start: 10, end: Some(20) };
    assert_eq!(pull(&client(), &repository(&server), &digest, part).await.unwrap(), content[10..20]);
}

#[tokio::test]
async fn as_long_as_something_comes_it_goes_on() {
    let content = noise(2 << 20);
    let (fake, handler) = shared(Fake::default());
    let digest = fake.add_blob(content.clone());
    for _ in 0..20 {
        fake.fail("GET", What::CutAfter(100_000));
    }
    let server = Server::start_shared(handler).await;
    assert_eq!(pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap(), content);

    for _ in 0..5 {
        fake.fail("GET", What::CutAfter(10));
    }
    let error = pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn ranges_are_cut_and_checked() {
    let content = noise(100_000);
    let (fake, handler) = shared(Fake::default());
    let digest = fake.add_blob(content.clone());
    let server = Server::start_shared(handler).await;
    for (start, end) in
        [(0, Some(1)), (5, Some(99_999)), (5, Some(200_000)), (99_999, None), (100_000, None), (7, Some(7))]
    {
        let expected = ByteRange { start, end }.of(&content.clone().into()).unwrap();
        let found = pull(&client(), &repository(&server), &digest, ByteRange { start, end }).await;
        assert_eq!(found.unwrap(), expected, "{start}..{end:?}");
    }
    for (start, end) in [(100_001, None), (100_001, Some(100_001)), (5, Some(4))] {
        let error = pull(&client(), &repository(&server), &digest, ByteRange { start, end }).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid, "{start}..{end:?}");
    }
    // A dropped range goes on, to its end and no further.
    fake.fail("GET", What::CutAfter(10));
    let part = ByteRange { start: 100, end: Some(200) };
    assert_eq!(pull(&client(), &repository(&server), &digest, part).await.unwrap(), content[100..200]);
    assert_eq!(server.seen().last().unwrap().header("range"), Some("bytes=110-199"));
}

#[tokio::test]
async fn lies_are_corrupt() {
    let content = Bytes::from(noise(1000));
    let digest = Digest::of(&content);
    let wrong = noise(1001).split_off(1);
    let whole = Answer::new(200).body(content.clone());
    let part = |range: &str, body: &Bytes| Answer::new(206).header("content-range", range).body(body.clone());
    let rest = content.slice(500..);
    let scripts: Vec<(&str, Vec<Answer>)> = vec![
        ("other content", vec![Answer::new(200).body(wrong)]),
        ("too short", vec![Answer::new(200).body(content.slice(..999))]),
        ("another digest in the head", vec![whole.clone().header("docker-content-digest", Digest::of(b"x"))]),
        ("another length when asked again", vec![whole.clone().cut(500), part("bytes 500-999/2000", &rest)]),
        ("another range", vec![whole.clone().cut(500), part("bytes 600-999/1000", &rest)]),
        ("a part of nothing", vec![Answer::new(206).body(content.clone())]),
    ];
    for (name, script) in scripts {
        let script = std::sync::Mutex::new(script.into_iter());
        let server = Server::start(move |_: &Seen| script.lock().unwrap().next().unwrap_or(Answer::new(404))).await;
        let error = pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        assert!(error.to_string().contains(&digest.to_string()), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_false_length_that_does_no_harm_is_borne() {
    let content = Bytes::from(noise(1000));
    let digest = Digest::of(&content);
    let first = Answer::new(200).body(content.clone()).claiming(2000).cut(1000);
    let script = std::sync::Mutex::new([first, Answer::new(416)].into_iter());
    let server = Server::start(move |_: &Seen| script.lock().unwrap().next().unwrap()).await;
    assert_eq!(pull(&client(), &repository(&server), &digest, ByteRange::FULL).await.unwrap(), content);
}

#[tokio::test]
async fn a_silent_server_counts_as_dropped() {
    let content = noise(1000);
    let digest = Digest::of(&content);
    let body = content.clone();
    let first = std::sync::atomic::AtomicBool::new(true);
    let server = Server::start(move |_: &Seen| {
        let answer = Answer::new(200).body(body.clone());
        // Claims more and keeps the connection open.
        if first.swap(false, std::sync::atomic::Ordering::SeqCst) { answer.claiming(1001) } else { answer }
    })
    .await;
    let client = RegistryClient::new(options().with_stall_timeout(std::time::Duration::from_millis(50))).unwrap();
    let error = pull(&client, &repository(&server), &digest, ByteRange::FULL).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn cancelling_ends_a_stream() {
    let content = noise(1 << 20);
    let digest = Digest::of(&content);
    let server = Server::start(move |_: &Seen| Answer::new(200).body(content.clone()).claiming(2 << 20)).await;
    let cx = Context::new();
    let mut stream = client().blob(&repository(&server), &digest, ByteRange::FULL, &cx).await.unwrap();
    stream.next().await.unwrap().unwrap();
    cx.cancel();
    let error = loop {
        if let Err(error) = stream.next().await.unwrap() {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Cancel);
}

#[tokio::test]
async fn mirrors_come_first_and_the_repository_last() {
    let (origin, origin_handler) = shared(Fake::default());
    let (mirror, mirror_handler) = shared(Fake::default());
    let (origin_server, mirror_server) =
        (Server::start_shared(origin_handler).await, Server::start_shared(mirror_handler).await);
    let both = origin.add_blob("both");
    mirror.add_blob("both");
    let here = origin.add_blob("here only");
    let options = options()
        .with_mirror(origin_server.host(), Mirror::new("localhost:1"))
        .with_mirror(origin_server.host(), Mirror::new(format!("{}/below", mirror_server.host())));
    let client = RegistryClient::new(options).unwrap();
    let from = repository(&origin_server);
    assert_eq!(pull(&client, &from, &both, ByteRange::FULL).await.unwrap(), "both");
    assert_eq!(origin_server.lines(), Vec::<String>::new());
    assert_eq!(mirror_server.lines(), [format!("GET /v2/below/app/blobs/{both}")]);
    assert_eq!(pull(&client, &from, &here, ByteRange::FULL).await.unwrap(), "here only");
    assert_eq!(origin_server.lines(), [format!("GET /v2/app/blobs/{here}")]);

    // What is wrong there is not passed over.
    mirror.blobs.lock().unwrap().insert(both.to_string(), "wrong".into());
    assert_eq!(pull(&client, &from, &both, ByteRange::FULL).await.unwrap_err().kind(), ErrorKind::Corrupt);
}
