//! Pid 1 of a container: makes it, then reaps and passes signals on until the command ends.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Child,
};

use nix::sys::signal::{SigSet, Signal as Caught};
use rustix::{
    process::{
        DumpableBehavior, Pid, Signal, WaitOptions, kill_process, set_dumpable_behavior,
        set_parent_process_death_signal, wait,
    },
    system::sethostname,
    thread::{CapabilitySet, Gid, Uid, set_thread_res_gid, set_thread_res_uid},
};
use serde::{Deserialize, Serialize};

use super::{
    Fault, capability,
    channel::Channel,
    fault::Blame,
    namespace, rootfs,
    run::{Hello, stage},
    seccomp::Filter,
    shield,
    spec::{Config, NamespaceKind},
};
use crate::runtime::loopback;

/// What to make.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Setup {
    pub(super) config: Config,
    pub(super) bundle: PathBuf,
    /// Whether it has a user namespace.
    pub(super) has_own_users: bool,
}

/// What was made.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Made {
    /// Device and inode of the new root.
    pub(super) root: (u64, u64),
}

pub(super) fn init() -> Result<u8, Fault> {
    set_parent_process_death_signal(Some(Signal::KILL)).blame("pid 1")?;
    SigSet::all().thread_block().blame("signals")?;
    let channel = Channel::inherited()?;
    channel.send(&Hello, &[])?;
    let [to_command] =
        <[_; 1]>::try_from(channel.expect::<Hello>()?.files).map_err(|_| Fault::new("pid 1", "a file is missing"))?;
    let setup: Setup = channel.expect()?.message;
    if setup.has_own_users {
        become_root()?;
    }
    namespace::enter(&setup.config.linux)?;
    if let Some(adjustment) = setup.config.process.oom_score_adj {
        fs::write("/proc/self/oom_score_adj", adjustment.to_string()).blame("process.oomScoreAdj")?;
    }
    // It loads while the mounts are made; entering the new root takes it along.
    let command = stage(Path::new(shield::SELF), "enter", to_command).spawn().blame("the command")?;
    setup.furnish(&channel)?;
    let root = fs::metadata("/").blame("/")?;
    restrict()?;
    channel.send(&Made { root: (root.dev(), root.ino()) }, &[])?;
    drop(channel);
    reap(&command)
}

/// Becomes 0 in the user namespace. Changing users makes the kernel forget whom to die with.
fn become_root() -> Result<(), Fault> {
    let what = "user namespace";
    set_thread_res_gid(Gid::ROOT, Gid::ROOT, Gid::ROOT).blame(what)?;
    set_thread_res_uid(Uid::ROOT, Uid::ROOT, Uid::ROOT).blame(what)?;
    set_parent_process_death_signal(Some(Signal::KILL)).blame("pid 1")
}

impl Setup {
    fn furnish(&self, channel: &Channel) -> Result<(), Fault> {
        let config = &self.config;
        if let Some(name) = &config.hostname {
            if config.namespace(NamespaceKind::Uts).is_none() {
                return Err(Fault::new("hostname", "there is no uts namespace to set it in"));
            }
            sethostname(name.as_bytes()).blame("hostname")?;
        }
        let is_new = config.namespace(NamespaceKind::Network).is_some_and(|namespace| namespace.path.is_none());
        if is_new && config.wants_loopback() {
            loopback::bring_up().blame("loopback")?;
        }
        for (key, value) in &config.linux.sysctl {
            self.set_sysctl(key, value)?;
        }
        let root = rootfs::make(config, &self.bundle)?;
        channel.send(&Hello, &[])?;
        let _: Hello = channel.expect()?.message;
        rootfs::enter(&root)
    }

    /// Only what belongs to a namespace of the container.
    fn set_sysctl(&self, key: &str, value: &str) -> Result<(), Fault> {
        let what = format!("linux.sysctl {key}");
        let is_new = |kind| self.config.namespace(kind).is_some_and(|namespace| namespace.path.is_none());
        let is_own = if key.starts_with("net.") {
            is_new(NamespaceKind::Network)
        } else {
            is_new(NamespaceKind::Ipc) && is_ipc(key)
        };
        if !is_own || key.contains('/') || key.contains("..") {
            return Err(Fault::new(what, "it is not the container's to set"));
        }
        fs::write(Path::new("/proc/sys").join(key.replace('.', "/")), value).blame(what)
    }
}

fn is_ipc(key: &str) -> bool {
    let known = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
    ];
    known.contains(&key) || key.starts_with("fs.mqueue.")
}

/// Leaves pid 1 only what it needs, before there is anybody beside it.
fn restrict() -> Result<(), Fault> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).blame("pid 1")?;
    capability::keep_only(CapabilitySet::KILL)?;
    Filter::new()?.put_on()
}

/// Reaps whatever ends, until the command does; its exit status.
fn reap(command: &Child) -> Result<u8, Fault> {
    let command = Pid::from_raw(command.id().cast_signed()).expect("a child has a number");
    let all = SigSet::all();
    loop {
        if let Some(status) = reap_ended(command)? {
            return Ok(status);
        }
        match all.wait() {
            Ok(Caught::SIGCHLD) => {}
            Ok(other) => drop(Signal::from_named_raw(other as i32).map(|signal| kill_process(command, signal))),
            Err(_) => {}
        }
    }
}

fn reap_ended(command: Pid) -> Result<Option<u8>, Fault> {
    while let Some((pid, status)) = wait(WaitOptions::NOHANG).blame("pid 1")? {
        if pid == command {
            let signal = status.terminating_signal().map(|signal| 128 + signal);
            let code = status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok());
            return Ok(Some(code.unwrap_or(u8::MAX)));
        }
    }
    Ok(None)
}
