//! Further commands in a container.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use bytes::Bytes;
use patchkit_core::{Command, Exit, LimitKind, Outcome, Result};
use rustix::process::Signal;
use serde_json::Value;
use tokio::process::Child;

use super::{
    process::{LINGER, Process, Running, exit_of, unwatched},
    program::Program,
};
use crate::file::on;

/// How often it is looked whether the command has ended while the program goes on.
const PAUSE: Duration = Duration::from_millis(50);

/// One command in a container.
pub(super) struct Exec<'a> {
    pub(super) program: &'a Program,
    pub(super) folder: &'a Path,
    pub(super) id: &'a str,
    pub(super) number: u64,
}

impl Exec<'_> {
    /// Runs it to its end. Dropped before, it is ended. Files are not collected.
    pub(super) async fn run(&self, process: Value, command: &Command) -> Result<Outcome> {
        let [description, pid_file, log] = ["json", "pid", "log"].map(|kind| self.file(kind));
        fs::write(&description, process.to_string()).map_err(on(&description))?;
        let mut program = self.program.command();
        if self.program.tells_status() {
            program.args(["--debug", "--log-format", "json", "--log"]).arg(&log);
        }
        program.arg("--root").arg(self.folder.join("state")).args(["exec", "--process"]).arg(&description);
        program.arg("--pid-file").arg(&pid_file).arg(self.id).kill_on_drop(true);
        let began = Instant::now();
        let mut running = Running::start(program, command.stdin.clone(), command.limits.output)?;
        let pid = running.started(&pid_file).await?;
        let mut ending = Ending(Some(pid));
        let ended = end(&mut running.child, pid, &log);
        let exit = match command.limits.time {
            Some(limit) => tokio::time::timeout(limit.saturating_sub(began.elapsed()), ended).await.ok().transpose()?,
            None => Some(ended.await?),
        };
        if exit.is_some() {
            ending.0 = None;
        }
        drop(ending);
        let duration = began.elapsed();
        let (stdout, stderr): (Bytes, Bytes) = running.streams.end().await;
        for file in [description, pid_file, log] {
            let _ = fs::remove_file(file);
        }
        let exit = exit.unwrap_or(Exit::Limit(LimitKind::Time));
        Ok(Outcome { exit, stdout, stderr, files: BTreeMap::new(), used: None, duration })
    }

    fn file(&self, kind: &str) -> PathBuf {
        self.folder.join(format!("command-{}.{kind}", self.number))
    }
}

/// Waits until the command has ended. What it left running, and holds its pipes, is not waited for.
async fn end(child: &mut Child, pid: u32, log: &Path) -> Result<Exit> {
    let process = Process::open(pid);
    loop {
        if let Ok(status) = tokio::time::timeout(PAUSE, child.wait()).await {
            return Ok(exit_of(status.map_err(unwatched)?));
        }
        if process.as_ref().is_none_or(Process::has_ended) {
            if let Ok(status) = tokio::time::timeout(LINGER, child.wait()).await {
                return Ok(exit_of(status.map_err(unwatched)?));
            }
            if let Some(status) = noted(log, pid) {
                return Ok(exit_of(status));
            }
        }
    }
}

/// The status that runc has noted for a process.
fn noted(log: &Path, pid: u32) -> Option<std::process::ExitStatus> {
    use std::os::unix::process::ExitStatusExt;
    let log = fs::read_to_string(log).ok()?;
    let mut notes = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let note = notes.find(|note| note["msg"] == "process exited" && note["pid"] == pid)?;
    let status = i32::try_from(note["status"].as_i64()?).ok()?;
    Some(std::process::ExitStatus::from_raw(status << 8))
}

/// Ends a command and what it has started, when it is dropped.
struct Ending(Option<u32>);

impl Drop for Ending {
    fn drop(&mut self) {
        let Some(pid) = self.0 else { return };
        let mut family = vec![pid];
        for at in 0.. {
            let Some(parent) = family.get(at) else { break };
            let children = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap_or_default();
            family.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
        family.into_iter().filter_map(Process::open).for_each(|process| process.signal(Signal::KILL));
    }
}
