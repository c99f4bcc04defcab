//! Paths of the kernel's file systems that are hidden or cannot be written to.

use std::{fs, os::fd::AsRawFd, path::Path};

use rustix::{io::Errno, mount::MountFlags};

use super::{
    super::{Fault, fault::Blame},
    inside::{Inside, Links},
    mount, remount,
};

/// Lays nothing over a path; one that is not there needs no hiding.
pub(super) fn hide(root: &Inside, path: &Path) -> Result<(), Fault> {
    let what = || format!("linux.maskedPaths {}", path.display());
    let place = match root.find(path, Links::Follow) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        found => found.blame(what())?,
    };
    let is_folder = fs::metadata(format!("/proc/self/fd/{}", place.as_raw_fd())).blame(what())?.is_dir();
    let cover =
        if is_folder { mount::empty(&["mode=755", "size=0"]) } else { mount::clone_file(Path::new("/dev/null")) };
    mount::attach(cover.blame(what())?, place).blame(what())
}

/// Lays a path over itself, read-only.
pub(super) fn read_only(root: &Inside, path: &Path) -> Result<(), Fault> {
    let what = || format!("linux.readonlyPaths {}", path.display());
    let place = match root.find(path, Links::Follow) {
        Err(Errno::NOENT | Errno::NOTDIR) => return Ok(()),
        found => found.blame(what())?,
    };
    let own = mount::clone_file(Path::new(&format!("/proc/self/fd/{}", place.as_raw_fd()))).blame(what())?;
    mount::attach(&own, &place).blame(what())?;
    remount(&own, MountFlags::RDONLY).blame(what())
}
