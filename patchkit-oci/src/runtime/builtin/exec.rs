//! `exec`: another process in a container that runs.

use std::{os::fd::AsFd, path::Path, process::Child};

use nix::sched::CloneFlags;
use rustix::process::{DumpableBehavior, geteuid, set_dumpable_behavior};

use super::{
    Fault, capability,
    cgroup::Cgroups,
    channel::Channel,
    enter::Entry,
    fault::Blame,
    namespace,
    run::{Hello, stage},
    shield,
    spec::{NamespaceKind, Process},
    state::{Being, Record, write_whole},
    watch::{Watch, exit_code},
};

/// A process that joins. Dropping it kills it.
struct Joining(Child);

impl Drop for Joining {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(super) fn exec(root: &Path, id: &str, process: &Path, pid_file: Option<&Path>) -> Result<u8, Fault> {
    shield::close_inherited()?;
    let watch = Watch::begin()?;
    let process = Process::read(process)?;
    let record = Record::read(root, id)?;
    let init = record.running(id)?.handle().ok_or_else(|| Fault::new(id, "it has ended"))?;
    let early = record.namespaces.iter().filter(|kind| !kind.is_entered_late());
    nix::sched::setns(&init, flags(early)).blame(id)?;
    if record.namespaces.contains(&NamespaceKind::User) {
        capability::outlive_exec(&[], geteuid().as_raw())?;
    }
    namespace::leave(CloneFlags::CLONE_NEWNS)?;
    let (channel, theirs) = Channel::pair()?;
    let child = stage(&shield::read_only_self()?, "join", theirs).spawn().blame("exec")?;
    let mut child = Joining(child);
    let being = Being::of(child.0.id().cast_signed())?;
    let _: Hello = channel.expect()?.message;
    Cgroups::attach(&record.cgroups, being.pid)?;
    pid_file.map_or(Ok(()), |path| write_whole(path, being.pid.to_string().as_bytes()))?;
    let late = record.namespaces.iter().filter(|kind| kind.is_entered_late()).copied().collect();
    let entry = Entry { process, rlimits: record.rlimits, root: None, join: Some(late) };
    channel.send(&entry, &[rustix::stdio::stdin(), init.as_fd()])?;
    watch.until_end(&mut child.0, being).map(exit_code)
}

/// What the process that joins does.
pub(super) fn join() -> Result<u8, Fault> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable).blame("exec")?;
    let channel = Channel::inherited()?;
    channel.send(&Hello, &[])?;
    let received = channel.expect::<Entry>()?;
    let [stdin, init] = <[_; 2]>::try_from(received.files).map_err(|_| Fault::new("exec", "files are missing"))?;
    nix::sched::setns(init, flags(received.message.join.iter().flatten())).blame("exec")?;
    received.message.become_it(&stdin, &channel)
}

pub(super) fn flags<'a>(kinds: impl Iterator<Item = &'a NamespaceKind>) -> CloneFlags {
    kinds.fold(CloneFlags::empty(), |flags, kind| flags | kind.flag())
}
