//! Containers of a podman that serves the test alone, on a socket and with storage of its own.

#![allow(clippy::unwrap_used)]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command as Process, Stdio},
    time::{Duration, Instant},
};

use patchkit_core::{
    Blob, Command, Context, ErrorKind, Exit, Image, Layer, Limits, MediaType, Mount, Network, Runtime, RuntimeExt,
    conformance,
    image::{ReadLimits, decompress},
};
use patchkit_core::{Digest, image::FilePath};
use patchkit_oci::runtime::{Engine, try_out};

/// podman's service, in a folder of its own.
struct Podman {
    folder: tempfile::TempDir,
    service: Child,
}

/// As podman works without systemd and without the right to raise limits.
const CONFIGURATION: &str = "[containers]\ndefault_ulimits = [\"nofile=1000:1000\", \"nproc=1000:1000\"]\n\
    [engine]\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\nruntime = \"runc\"\n";

impl Podman {
    /// `None`, and a printed reason, where there is no podman.
    fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("containers.conf"), CONFIGURATION).unwrap();
        match podman(folder.path()).args(["info"]).output() {
            Ok(output) if output.status.success() => {}
            other => return skip(&format!("no podman that works: {other:?}")),
        }
        let socket = format!("unix://{}", folder.path().join("sock").display());
        let mut service = podman(folder.path());
        service.args(["system", "service", "--time", "0", &socket]).stderr(Stdio::null());
        let this = Self { service: service.spawn().unwrap(), folder };
        let began = Instant::now();
        while std::os::unix::net::UnixStream::connect(this.socket()).is_err() {
            assert!(began.elapsed() < Duration::from_secs(20), "podman does not serve");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(this)
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("sock")
    }

    /// What the engine says when it is asked by its own program.
    fn lines(&self, args: &[&str]) -> Vec<String> {
        let output = podman(self.folder.path()).args(args).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect()
    }

    fn containers(&self) -> Vec<String> {
        self.lines(&["ps", "--all", "--quiet"])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = podman(self.folder.path()).args(["rm", "--all", "--force", "--time", "0"]).output();
        self.service.kill().unwrap();
        self.service.wait().unwrap();
        let _ = Process::new("umount").arg("--lazy").arg(self.folder.path().join("root/overlay")).output();
    }
}

fn podman(folder: &Path) -> Process {
    let mut podman = Process::new("podman");
    podman.env("CONTAINERS_CONF", folder.join("containers.conf")).arg("--storage-driver").arg("overlay");
    podman.arg("--root").arg(folder.join("root")).arg("--runroot").arg(folder.join("run"));
    podman
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{why}");
    println!("skipped: {why}");
    None
}

fn alpine() -> Option<Image> {
    let name = "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz";
    let folders = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let found = folders.map(|folder| folder.join("shared/data").join(name)).find(|path| path.exists());
    let Some(path) = found else { return skip(&format!("no {name}")) };
    let bytes = std::fs::read(path).unwrap();
    let diff_id = Digest::of(decompress(&MediaType::OCI_LAYER_GZIP, bytes.clone(), &ReadLimits::default()).unwrap());
    let layer = Layer::new(Blob::of(MediaType::OCI_LAYER_GZIP, bytes), diff_id);
    Some(Image::of_layers(&"linux/amd64".parse().unwrap(), vec![layer]).unwrap())
}

fn shell(script: &str) -> Command {
    let limits = Limits { time: Some(Duration::from_secs(20)), ..Limits::default() };
    Command { args: ["/bin/sh", "-c", script].map(Into::into).to_vec(), limits, ..Command::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn podman_keeps_the_contract_and_nothing_is_left() {
    let (Some(podman), Some(image)) = (Podman::start(), alpine()) else { return };
    let cx = Context::new();
    let engine = Engine::open(podman.socket(), &cx).await.unwrap();
    assert!(engine.version(&cx).await.unwrap().starts_with("podman "));
    conformance::runtime::suite(&engine, &image).await.assert();
    let tried = try_out(&engine, &cx).await.unwrap();
    assert!(tried.starts_with("ran a program in "), "{tried}");
    assert_eq!(podman.containers(), [""; 0]);
    assert_eq!(podman.lines(&["images", "--quiet"]).len(), 2);
    assert_eq!(engine.forget_images(&cx).await.unwrap(), 2);
    assert_eq!(podman.lines(&["images", "--quiet"]), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_used_is_seen_from_the_first_file_on() {
    let (Some(podman), Some(image)) = (Podman::start(), alpine()) else { return };
    let cx = Context::new();
    let engine = Engine::open(podman.socket(), &cx).await.unwrap();
    let command = Command { observe: true, collect: vec!["/etc/group".into()], ..shell("cat /etc/hostname /etc/motd") };
    let outcome = engine.run(&image, &command, &cx).await.unwrap();
    let used = outcome.used.unwrap();
    let names: Vec<_> = used.files.iter().filter_map(FilePath::to_str).collect();
    println!("{:?} {names:?}", used.seen);
    for name in ["bin/busybox", "etc/motd", "lib/ld-musl-x86_64.so.1"] {
        assert!(names.contains(&name), "{name} is missing of {names:?}");
    }
    assert!(!names.contains(&"etc/shadow") && !names.contains(&"etc/group"), "{names:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_dropped_is_gone_and_what_the_dead_left_too() {
    let (Some(podman), Some(image)) = (Podman::start(), alpine()) else { return };
    let cx = Context::new();
    let engine = Engine::open(podman.socket(), &cx).await.unwrap();
    let running = engine.start(&image, &shell("sleep 60"), &cx).await.unwrap();
    assert_eq!(podman.containers().len(), 1);
    drop(running);
    assert_eq!(podman.containers(), [""; 0]);

    let image = podman.lines(&["images", "--quiet"]).remove(0);
    let create = ["create", "--label", "dev.patchkit.owner=1 0 an-earlier-boot", &image, "/bin/true"];
    podman.lines(&create);
    podman.lines(&["create", &image, "/bin/true"]);
    assert_eq!(podman.containers().len(), 2);
    Engine::open(podman.socket(), &cx).await.unwrap();
    assert_eq!(podman.containers().len(), 1, "only what has an owner of ours is removed");
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_links_and_networks() {
    let (Some(podman), Some(image)) = (Podman::start(), alpine()) else { return };
    let cx = Context::new();
    let engine = Engine::open(podman.socket(), &cx).await.unwrap();
    let shown = tempfile::tempdir().unwrap();
    std::fs::write(shown.path().join("given"), "hello").unwrap();
    let mount = Mount { source: shown.path().into(), target: "/shown".into(), writable: false };
    let script = "cat /shown/given; touch /shown/made 2>/dev/null || echo no; ln -s /shown/given /link; \
        ip -o addr | grep -c 127.0.0.1; ip route | wc -l; sleep 60";
    let command = Command { mounts: vec![mount], network: Network::Loopback, ..shell(script) };
    let container = engine.start(&image, &command, &cx).await.unwrap();
    let began = Instant::now();
    while container.output(&cx).await.unwrap().stdout != "hellono\n1\n0\n" {
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", container.output(&cx).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(container.read("/link", &cx).await.unwrap().unwrap(), "hello");
    assert_eq!(container.read("/etc", &cx).await.unwrap_err().kind(), ErrorKind::Invalid);
    let limits = Limits { time: Some(Duration::from_millis(300)), ..Limits::default() };
    let slow = container.exec(&Command { limits, ..shell("sleep 60") }, &cx).await.unwrap();
    assert!(matches!(slow.exit, Exit::Limit(_)), "{:?}", slow.exit);
    let still = container.exec(&shell("echo still"), &cx).await.unwrap();
    assert_eq!(still.stdout, "still\n");
    let absent = Command { args: vec!["/no/such/program".into()], ..Command::default() };
    assert_eq!(container.exec(&absent, &cx).await.unwrap_err().kind(), ErrorKind::NotFound);
    let given = Command { stdin: "given".into(), collect: vec!["/made".into()], ..shell("cat > /made; kill -9 $$") };
    let outcome = container.exec(&given, &cx).await.unwrap();
    assert_eq!((outcome.exit, &outcome.files["/made"][..]), (Exit::Signal(9), &b"given"[..]));
    let (cancelled, began) = (Context::new(), Instant::now());
    let cancel = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        cancelled.cancel();
    };
    let long = shell("sleep 50");
    let (ended, ()) = tokio::join!(container.exec(&long, &cancelled), cancel);
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::Cancel);
    assert!(began.elapsed() < Duration::from_secs(10));
    let left = container.exec(&shell("ps -o args | grep -c '^sleep 50'"), &cx).await.unwrap();
    assert_eq!(left.stdout, "0\n");
}

/// Not a test: what a test starts as another process, to kill it.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "started by a test"]
async fn holder() {
    let Some(socket) = std::env::var_os("PATCHKIT_HELD_SOCKET") else { return };
    let engine = Engine::open(PathBuf::from(socket), &Context::new()).await.unwrap();
    let _held = engine.start(&alpine().unwrap(), &shell("sleep 60"), &Context::new()).await.unwrap();
    println!("held");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_started_ends_with_who_started_it() {
    let (Some(podman), Some(_)) = (Podman::start(), alpine()) else { return };
    let mut holder = Process::new(std::env::current_exe().unwrap());
    holder.args(["holder", "--exact", "--ignored", "--nocapture"]).env("PATCHKIT_HELD_SOCKET", podman.socket());
    let mut holder = holder.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(holder.stdout.take().unwrap()));
    assert!(lines.any(|line| line.unwrap().contains("held")));
    let running = || podman.lines(&["ps", "--quiet"]).len();
    assert_eq!(running(), 1);
    holder.kill().unwrap();
    holder.wait().unwrap();
    let began = Instant::now();
    while running() > 0 {
        assert!(began.elapsed() < Duration::from_secs(10), "it still runs");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Engine::open(podman.socket(), &Context::new()).await.unwrap();
    assert_eq!(podman.containers(), [""; 0]);
}

#[tokio::test]
async fn a_socket_that_is_not_there_is_told() {
    let error = Engine::open("/nowhere/podman.sock", &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
