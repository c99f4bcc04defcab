//! Containers in OCI runtime programs: the contract, and what only this implementation promises.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use bytes::Bytes;
use patchkit_core::{
    Blob, Capabilities, Command, Context, Digest, ErrorKind, Exit, Image, Layer, MediaType, Mount, Network,
    Runtime as _, RuntimeExt as _, conformance,
    image::{Compression, FilePath, LayerWriter, Metadata, NodeKind, ReadLimits},
};
use patchkit_oci::runtime::{LayerStore, OciRuntime, try_out};
use support::{has, shared};

const ALPINE: &str = "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz";

fn platform() -> patchkit_core::Platform {
    "linux/amd64".parse().unwrap()
}

/// The Alpine image, `None` with a word why where it is not there.
async fn alpine() -> Option<Image> {
    let bytes = Bytes::from(fs::read(shared(ALPINE)?).unwrap());
    let layer = Blob::of(MediaType::OCI_LAYER_GZIP, bytes.clone());
    let diff_id = Digest::of(
        patchkit_core::image::decompress(&MediaType::OCI_LAYER_GZIP, bytes, &ReadLimits::default()).unwrap(),
    );
    Some(Image::of_layers(&platform(), vec![Layer::new(layer, diff_id)]).unwrap())
}

/// A store in a folder of its own, and a runtime that works; `None` with a word why where it does not.
async fn runtime(program: &str) -> Option<(tempfile::TempDir, OciRuntime)> {
    if !has(program) {
        return None;
    }
    let folder = tempfile::tempdir().unwrap();
    let store = LayerStore::open(folder.path()).unwrap();
    let mut runtime = OciRuntime::new(program, store.clone());
    let mut tried = try_out(&runtime, &Context::new()).await;
    let is_root = rustix::process::geteuid().is_root();
    if is_root && tried.as_ref().is_err_and(|error| error.to_string().contains("hybrid mode")) {
        runtime = OciRuntime::new(without_groups_of_version_2(program, folder.path()), store);
        tried = try_out(&runtime, &Context::new()).await;
    }
    match tried {
        Ok(_) => Some((folder, runtime)),
        Err(error) => {
            assert!(!is_root, "{error}");
            eprintln!("skipped: {error}");
            None
        }
    }
}

/// The program in a view of the machine where control groups of version 2 have no controllers: beside those of version 1,
/// crun does not start.
fn without_groups_of_version_2(program: &str, folder: &Path) -> PathBuf {
    let wrapper = folder.join(program);
    let hide = "mount -t tmpfs none /sys/fs/cgroup/unified";
    let script = format!("#!/bin/sh\nexec unshare --mount sh -c '{hide} && exec \"$0\" \"$@\"' {program} \"$@\"\n");
    fs::write(&wrapper, script).unwrap();
    fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
    wrapper
}

fn shell(script: &str) -> Command {
    let limits = patchkit_core::Limits { time: Some(Duration::from_secs(20)), ..Default::default() };
    Command { args: ["/bin/sh", "-c", script].map(Into::into).to_vec(), limits, ..Command::default() }
}

async fn holds_the_contract(program: &str) {
    let (Some(image), Some((_folder, runtime))) = (alpine().await, runtime(program).await) else { return };
    let outcomes = conformance::runtime::suite(&runtime, &image).await;
    outcomes.assert();
}

#[tokio::test(flavor = "multi_thread")]
async fn runc_holds_the_contract() {
    holds_the_contract("runc").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn crun_holds_the_contract() {
    holds_the_contract("crun").await;
}

/// What only root can give: several users.
const OF_ROOT: [&str; 1] = ["user-and-folder-are-set"];

#[tokio::test(flavor = "multi_thread")]
async fn built_in_holds_the_contract() {
    let Some(image) = alpine().await else { return };
    let folder = tempfile::tempdir().unwrap();
    let store = LayerStore::open(folder.path()).unwrap();
    let runtime = OciRuntime::new(env!("CARGO_BIN_EXE_patchkit-container"), store).with_overlays_by_program();
    let outcomes = conformance::runtime::suite(&runtime, &image).await;
    if rustix::process::geteuid().is_root() {
        outcomes.assert();
    } else {
        let failed: Vec<_> = outcomes.failed().filter(|case| !OF_ROOT.contains(case)).collect();
        assert!(failed.is_empty(), "{outcomes}");
    }
}

/// The test above, by a user who is nobody.
#[test]
fn built_in_holds_the_contract_without_root() {
    if !has("setpriv") || !rustix::process::geteuid().is_root() || shared(ALPINE).is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", "built_in_holds_the_contract", "--nocapture"]).env("TMPDIR", folder.path());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

fn metadata(mode: u32) -> Metadata {
    Metadata { mode, ..Metadata::default() }
}

fn layer(write: impl FnOnce(&mut LayerWriter)) -> Layer {
    let mut writer = LayerWriter::new(Compression::None, &Context::new()).unwrap();
    write(&mut writer);
    writer.finish().unwrap()
}

fn file(writer: &mut LayerWriter, name: &str, metadata: &Metadata, content: &str) {
    writer.file(&path(name), metadata, content.len() as u64, &mut content.as_bytes()).unwrap();
}

/// What the command wrote, which must have succeeded.
async fn said(runtime: &OciRuntime, image: &Image, command: &Command) -> String {
    let outcome = runtime.run(image, command, &Context::new()).await.unwrap();
    assert_eq!(outcome.exit, Exit::Code(0), "{outcome:?}");
    String::from_utf8(outcome.stdout.to_vec()).unwrap()
}

/// Everything of a store's containers that is left anywhere.
fn left(store: &Path) -> Vec<String> {
    let folders = fs::read_dir(store.join("containers")).unwrap().map(|entry| entry.unwrap().path());
    let mut left: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    let name = store.display().to_string();
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    left.extend(mounts.lines().filter(|line| line.contains(&name)).map(Into::into));
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        left.extend(line.contains(&name).then_some(line));
    }
    left
}

/// Groups of containers whose names are given.
fn groups(ids: &[String]) -> Vec<String> {
    let controllers = fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten().map(|entry| entry.path());
    let all = controllers.flat_map(|controller| ids.iter().map(move |id| controller.join(id)));
    all.filter(|group| group.exists()).map(|group| group.display().to_string()).collect()
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn mounts_are_shown_and_kept() {
    let (Some(image), Some((_folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let shown = tempfile::tempdir().unwrap();
    fs::write(shown.path().join("in"), "hello").unwrap();
    let mount = |writable| Mount { source: shown.path().into(), target: "/data/here".into(), writable };
    let read = Command { mounts: vec![mount(false)], ..shell("cat /data/here/in; ! touch /data/here/out") };
    assert_eq!(said(&runtime, &image, &read).await, "hello");
    assert!(!shown.path().join("out").exists());
    let collect = vec!["/data/here/out".to_owned()];
    let write = Command { mounts: vec![mount(true)], collect, ..shell("echo more > /data/here/out") };
    let outcome = runtime.run(&image, &write, &Context::new()).await.unwrap();
    assert_eq!(outcome.files["/data/here/out"], "more\n");
    assert_eq!(fs::read_to_string(shown.path().join("out")).unwrap(), "more\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_may_do_no_more_than_it_should() {
    let (Some(image), Some((_folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let powers = |capabilities| Command {
        capabilities,
        ..shell(
            "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status | tr -d '\\t'; mount -t tmpfs x /mnt || echo no",
        )
    };
    let default = said(&runtime, &image, &powers(Capabilities::Default)).await;
    assert_eq!(default, "CapEff:00000000a80425fb\nNoNewPrivs:1\nSeccomp:2\nno\n");
    let none = said(&runtime, &image, &powers(Capabilities::None)).await;
    assert_eq!(none, "CapEff:0000000000000000\nNoNewPrivs:1\nSeccomp:2\nno\n");
    let collect = vec!["/tmp/made".into(), "/run/made".into()];
    let read_only = Command {
        read_only_root: true,
        collect,
        ..shell("cd /; for f in . etc tmp run dev/shm; do echo 1 > $f/made && echo $f; done; true")
    };
    let outcome = runtime.run(&image, &read_only, &Context::new()).await.unwrap();
    assert_eq!(outcome.stdout, "tmp\nrun\ndev/shm\n");
    assert_eq!(outcome.files.len(), 2);
    let links = "ip link show lo | grep -o 'LOOPBACK[A-Z,]*'; ls /sys/class/net";
    assert_eq!(said(&runtime, &image, &shell(links)).await, "LOOPBACK\nlo\n");
    let loopback = Command { network: Network::Loopback, ..shell(links) };
    assert_eq!(said(&runtime, &image, &loopback).await, "LOOPBACK,UP,LOWER\nlo\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_those_of_the_image() {
    let (Some(image), Some((_folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let mail = Command {
        user: Some("mail".into()),
        workdir: Some("/not/there/yet".into()),
        ..shell("id -u; id -G; echo $HOME; pwd")
    };
    assert_eq!(said(&runtime, &image, &mail).await, "8\n12\n/var/mail\n/not/there/yet\n");
    let nobody = Command { user: Some("no-such-user".into()), ..shell("true") };
    assert_eq!(runtime.run(&image, &nobody, &Context::new()).await.unwrap_err().kind(), ErrorKind::NotFound);
    let by_name = Command { args: vec!["no-such-program".into()], ..Command::default() };
    let error = runtime.run(&image, &by_name, &Context::new()).await.unwrap_err();
    assert!(error.kind() == ErrorKind::NotFound && error.to_string().contains("no-such-program"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn layers_come_over_each_other_as_they_should() {
    let (Some(image), Some((folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let capability = Bytes::from_static(&[1, 0, 0, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let odd = Metadata {
        uid: 1234,
        gid: 70000,
        mtime: 99,
        xattrs: [("security.capability".into(), capability)].into(),
        ..metadata(0o4755)
    };
    let first = layer(|l| {
        file(l, "odd/file", &odd, "odd");
        file(l, "odd/gone", &metadata(0o644), "gone");
        file(l, "clear/old", &metadata(0o644), "old");
        l.directory(&path("odd"), &Metadata { uid: 7, ..metadata(0o711) }).unwrap();
        l.symlink(&path("link"), &metadata(0o777), b"odd").unwrap();
    });
    let second = layer(|l| {
        l.whiteout(&path("odd/gone")).unwrap();
        file(l, "clear/new", &metadata(0o644), "new");
        l.opaque(&path("clear")).unwrap();
        l.hardlink(&path("again"), &metadata(0o644), &path("odd/file")).unwrap();
        file(l, "link/through", &metadata(0o600), "through");
        l.device(&path("null"), &metadata(0o666), &NodeKind::CharDevice { major: 1, minor: 3 }).unwrap();
    });
    let image = Image::of_layers(&platform(), vec![image.layers()[0].clone(), first, second]).unwrap();
    let script = "stat -c '%n %a %u:%g %Y %h' /odd/file; stat -c '%n %a %u:%g' /odd; cat /again /odd/through; echo; \
                  ls /odd /clear; [ /again -ef /odd/file ] && echo same";
    let expected =
        "/odd/file 4755 1234:70000 99 2\n/odd 711 7:0\noddthrough\n/clear:\nnew\n\n/odd:\nfile\nthrough\nsame\n";
    let kept = || -> Vec<_> {
        let all = fs::read_dir(folder.path().join("layers")).unwrap().map(|entry| entry.unwrap().path());
        all.filter(|path| path.is_dir()).collect()
    };
    let others = kept().len();
    assert_eq!(said(&runtime, &image, &shell(script)).await, expected);
    let kept = kept();
    assert_eq!(kept.len() - others, 3);
    let files = kept.iter().map(|layer| layer.join("fs/odd/file")).find(|file| file.exists()).unwrap();
    assert_eq!((files.metadata().unwrap().uid(), files.metadata().unwrap().gid()), (1234, 70000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hostile_layer_writes_nothing_outside() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: not root");
        return;
    }
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = LayerStore::open(folder.path()).unwrap();
    let target = outside.path().display().to_string();
    let up = "../".repeat(30);
    for (name, link) in [("absolute", target.clone()), ("relative", format!("{up}{}", &target[1..]))] {
        let bad = layer(|l| {
            l.symlink(&path(name), &metadata(0o777), link.as_bytes()).unwrap();
            file(l, &format!("{name}/made"), &metadata(0o644), name);
        });
        let image = Image::of_layers(&platform(), vec![bad]).unwrap();
        store.unpack(&image, &Context::new()).await.unwrap();
    }
    let circle = layer(|l| {
        l.symlink(&path("a"), &metadata(0o777), b"b").unwrap();
        l.symlink(&path("b"), &metadata(0o777), b"a").unwrap();
        file(l, "a/made", &metadata(0o644), "");
    });
    let nowhere = layer(|l| l.hardlink(&path("passwd"), &metadata(0o644), &path("etc/passwd")).unwrap());
    for bad in [circle, nowhere] {
        let image = Image::of_layers(&platform(), vec![bad]).unwrap();
        assert_eq!(store.unpack(&image, &Context::new()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(fs::read_dir(folder.path().join("tmp")).unwrap().count(), 0);
    let damaged = layer(|l| file(l, "a", &metadata(0o644), "a"));
    let damaged = Layer::new(damaged.blob().clone(), Digest::of("something else"));
    let image = Image::of_layers(&platform(), vec![damaged]).unwrap();
    assert_eq!(store.unpack(&image, &Context::new()).await.unwrap_err().kind(), ErrorKind::Corrupt);
    let layers = fs::read_dir(folder.path().join("layers")).unwrap().filter(|e| e.as_ref().unwrap().path().is_dir());
    assert_eq!(layers.count(), 2);
    assert!(store.prune(0, &Context::new()).await.unwrap() > 0);
    assert!(fs::read_dir(folder.path().join("layers")).unwrap().all(|e| e.unwrap().path().is_file()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_holds_the_pipes_is_not_waited_for() {
    let (Some(image), Some((_folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let cx = Context::new();
    let container = runtime.start(&image, &shell("sleep 60"), &cx).await.unwrap();
    let began = Instant::now();
    let outcome = container.exec(&shell("echo done; sleep 50 & exit 5"), &cx).await.unwrap();
    assert_eq!((outcome.exit, &*outcome.stdout), (Exit::Code(5), &b"done\n"[..]));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let limits = patchkit_core::Limits { time: Some(Duration::from_millis(500)), ..Default::default() };
    let outcome = container.exec(&Command { limits, ..shell("sleep 49") }, &cx).await.unwrap();
    assert_eq!(outcome.exit, Exit::Limit(patchkit_core::LimitKind::Time));
    let running = container.exec(&shell("ps -o args"), &cx).await.unwrap().stdout;
    let running = String::from_utf8_lossy(&running).into_owned();
    assert!(running.contains("sleep 50") && !running.contains("sleep 49"), "{running}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_starts_leave_nothing() {
    let (Some(image), Some((folder, runtime))) = (alpine().await, runtime("runc").await) else { return };
    let (one, other) = tokio::join!(
        async {
            for _ in 0..25 {
                said(&runtime, &image, &shell("echo > /made")).await;
            }
        },
        async {
            for _ in 0..25 {
                said(&runtime, &image, &shell("[ ! -e /made ]")).await;
            }
        },
    );
    let ((), ()) = (one, other);
    assert_eq!(left(folder.path()), Vec::<String>::new());
    drop(runtime.start(&image, &shell("sleep 60"), &Context::new()).await.unwrap());
    until("a dropped container is there still", || left(folder.path()).is_empty()).await;
}

/// Not a test by itself: the process that is killed by the one below.
#[tokio::test(flavor = "multi_thread")]
async fn victim() {
    let Some(store) = std::env::var_os("PATCHKIT_TEST_VICTIM") else { return };
    let (runtime, image) = (OciRuntime::new("runc", LayerStore::open(store).unwrap()), alpine().await.unwrap());
    let limits = patchkit_core::Limits { memory: Some(64 << 20), ..Default::default() };
    let _container = runtime.start(&image, &Command { limits, ..shell("sleep 61 & sleep 62") }, &Context::new()).await;
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_parent_leaves_nothing() {
    let (Some(_), Some((folder, _))) = (alpine().await, runtime("runc").await) else { return };
    for early in [false, true] {
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "victim", "--nocapture"])
            .env("PATCHKIT_TEST_VICTIM", folder.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let ids = || -> Vec<String> {
            let names = fs::read_dir(folder.path().join("containers")).unwrap();
            names.map(|name| name.unwrap().file_name().into_string().unwrap()).collect()
        };
        let ready = if early { "config.json" } else { "pid" };
        let is_up = || ids().iter().any(|id| folder.path().join("containers").join(id).join(ready).exists());
        until("the victim does not start", is_up).await;
        let ids = ids();
        assert!(early || left(folder.path()).len() > 2, "{:?}", left(folder.path()));
        victim.kill().unwrap();
        victim.wait().unwrap();
        until("something is left", || left(folder.path()).is_empty() && groups(&ids).is_empty()).await;
    }
}

/// Unpacking the Debian image; its figures are printed.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_image_is_unpacked_once() {
    let Some(layout) = shared("images/debian-11.11-distroless") else { return };
    let cx = Context::new();
    let layout = patchkit_oci::Layout::open(layout).await.unwrap();
    let reference = layout.find(None).await.unwrap();
    let found = patchkit_core::Registry::resolve(&layout, &reference, &cx).await.unwrap();
    let registry = std::sync::Arc::new(layout.clone());
    let image = Image::open(registry, layout.repository(), &found.digest, &cx).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let store = LayerStore::open(folder.path()).unwrap();
    let began = Instant::now();
    store.unpack(&image, &cx).await.unwrap();
    let first = began.elapsed();
    let began = Instant::now();
    store.unpack(&image, &cx).await.unwrap();
    println!("unpacked in {first:?}, again in {:?}", began.elapsed());
    assert!(began.elapsed() < first / 10);
    assert!(
        folder.path().join("layers").read_dir().unwrap().flatten().any(|l| l
            .path()
            .join("fs/etc/os-release")
            .symlink_metadata()
            .is_ok())
    );
}
