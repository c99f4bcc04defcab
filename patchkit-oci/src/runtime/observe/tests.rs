//! Real containers: overlays of Alpine's root file system, with runc and with nothing but namespaces, against what
//! strace says of the same run.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use patchkit_core::{Seen, image::FilePath};
use serde_json::json;

use super::*;

/// Opens files by name, through links, by programs that it starts and in loops; removes one that it has open.
const SCRIPT: &str = "cat /etc/passwd > /dev/null; cat /etc/os-release /etc/mtab > /dev/null; apk info > /dev/null; \
    find /etc -type f | xargs cat > /dev/null; echo made > /tmp/made; exec 3< /tmp/made; rm /tmp/made; \
    cd /usr/share && for key in apk/keys/*; do sort $key > /dev/null; done; ls /lib > /dev/null";

/// A container's root: an overlay that only the test writes to.
struct Overlay(tempfile::TempDir);

impl Overlay {
    /// `None`, and a printed reason, where there is no data or no right to mount.
    fn new() -> Option<Self> {
        let name = "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz";
        let archive = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
        if !archive.exists() {
            return skip(&format!("no {name}"));
        }
        let overlay = Self(tempfile::tempdir().unwrap());
        for folder in ["lower", "upper", "work", "root"] {
            fs::create_dir(overlay.0.path().join(folder)).unwrap();
        }
        ok("tar", &["-xzf", archive.to_str().unwrap(), "-C", &overlay.at("lower")]).unwrap();
        let [lower, upper, work] = ["lower", "upper", "work"].map(|folder| overlay.at(folder));
        let options = format!("lowerdir={lower},upperdir={upper},workdir={work}");
        match ok("mount", &["-t", "overlay", "overlay", "-o", &options, &overlay.at("root")]) {
            Ok(()) => Some(overlay),
            Err(why) => skip(&why),
        }
    }

    fn at(&self, folder: &str) -> String {
        self.0.path().join(folder).to_str().unwrap().to_owned()
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("root")
    }

    /// A bundle of runc's for a script.
    fn bundle(&self, script: &str) -> String {
        let namespaces = ["pid", "mount", "ipc", "uts"].map(|kind| json!({ "type": kind }));
        let mount = |kind: &str, to: &str| json!({ "destination": to, "type": kind, "source": kind });
        let config = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": { "uid": 0, "gid": 0 }, "args": ["/bin/sh", "-c", script], "cwd": "/",
                "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            },
            "root": { "path": "root" },
            "mounts": [mount("proc", "/proc"), mount("tmpfs", "/dev")],
            "linux": { "namespaces": namespaces },
        });
        fs::write(self.0.path().join("config.json"), config.to_string()).unwrap();
        self.0.path().to_str().unwrap().to_owned()
    }

    /// Where a name leads: the image has links to programs only in the last place.
    fn follow(&self, path: &Path) -> PathBuf {
        let link = fs::read_link(self.0.path().join("lower").join(path.strip_prefix("/").unwrap_or(path)));
        link.map_or_else(|_| path.to_owned(), |to| path.parent().unwrap_or(path).join(to))
    }

    /// Whether the image has a regular file of this name.
    fn has(&self, path: &FilePath) -> bool {
        let path = self.0.path().join("lower").join(path.to_str().unwrap());
        fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_file())
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        ok("umount", &[&self.at("root")]).unwrap();
    }
}

fn skip<T>(why: &str) -> Option<T> {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{why}");
    println!("skipped: {why}");
    None
}

fn ok(program: &str, args: &[&str]) -> Result<(), String> {
    let output = Command::new(program).args(args).output().map_err(|error| format!("{program}: {error}"))?;
    let said = || format!("{program}: {}", String::from_utf8_lossy(&output.stderr));
    output.status.success().then_some(()).ok_or_else(said)
}

/// The regular files of the image that strace saw the container open or execute.
fn traced(log: &Path, overlay: &Overlay) -> BTreeSet<FilePath> {
    let log = fs::read_to_string(log).unwrap();
    let inside = log.lines().skip_while(|line| !line.contains("execve(\"/bin/sh\", [\"/bin/sh\", \"-c\""));
    let opened = inside.filter(|line| !line.contains("O_PATH")).filter_map(|line| {
        let (call, result) = line.rsplit_once(" = ")?;
        match call.contains("exec") {
            true => (result == "0").then(|| call.split('"').nth(1))?,
            false => result.split_once('<')?.1.split_once('>').map(|(path, _)| path),
        }
    });
    let root = overlay.root();
    let relative = opened.map(|path| Path::new(path).strip_prefix(&root).unwrap_or(Path::new(path)).to_owned());
    relative
        .map(|path| overlay.follow(&path))
        .map(|path| FilePath::new(path.to_str().unwrap()).unwrap())
        .filter(|path| overlay.has(path))
        .collect()
}

fn names(files: &BTreeSet<FilePath>) -> Vec<&str> {
    files.iter().map(|path| path.to_str().unwrap()).collect()
}

/// Watches a command under strace, and compares.
fn compare(overlay: &Overlay, command: &[&str]) -> Option<()> {
    let log = overlay.0.path().join("strace");
    let watch = Watch::start(&overlay.root(), std::process::id()).unwrap();
    if matches!(watch.0, Kind::Maps(_)) {
        return skip("openings are not reported here");
    }
    let trace = ["-f", "-y", "-qq", "-e", "trace=open,openat,execve", "-o", log.to_str().unwrap()];
    ok("strace", &[&trace, command].concat()).unwrap();
    let own = fs::read(overlay.root().join("etc/alpine-release")).unwrap();
    assert!(!own.is_empty());
    let used = watch.used();
    assert_eq!(used.seen, Seen::Opened);
    let traced = traced(&log, overlay);
    assert!(traced.len() > 30, "strace saw only {traced:?}");
    let missing: Vec<_> = traced.difference(&used.files).collect();
    assert!(missing.is_empty(), "missing {missing:?}");
    let more: BTreeSet<_> = used.files.difference(&traced).filter(|path| overlay.has(path)).cloned().collect();
    // The kernel itself opens it, when it starts a program.
    assert_eq!(names(&more), ["lib/ld-musl-x86_64.so.1"], "strace did not see them");
    for path in ["bin/busybox", "lib/ld-musl-x86_64.so.1", "etc/passwd", "etc/os-release", "tmp/made"] {
        assert!(used.files.contains(&FilePath::new(path).unwrap()), "{path} is missing");
    }
    let folders = used.files.iter().find(|path| overlay.root().join(path.to_str().unwrap()).is_dir());
    assert_eq!(folders, None);
    Some(())
}

#[test]
fn runc_s_container_is_seen_as_strace_sees_it() {
    let Some(overlay) = Overlay::new() else { return };
    let bundle = overlay.bundle(SCRIPT);
    let state = overlay.at("state");
    let id = format!("patchkit-observe-{}", std::process::id());
    let _ = compare(&overlay, &["runc", "--root", &state, "run", "--bundle", &bundle, &id]);
}

#[test]
fn a_process_in_a_folder_is_seen_as_strace_sees_it() {
    let Some(overlay) = Overlay::new() else { return };
    let root = overlay.at("root");
    let command = ["unshare", "--pid", "--mount", "--fork", "chroot", &root, "/bin/sh", "-c", SCRIPT];
    let _ = compare(&overlay, &command);
}

#[test]
fn only_what_is_opened_is_noted_and_only_by_others() {
    let Some(overlay) = Overlay::new() else { return };
    let watch = Watch::start(&overlay.root(), std::process::id()).unwrap();
    fs::read(overlay.root().join("etc/shadow")).unwrap();
    let root = overlay.at("root");
    ok("chroot", &[&root, "/bin/cat", "/etc/hosts"]).unwrap();
    let used = watch.used();
    if used.seen == Seen::Mapped {
        return skip("openings are not reported here").unwrap_or_default();
    }
    assert_eq!(names(&used.files), ["bin/busybox", "etc/hosts", "lib/ld-musl-x86_64.so.1"]);
}

#[test]
fn what_comes_too_fast_is_not_claimed_to_be_all() {
    let Some(overlay) = Overlay::new() else { return };
    let root = overlay.at("root");
    for (most, seen) in [(1000, Seen::Opened), (10, Seen::Mapped)] {
        let Ok(opens) = Opens::limited(Root::new(&overlay.root()).unwrap(), most) else {
            return skip("openings are not reported here").unwrap_or_default();
        };
        let search = "find /etc -type f | xargs cat > /dev/null";
        opens.unread(|| ok("chroot", &[&root, "/bin/sh", "-c", search]).unwrap());
        assert_eq!(opens.used().seen, seen);
        ok("chroot", &[&root, "/bin/cat", "/usr/share/apk/keys/alpine-devel@lists.alpinelinux.org-4a6a0840.rsa.pub"])
            .unwrap();
        let used = opens.used();
        let after = used.files.iter().any(|path| path.to_str().unwrap().starts_with("usr/share/apk/keys/"));
        assert!(after && used.seen == seen, "it goes on, and says what it was");
    }
}

#[test]
fn what_is_mapped_is_found() {
    let Some(overlay) = Overlay::new() else { return };
    let root = overlay.at("root");
    for container in
        [vec!["unshare", "--pid", "--fork", "--mount"], vec!["unshare", "--pid", "--fork", "--mount", "--root", &root]]
    {
        let mut command = Command::new(container[0]);
        let in_it: &[&str] = if container.len() == 4 { &["chroot", &root] } else { &[] };
        command.args(&container[1..]).args(in_it).args(["/bin/sh", "-c", "echo up; cat; true"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut up = [0; 3];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut up).unwrap();
        let first = first_child(child.id());
        let watch = Watch::sample(Root::new(&overlay.root()).unwrap(), first).unwrap();
        let used = watch.used();
        drop(child.stdin.take());
        child.wait().unwrap();
        assert_eq!((used.seen, names(&used.files)), (Seen::Mapped, vec!["bin/busybox", "lib/ld-musl-x86_64.so.1"]));
        assert_eq!(watch.used().files, used.files);
    }
}

fn first_child(pid: u32) -> u32 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().next().unwrap().parse().unwrap()
}

/// What watching costs a command that does nothing but open 20,000 files. Run it by name, optimised.
#[test]
#[ignore = "a measurement"]
fn overhead() {
    let Some(overlay) = Overlay::new() else { return };
    let many = overlay.0.path().join("lower/many");
    fs::create_dir(&many).unwrap();
    (0..20_000).for_each(|number| fs::write(many.join(format!("file-{number}")), "x").unwrap());
    let root = overlay.at("root");
    let script = "cd /many; find . -type f | xargs cat > /dev/null";
    let run = || {
        let began = Instant::now();
        ok("chroot", &[&root, "/bin/sh", "-c", script]).unwrap();
        began.elapsed()
    };
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    run();
    let alone = median((0..9).map(|_| run()).collect());
    let mut first = Vec::new();
    for _ in 0..9 {
        let watch = Watch::start(&overlay.root(), std::process::id()).unwrap();
        first.push(run());
        let used = watch.used();
        let began = Instant::now();
        drop(watch);
        println!("{:?}, {} files, dropped in {:?}", used.seen, used.files.len(), began.elapsed());
    }
    let watch = Watch::start(&overlay.root(), std::process::id()).unwrap();
    run();
    let again = median((0..9).map(|_| run()).collect());
    drop(watch);
    println!("alone {alone:?}, watched {:?}, watched again {again:?}", median(first));
}
