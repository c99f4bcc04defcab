//! A served registry, asked word for word as the distribution specification has it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use patchkit_core::{Context, Digest, Registry, conformance, memory::MemoryRegistry};
use patchkit_oci::{
    FolderScratch, RegistryClient, Store,
    distribution::Options,
    serve::{Plain, Server},
};
use serde_json::{Value, json};
use support::{Parts, parts, put, referrer};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

struct Fixture {
    server: Server,
    store: Store,
    folder: tempfile::TempDir,
}

/// An answer: status, headers with lower-case names, body.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    fn code(&self) -> String {
        self.json()["errors"][0]["code"].as_str().unwrap().into()
    }
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("store")).await.unwrap();
        let scratch = FolderScratch::new(folder.path().join("scratch")).unwrap();
        let cx = Context::new().with_scratch(Arc::new(scratch));
        let server = Server::bind(free(), Arc::new(store.clone()), &cx).await.unwrap();
        Self { server, store, folder }
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, &[], b"").await
    }

    /// Sends a request byte by byte as given, with its length.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        let mut stream = TcpStream::connect(self.server.address()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        // The server may have refused and closed before everything was sent.
        let _ = stream.write_all(body).await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        parse(&answer)
    }

    async fn put_blob(&self, repository: &str, blob: &[u8]) -> Digest {
        let digest = Digest::of(blob);
        let path = format!("/v2/{repository}/blobs/uploads/?digest={digest}");
        let answer = self.send("POST", &path, &[], blob).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        digest
    }

    /// Puts an image; the path of its manifest by tag, and its digest.
    async fn put_image(&self, repository: &str, tag: &str, image: &Parts) -> (String, Digest) {
        for blob in &image.blobs {
            self.put_blob(repository, &blob.read(&Context::new()).await.unwrap()).await;
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        let answer = self.put_manifest(&path, image, &[]).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        (path, image.manifest.descriptor().digest)
    }

    async fn put_manifest(&self, path: &str, image: &Parts, headers: &[(&str, &str)]) -> Answer {
        let headers = [&[("Content-Type", image.manifest.media_type.as_str())], headers].concat();
        self.send("PUT", path, &headers, &image.manifest.bytes).await
    }
}

fn free() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer has a head");
    let head = std::str::from_utf8(&answer[..end]).unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let header = |line: &str| {
        let (name, value) = line.split_once(": ").unwrap();
        (name.to_lowercase(), value.to_owned())
    };
    Answer { status, headers: lines.map(header).collect(), body: answer[end + 4..].into() }
}

#[tokio::test]
async fn the_version_is_told() {
    let f = Fixture::new().await;
    for path in ["/v2", "/v2/"] {
        let answer = f.ask("GET", path).await;
        assert_eq!((answer.status, answer.header("docker-distribution-api-version")), (200, "registry/2.0"));
    }
    assert_eq!(f.ask("GET", "/v1/x").await.status, 404);
    assert_eq!(f.ask("PUT", "/v2/").await.code(), "UNSUPPORTED");
    assert_eq!(f.ask("GET", "/v2/UPPER/tags/list").await.code(), "NAME_INVALID");
}

#[tokio::test]
async fn a_blob_is_pulled_whole_and_in_parts() {
    let f = Fixture::new().await;
    let digest = f.put_blob("a/b", b"0123456789").await;
    let path = format!("/v2/a/b/blobs/{digest}");
    let whole = f.ask("GET", &path).await;
    assert_eq!((whole.status, whole.body.as_slice()), (200, b"0123456789".as_slice()));
    assert_eq!(whole.header("docker-content-digest"), digest.to_string());
    let head = f.ask("HEAD", &path).await;
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, "10", 0));
    for (range, status, content_range, body) in [
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=0-1,3-4", 200, "", "0123456789"),
    ] {
        let part = f.send("GET", &path, &[("Range", range)], b"").await;
        assert_eq!((part.status, part.header("content-range")), (status, content_range), "{range}");
        assert_eq!(part.body, body.as_bytes());
    }
    let outside = f.send("GET", &path, &[("Range", "bytes=10-")], b"").await;
    assert_eq!((outside.status, outside.header("content-range")), (416, "bytes */10"));
    let other = f.send("GET", &path, &[("Range", "bytes=1-2"), ("If-Range", "\"x\"")], b"").await;
    assert_eq!(other.status, 200);
    let known = f.send("GET", &path, &[("If-None-Match", &format!("\"{digest}\""))], b"").await;
    assert_eq!(known.status, 304);
    assert_eq!(f.ask("GET", &format!("/v2/a/b/blobs/{}", Digest::of("?"))).await.code(), "BLOB_UNKNOWN");
    assert_eq!(f.ask("GET", "/v2/a/b/blobs/sha256:0").await.code(), "DIGEST_INVALID");
    assert_eq!(f.ask("DELETE", &path).await.status, 202);
    assert_eq!(f.ask("DELETE", &path).await.status, 404);
    assert_eq!(f.ask("HEAD", &path).await.status, 404);
}

#[tokio::test]
async fn an_upload_comes_in_chunks_in_their_order() {
    let f = Fixture::new().await;
    let begun = f.ask("POST", "/v2/a/blobs/uploads/").await;
    assert_eq!((begun.status, begun.header("range")), (202, "0-0"));
    let place = begun.header("location").to_owned();
    let chunk = async |range, body| f.send("PATCH", &place, &[("Content-Range", range)], body).await;
    let first = chunk("0-4", b"01234").await;
    assert_eq!((first.status, first.header("range")), (202, "0-4"));
    for (range, body) in [("6-7", b"67".as_slice()), ("0-4", b"01234"), ("5-9", b"5"), ("x", b"5")] {
        let refused = chunk(range, body).await;
        assert_eq!((refused.status, refused.header("range")), (416, "0-4"), "{range}");
    }
    let status = f.ask("GET", &place).await;
    assert_eq!((status.status, status.header("range"), status.header("location")), (204, "0-4", place.as_str()));
    assert_eq!(f.send("PATCH", &place, &[], b"567").await.header("range"), "0-7");
    let digest = Digest::of("0123456789");
    assert_eq!(f.ask("PUT", &place).await.code(), "DIGEST_INVALID");
    let done = f.send("PUT", &format!("{place}?digest={digest}"), &[("Content-Range", "8-9")], b"89").await;
    assert_eq!((done.status, done.header("docker-content-digest")), (201, digest.to_string().as_str()));
    assert_eq!(f.ask("GET", done.header("location")).await.body, b"0123456789");
    assert_eq!(f.ask("GET", &place).await.code(), "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn an_upload_is_cancelled_and_belongs_to_its_repository() {
    let f = Fixture::new().await;
    let place = f.ask("POST", "/v2/a/blobs/uploads/").await.header("location").to_owned();
    assert_eq!(f.ask("PATCH", &place.replace("/v2/a/", "/v2/b/")).await.code(), "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(f.ask("DELETE", &place).await.status, 204);
    assert_eq!(f.ask("DELETE", &place).await.status, 404);
}

#[tokio::test]
async fn a_blob_with_another_digest_is_not_stored() {
    let f = Fixture::new().await;
    let digest = Digest::of("right");
    let place = f.ask("POST", "/v2/a/blobs/uploads/").await.header("location").to_owned();
    let wrong = f.send("PUT", &format!("{place}?digest={digest}"), &[], b"wrong").await;
    assert_eq!((wrong.status, wrong.code().as_str()), (400, "DIGEST_INVALID"));
    assert_eq!(f.ask("HEAD", &format!("/v2/a/blobs/{digest}")).await.status, 404);
}

#[tokio::test]
async fn an_upload_goes_on_after_the_connection_was_lost() {
    let f = Fixture::new().await;
    let place = f.ask("POST", "/v2/a/blobs/uploads/").await.header("location").to_owned();
    let mut stream = TcpStream::connect(f.server.address()).await.unwrap();
    let head = format!("PATCH {place} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n01234");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    drop(stream);
    let mut status = f.ask("GET", &place).await;
    for _ in 0..100 {
        if status.header("range") == "0-4" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        status = f.ask("GET", &place).await;
    }
    assert_eq!((status.status, status.header("range")), (204, "0-4"));
    let digest = Digest::of("0123456789");
    let done = f.send("PUT", &format!("{place}?digest={digest}"), &[], b"56789").await;
    assert_eq!(done.status, 201);
}

#[tokio::test]
async fn a_blob_is_mounted_or_else_uploaded() {
    let f = Fixture::new().await;
    let digest = f.put_blob("a", b"hello").await;
    let mounted = f.ask("POST", &format!("/v2/b/c/blobs/uploads/?mount={digest}&from=a")).await;
    assert_eq!((mounted.status, mounted.header("location")), (201, format!("/v2/b/c/blobs/{digest}").as_str()));
    assert_eq!(f.ask("GET", mounted.header("location")).await.body, b"hello");
    let unknown = Digest::of("?");
    for query in [format!("mount={unknown}&from=a"), format!("mount={digest}&from=nowhere"), format!("mount={digest}")]
    {
        let answer = f.ask("POST", &format!("/v2/d/blobs/uploads/?{query}")).await;
        assert_eq!(answer.status, 202, "{query}");
        assert!(answer.header("location").starts_with("/v2/d/blobs/uploads/"));
    }
}

#[tokio::test]
async fn a_manifest_is_pushed_pulled_and_deleted() {
    let f = Fixture::new().await;
    let image = parts("a", 1, "amd64");
    let unknown = f.put_manifest("/v2/a/manifests/1", &image, &[]).await;
    assert_eq!((unknown.status, unknown.code().as_str()), (404, "MANIFEST_BLOB_UNKNOWN"));
    let (path, digest) = f.put_image("a", "1", &image).await;
    let by_digest = format!("/v2/a/manifests/{digest}");
    for path in [&path, &by_digest] {
        let pulled = f.ask("GET", path).await;
        assert_eq!((pulled.status, pulled.body.as_slice()), (200, image.manifest.bytes.as_ref()));
        assert_eq!(pulled.header("content-type"), image.manifest.media_type.as_str());
        assert_eq!(pulled.header("docker-content-digest"), digest.to_string());
        let head = f.ask("HEAD", path).await;
        assert_eq!(head.header("content-length"), image.manifest.bytes.len().to_string());
        assert_eq!((head.status, head.body.len()), (200, 0));
    }
    let known = f.send("GET", &path, &[("If-None-Match", &format!("\"{digest}\""))], b"").await;
    assert_eq!(known.status, 304);
    assert_eq!(f.ask("GET", "/v2/a/manifests/2").await.code(), "MANIFEST_UNKNOWN");
    assert_eq!(f.ask("GET", "/v2/a/manifests/.not-a-tag").await.status, 404);
    assert_eq!(f.ask("DELETE", &path).await.status, 202);
    assert_eq!(f.ask("GET", &path).await.status, 404);
    assert_eq!(f.ask("GET", &by_digest).await.status, 200);
    assert_eq!(f.ask("DELETE", &by_digest).await.status, 202);
    assert_eq!(f.ask("DELETE", &by_digest).await.code(), "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn what_is_no_manifest_is_refused() {
    let f = Fixture::new().await;
    let image = parts("a", 0, "amd64");
    f.put_image("a", "1", &image).await;
    let oci = image.manifest.media_type.as_str();
    let large = vec![b' '; 5 << 20];
    for (path, content_type, body, status, code) in [
        ("/v2/a/manifests/x", oci, b"{".as_slice(), 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/x", "text/plain", image.manifest.bytes.as_ref(), 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/-x", oci, image.manifest.bytes.as_ref(), 400, "MANIFEST_INVALID"),
        ("/v2/a/manifests/sha256:0", oci, image.manifest.bytes.as_ref(), 400, "DIGEST_INVALID"),
        (&format!("/v2/a/manifests/{}", Digest::of("")), oci, image.manifest.bytes.as_ref(), 400, "DIGEST_INVALID"),
        ("/v2/a/manifests/x", oci, large.as_slice(), 413, "MANIFEST_INVALID"),
    ] {
        let answer = f.send("PUT", path, &[("Content-Type", content_type)], body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{path} {content_type}");
    }
    let untyped = f.send("PUT", "/v2/a/manifests/untyped", &[], &image.manifest.bytes).await;
    assert_eq!(untyped.status, 201);
}

#[tokio::test]
async fn a_tag_is_moved_only_from_where_it_is() {
    let f = Fixture::new().await;
    let (a, b) = (parts("a", 0, "amd64"), parts("b", 0, "amd64"));
    let (path, first) = f.put_image("x", "1", &a).await;
    f.put_image("x", "other", &b).await;
    let etag = f.ask("HEAD", &path).await.header("etag").to_owned();
    assert_eq!(etag, format!("\"{first}\""));
    assert_eq!(f.put_manifest(&path, &b, &[("If-None-Match", "*")]).await.status, 412);
    assert_eq!(f.put_manifest(&path, &b, &[("If-Match", &format!("\"{}\"", Digest::of("?")))]).await.status, 412);
    assert_eq!(f.put_manifest("/v2/x/manifests/new", &b, &[("If-Match", "*")]).await.status, 412);
    assert_eq!(f.ask("HEAD", &path).await.header("etag"), etag);
    assert_eq!(f.put_manifest(&path, &b, &[("If-Match", &etag)]).await.status, 201);
    assert_eq!(f.put_manifest("/v2/x/manifests/new", &b, &[("If-None-Match", "*")]).await.status, 201);
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let f = Fixture::new().await;
    let image = parts("a", 0, "amd64");
    let (_, digest) = f.put_image("a", "1", &image).await;
    for kind in ["x/sbom+json", "x/signature"] {
        let artifact = referrer(&image.manifest.descriptor(), kind);
        let path = format!("/v2/a/manifests/{}", artifact.manifest.descriptor().digest);
        f.put_blob("a", b"{}").await;
        let answer = f.put_manifest(&path, &artifact, &[]).await;
        assert_eq!((answer.status, answer.header("oci-subject")), (201, digest.to_string().as_str()));
    }
    let all = f.ask("GET", &format!("/v2/a/referrers/{digest}")).await;
    assert_eq!(all.header("content-type"), "application/vnd.oci.image.index.v1+json");
    assert_eq!((all.json()["manifests"].as_array().unwrap().len(), all.header("oci-filters-applied")), (2, ""));
    for query in ["x/sbom+json", "x%2Fsbom%2Bjson"] {
        let some = f.ask("GET", &format!("/v2/a/referrers/{digest}?artifactType={query}")).await;
        assert_eq!(some.header("oci-filters-applied"), "artifactType");
        assert_eq!(some.json()["manifests"][0]["artifactType"], "x/sbom+json");
        assert_eq!(some.json()["manifests"].as_array().unwrap().len(), 1);
    }
    let none = f.ask("GET", &format!("/v2/nowhere/referrers/{digest}")).await;
    assert_eq!((none.status, none.json()["manifests"].clone()), (200, json!([])));
    assert_eq!(f.ask("GET", "/v2/a/referrers/x").await.code(), "DIGEST_INVALID");
}

#[tokio::test]
async fn lists_come_in_pages() {
    let f = Fixture::new().await;
    let image = parts("a", 0, "amd64");
    for tag in ["c", "a", "b"] {
        f.put_image("x/y", tag, &image).await;
    }
    f.put_image("w", "1", &image).await;
    let all = f.ask("GET", "/v2/x/y/tags/list").await;
    assert_eq!(all.json(), json!({ "name": "x/y", "tags": ["a", "b", "c"] }));
    let first = f.ask("GET", "/v2/x/y/tags/list?n=2").await;
    assert_eq!(first.header("link"), "</v2/x/y/tags/list?n=2&last=b>; rel=\"next\"");
    let second = f.ask("GET", "/v2/x/y/tags/list?n=2&last=b").await;
    assert_eq!((second.json()["tags"].clone(), second.header("link")), (json!(["c"]), ""));
    assert_eq!(f.ask("GET", "/v2/nowhere/tags/list").await.code(), "NAME_UNKNOWN");
    assert_eq!(f.ask("GET", "/v2/x/y/tags/list?n=x").await.status, 400);
    assert_eq!(f.ask("GET", "/v2/_catalog?n=1").await.json(), json!({ "repositories": ["w"] }));
    assert_eq!(f.ask("GET", "/v2/_catalog?last=w").await.json(), json!({ "repositories": ["x/y"] }));
}

#[tokio::test]
async fn a_damaged_blob_ends_the_connection_early() {
    let f = Fixture::new().await;
    let digest = f.put_blob("a", b"hello").await;
    std::fs::write(f.folder.path().join("store/a/blobs/sha256").join(digest.hex()), "hellO").unwrap();
    let mut stream = TcpStream::connect(f.server.address()).await.unwrap();
    let request = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer).await;
    // All bytes may come, since the fault shows at the end only; then the client's own check finds it.
    assert!(ended.is_err() || !answer.ends_with(b"hello"));
}

#[tokio::test]
async fn the_client_finds_the_contract_kept() {
    let f = Fixture::new().await;
    let client = RegistryClient::new(Options::default()).unwrap();
    let base = format!("{}/suite", f.server.address()).parse().unwrap();
    conformance::registry::suite(&client, &base).await.assert();
    assert!(f.store.repositories().await.unwrap().len() > 10);
}

#[tokio::test]
async fn any_registry_can_be_served() {
    let registry = MemoryRegistry::default();
    let reference = "registry.example.org/app:1".parse().unwrap();
    let image = parts("a", 1, "amd64");
    let stored = put(&registry, &reference, &image).await;
    let cx = Context::new();
    let plain = Plain::new(registry, "registry.example.org").unwrap();
    let server = Server::bind(free(), Arc::new(plain), &cx).await.unwrap();
    let client = RegistryClient::new(Options::default()).unwrap();
    let name = format!("{}/app:1", server.address()).parse().unwrap();
    assert_eq!(client.resolve(&name, &cx).await.unwrap().digest, stored.digest);
    let base = format!("{}/suite", server.address()).parse().unwrap();
    conformance::registry::suite(&client, &base).await.assert();
    assert!(Plain::new(MemoryRegistry::default(), "no host").is_err());
}

#[tokio::test]
async fn only_this_machine_is_served_and_only_until_told() {
    let f = Fixture::new().await;
    let everywhere = Server::bind("0.0.0.0:0".parse().unwrap(), Arc::new(f.store.clone()), &Context::new()).await;
    assert_eq!(everywhere.unwrap_err().kind(), patchkit_core::ErrorKind::Invalid);
    let taken = Server::bind(f.server.address(), Arc::new(f.store.clone()), &Context::new()).await;
    assert_eq!(taken.unwrap_err().kind(), patchkit_core::ErrorKind::Unavailable);
    let address = f.server.address();
    f.server.shutdown().await;
    assert!(TcpStream::connect(address).await.is_err());
}
