//! The container's view of files.

mod device;
mod inside;
mod mask;
mod mount;
mod overlay;

use std::{
    os::fd::{AsFd, AsRawFd},
    path::Path,
};

use rustix::{
    fs::{CWD, Mode, OFlags, StatVfsMountFlags, openat, statvfs},
    io::Errno,
    mount::{
        MountFlags, MountPropagationFlags, UnmountFlags, mount_bind_recursive, mount_change, mount_remount, unmount,
    },
    process::{chdir, fchdir, pivot_root},
};

use super::{
    Fault,
    fault::Blame,
    spec::{Config, Mount},
};
pub(super) use inside::Inside;

const DEV: &str = "/dev";

/// Makes the root with all that is mounted in it.
pub(super) fn make(config: &Config, bundle: &Path) -> Result<Inside, Fault> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).blame("mount namespace")?;
    let path = bundle.join(&config.root.path);
    match config.overlay()? {
        Some(overlay) => overlay::mount(&overlay, &path)?,
        None => mount_bind_recursive(&path, &path).blame(format!("root {}", path.display()))?,
    }
    let root = Inside::new(&path)?;
    if !config.mounts.iter().any(|mount| mount.destination == Path::new(DEV)) {
        mount::mount(&root, &own_dev(), bundle)?;
    }
    for mount in &config.mounts {
        mount::mount(&root, mount, bundle)?;
        if mount.destination == Path::new(DEV) && mount.kind.as_deref() == Some("tmpfs") {
            device::furnish(&root)?;
        }
    }
    if !config.mounts.iter().any(|mount| mount.destination == Path::new(DEV)) {
        device::furnish(&root)?;
    }
    config.linux.readonly_paths.iter().try_for_each(|path| mask::read_only(&root, path))?;
    config.linux.masked_paths.iter().try_for_each(|path| mask::hide(&root, path))?;
    if config.root.readonly {
        remount(root.as_fd(), MountFlags::RDONLY).blame("root.readonly")?;
    }
    Ok(root)
}

fn own_dev() -> Mount {
    let options = ["nosuid", "strictatime", "mode=755", "size=65536k"].map(str::to_owned).to_vec();
    Mount { destination: DEV.into(), kind: Some("tmpfs".into()), source: None, options }
}

/// Enters the root, for all processes that have the old one: puts the old one over it, and takes that away.
pub(super) fn enter(root: &Inside) -> Result<(), Fault> {
    let what = "entering the root";
    let old = openat(CWD, "/", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).blame(what)?;
    fchdir(root).blame(what)?;
    pivot_root(".", ".").blame(what)?;
    fchdir(&old).blame(what)?;
    unmount(".", UnmountFlags::DETACH).blame(what)?;
    chdir("/").blame(what)
}

/// Adds flags to a mount, which keeps those it has.
fn remount(mount: impl AsFd, flags: MountFlags) -> Result<(), Errno> {
    let path = format!("/proc/self/fd/{}", mount.as_fd().as_raw_fd());
    let kept = kept_flags(Path::new(&path))?;
    mount_remount(path, MountFlags::BIND | flags | kept, c"")
}

/// The flags of a mount that no user namespace may take away.
pub(super) fn kept_flags(path: &Path) -> Result<MountFlags, Errno> {
    let has = statvfs(path)?.f_flag;
    let pairs = [
        (StatVfsMountFlags::NODEV, MountFlags::NODEV),
        (StatVfsMountFlags::NOEXEC, MountFlags::NOEXEC),
        (StatVfsMountFlags::NOSUID, MountFlags::NOSUID),
        (StatVfsMountFlags::RDONLY, MountFlags::RDONLY),
    ];
    Ok(pairs.into_iter().filter(|(flag, _)| has.contains(*flag)).fold(MountFlags::empty(), |all, (_, flag)| all | flag))
}
