//! The client against docker-registry, with skopeo as the judge.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Child, Command, Output, Stdio},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Current, DeleteManifest, Descriptor, Digest, ErrorKind, ListTags,
    ManifestBytes, MediaType, PutManifest, Reference, ReferrersFilter, Registry, Repository, Result, conformance,
};
use patchkit_oci::distribution::{Credential, RegistryClient};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{noise, options};

/// `me` with `a password`, as htpasswd writes it with bcrypt.
const HTPASSWD: &str = "me:$2y$05$abcdefghijklmnopqrstuu2sM.EEHj4jPcCa5rwqJGg1PNBllkZXy\n";
const PASSWORD: &str = "a password";

/// Whether the tools are there. Where they have to be, their absence is a failure.
fn tools() -> bool {
    let missing: Vec<_> = ["docker-registry", "skopeo"]
        .into_iter()
        .filter(|tool| {
            Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_err()
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    let is_required = std::env::var("PATCHKIT_REQUIRE_EXTERNAL").is_ok_and(|value| value == "1");
    assert!(!is_required, "not installed: {missing:?}");
    println!("skipped: not installed: {missing:?}");
    false
}

/// A docker-registry with a folder of its own; it ends when it is dropped.
struct Real {
    process: Child,
    port: u16,
    folder: TempDir,
}

impl Real {
    async fn start(with_password: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::write(at("htpasswd"), HTPASSWD).unwrap();
        let auth = format!("auth:\n  htpasswd:\n    realm: test\n    path: {}\n", at("htpasswd"));
        let config = format!(
            "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\n  delete:\n    enabled: true\n{}http:\n  addr: 127.0.0.1:{port}\n",
            at("store"),
            if with_password { &auth } else { "" },
        );
        fs::write(at("config.yml"), config).unwrap();
        let process = Command::new("docker-registry")
            .args(["serve", &at("config.yml")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..200 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Self { process, port, folder };
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("docker-registry did not start");
    }

    fn repository(&self, path: &str) -> Repository {
        format!("127.0.0.1:{}/{path}", self.port).parse().unwrap()
    }

    fn client(&self) -> RegistryClient {
        let host = format!("127.0.0.1:{}", self.port);
        let options = options().with_credential(host, Credential::basic("me", PASSWORD));
        RegistryClient::new(options.with_monolithic(1000)).unwrap()
    }

    fn skopeo(&self, args: &[&str]) -> Output {
        let output = Command::new("skopeo").args(args).env("TMPDIR", self.folder.path()).output().unwrap();
        assert!(output.status.success(), "skopeo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        output
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A blob that says where it lives.
#[derive(Debug)]
struct Living(Bytes, Repository);

#[async_trait]
impl BlobSource for Living {
    async fn open(&self, range: ByteRange, cx: &Context) -> Result<ByteStream> {
        self.0.open(range, cx).await
    }

    fn origin(&self) -> Option<&Repository> {
        Some(&self.1)
    }
}

/// A small image of one layer, which is a tar file without files.
struct Image {
    blobs: Vec<Bytes>,
    manifest: ManifestBytes,
}

impl Image {
    fn new(note: &str) -> Self {
        let mut layer = vec![0_u8; 1 << 20];
        layer.truncate(1 << 20);
        let layer = Bytes::from(layer);
        let config = json!({ "architecture": "amd64", "os": "linux", "config": { "Labels": { "note": note } },
            "rootfs": { "type": "layers", "diff_ids": [Digest::of(&layer)] } });
        let config = Bytes::from(config.to_string());
        let manifest = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_MANIFEST,
            "config": Descriptor::of(MediaType::OCI_CONFIG, &config),
            "layers": [Descriptor::of(MediaType::OCI_LAYER, &layer)] });
        let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
        Self { blobs: vec![layer, config], manifest }
    }

    async fn push(&self, client: &RegistryClient, to: &Reference, options: &PutManifest) -> Result<Descriptor> {
        let cx = Context::new();
        for blob in &self.blobs {
            client.put_blob(to.repository(), &Blob::of(MediaType::OCI_LAYER, blob.clone()), &cx).await?;
        }
        client.put_manifest(to, &self.manifest, options, &cx).await
    }
}

#[tokio::test]
async fn what_we_push_skopeo_reads() {
    if !tools() {
        return;
    }
    for with_password in [false, true] {
        let real = Real::start(with_password).await;
        let tag = real.repository("team/app").tag("v1").unwrap();
        let image = Image::new("pushed");
        image.push(&real.client(), &tag, &PutManifest { if_current: Some(Current::Absent) }).await.unwrap();
        let name = format!("docker://{}", tag);
        let creds = format!("me:{PASSWORD}");
        let shown = real.skopeo(&["inspect", "--tls-verify=false", "--creds", &creds, &name]).stdout;
        let shown: Value = serde_json::from_slice(&shown).unwrap();
        assert_eq!(shown["Digest"], image.manifest.descriptor().digest.to_string());
        assert_eq!(shown["Labels"]["note"], "pushed");
        let copy = real.folder.path().join("copy");
        real.skopeo(&[
            "copy",
            "--src-tls-verify=false",
            "--src-creds",
            &creds,
            &name,
            &format!("dir:{}", copy.display()),
        ]);
        assert_eq!(fs::read(copy.join("manifest.json")).unwrap(), image.manifest.bytes);
        if with_password {
            let error = RegistryClient::new(options()).unwrap().resolve(&tag, &Context::new()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Denied);
        }
    }
}

#[tokio::test]
async fn what_skopeo_pushes_we_read() {
    if !tools() {
        return;
    }
    let (real, cx) = (Real::start(false).await, Context::new());
    let image = Image::new("by skopeo");
    let source = real.folder.path().join("source");
    write_dir(&image, &source);
    let tag = real.repository("app").tag("v1").unwrap();
    real.skopeo(&["copy", "--dest-tls-verify=false", &format!("dir:{}", source.display()), &format!("docker://{tag}")]);
    let client = real.client();
    let found = client.resolve(&tag, &cx).await.unwrap();
    let manifest = client.manifest(tag.repository(), &found.digest, &cx).await.unwrap();
    assert_eq!(manifest.descriptor(), found);
    let json: Value = serde_json::from_slice(&manifest.bytes).unwrap();
    for descriptor in json["layers"].as_array().unwrap().iter().chain([&json["config"]]) {
        let descriptor: Descriptor = serde_json::from_value(descriptor.clone()).unwrap();
        let stream = client.blob(tag.repository(), &descriptor.digest, ByteRange::FULL, &cx).await.unwrap();
        let bytes = stream.collect(descriptor.size).await.unwrap();
        assert_eq!(bytes.len() as u64, descriptor.size);
        let range = ByteRange { start: 10, end: Some(50) };
        let part = client.blob(tag.repository(), &descriptor.digest, range, &cx).await.unwrap();
        assert_eq!(part.collect(40).await.unwrap(), bytes.slice(10..50));
        let range = ByteRange { start: descriptor.size + 1, end: None };
        let error = client.blob(tag.repository(), &descriptor.digest, range, &cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
    }
}

/// Skopeo's `dir:` format.
fn write_dir(image: &Image, folder: &Path) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("version"), "Directory Transport Version: 1.1\n").unwrap();
    fs::write(folder.join("manifest.json"), &image.manifest.bytes).unwrap();
    for blob in &image.blobs {
        fs::write(folder.join(Digest::of(blob).hex()), blob).unwrap();
    }
}

#[tokio::test]
async fn tags_referrers_and_deletion() {
    if !tools() {
        return;
    }
    let (real, cx) = (Real::start(false).await, Context::new());
    let (client, repository) = (real.client(), real.repository("app"));
    assert_eq!(client.tags(&repository, &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    let (first, second) = (Image::new("1"), Image::new("2"));
    let tag = repository.tag("v1").unwrap();
    let pushed = first.push(&client, &tag, &PutManifest::default()).await.unwrap();
    let moved = |current| PutManifest { if_current: Some(current) };
    let error = second.push(&client, &tag, &moved(Current::Absent)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    second.push(&client, &tag, &moved(Current::Is(pushed.digest))).await.unwrap();
    for name in ["z", "b", "a"] {
        first.push(&client, &repository.tag(name).unwrap(), &PutManifest::default()).await.unwrap();
    }
    assert_eq!(client.tags(&repository, &cx).await.unwrap(), ["a", "b", "v1", "z"]);

    // This release of docker-registry knows no referrers API: the tag stands in.
    let mut artifact: Value = serde_json::from_slice(&first.manifest.bytes).unwrap();
    artifact["subject"] = serde_json::to_value(&pushed).unwrap();
    artifact["artifactType"] = json!("application/x-test");
    let artifact = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: artifact.to_string().into() };
    let reference = repository.digest(artifact.descriptor().digest);
    client.put_manifest(&reference, &artifact, &PutManifest::default(), &cx).await.unwrap();
    let all = ReferrersFilter::default();
    let found = client.referrers(&repository, &pushed.digest, &all, &cx).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].artifact_type, Some(MediaType::new("application/x-test")));
    assert_eq!(client.resolve(&reference, &cx).await.unwrap().digest, found[0].digest);

    client.delete(&reference, &cx).await.unwrap();
    assert_eq!(client.referrers(&repository, &pushed.digest, &all, &cx).await.unwrap(), []);
    assert_eq!(client.resolve(&reference, &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    client.delete(&repository.digest(pushed.digest), &cx).await.unwrap();
    for name in ["a", "b", "z"] {
        let error = client.resolve(&repository.tag(name).unwrap(), &cx).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
    // Nor does it delete a tag alone.
    assert_eq!(client.delete(&tag, &cx).await.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[tokio::test]
async fn mounted_chunked_and_refused() {
    if !tools() {
        return;
    }
    let (real, cx) = (Real::start(false).await, Context::new());
    let client = real.client();
    let bytes = Bytes::from(noise(3_000_000));
    let descriptor = Descriptor::of(MediaType::OCI_LAYER, &bytes);
    let chunked = RegistryClient::new(options().with_monolithic(0).with_chunk(1_000_000)).unwrap();
    let base = real.repository("base");
    chunked.put_blob(&base, &Blob::of(MediaType::OCI_LAYER, bytes.clone()), &cx).await.unwrap();
    let stream = client.blob(&base, &descriptor.digest, ByteRange::FULL, &cx).await.unwrap();
    assert_eq!(stream.collect(3_000_000).await.unwrap(), bytes);

    // Mounted: the source's bytes, which would be wrong, are never read.
    let living = |bytes: &Bytes, at| Blob::new(descriptor.clone(), Arc::new(Living(bytes.clone(), at)));
    client.put_blob(&real.repository("app"), &living(&Bytes::new(), base), &cx).await.unwrap();
    // From where it is not: a 202, and an upload.
    let nowhere = real.repository("nowhere");
    client.put_blob(&real.repository("other"), &living(&bytes, nowhere), &cx).await.unwrap();
    let other = real.repository("other");
    assert!(client.blob(&other, &descriptor.digest, ByteRange::FULL, &cx).await.is_ok());

    // A manifest whose blobs are missing.
    let image = Image::new("without blobs");
    let tag = real.repository("empty").tag("v1").unwrap();
    let error = client.put_manifest(&tag, &image.manifest, &PutManifest::default(), &cx).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound), "{error}");
    assert_eq!(client.resolve(&tag, &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
}

/// A way to the registry that breaks each connection after so many bytes from the client, some times.
async fn breaking(port: u16, after: u64, times: usize) -> u16 {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let left = Arc::new(std::sync::atomic::AtomicUsize::new(times));
        while let Ok((client, _)) = listener.accept().await {
            let left = Arc::clone(&left);
            tokio::spawn(async move {
                use tokio::io::AsyncReadExt;
                let server = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                let (from_client, mut to_client) = client.into_split();
                let (mut from_server, mut to_server) = server.into_split();
                let back = tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
                let breaks = left.load(std::sync::atomic::Ordering::SeqCst) > 0;
                let mut limited = from_client.take(if breaks { after } else { u64::MAX });
                let _ = tokio::io::copy(&mut limited, &mut to_server).await;
                if breaks && limited.limit() == 0 {
                    left.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    back.abort();
                }
            });
        }
    });
    address.port()
}

#[tokio::test]
async fn an_upload_to_a_real_registry_goes_on_after_drops() {
    if !tools() {
        return;
    }
    let (real, cx) = (Real::start(false).await, Context::new());
    let bytes = Bytes::from(noise(8 << 20));
    let blob = Blob::of(MediaType::OCI_LAYER, bytes.clone());
    let port = breaking(real.port, 3 << 20, 2).await;
    let through: Repository = format!("127.0.0.1:{port}/app").parse().unwrap();
    RegistryClient::new(options()).unwrap().put_blob(&through, &blob, &cx).await.unwrap();
    let stream = real.client().blob(&real.repository("app"), &blob.descriptor().digest, ByteRange::FULL, &cx).await;
    assert_eq!(stream.unwrap().collect(8 << 20).await.unwrap(), bytes);
}

#[tokio::test]
async fn keeps_the_contract_of_a_registry() {
    if !tools() {
        return;
    }
    for with_password in [false, true] {
        let real = Real::start(with_password).await;
        conformance::registry::suite(&real.client(), &real.repository("suite")).await.assert();
    }
}
