//! What an OCI runtime program is told of a container (OCI runtime specification, `config.json`).

mod seccomp;
mod user;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use patchkit_core::{Capabilities, Command, Error, Image, Network, Result, image::FilePath};
use rustix::process::{Resource, getrlimit};
use serde_json::{Value, json};

use super::view::View;

pub use self::user::{User, resolve_user};

/// Where programs are looked for where neither image nor command say it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What container engines let root do by default, with the numbers of `capabilities(7)`.
const CAPABILITIES: [(&str, u32); 14] = [
    ("CAP_AUDIT_WRITE", 29),
    ("CAP_CHOWN", 0),
    ("CAP_DAC_OVERRIDE", 1),
    ("CAP_FOWNER", 3),
    ("CAP_FSETID", 4),
    ("CAP_KILL", 5),
    ("CAP_MKNOD", 27),
    ("CAP_NET_BIND_SERVICE", 10),
    ("CAP_NET_RAW", 13),
    ("CAP_SETFCAP", 31),
    ("CAP_SETGID", 6),
    ("CAP_SETPCAP", 8),
    ("CAP_SETUID", 7),
    ("CAP_SYS_CHROOT", 18),
];

/// The folders that can be written to where the root cannot.
pub(super) const WRITABLE: [(&str, &str, u32); 2] = [("/run", "run", 0o755), ("/tmp", "tmp", 0o1777)];

/// What a container's surroundings give to its bundle.
#[derive(Debug)]
pub(super) struct Surroundings<'a> {
    /// The container's name.
    pub(super) id: &'a str,
    /// Its folder on the host.
    pub(super) folder: &'a Path,
    /// What its network is, where it is made already.
    pub(super) network: Option<PathBuf>,
    /// Where an overlay is still to be mounted by the program: its folders.
    pub(super) overlay: Option<Value>,
    /// The path of its control group; `None` where there are none.
    pub(super) cgroup: Option<String>,
    /// Limit of memory in bytes, for the group and for nobody else.
    pub(super) group_memory: Option<u64>,
}

/// The program and everything it is started with.
pub(super) fn process(image: &Image, command: &Command, view: &View) -> Result<Value> {
    let config = image.config();
    let file = |path| Ok::<_, Error>(view.read(path, None)?.unwrap_or_default());
    let user =
        resolve_user(command.user.as_deref().unwrap_or(config.user()), &file("/etc/passwd")?, &file("/etc/group")?)?;
    let env = environment(image, command, &user);
    let workdir = command.workdir.as_deref().unwrap_or(config.workdir());
    let workdir = if workdir.starts_with('/') { workdir.to_owned() } else { format!("/{workdir}") };
    let args = arguments(image, command)?;
    find_program(&args[0], &workdir, env.get("PATH").map_or(PATH, String::as_str), view)?;
    let capabilities = capabilities(command.capabilities);
    // Without root, only the caller's own ids are there for sure.
    let groups = if rustix::process::geteuid().is_root() { user.groups } else { Vec::new() };
    Ok(json!({
        "terminal": false,
        "user": { "uid": user.uid, "gid": user.gid, "additionalGids": groups },
        "args": args,
        "env": env.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>(),
        "cwd": workdir,
        "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        "rlimits": rlimits(command),
        "noNewPrivileges": true,
    }))
}

/// The whole of `config.json`.
pub(super) fn config(process: Value, command: &Command, around: &Surroundings<'_>) -> Result<Value> {
    let mut linux = json!({
        "namespaces": namespaces(command, around),
        "maskedPaths": [
            "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
            "/proc/timer_stats", "/proc/sched_debug", "/proc/scsi", "/sys/firmware",
        ],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        "seccomp": seccomp::profile(),
    });
    if let Some(cgroup) = &around.cgroup {
        linux["cgroupsPath"] = cgroup.as_str().into();
        linux["resources"] = resources(command, around);
    }
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if !uid.is_root() {
        linux["uidMappings"] = json!([{ "containerID": 0, "hostID": uid.as_raw(), "size": 1 }]);
        linux["gidMappings"] = json!([{ "containerID": 0, "hostID": gid.as_raw(), "size": 1 }]);
    }
    let mut annotations = BTreeMap::from([("org.patchkit.loopback", loopback(&command.network).to_owned())]);
    annotations.extend(around.overlay.as_ref().map(|overlay| ("org.patchkit.overlay", overlay.to_string())));
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": process,
        "root": { "path": around.folder.join("root"), "readonly": command.read_only_root },
        "hostname": around.id,
        "mounts": mounts(command, around)?,
        "linux": linux,
        "annotations": annotations,
    }))
}

fn arguments(image: &Image, command: &Command) -> Result<Vec<String>> {
    let config = image.config();
    let args = match &*command.args {
        [] => [config.entrypoint(), config.cmd()].concat(),
        args => args.to_vec(),
    };
    let unusable = args.first().is_none_or(String::is_empty) || args.iter().any(|one| one.contains('\0'));
    if unusable { Err(Error::invalid("neither the command nor the image names a program")) } else { Ok(args) }
}

fn environment(image: &Image, command: &Command, user: &User) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned()), ("HOME".to_owned(), user.home.clone())]);
    let pairs = image.config().env().iter().filter_map(|pair| pair.split_once('='));
    env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.extend(command.env.clone());
    env
}

/// Looks for the program as `execvp` does, so that one that is not there is told from one that fails.
fn find_program(program: &str, workdir: &str, path: &str, view: &View) -> Result<()> {
    let places: Vec<String> = match program {
        _ if program.starts_with('/') => vec![program.to_owned()],
        _ if program.contains('/') => vec![format!("{workdir}/{program}")],
        _ => path.split(':').map(|folder| format!("{folder}/{program}")).collect(),
    };
    let is_file = |place: &String| {
        let opened = view.open(place).ok().flatten();
        opened.and_then(|file| file.metadata().ok()).is_some_and(|metadata| metadata.is_file())
    };
    if places.iter().any(is_file) {
        return Ok(());
    }
    Err(Error::not_found(format!("the image has no program {program:?}")).on(program).during("start"))
}

/// What of them is asked for, as far as we may give it.
fn capabilities(wanted: Capabilities) -> Vec<&'static str> {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let bounding = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("CapBnd:")?.trim(), 16).ok());
    let ours = |number: u32| bounding.is_none_or(|bounding| bounding >> number & 1 == 1);
    let default = CAPABILITIES.iter().filter(|(_, number)| ours(*number)).map(|(name, _)| *name);
    match wanted {
        Capabilities::Default => default.collect(),
        Capabilities::None => Vec::new(),
    }
}

/// No core files; and where there are no control groups, what the kernel has instead.
fn rlimits(command: &Command) -> Vec<Value> {
    let limit = |kind: &str, most: u64| json!({ "type": kind, "hard": most, "soft": most });
    let mut limits = vec![limit("RLIMIT_CORE", 0)];
    if !super::cgroup::is_usable() {
        let below = |resource, most: u64| getrlimit(resource).maximum.map_or(most, |maximum| most.min(maximum));
        limits.extend(command.limits.memory.map(|most| limit("RLIMIT_AS", below(Resource::As, most))));
        let processes = command.limits.processes.map(u64::from);
        limits.extend(processes.map(|most| limit("RLIMIT_NPROC", below(Resource::Nproc, most))));
    }
    limits
}

fn namespaces(command: &Command, around: &Surroundings<'_>) -> Vec<Value> {
    let mut namespaces: Vec<Value> =
        ["cgroup", "ipc", "mount", "pid", "uts"].map(|kind| json!({ "type": kind })).into();
    match (&command.network, &around.network) {
        (Network::Host, _) => {}
        (_, Some(path)) => namespaces.push(json!({ "type": "network", "path": path })),
        (_, None) => namespaces.push(json!({ "type": "network" })),
    }
    if !rustix::process::geteuid().is_root() {
        namespaces.push(json!({ "type": "user" }));
    }
    namespaces
}

/// What the built-in runtime is to do with the loopback, where it makes the network itself.
fn loopback(network: &Network) -> &'static str {
    match network {
        Network::Host | Network::None => "down",
        Network::Loopback | Network::Ports(_) => "up",
    }
}

fn resources(command: &Command, around: &Surroundings<'_>) -> Value {
    let mut resources = json!({ "devices": [{ "allow": false, "access": "rwm" }] });
    if let Some(memory) = around.group_memory {
        resources["memory"] = json!({ "limit": memory });
    }
    if let Some(processes) = command.limits.processes {
        resources["pids"] = json!({ "limit": processes });
    }
    resources
}

fn mounts(command: &Command, around: &Surroundings<'_>) -> Result<Vec<Value>> {
    let special = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let pts: &[&str] = match rustix::process::geteuid().is_root() {
        true => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"],
        false => &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"],
    };
    let mut mounts = vec![
        special("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        special("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        special("/dev/pts", "devpts", pts),
        special("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]),
    ];
    // Whoever has the host's network in a user namespace may not mount its sysfs.
    if rustix::process::geteuid().is_root() || command.network != Network::Host {
        mounts.push(special("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]));
    }
    let shown = shown(command, around.folder)?;
    mounts.extend(shown.into_iter().map(|Shown { target, source, access }| {
        let mut options = vec!["rbind", "rprivate"];
        options.extend(match access {
            Access::Read => &["ro"][..],
            Access::Scratch => &["rw", "nosuid", "nodev"],
            Access::Write => &["rw"],
        });
        json!({ "destination": format!("/{}", target.to_str().unwrap_or_default()), "type": "bind", "source": source, "options": options })
    }));
    Ok(mounts)
}

/// A file or folder of the host that is seen in the container.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    pub(super) target: FilePath,
    pub(super) source: PathBuf,
    access: Access,
}

#[derive(Clone, Copy, Debug)]
enum Access {
    Read,
    Scratch,
    Write,
}

/// All of them, sorted so that none hides another: first what every container has, then what the command names.
pub(super) fn shown(command: &Command, folder: &Path) -> Result<Vec<Shown>> {
    let path = |target: &str| FilePath::new(target).map_err(|error| Error::invalid(error.to_string()).during("mount"));
    let mut shown = Vec::new();
    for (target, name, _) in WRITABLE.iter().filter(|_| command.read_only_root) {
        shown.push(Shown { target: path(target)?, source: folder.join(name), access: Access::Scratch });
    }
    match command.network {
        Network::Host => {
            for file in ["/etc/hosts", "/etc/resolv.conf"].into_iter().filter(|file| Path::new(file).exists()) {
                shown.push(Shown { target: path(file)?, source: file.into(), access: Access::Read });
            }
        }
        Network::Loopback | Network::Ports(_) => {
            shown.push(Shown { target: path("/etc/hosts")?, source: folder.join("hosts"), access: Access::Read });
        }
        Network::None => {}
    }
    for mount in &command.mounts {
        let source = std::fs::canonicalize(&mount.source).map_err(crate::file::on(&mount.source))?;
        let access = if mount.writable { Access::Write } else { Access::Read };
        shown.push(Shown { target: path(&mount.target)?, source, access });
    }
    shown.sort_by(|a, b| a.target.cmp(&b.target));
    Ok(shown)
}
