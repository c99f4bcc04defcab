//! A container's files, as they are seen from outside.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use patchkit_core::{Error, Result, image::FilePath};
use rustix::io::Errno;

use super::store::Tree;

/// The most bytes of a file that are read where no limit is given: 1 GiB.
const MOST: u64 = 1 << 30;

/// The root of a container, and what of the host is shown in it. No link leads out.
#[derive(Debug)]
pub(super) struct View {
    root: Tree,
    /// What the container has changed, where nobody but it sees that over the root.
    changed: Option<Tree>,
    mounts: Vec<(FilePath, PathBuf)>,
}

impl View {
    /// The files below a folder of the host, with other files and folders at some places.
    pub(super) fn new(root: &Path, mut mounts: Vec<(FilePath, PathBuf)>) -> io::Result<Self> {
        mounts.sort_by_key(|(target, _)| std::cmp::Reverse(target.components().count()));
        Ok(Self { root: Tree::at(root)?, changed: None, mounts })
    }

    /// The same, with what the container has changed lying in a folder of its own, as an overlay keeps it.
    pub(super) fn changed_in(self, upper: &Path) -> io::Result<Self> {
        Ok(Self { changed: Some(Tree::at(upper)?), ..self })
    }

    /// Makes a folder where none is.
    pub(super) fn make_folder(&self, path: &FilePath) -> io::Result<()> {
        let mounted = self.mounts.iter().any(|(target, _)| path.starts_with(target));
        if mounted || self.root.find(path)?.is_some() { Ok(()) } else { self.root.make(path).map(drop) }
    }

    /// Opens what is there; `None` where nothing is.
    pub(super) fn open(&self, path: &str) -> io::Result<Option<File>> {
        let Ok(clean) = FilePath::new(path) else { return self.open_in_root(path.as_bytes()) };
        let Some((target, source)) = self.mounts.iter().find(|(target, _)| clean.starts_with(target)) else {
            return self.open_in_root(path.as_bytes());
        };
        let rest = &clean.as_bytes()[target.as_bytes().len()..];
        match rest {
            [] => File::open(source).map(Some),
            _ if source.is_dir() => Tree::at(source)?.open(rest),
            _ => Ok(None),
        }
    }

    fn open_in_root(&self, path: &[u8]) -> io::Result<Option<File>> {
        match self.changed.as_ref().map(|changed| changed.open(path)) {
            Some(Ok(Some(file))) => Ok(Some(file)),
            // The device 0/0 says that what was there is gone.
            Some(Err(error)) if error.raw_os_error() == Some(Errno::NXIO.raw_os_error()) => Ok(None),
            Some(Err(error)) => Err(error),
            Some(Ok(None)) | None => self.root.open(path),
        }
    }

    /// The content of a regular file, up to so many bytes; `None` where nothing is. Without a limit, a large file is
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported).
    pub(super) fn read(&self, path: &str, most: Option<u64>) -> Result<Option<Bytes>> {
        let failed = |error: io::Error| Error::unexpected(format!("cannot read: {error}")).on(path).because(error);
        let Some(file) = self.open(path).map_err(failed)? else { return Ok(None) };
        if !file.metadata().map_err(failed)?.is_file() {
            return Err(Error::invalid("it is no regular file").on(path));
        }
        let mut bytes = Vec::new();
        file.take(most.unwrap_or(MOST + 1)).read_to_end(&mut bytes).map_err(failed)?;
        if most.is_none() && bytes.len() as u64 > MOST {
            return Err(Error::unsupported(format!("more than {MOST} bytes")).on(path));
        }
        Ok(Some(bytes.into()))
    }
}
