//! Mounting layers over each other.

use std::{
    ffi::CString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Mode, OFlags},
    mount::{MountFlags, UnmountFlags},
};

/// The most bytes of options that the kernel takes: a page, with the NUL.
const MOST: usize = 4095;

/// What an overlay is made of.
#[derive(Debug)]
pub(crate) struct Overlay<'a> {
    /// The folders that are shown, the topmost first.
    pub(crate) lower: &'a [PathBuf],
    /// Where changes go.
    pub(crate) upper: &'a Path,
    /// An empty folder of the same file system.
    pub(crate) work: &'a Path,
}

impl Overlay<'_> {
    /// Mounts it. Nothing that is written is waited for to reach the disk: it is for what may be lost.
    pub(crate) fn mount(&self, at: &Path) -> io::Result<()> {
        let options = CString::new(self.options()?)?;
        Ok(rustix::mount::mount("overlay", at, "overlay", MountFlags::empty(), &*options)?)
    }

    /// Mounts it where no name leads to: it lasts as long as the descriptor.
    pub(crate) fn mount_unnamed(&self, at: &Path) -> io::Result<OwnedFd> {
        self.mount(at)?;
        let opened = rustix::fs::open(at, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty());
        unmount(at)?;
        Ok(opened?)
    }

    fn options(&self) -> io::Result<Vec<u8>> {
        let lower: Vec<&[u8]> = self.lower.iter().map(|path| path.as_os_str().as_bytes()).collect();
        let [upper, work] = [self.upper, self.work].map(|path| path.as_os_str().as_bytes());
        if lower.iter().chain([&upper, &work]).any(|path| path.iter().any(|byte| b":,\\".contains(byte))) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "an overlay's folders cannot have : , or \\ in them",
            ));
        }
        let lower = lower.join(&b':');
        let options: [&[u8]; 7] = [b"lowerdir=", &lower, b",upperdir=", upper, b",workdir=", work, b",volatile"];
        let options = options.concat();
        if options.len() > MOST {
            return Err(io::Error::new(io::ErrorKind::ArgumentListTooLong, "too many layers for an overlay"));
        }
        Ok(options)
    }
}

/// Takes a mount away, at once for whoever looks for it by name.
pub(crate) fn unmount(at: &Path) -> io::Result<()> {
    Ok(rustix::mount::unmount(at, UnmountFlags::DETACH)?)
}
