//! Becoming the command: nothing is left of the runtime but what the configuration allows.

use std::{
    env, fs,
    io::ErrorKind,
    os::{
        fd::OwnedFd,
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt, PermissionsExt},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::Command,
};

use nix::sys::signal::SigSet;
use rustix::{
    io::Errno,
    net::{RecvFlags, recv},
    process::{Signal, set_parent_process_death_signal, setsid, umask},
    thread::{
        Gid, Uid, set_keep_capabilities, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
    },
};
use serde::{Deserialize, Serialize};

use super::{
    Fault, capability,
    channel::Channel,
    fault::Blame,
    limits,
    run::Hello,
    seccomp::Filter,
    spec::{NamespaceKind, Process, Rlimit, User},
};

const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How to become the command.
#[derive(Deserialize, Serialize)]
pub(super) struct Entry {
    pub(super) process: Process,
    /// The container's own, on top of the process's.
    pub(super) rlimits: Vec<Rlimit>,
    /// Device and inode of the root that must have been entered.
    pub(super) root: Option<(u64, u64)>,
    /// The namespaces to join.
    pub(super) join: Option<Vec<NamespaceKind>>,
}

/// What pid 2 does.
pub(super) fn enter() -> Result<u8, Fault> {
    let channel = Channel::inherited()?;
    channel.send(&Hello, &[])?;
    let received = channel.expect::<Entry>()?;
    let [stdin] =
        <[_; 1]>::try_from(received.files).map_err(|_| Fault::new("the command", "standard input is missing"))?;
    received.message.become_it(&stdin, &channel)
}

impl Entry {
    /// Becomes the command; comes back only with a fault.
    pub(super) fn become_it(self, stdin: &OwnedFd, channel: &Channel) -> Result<u8, Fault> {
        let _ = setsid();
        env::set_current_dir("/").blame("/")?;
        self.check_root()?;
        let process = &self.process;
        let is_in = enter_folder(&process.cwd);
        limits::set(&process.rlimits)?;
        let filter = Filter::new()?;
        become_user(process)?;
        if is_in.is_err() {
            enter_folder(&process.cwd).blame(format!("process.cwd {}", process.cwd.display()))?;
        }
        check_folder()?;
        rustix::stdio::dup2_stdin(stdin).blame("standard input")?;
        set_parent_process_death_signal(Some(Signal::KILL)).blame("process")?;
        check_parent(channel)?;
        let mut command = command(process)?;
        limits::set(&self.rlimits)?;
        set_no_new_privs(true).blame("no new privileges")?;
        filter.put_on()?;
        SigSet::empty().thread_set_mask().blame("signals")?;
        let error = command.exec();
        let status = if error.kind() == ErrorKind::NotFound { NOT_FOUND } else { NOT_EXECUTABLE };
        Err(Fault::new(&process.args[0], error).with_status(status))
    }

    /// Never runs anything on the host's files, whatever went wrong.
    fn check_root(&self) -> Result<(), Fault> {
        let root = fs::metadata("/").blame("/")?;
        match self.root {
            Some(expected) if expected != (root.dev(), root.ino()) => Err(Fault::new("root", "it was not entered")),
            _ => Ok(()),
        }
    }
}

/// Makes the folder where it is missing, and goes there.
fn enter_folder(folder: &Path) -> std::io::Result<()> {
    if env::set_current_dir(folder).is_err() {
        fs::create_dir_all(folder)?;
    }
    env::set_current_dir(folder)
}

/// A folder that is open somewhere can lie outside of the root.
fn check_folder() -> Result<(), Fault> {
    match env::current_dir() {
        Ok(folder) if folder.is_absolute() => Ok(()),
        _ => Err(Fault::new("process.cwd", "it is outside of the root")),
    }
}

/// The one who asked must be there still: from now on the kernel kills us with it.
fn check_parent(channel: &Channel) -> Result<(), Fault> {
    let mut byte = [0; 1];
    match recv(channel, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Err(Errno::AGAIN) => Ok(()),
        _ => Err(Fault::new("the caller", "it has died")),
    }
}

/// Ids, groups and capabilities.
fn become_user(process: &Process) -> Result<(), Fault> {
    let user = &process.user;
    umask(user.umask.unwrap_or(0o022).into());
    capability::bound(&process.capabilities)?;
    set_keep_capabilities(true).blame("process.user")?;
    set_groups(user)?;
    let (uid, gid) = (Uid::from_raw(user.uid), Gid::from_raw(user.gid));
    set_thread_res_gid(gid, gid, gid).blame(format!("process.user.gid {}", user.gid))?;
    set_thread_res_uid(uid, uid, uid).blame(format!("process.user.uid {}", user.uid))?;
    set_keep_capabilities(false).blame("process.user")?;
    capability::limit(&process.capabilities)
}

/// A user with one id of their own may not change groups, and need not where no other is asked for.
fn set_groups(user: &User) -> Result<(), Fault> {
    let groups: Vec<_> = user.additional_gids.iter().map(|gid| Gid::from_raw(*gid)).collect();
    match set_thread_groups(&groups) {
        Err(Errno::PERM) if user.additional_gids.iter().all(|gid| *gid == user.gid) => Ok(()),
        other => other.blame("process.user.additionalGids"),
    }
}

fn command(process: &Process) -> Result<Command, Fault> {
    let pairs: Vec<(&str, &str)> = process.env.iter().filter_map(|pair| pair.split_once('=')).collect();
    let path = pairs.iter().rev().find(|(name, _)| *name == "PATH").map_or(DEFAULT_PATH, |(_, path)| path);
    let mut command = Command::new(program(&process.args[0], path)?);
    command.arg0(&process.args[0]).args(&process.args[1..]).env_clear();
    if !pairs.iter().any(|(name, _)| *name == "HOME") {
        command.env("HOME", home(&fs::read_to_string("/etc/passwd").unwrap_or_default(), process.user.uid));
    }
    command.envs(pairs);
    Ok(command)
}

/// Where a user is at home: `name:password:uid:gid:comment:home:…`.
fn home(passwd: &str, uid: u32) -> String {
    let found = passwd.lines().find_map(|line| {
        let [_, _, id, _, _, home, ..] = line.split(':').collect::<Vec<_>>()[..] else { return None };
        (id.parse() == Ok(uid) && !home.is_empty()).then(|| home.to_owned())
    });
    found.unwrap_or_else(|| "/".into())
}

/// The program: by its path, or the first of its name on the search path.
fn program(name: &str, path: &str) -> Result<PathBuf, Fault> {
    if name.contains('/') {
        return Ok(name.into());
    }
    let candidates =
        env::split_paths(path).map(|folder| if folder.as_os_str().as_bytes().is_empty() { ".".into() } else { folder });
    let mut files = candidates.map(|folder: PathBuf| folder.join(name)).filter(|file| file.is_file());
    let is_executable = |file: &PathBuf| fs::metadata(file).is_ok_and(|file| file.permissions().mode() & 0o111 != 0);
    let not_found = || Fault::new(name, "no such program on the search path").with_status(NOT_FOUND);
    files.find(is_executable).filter(|_| !name.is_empty()).ok_or_else(not_found)
}

#[cfg(test)]
mod tests {
    use super::home;

    #[test]
    fn users_without_a_home_live_in_the_root() {
        let passwd = "broken\nanna:x:7:7::/home/anna:/bin/sh\nben:x:8:8:::\n";
        assert_eq!([7, 8, 9].map(|uid| home(passwd, uid)), ["/home/anna", "/", "/"]);
    }
}
