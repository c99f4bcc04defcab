//! The process that stays outside: it writes the id mappings, and cleans up when the one that runs the container was
//! killed.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Signal, kill_process};
use serde::{Deserialize, Serialize};

use super::{
    Fault, WORD, cgroup,
    channel::Channel,
    fault::Blame,
    mapping::{Ids, Way},
    shield,
    spec::IdMapping,
};

/// The keeper of a container. Dropping it sends it away.
#[derive(Debug)]
pub(super) struct Keeper {
    child: Child,
    channel: Channel,
}

#[derive(Deserialize, Serialize)]
enum Order {
    /// What to remove in the end.
    Keep { cgroups: Vec<PathBuf>, state: PathBuf },
    /// Whose mappings to write.
    Map { pid: u32, ids: Ids },
}

impl Keeper {
    pub(super) fn start(cgroups: &[PathBuf], state: &Path) -> Result<Self, Fault> {
        let (channel, theirs) = Channel::pair()?;
        let mut command = Command::new(shield::SELF);
        command.args([WORD, "keep"]).stdin(theirs).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = command.spawn().blame("the keeper")?;
        let keeper = Self { child, channel };
        keeper.channel.send(&Order::Keep { cgroups: cgroups.to_owned(), state: state.to_owned() }, &[])?;
        Ok(keeper)
    }

    /// Has the mappings of this process's new user namespace written.
    pub(super) fn map(&self, ids: &Ids) -> Result<(), Fault> {
        self.channel.send(&Order::Map { pid: std::process::id(), ids: ids.clone() }, &[])?;
        let outcome: Result<(), String> = self.channel.expect()?.message;
        outcome.map_err(|why| Fault::new("user namespace", why))
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the keeper does.
pub(super) fn keep() -> Result<u8, Fault> {
    let channel = Channel::inherited()?;
    let _ = rustix::process::setsid();
    let (mut groups, mut folder) = (Vec::new(), None);
    while let Ok(Some(order)) = channel.receive::<Order>() {
        match order.message {
            Order::Keep { cgroups, state } => (groups, folder) = (cgroups, Some(state)),
            Order::Map { pid, ids } => channel.send(&write_maps(pid, &ids), &[])?,
        }
    }
    kill_all(&groups);
    cgroup::remove(&groups);
    if let Some(folder) = folder {
        let _ = fs::remove_dir_all(folder);
    }
    Ok(0)
}

fn kill_all(groups: &[PathBuf]) {
    let members = groups.iter().filter_map(|group| fs::read_to_string(group.join("cgroup.procs")).ok());
    for pid in members.flat_map(|list| list.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<_>>()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
}

fn write_maps(pid: u32, ids: &Ids) -> Result<(), String> {
    let write = |file: &str, text: String| {
        let path = format!("/proc/{pid}/{file}");
        fs::write(&path, text).map_err(|error| format!("{path}: {error}"))
    };
    if ids.way == Way::Tools {
        return tool("newuidmap", pid, &ids.uids).and_then(|()| tool("newgidmap", pid, &ids.gids));
    }
    write("uid_map", lines(&ids.uids))?;
    if ids.way == Way::Own {
        write("setgroups", "deny".into())?;
    }
    write("gid_map", lines(&ids.gids))
}

fn lines(mappings: &[IdMapping]) -> String {
    let line = |mapping: &IdMapping| format!("{} {} {}\n", mapping.container, mapping.host, mapping.size);
    mappings.iter().map(line).collect()
}

fn tool(name: &str, pid: u32, mappings: &[IdMapping]) -> Result<(), String> {
    let numbers = mappings.iter().flat_map(|mapping| [mapping.container, mapping.host, mapping.size]);
    let numbers = numbers.map(|number| number.to_string());
    let output = Command::new(name).arg(pid.to_string()).args(numbers).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    let why = || format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim());
    if output.status.success() { Ok(()) } else { Err(why()) }
}
