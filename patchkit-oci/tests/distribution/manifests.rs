//! Manifests, tags, and what the registry says of them.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use patchkit_core::{
    Clock, Context, Current, DeleteManifest, Digest, ErrorKind, ListTags, ManifestBytes, MediaType, PutManifest,
    Registry, memory::ManualClock,
};
use patchkit_oci::distribution::{Mirror, RegistryClient};

use crate::{
    client,
    fake::{Fake, What, shared},
    options, repository, seconds,
    server::{Answer, Seen, Server},
};

const OCI: &str = "application/vnd.oci.image.manifest.v1+json";

fn manifest(text: &str) -> ManifestBytes {
    let bytes = format!(r#"{{"schemaVersion":2,"annotations":{{"a":"{text}"}}}}"#);
    ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: bytes.into() }
}

fn expecting(current: Current) -> PutManifest {
    PutManifest { if_current: Some(current) }
}

#[tokio::test]
async fn resolves_by_head_and_else_by_get() {
    for no_digest in [false, true] {
        let (fake, handler) = shared(Fake { no_digest, ..Fake::default() });
        let server = Server::start_shared(handler).await;
        let (wanted, cx) = (manifest("1"), Context::new());
        let digest = fake.add_manifest("v1", OCI, wanted.bytes.clone());
        let found = client().resolve(&repository(&server).tag("v1").unwrap(), &cx).await.unwrap();
        assert_eq!(found, wanted.descriptor());
        assert_eq!(server.seen().len(), if no_digest { 2 } else { 1 });
        assert_eq!(client().manifest(&repository(&server), &digest, &cx).await.unwrap(), wanted);
        assert!(server.seen()[0].header("accept").unwrap().contains("manifest.list.v2"));
    }
}

#[tokio::test]
async fn a_tag_with_a_digest_must_be_it() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let (client, cx) = (client(), Context::new());
    let digest = fake.add_manifest("v1", OCI, manifest("1").bytes);
    let tag = repository(&server).tag("v1").unwrap();
    assert_eq!(client.resolve(&tag.pinned(digest), &cx).await.unwrap().digest, digest);
    let error = client.resolve(&tag.pinned(Digest::of(b"x")), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    let error = client.resolve(&repository(&server).tag("v2").unwrap(), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().starts_with(&format!("resolve: {}/app:v2: ", server.host())), "{error}");
}

#[tokio::test]
async fn what_is_not_what_it_should_be_is_corrupt() {
    let good = manifest("1");
    let digest = good.descriptor().digest;
    let of = |body: &str| Answer::new(200).header("content-type", OCI).body(body.to_owned());
    let text = std::str::from_utf8(&good.bytes).unwrap();
    let large = format!(r#"{{"a":"{}"}}"#, "x".repeat(5 << 20));
    let docker = r#"{"mediaType":"application/vnd.docker.distribution.manifest.v2+json"}"#;
    for (name, answer) in [
        ("other", of("{}")),
        ("another digest in the head", of(text).header("docker-content-digest", Digest::of(b"x"))),
        ("too large", of(&large)),
        ("no JSON", of("<html>")),
        ("two types", of(docker)),
    ] {
        let server = Server::start(move |_: &Seen| answer.clone()).await;
        let error = client().manifest(&repository(&server), &digest, &Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        assert_eq!(server.seen().len(), 1, "{name} was tried again");
    }
}

#[tokio::test]
async fn the_type_is_in_the_head_or_in_the_manifest() {
    let body = format!(r#"{{"mediaType":"{OCI}"}}"#);
    for head in ["", "application/json", "application/vnd.oci.image.manifest.v1+json; charset=utf-8"] {
        let body = body.clone();
        let digest = Digest::of(&body);
        let server =
            Server::start(move |_: &Seen| Answer::new(200).header("content-type", head).body(body.clone())).await;
        let found = client().manifest(&repository(&server), &digest, &Context::new()).await.unwrap();
        assert_eq!(found.media_type, MediaType::OCI_MANIFEST, "{head}");
    }
}

#[tokio::test]
async fn a_tag_moves_only_from_where_it_should_be() {
    for conditions in [false, true] {
        let (fake, handler) = shared(Fake { conditions, ..Fake::default() });
        let server = Server::start_shared(handler).await;
        let (client, cx, tag) = (client(), Context::new(), repository(&server).tag("v1").unwrap());
        let put =
            async |text: &str, options: PutManifest| client.put_manifest(&tag, &manifest(text), &options, &cx).await;
        let first = put("1", expecting(Current::Absent)).await.unwrap();
        assert_eq!(put("2", expecting(Current::Absent)).await.unwrap_err().kind(), ErrorKind::Conflict);
        let second = put("2", expecting(Current::Is(first.digest))).await.unwrap();
        assert_eq!(put("3", expecting(Current::Is(first.digest))).await.unwrap_err().kind(), ErrorKind::Conflict);
        assert_eq!(client.resolve(&tag, &cx).await.unwrap().digest, second.digest);
        put("3", PutManifest::default()).await.unwrap();
        assert_eq!(fake.tag("v1").unwrap(), manifest("3").bytes);
    }
}

#[tokio::test]
async fn a_registry_with_conditions_closes_the_window() {
    let (fake, handler) = shared(Fake { conditions: true, ..Fake::default() });
    let server = Server::start_shared(handler).await;
    let digest = fake.add_manifest("v1", OCI, manifest("1").bytes);
    *fake.before_put.lock().unwrap() =
        Some(Box::new(|fake| _ = fake.add_manifest("v1", OCI, manifest("theirs").bytes)));
    let tag = repository(&server).tag("v1").unwrap();
    let error = client().put_manifest(&tag, &manifest("2"), &expecting(Current::Is(digest)), &Context::new()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(fake.tag("v1").unwrap(), manifest("theirs").bytes);
}

#[tokio::test]
async fn a_move_that_nobody_confirmed_is_no_conflict() {
    let (fake, handler) = shared(Fake { conditions: true, ..Fake::default() });
    let server = Server::start_shared(handler).await;
    let digest = fake.add_manifest("v1", OCI, manifest("1").bytes);
    fake.fail("PUT", What::Unanswered);
    let tag = repository(&server).tag("v1").unwrap();
    let options = expecting(Current::Is(digest));
    client().put_manifest(&tag, &manifest("2"), &options, &Context::new()).await.unwrap();
    assert_eq!(fake.tag("v1").unwrap(), manifest("2").bytes);
}

#[tokio::test]
async fn a_put_of_something_else_is_corrupt() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let (cx, none) = (Context::new(), PutManifest::default());
    let wrong = repository(&server).digest(Digest::of(b"x"));
    let error = client().put_manifest(&wrong, &manifest("1"), &none, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(server.seen().is_empty());

    fake.fail("PUT", What::Answer(Answer::new(201).header("docker-content-digest", Digest::of(b"x"))));
    let tag = repository(&server).tag("v1").unwrap();
    let error = client().put_manifest(&tag, &manifest("1"), &none, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn retry_after_is_kept_to_the_second() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    fake.add_manifest("v1", OCI, manifest("1").bytes);
    fake.fail("HEAD", What::Answer(Answer::new(429).header("retry-after", 30)));
    fake.fail("HEAD", What::Answer(Answer::new(503).header("retry-after", "Thu, 01 Jan 1970 00:00:50 GMT")));
    let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
    let cx = Context::new().with_clock(Arc::new(clock.clone()));
    let resolving = tokio::spawn({
        let tag = repository(&server).tag("v1").unwrap();
        async move { client().resolve(&tag, &cx).await }
    });
    let mut sent_at = Vec::new();
    while !resolving.is_finished() {
        // Long enough in real time for whatever is due to be sent.
        tokio::time::sleep(Duration::from_millis(20)).await;
        sent_at.resize(server.seen().len(), clock.now().as_second());
        clock.advance(Duration::from_secs(1));
    }
    resolving.await.unwrap().unwrap();
    assert_eq!(sent_at.len(), 3);
    assert!((30..=32).contains(&sent_at[1]), "{sent_at:?}");
    assert!((50..=52).contains(&sent_at[2]), "{sent_at:?}");
}

#[tokio::test]
async fn more_patience_than_there_is_is_left_to_the_caller() {
    let server = Server::start(|_: &Seen| Answer::new(429).header("retry-after", 3600)).await;
    let error = client().resolve(&repository(&server).tag("v1").unwrap(), &Context::new()).await.unwrap_err();
    assert_eq!((error.kind(), error.retryable()), (ErrorKind::Unavailable, seconds(3600)));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn faults_that_pass_are_waited_out_and_others_not() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    fake.add_manifest("v1", OCI, manifest("1").bytes);
    let tag = repository(&server).tag("v1").unwrap();
    fake.fail("HEAD", What::Answer(Answer::new(500))).fail("HEAD", What::Answer(Answer::new(502)));
    fake.fail("HEAD", What::Unanswered).fail("HEAD", What::Answer(Answer::new(408)));
    client().resolve(&tag, &Context::new()).await.unwrap();
    let before = server.seen().len();
    fake.fail("HEAD", What::Answer(Answer::new(403)));
    assert_eq!(client().resolve(&tag, &Context::new()).await.unwrap_err().kind(), ErrorKind::Denied);
    assert_eq!(server.seen().len(), before + 1);
}

#[tokio::test]
async fn a_mirror_of_digests_is_not_asked_for_tags() {
    let (origin, origin_handler) = shared(Fake::default());
    let (mirror, mirror_handler) = shared(Fake::default());
    let (server, mirror_server) =
        (Server::start_shared(origin_handler).await, Server::start_shared(mirror_handler).await);
    origin.add_manifest("v1", OCI, manifest("new").bytes);
    let old = mirror.add_manifest("v1", OCI, manifest("old").bytes);
    let (cx, tag) = (Context::new(), repository(&server).tag("v1").unwrap());
    for (how, text) in [(Mirror::new(mirror_server.host()), "old"), (Mirror::of_digests(mirror_server.host()), "new")] {
        let client = RegistryClient::new(options().with_mirror(server.host(), how)).unwrap();
        assert_eq!(client.resolve(&tag, &cx).await.unwrap(), manifest(text).descriptor());
        assert_eq!(client.manifest(&repository(&server), &old, &cx).await.unwrap(), manifest("old"));
        // The lock looks at the repository itself, and writes there.
        let current = Current::Is(Digest::of(manifest("new").bytes));
        client.put_manifest(&tag, &manifest("new"), &expecting(current), &cx).await.unwrap();
    }
    assert!(mirror_server.seen().iter().all(|seen| seen.method != "PUT"));
}

#[tokio::test]
async fn tags_of_all_pages_in_order() {
    let server = Server::start(|request: &Seen| match request.query("last").first().map(String::as_str) {
        None => Answer::new(200)
            .header("link", "</v2/app/tags/list?last=b&n=2>; rel=\"next\"")
            .body(r#"{"name":"app","tags":["b","a"]}"#),
        Some("b") => Answer::new(200)
            .header("link", format!("<http://{}/v2/app/tags/list?last=c>; rel=next", request.header("host").unwrap()))
            .body(r#"{"name":"app","tags":["c","b"]}"#),
        Some(_) => Answer::new(200).body(r#"{"name":"app","tags":null}"#),
    })
    .await;
    let (client, cx) = (client(), Context::new());
    assert_eq!(client.tags(&repository(&server), &cx).await.unwrap(), ["a", "b", "c"]);
}

#[tokio::test]
async fn pages_that_lead_astray() {
    for link in ["</v2/app/tags/list>; rel=next", "<http://other.example.org/v2/app/tags/list>; rel=next"] {
        let server =
            Server::start(move |_: &Seen| Answer::new(200).header("link", link).body(r#"{"tags":["a"]}"#)).await;
        let error = client().tags(&repository(&server), &Context::new()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unexpected, "{link}");
        assert!(server.seen().len() <= 2);
    }
    let server = Server::start(|_: &Seen| Answer::error(404, "NAME_UNKNOWN")).await;
    let error = client().tags(&repository(&server), &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn deletes_tags_and_manifests() {
    let (fake, handler) = shared(Fake::default());
    let server = Server::start_shared(handler).await;
    let (client, cx, repository) = (client(), Context::new(), repository(&server));
    let digest = fake.add_manifest("v1", OCI, manifest("1").bytes);
    let tag = repository.tag("v1").unwrap();
    let error = client.delete(&tag.pinned(Digest::of(b"x")), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    client.delete(&tag, &cx).await.unwrap();
    assert!(fake.tag("v1").is_none() && fake.tag(&digest.to_string()).is_some());
    // It arrives, the answer does not; then it is not there any more.
    fake.fail("DELETE", What::Unanswered);
    client.delete(&repository.digest(digest), &cx).await.unwrap();
    assert!(fake.tag(&digest.to_string()).is_none());
    assert_eq!(client.delete(&repository.digest(digest), &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    fake.add_manifest("v1", OCI, manifest("1").bytes);
    fake.fail("DELETE", What::Answer(Answer::error(405, "UNSUPPORTED")));
    assert_eq!(client.delete(&tag, &cx).await.unwrap_err().kind(), ErrorKind::Unsupported);
}
