//! What is known of containers: a folder each, `ROOT/ID`, that is there while the container is.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
    time::{Duration, Instant},
};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};

use super::{
    Fault,
    arguments::Force,
    cgroup,
    fault::Blame,
    spec::{NamespaceKind, Rlimit},
};
use crate::runtime::process::born;

const STATE: &str = "state.json";

/// How long the kernel may take to end what was killed.
const DYING: Duration = Duration::from_secs(10);

/// A process, told from others that get its number later.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub(super) struct Being {
    pub(super) pid: i32,
    /// When it was started, in clock ticks since boot.
    start: u64,
}

/// What is written down about a container.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct Record {
    pub(super) bundle: PathBuf,
    /// The process that runs it.
    pub(super) owner: Being,
    pub(super) init: Option<Being>,
    pub(super) command: Option<Being>,
    pub(super) cgroups: Vec<PathBuf>,
    /// Limits that stand in for control groups.
    pub(super) rlimits: Vec<Rlimit>,
    pub(super) namespaces: Vec<NamespaceKind>,
}

/// The folder of a container that this process runs. Dropping it removes it.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) folder: PathBuf,
}

impl Being {
    pub(super) fn of(pid: i32) -> Result<Self, Fault> {
        let start = u32::try_from(pid)
            .ok()
            .and_then(born)
            .ok_or_else(|| Fault::new(format!("process {pid}"), "it has ended"))?;
        Ok(Self { pid, start })
    }

    pub(super) fn this() -> Result<Self, Fault> {
        Self::of(process::id().cast_signed())
    }

    fn is_alive(self) -> bool {
        self.pid.try_into().ok().and_then(born) == Some(self.start)
    }

    /// A handle that no other process can slip under.
    pub(super) fn handle(self) -> Option<rustix::fd::OwnedFd> {
        let handle = pidfd_open(Pid::from_raw(self.pid)?, PidfdFlags::empty()).ok()?;
        self.is_alive().then_some(handle)
    }

    pub(super) fn signal(self, signal: Signal) -> io::Result<()> {
        let handle = self.handle().ok_or(io::Error::from(rustix::io::Errno::SRCH))?;
        Ok(pidfd_send_signal(handle, signal)?)
    }
}

impl Record {
    pub(super) fn read(root: &Path, id: &str) -> Result<Self, Fault> {
        let path = root.join(id).join(STATE);
        let bytes = fs::read(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Fault::new(id, "there is no such container"),
            _ => Fault::new(path.display().to_string(), error),
        })?;
        serde_json::from_slice(&bytes).blame(path.display().to_string())
    }

    /// Pid 1 of a container that runs.
    pub(super) fn running(&self, id: &str) -> Result<Being, Fault> {
        self.init.filter(|init| init.is_alive()).ok_or_else(|| Fault::new(id, "the container does not run"))
    }

    fn is_over(&self) -> bool {
        !self.owner.is_alive() && self.init.is_none_or(|init| !init.is_alive())
    }
}

impl Claim {
    /// Takes the id; whoever had it must be over.
    pub(super) fn new(root: &Path, id: &str, record: &Record) -> Result<Self, Fault> {
        if Record::read(root, id).is_ok_and(|old| old.is_over()) {
            remove(root, id)?;
        }
        let (folder, draft) = (root.join(id), root.join(format!(".{id}.{}", process::id())));
        fs::create_dir_all(&draft).blame(draft.display().to_string())?;
        let claim = Self { folder: draft };
        claim.write(record)?;
        fs::rename(&claim.folder, &folder).map_err(|error| match error.kind() {
            io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::AlreadyExists => Fault::new(id, "the id is taken"),
            _ => Fault::new(folder.display().to_string(), error),
        })?;
        std::mem::forget(claim);
        Ok(Self { folder })
    }

    pub(super) fn write(&self, record: &Record) -> Result<(), Fault> {
        let bytes = serde_json::to_vec(record).blame(STATE)?;
        write_whole(&self.folder.join(STATE), &bytes)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A file appears whole or not at all.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Fault> {
    let draft = path.with_extension(format!("{}.draft", process::id()));
    fs::write(&draft, bytes).and_then(|()| fs::rename(&draft, path)).blame(path.display().to_string())
}

/// An id that is safe as the name of a folder.
pub(super) fn id(text: String) -> Result<String, Fault> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.');
    if text.is_empty() || text.len() > 200 || text.starts_with('.') || !text.chars().all(plain) {
        return Err(Fault::new(format!("id {text:?}"), "letters, digits, `_`, `-`, `+` and `.` make an id"));
    }
    Ok(text)
}

/// `kill`: to the command; `SIGKILL` to everything.
pub(super) fn kill(root: &Path, id: &str, signal: Signal) -> Result<u8, Fault> {
    let record = Record::read(root, id)?;
    let init = record.running(id)?;
    let to = if signal == Signal::KILL { init } else { record.command.unwrap_or(init) };
    to.signal(signal).blame(id)?;
    Ok(0)
}

/// `state`.
pub(super) fn show(root: &Path, id: &str) -> Result<u8, Fault> {
    let record = Record::read(root, id)?;
    let status = match (record.running(id), record.command) {
        (Ok(_), Some(_)) => "running",
        (Ok(_), None) => "creating",
        (Err(_), _) if record.init.is_none() && !record.is_over() => "creating",
        (Err(_), _) => "stopped",
    };
    let pid = record.command.filter(|_| status == "running").map_or(0, |command| command.pid);
    let state = serde_json::json!({
        "ociVersion": "1.0.2", "id": id, "status": status, "pid": pid, "bundle": record.bundle,
        "initPid": record.init.map_or(0, |init| init.pid), "cgroups": record.cgroups,
    });
    println!("{state}");
    Ok(0)
}

/// `delete`.
pub(super) fn delete(root: &Path, id: &str, force: Force) -> Result<u8, Fault> {
    let record = match (Record::read(root, id), force) {
        (Err(_), Force::Kill) if !root.join(id).exists() => return Ok(0),
        (record, _) => record?,
    };
    if !record.is_over() && force == Force::Refuse {
        return Err(Fault::new(id, "the container runs"));
    }
    if let Some(init) = record.init {
        let _ = init.signal(Signal::KILL);
    }
    let until = Instant::now() + DYING;
    while !record.is_over() && root.join(id).exists() {
        if Instant::now() > until {
            return Err(Fault::new(id, "it does not end"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    remove(root, id)?;
    Ok(0)
}

fn remove(root: &Path, id: &str) -> Result<(), Fault> {
    if let Ok(record) = Record::read(root, id) {
        cgroup::remove(&record.cgroups);
    }
    match fs::remove_dir_all(root.join(id)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::new(id, error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(owner: Being) -> Record {
        let (bundle, cgroups, rlimits, namespaces) = ("/b".into(), Vec::new(), Vec::new(), Vec::new());
        Record { bundle, owner, init: None, command: None, cgroups, rlimits, namespaces }
    }

    #[test]
    fn an_id_is_taken_once_and_free_when_its_owner_has_died() {
        let root = tempfile::tempdir().unwrap();
        let living = record(Being::this().unwrap());
        let claim = Claim::new(root.path(), "x", &living).unwrap();
        assert_eq!(Claim::new(root.path(), "x", &living).unwrap_err().to_string(), "x: the id is taken");
        claim.write(&record(Being { start: 1, ..Being::this().unwrap() })).unwrap();
        let again = Claim::new(root.path(), "x", &living).unwrap();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        drop(again);
        assert!(Record::read(root.path(), "x").is_err());
    }

    #[test]
    fn ids_are_no_paths() {
        for bad in ["", ".", "..", "a/b", ".x", "a b", "ü"] {
            assert!(id(bad.into()).is_err(), "{bad}");
        }
        assert_eq!(id("a-b_c+1.2".into()).unwrap(), "a-b_c+1.2");
    }
}
