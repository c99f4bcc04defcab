//! The built-in container runtime, on a real root file system, as root and as nobody.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)]

mod support;

use std::{
    fs,
    io::Write,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{has, run, shared};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_patchkit-container");
const ALPINE: &str = "images/alpine-minirootfs/alpine-minirootfs-3.20.3-x86_64.tar.gz";

/// Who calls the runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Caller {
    Nobody,
    Root,
}

/// A bundle of Alpine that everybody may use, with its containers' state.
struct Bundle {
    folder: TempDir,
    caller: Caller,
}

impl Bundle {
    /// `None`, with a word why, where something is missing.
    fn new(caller: Caller) -> Option<Self> {
        let archive = shared(ALPINE)?;
        if !rustix::process::geteuid().is_root() || !has("setpriv") {
            assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "needs root and setpriv");
            eprintln!("skipped: needs root and setpriv");
            return None;
        }
        let bundle = Self { folder: tempfile::tempdir().unwrap(), caller };
        let root = bundle.path("rootfs");
        fs::create_dir(&root).unwrap();
        run("tar", &["xzf", archive.to_str().unwrap(), "-C", &root]);
        // By another process: a file that one of our threads had open to write, another's child would find busy.
        run("cp", &[PROGRAM, &bundle.path("program")]);
        if caller == Caller::Nobody {
            run("chown", &["-hR", "65534:65534", &bundle.path("")]);
        }
        Some(bundle)
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn config(&self, script: &str) -> Value {
        let spaces = ["pid", "mount", "network", "ipc", "uts"].map(|kind| json!({ "type": kind }));
        let none: [&str; 0] = [];
        let fresh =
            |at: &str, kind: &str| json!({ "destination": at, "type": kind, "options": ["nosuid", "noexec", "nodev"] });
        json!({
            "ociVersion": "1.0.2", "hostname": "box",
            "process": {
                "args": ["/bin/sh", "-c", script], "env": ["PATH=/usr/bin:/bin:/sbin", "A=b"], "cwd": "/tmp",
                "user": { "uid": 0, "gid": 0 }, "noNewPrivileges": true,
                "capabilities": { "bounding": none, "effective": none, "permitted": none },
            },
            "root": { "path": "rootfs", "readonly": true },
            "mounts": [fresh("/proc", "proc"), { "destination": "/dev", "type": "tmpfs", "options": ["nosuid", "mode=755"] }, fresh("/tmp", "tmpfs")],
            "linux": { "namespaces": spaces, "maskedPaths": ["/proc/timer_list", "/proc/acpi"], "readonlyPaths": ["/proc/sys"] },
        })
    }

    fn command(&self, program: &str, words: &[&str]) -> Command {
        let program = if program.is_empty() { self.path("program") } else { program.to_owned() };
        let mut line = vec![program, "--root".into(), self.path("state")];
        line.extend(words.iter().map(|word| (*word).to_owned()));
        if self.caller == Caller::Nobody {
            let nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"].map(str::to_owned);
            line.splice(0..0, nobody);
        }
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]);
        command
    }

    fn start(&self, program: &str, config: &Value) -> Command {
        fs::write(self.path("config.json"), config.to_string()).unwrap();
        self.command(program, &["run", "--bundle", &self.path(""), "x"])
    }

    fn sh(&self, script: &str) -> Output {
        self.run(&self.config(script))
    }

    fn run(&self, config: &Value) -> Output {
        self.start("", config).output().unwrap()
    }
}

fn each(test: impl Fn(&Bundle)) {
    for caller in [Caller::Root, Caller::Nobody] {
        if let Some(bundle) = Bundle::new(caller) {
            eprintln!("as {caller:?}");
            fs::set_permissions(bundle.folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
            test(&bundle);
        }
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(10));
    }
}

/// How many processes have a word on their command line.
fn processes_with(word: &str) -> usize {
    let lines = fs::read_dir("/proc").unwrap().filter_map(|entry| fs::read(entry.ok()?.path().join("cmdline")).ok());
    lines.filter(|line| line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())).count()
}

#[test]
fn what_the_configuration_says_is_what_the_command_sees() {
    each(|bundle| {
        let output = bundle.sh("id -u; id -g; pwd; echo $A; hostname; ls /proc | grep -c '^[0-9]'; exit 7");
        assert_eq!(text(&output), "0\n0\n/tmp\nb\nbox\n4\n");
        assert_eq!(output.status.code(), Some(7));
        assert_eq!(bundle.sh("kill -TERM $$").status.code(), Some(143));
        assert_eq!(fs::read_dir(bundle.path("state")).unwrap().count(), 0);
    });
}

#[test]
fn nothing_more_is_allowed() {
    each(|bundle| {
        let caps = text(&bundle.sh("grep -E 'Cap|NoNew|Seccomp:' /proc/self/status | tr -d '\\n\\t '"));
        let none = "0".repeat(16);
        assert_eq!(
            caps,
            format!("CapInh:{none}CapPrm:{none}CapEff:{none}CapBnd:{none}CapAmb:{none}NoNewPrivs:1Seccomp:2")
        );
        for refused in [
            "touch /x",
            "echo 1 > /proc/sys/kernel/hostname",
            "mount -t tmpfs x /tmp",
            "unshare -U true",
            "ls /proc/1/root/",
        ] {
            assert_ne!(bundle.sh(refused).status.code(), Some(0), "{refused}");
        }
        assert_eq!(text(&bundle.sh("cat /proc/timer_list 2>/dev/null; ls /proc/acpi 2>/dev/null; ls /sys/class/net 2>/dev/null; grep -c : /proc/net/dev")), "1\n");
    });
}

#[test]
fn links_of_the_image_lead_nowhere_outside() {
    each(|bundle| {
        let root = Path::new(&bundle.path("rootfs")).to_owned();
        fs::create_dir(bundle.path("outside")).unwrap();
        symlink(bundle.path("outside"), root.join("leading")).unwrap();
        symlink("../../../../../../etc", root.join("climbing")).unwrap();
        let mut config = bundle.config("cat /proc/mounts");
        config["mounts"][2]["destination"] = "/climbing".into();
        let mounts = text(&bundle.run(&config));
        assert!(mounts.contains(" /etc tmpfs "), "{mounts}");
        fs::remove_dir(root.join("proc")).unwrap();
        symlink("/etc", root.join("proc")).unwrap();
        let output = bundle.sh("true");
        assert_eq!(output.status.code(), Some(125));
        assert!(text(&output).starts_with("patchkit-container: mount /proc: "), "{}", text(&output));
        assert_eq!(fs::read_dir(bundle.path("outside")).unwrap().count(), 0);
    });
}

#[test]
fn what_cannot_be_run_says_so() {
    each(|bundle| {
        let mut config = bundle.config("");
        config["process"]["args"] = json!(["no-such-program"]);
        let output = bundle.run(&config);
        assert_eq!(output.status.code(), Some(127));
        assert!(text(&output).starts_with("patchkit-container: no-such-program: "), "{}", text(&output));
        config["process"]["args"] = json!(["/etc/passwd"]);
        assert_eq!(bundle.run(&config).status.code(), Some(126));
        config["process"]["terminal"] = true.into();
        let output = bundle.run(&config);
        assert_eq!(output.status.code(), Some(125));
        assert!(text(&output).contains("process.terminal: "), "{}", text(&output));
    });
}

#[test]
fn exec_joins_and_kill_ends() {
    each(|bundle| {
        let mut child = bundle.start("", &bundle.config("echo here > /tmp/f; exec sleep 1000")).spawn().unwrap();
        let state = || bundle.command("", &["state", "x"]).output().unwrap();
        eventually("it runs", || String::from_utf8_lossy(&state().stdout).contains("\"running\""));
        let script = "until grep -q here /tmp/f; do sleep 0.01; done 2> /dev/null; cat /tmp/f; ls -d /proc/1; \
                      grep CapEff /proc/self/status; exit 5";
        let process = bundle.config(script)["process"].to_string();
        fs::write(bundle.path("process.json"), process).unwrap();
        let output = bundle.command("", &["exec", "--process", &bundle.path("process.json"), "x"]).output().unwrap();
        assert_eq!(text(&output), "here\n/proc/1\nCapEff:\t0000000000000000\n");
        assert_eq!(output.status.code(), Some(5));
        assert!(bundle.command("", &["kill", "x", "KILL"]).status().unwrap().success());
        assert_eq!(child.wait().unwrap().code(), Some(137));
        assert!(!state().status.success());
    });
}

#[test]
fn connect_carries_both_directions_to_their_ends() {
    each(|bundle| {
        // It answers once it has read everything, and then nobody listens.
        let mut config = bundle.config("nc -l -p 8080 -e wc -c; sleep 60");
        config["annotations"] = json!({ "org.patchkit.loopback": "up" });
        let mut runner = bundle.start("", &config).spawn().unwrap();
        let connect = || {
            let mut command = bundle.command("", &["connect", "8080", "x"]);
            let pipes = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let mut child = pipes.spawn().unwrap();
            // One that nobody listens to does not read.
            let _ = child.stdin.take().unwrap().write_all(&[7; 300_000]);
            child.wait_with_output().unwrap()
        };
        eventually("it is not connected", || {
            let output = connect();
            assert!(matches!(output.status.code(), Some(0 | 111)), "{}", text(&output));
            output.status.success() && output.stdout == *b"\n300000\n"
        });
        let refused = connect();
        assert_eq!((refused.status.code(), &*refused.stdout), (Some(111), &b""[..]), "{}", text(&refused));
        assert!(bundle.command("", &["kill", "x", "KILL"]).status().unwrap().success());
        runner.wait().unwrap();
        assert_eq!(connect().status.code(), Some(111));
        assert_eq!(bundle.command("", &["connect", "no", "x"]).output().unwrap().status.code(), Some(125));
    });
}

#[test]
fn a_killed_runner_leaves_nothing() {
    each(|bundle| {
        let word = format!("{}", 1_000_000 + std::process::id() + u32::from(bundle.caller == Caller::Root));
        let mut config = bundle.config(&format!("sleep {word} & exec sleep {word}"));
        if bundle.caller == Caller::Root {
            config["linux"]["resources"] = json!({ "pids": { "limit": 20 }, "memory": { "limit": 100_000_000 } });
        }
        let mut child = bundle.start("", &config).stdout(Stdio::null()).spawn().unwrap();
        eventually("it runs", || processes_with(&word) == 2);
        child.kill().unwrap();
        child.wait().unwrap();
        eventually("processes end", || processes_with(&word) == 0);
        eventually("state is removed", || fs::read_dir(bundle.path("state")).unwrap().count() == 0);
        assert!(!fs::read_to_string("/proc/mounts").unwrap().contains(&bundle.path("")));
    });
}

#[test]
fn it_answers_as_runc_does() {
    let Some(bundle) = Bundle::new(Caller::Root) else { return };
    if !has("runc") {
        return;
    }
    for probe in [
        "id",
        "pwd",
        "env | sort",
        "hostname",
        "umask",
        "ls /",
        "stat -c '%A %t %T %n' /dev/null /dev/zero",
        "cat /proc/self/cgroup | wc -l",
        "touch /x",
        "ulimit -n",
        "exit 3",
        "sh -c 'kill -9 $$; true'; exit $?",
        "no-such",
        "cat /proc/sys/kernel/ostype",
        "grep Cap /proc/self/status",
        "readlink /dev/stdin /dev/fd",
        "stat -c %a /tmp",
        "cat < /dev/null",
    ] {
        let config = bundle.config(probe);
        let (ours, theirs) = (bundle.run(&config), bundle.start("runc", &config).output().unwrap());
        assert_eq!(ours.status.code(), theirs.status.code(), "{probe}: {}", text(&theirs));
        assert_eq!(text(&ours), text(&theirs), "{probe}");
    }
}
