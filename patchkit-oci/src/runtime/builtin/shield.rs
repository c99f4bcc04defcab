//! Keeps this program and what its caller has open out of the container's reach.

use std::{fs, path::PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, mount_bind, mount_change, mount_remount};

use super::{Fault, fault::Blame};

/// This program.
pub(super) const SELF: &str = "/proc/self/exe";

/// Closes what the caller left open beside the standard streams: it could lead to the host's files.
pub(super) fn close_inherited() -> Result<(), Fault> {
    let what = "/proc/self/fd";
    let names = fs::read_dir(what).blame(what)?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let open: Vec<i32> = names.collect();
    for fd in open.into_iter().filter(|fd| *fd > 2) {
        let _ = nix::unistd::close(fd);
    }
    Ok(())
}

/// In a mount namespace of this process's own, lays the program read-only over itself and says under which name: what
/// runs it in a container shows it there as `/proc/PID/exe`, through which nobody then can write to it.
pub(super) fn read_only_self() -> Result<PathBuf, Fault> {
    let propagation = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", propagation).blame("mount namespace")?;
    let program = fs::read_link(SELF).blame(SELF)?;
    if !program.exists() {
        return Ok(SELF.into());
    }
    let kept = super::rootfs::kept_flags(&program).blame(SELF)?;
    mount_bind(&program, &program).blame(SELF)?;
    mount_remount(&program, MountFlags::BIND | MountFlags::RDONLY | kept, c"").blame(SELF)?;
    Ok(program)
}
