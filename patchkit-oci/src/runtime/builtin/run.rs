//! `run`: makes a container, and watches over it until it ends.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
};

use nix::sched::CloneFlags;
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use super::{
    Fault, WORD, capability,
    cgroup::Cgroups,
    channel::Channel,
    enter::Entry,
    fault::Blame,
    init::{Made, Setup},
    keeper::Keeper,
    mapping::Ids,
    namespace, shield,
    spec::{Config, NamespaceKind},
    state::{Being, Claim, Record, write_whole},
    watch::{Watch, exit_code},
};

/// Says that a process is there and can be told what to do.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct Hello;

/// Pid 1. Dropping it kills it, and with it everything in the container.
struct Init {
    child: Child,
    being: Being,
    to_init: Channel,
    to_command: Channel,
}

pub(super) fn run(root: &Path, id: &str, bundle: &Path, pid_file: Option<&Path>) -> Result<u8, Fault> {
    shield::close_inherited()?;
    let watch = Watch::begin()?;
    let bundle = bundle.canonicalize().blame(bundle.display().to_string())?;
    let config = Config::read(&bundle)?;
    let ids = Ids::plan(&config)?;
    let cgroups = Cgroups::make(id, &config, ids.is_some())?;
    let mut record = record(&bundle, &config, &cgroups, ids.as_ref())?;
    let claim = Claim::new(root, id, &record)?;
    let keeper = Keeper::start(&cgroups.folders, &claim.folder)?;
    isolate(ids.as_ref(), &keeper)?;
    let mut init = Init::start()?;
    Cgroups::attach(&cgroups.folders, init.being.pid)?;
    record.init = Some(init.being);
    claim.write(&record)?;
    let setup = Setup { config, bundle, has_own_users: ids.is_some() };
    let Some((made, command)) = init.make(&setup)? else { return init.child.wait().blame("pid 1").map(exit_code) };
    record.command = Some(command);
    claim.write(&record)?;
    pid_file.map_or(Ok(()), |path| write_whole(path, command.pid.to_string().as_bytes()))?;
    let entry = Entry { process: setup.config.process, rlimits: record.rlimits, root: Some(made.root), join: None };
    init.to_command.send(&entry, &[rustix::stdio::stdin()])?;
    watch.until_end(&mut init.child, command).map(exit_code)
}

fn record(bundle: &Path, config: &Config, cgroups: &Cgroups, ids: Option<&Ids>) -> Result<Record, Fault> {
    let mut namespaces: Vec<_> = config.linux.namespaces.iter().map(|namespace| namespace.kind).collect();
    if ids.is_some() && !namespaces.contains(&NamespaceKind::User) {
        namespaces.push(NamespaceKind::User);
    }
    Ok(Record {
        bundle: bundle.to_owned(),
        owner: Being::this()?,
        init: None,
        command: None,
        cgroups: cgroups.folders.clone(),
        rlimits: cgroups.rlimits.clone(),
        namespaces,
    })
}

/// Enters the namespaces in which pid 1 is born.
fn isolate(ids: Option<&Ids>, keeper: &Keeper) -> Result<(), Fault> {
    if let Some(ids) = ids {
        namespace::leave(CloneFlags::CLONE_NEWUSER)?;
        keeper.map(ids)?;
        capability::outlive_exec(&ids.uids, geteuid().as_raw())?;
    }
    namespace::leave(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWPID)
}

impl Init {
    fn start() -> Result<Self, Fault> {
        let program = shield::read_only_self()?;
        let (to_init, init_end) = Channel::pair()?;
        let (to_command, command_end) = Channel::pair()?;
        let child = stage(&program, "init", init_end).spawn().blame("pid 1")?;
        let being = Being::of(child.id().cast_signed())?;
        let init = Self { child, being, to_init, to_command };
        // It answers after it has asked to be killed with this process: whoever reads the setup dies with us.
        let _: Hello = init.to_init.expect()?.message;
        init.to_init.send(&Hello, &[command_end.as_fd()])?;
        Ok(init)
    }

    /// Has the container made; `None` where pid 1 has said why it could not.
    fn make(&self, setup: &Setup) -> Result<Option<(Made, Being)>, Fault> {
        self.to_init.send(setup, &[])?;
        let Some(_) = self.to_init.receive::<Hello>()? else { return Ok(None) };
        // The root is entered only when pid 2 has loaded: it must not find its libraries in the image.
        let Some(hello) = self.to_command.receive::<Hello>()? else { return Ok(None) };
        self.to_init.send(&Hello, &[])?;
        let Some(made) = self.to_init.receive::<Made>()? else { return Ok(None) };
        let pid = hello.sender.ok_or_else(|| Fault::new("the command", "the kernel does not say its number"))?;
        Ok(Some((made.message, Being::of(pid.as_raw_nonzero().get())?)))
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// This program in another role, with a channel as its standard input and nothing of the caller's environment.
pub(super) fn stage(program: &Path, role: &str, channel: OwnedFd) -> Command {
    let mut command = Command::new(program);
    command.arg0("patchkit-container").args([WORD, role]).env_clear().stdin(Stdio::from(channel)).current_dir("/");
    command
}
