//! Control groups: whether they can be used, and whether memory has run out in one.

use std::{
    fs::{self, File},
    io,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use rustix::event::EventfdFlags;

const ROOT: &str = "/sys/fs/cgroup";

/// The group that a container's own is in: `inner`, so that it can be read when the container has gone.
#[derive(Debug)]
pub(super) struct MemoryGroup {
    folder: PathBuf,
    limit: u64,
    /// Is told by version 1 when memory runs out.
    told: Option<OwnedFd>,
}

impl MemoryGroup {
    /// Makes the group of a container with a limit in bytes. `None` where there are no groups that we may change.
    pub(super) fn new(id: &str, limit: u64) -> Option<Self> {
        let first = Path::new(ROOT).join("memory");
        if first.join("memory.limit_in_bytes").exists() {
            let group = Self { folder: first.join(id), limit, told: None };
            return group.with_notice().ok();
        }
        is_usable().then(|| Self { folder: Path::new(ROOT).join(id), limit, told: None })
    }

    /// In version 1 the limit is ours, and we are told when it is met.
    fn with_notice(mut self) -> io::Result<Self> {
        fs::create_dir(&self.folder)?;
        fs::write(self.folder.join("memory.limit_in_bytes"), self.limit.to_string())?;
        let told = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let control = File::open(self.folder.join("memory.oom_control"))?;
        let numbers = format!("{} {}", told.as_raw_fd(), control.as_raw_fd());
        fs::write(self.folder.join("cgroup.event_control"), numbers)?;
        self.told = Some(told);
        Ok(self)
    }

    /// The limit of the container's own group: where ours is the one that counts, a little more.
    pub(super) fn inner_limit(&self) -> u64 {
        if self.told.is_some() { self.limit.saturating_add(4096) } else { self.limit }
    }

    /// Whether someone in it was ended because memory had run out.
    pub(super) fn ran_out(&self) -> bool {
        match &self.told {
            Some(told) => rustix::io::read(told, &mut [0_u8; 8]).is_ok(),
            None => fs::read_to_string(self.folder.join("memory.events")).is_ok_and(|events| kills(&events) > 0),
        }
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        // Where something is still in it, the keeper removes it.
        remove(&self.folder);
    }
}

/// Removes a container's outer groups, as far as they are empty.
fn remove(folder: &Path) {
    let _ = fs::remove_dir(folder);
    let Some(id) = folder.file_name() else { return };
    for controller in fs::read_dir(ROOT).into_iter().flatten().flatten() {
        let _ = fs::remove_dir(controller.path().join(id));
    }
}

/// How many processes were ended (Linux, `cgroup-v2.rst`, `memory.events`).
fn kills(events: &str) -> u64 {
    events.lines().filter_map(|line| line.strip_prefix("oom_kill ")?.trim().parse::<u64>().ok()).sum()
}

/// Whether we may make groups.
pub(super) fn is_usable() -> bool {
    let writable = |path: &Path| rustix::fs::access(path, rustix::fs::Access::WRITE_OK).is_ok();
    let root = Path::new(ROOT);
    let first = root.join("memory");
    let folder = if first.exists() { first } else { root.to_owned() };
    rustix::process::geteuid().is_root() && folder.join("cgroup.procs").exists() && writable(&folder)
}

#[cfg(test)]
mod tests {
    #[test]
    fn kills_are_counted() {
        assert_eq!(super::kills("low 0\noom 3\noom_kill 2\noom_group_kill 7\n"), 2);
        assert_eq!(super::kills(""), 0);
    }
}
