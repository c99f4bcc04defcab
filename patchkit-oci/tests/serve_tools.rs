//! What registries' users do with a served registry: skopeo, podman, and docker-registry as another registry.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use patchkit_core::{Context, Registry};
use patchkit_oci::{FolderScratch, Layout, Store, serve::Server};
use serde_json::{Value, json};
use support::{has, parts, put, put_index, run, run_any, shared};

struct Fixture {
    server: Server,
    store: Store,
    layout: Layout,
    folder: tempfile::TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(folder.path().join("store")).await.unwrap();
        let layout = Layout::create(folder.path().join("layout")).await.unwrap();
        let scratch = FolderScratch::new(folder.path().join("scratch")).unwrap();
        let cx = Context::new().with_scratch(Arc::new(scratch));
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(address, Arc::new(store.clone()), &cx).await.unwrap();
        Self { server, store, layout, folder }
    }

    fn local(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.layout.folder().display())
    }

    fn served(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.server.address())
    }

    async fn digest(&self, name: &str) -> String {
        let reference = format!("{}/{name}", self.server.address()).parse().unwrap();
        self.store.resolve(&reference, &Context::new()).await.unwrap().digest.to_string()
    }
}

/// Runs a tool while the server goes on answering.
async fn with(tool: &'static str, arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let run = move || run(tool, &arguments.iter().map(String::as_str).collect::<Vec<_>>());
    tokio::task::spawn_blocking(run).await.unwrap()
}

const COPY: [&str; 6] =
    ["copy", "--quiet", "--all", "--preserve-digests", "--src-tls-verify=false", "--dest-tls-verify=false"];

async fn copy(from: &str, to: &str) {
    with("skopeo", &[&COPY[..], &[from, to]].concat()).await;
}

#[tokio::test]
async fn skopeo_copies_inspects_lists_and_deletes() {
    if !has("skopeo") {
        return;
    }
    let f = Fixture::new().await;
    let one = put(&f.layout, &f.layout.repository().tag("one").unwrap(), &parts("a", 3, "amd64")).await;
    let all = put_index(&f.layout, &f.layout.repository().tag("all").unwrap(), "b").await;
    copy(&f.local("one"), &f.served("app:one")).await;
    copy(&f.local("all"), &f.served("app:all")).await;
    assert_eq!(f.digest("app:one").await, one.digest.to_string());
    assert_eq!(f.digest("app:all").await, all.digest.to_string());
    // Between repositories, where blobs are mounted.
    copy(&f.served("app:all"), &f.served("deep/er/app:all")).await;
    copy(&f.served("deep/er/app:all"), &f.local("back")).await;
    let back = f.layout.resolve(&f.layout.repository().tag("back").unwrap(), &Context::new()).await.unwrap();
    assert_eq!(back.digest, all.digest);
    let inspected = with("skopeo", &["inspect", "--tls-verify=false", &f.served("app:one")]).await;
    let inspected: Value = serde_json::from_str(&inspected).unwrap();
    assert_eq!(
        (inspected["Digest"].clone(), inspected["RepoTags"].clone()),
        (json!(one.digest), json!(["all", "one"]))
    );
    let tags = with("skopeo", &["list-tags", "--tls-verify=false", &f.served("app")]).await;
    assert_eq!(serde_json::from_str::<Value>(&tags).unwrap()["Tags"], json!(["all", "one"]));
    with("skopeo", &["delete", "--tls-verify=false", &f.served("app:one")]).await;
    let tags = with("skopeo", &["list-tags", "--tls-verify=false", &f.served("app")]).await;
    assert_eq!(serde_json::from_str::<Value>(&tags).unwrap()["Tags"], json!(["all"]));
}

#[tokio::test]
async fn skopeo_pushes_and_pulls_a_real_image_in_every_form() {
    let Some(real) = shared("images/debian-12.15-distroless") else { return };
    if !has("skopeo") {
        return;
    }
    let f = Fixture::new().await;
    let source = Layout::open(&real).await.unwrap();
    let from = match source.find(None).await.unwrap().tag() {
        Some(tag) => format!("oci:{}:{tag}", real.display()),
        None => format!("oci:{}", real.display()),
    };
    let insecure = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    for format in ["oci", "v2s2"] {
        let to = f.served(&format!("debian:{format}"));
        let arguments = [&["copy", "--quiet", "--format", format], &insecure[..], &[&from, &to]].concat();
        with("skopeo", &arguments).await;
        let archive = format!("docker-archive:{}/{format}.tar", f.folder.path().display());
        with("skopeo", &[&["copy", "--quiet"], &insecure[..], &[&to, &archive]].concat()).await;
    }
    let manifest = with("skopeo", &["inspect", "--raw", "--tls-verify=false", &f.served("debian:v2s2")]).await;
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert_eq!(manifest["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
}

#[tokio::test]
async fn podman_pulls_and_pushes() {
    if !has("podman") {
        return;
    }
    let f = Fixture::new().await;
    let host = f.server.address().to_string();
    let pushed = put(&f.store, &format!("{host}/app:1").parse().unwrap(), &parts("a", 2, "amd64")).await;
    let (root, runroot) = (f.folder.path().join("storage"), f.folder.path().join("run"));
    let (root, runroot) = (root.to_str().unwrap(), runroot.to_str().unwrap());
    let storage = ["--root", root, "--runroot", runroot, "--storage-driver", "vfs"];
    let image = format!("{host}/app:1");
    with("podman", &[&storage[..], &["pull", "--quiet", "--tls-verify=false", &image]].concat()).await;
    let other = format!("{host}/other/app:2");
    with("podman", &[&storage[..], &["push", "--quiet", "--tls-verify=false", &image, &other]].concat()).await;
    let search =
        with("podman", &[&storage[..], &["search", "--list-tags", "--tls-verify=false", &other]].concat()).await;
    assert!(search.contains("2"), "{search}");
    run_any("podman", &[&storage[..], &["rmi", "--all", "--force"]].concat());
    let found = f.store.resolve(&other.parse().unwrap(), &Context::new()).await.unwrap();
    assert_eq!(found.digest, pushed.digest);
}

/// docker-registry on a free port, with its storage in a folder.
struct DockerRegistry(Child);

impl DockerRegistry {
    fn start(folder: &std::path::Path) -> (Self, String) {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let config = folder.join("registry.yml");
        let storage = folder.join("registry");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            storage.display()
        );
        std::fs::write(&config, text).unwrap();
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        (Self(child), format!("127.0.0.1:{port}"))
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn images_go_to_docker_registry_and_back() {
    if !has("skopeo") || !has("docker-registry") {
        return;
    }
    let f = Fixture::new().await;
    let (_registry, host) = DockerRegistry::start(f.folder.path());
    while tokio::net::TcpStream::connect(&host).await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let all = put_index(&f.store, &format!("{}/app:all", f.server.address()).parse().unwrap(), "a").await;
    let there = format!("docker://{host}/app:all");
    copy(&f.served("app:all"), &there).await;
    copy(&there, &f.served("again:all")).await;
    assert_eq!(f.digest("again:all").await, all.digest.to_string());
}
