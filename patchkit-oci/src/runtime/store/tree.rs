//! Files below a folder, reached through its descriptor: no symbolic link leads out of it.

use std::{
    collections::VecDeque,
    ffi::CString,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

use patchkit_core::image::FilePath;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, RawMode, ResolveFlags},
    io::Errno,
};

/// How many symbolic links are followed on the way to one file, as Linux does (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// How deep folders may lie: far deeper than in any honest image, and few enough to walk with a descriptor each.
const MAX_DEPTH: usize = 200;

const FOLDER: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// A folder that is a root of its own: absolute links and `..` stay inside.
#[derive(Debug)]
pub(crate) struct Tree {
    root: OwnedFd,
}

/// A folder of a tree, and where it really is.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) fd: OwnedFd,
    pub(crate) path: FilePath,
}

impl Tree {
    /// The tree below an open folder.
    pub(crate) fn new(root: OwnedFd) -> Self {
        Self { root }
    }

    /// The tree below a folder of the host.
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::new(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?))
    }

    /// Opens what is there for reading, all links followed; `None` where nothing is.
    pub(crate) fn open(&self, path: impl AsRef<[u8]>) -> io::Result<Option<File>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let path = [b"/", path.as_ref()].concat();
        match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), inside) {
            Ok(fd) => Ok(Some(fd.into())),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The folder that a path leads to, all links followed; `None` where there is none.
    pub(crate) fn find(&self, path: &FilePath) -> io::Result<Option<Folder>> {
        self.walk(path, |_, _| Ok(false))
    }

    /// As [`find`](Self::find), making what is missing.
    pub(crate) fn make(&self, path: &FilePath) -> io::Result<Folder> {
        let made = self.walk(path, |parent, name| {
            rustix::fs::mkdirat(parent, name, Mode::from_raw_mode(0o755))?;
            Ok(true)
        })?;
        made.ok_or_else(|| Errno::NOTDIR.into())
    }

    /// The folder of this very path, no link followed; `None` where that is something else.
    pub(crate) fn exactly(&self, path: &FilePath) -> io::Result<Option<OwnedFd>> {
        let name = if path.is_root() { b"." } else { path.as_bytes() };
        let flags = OFlags::RDONLY | FOLDER;
        let inside = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(&self.root, name, flags, Mode::empty(), inside) {
            Ok(fd) => Ok(Some(fd)),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Goes step by step. `missing` may make what is not there, and says whether it did.
    fn walk(
        &self,
        path: &FilePath,
        missing: impl Fn(&OwnedFd, &[u8]) -> rustix::io::Result<bool>,
    ) -> io::Result<Option<Folder>> {
        let mut steps: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        let mut at = vec![self.folder(&self.root, b".")?];
        let (mut names, mut links): (Vec<Vec<u8>>, _) = (Vec::new(), 0);
        while let Some(step) = steps.pop_front() {
            let here = at.last().expect("the root is never popped");
            if step == b".." {
                if names.pop().is_some() {
                    at.pop();
                }
                continue;
            }
            match self.folder(here, &step) {
                Err(Errno::NOENT) if missing(here, &step)? => steps.push_front(step),
                Err(Errno::NOENT) => return Ok(None),
                Err(Errno::LOOP | Errno::NOTDIR) => {
                    let Some(target) = link(here, &step)? else { return Ok(None) };
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Errno::LOOP.into());
                    }
                    if target.starts_with(b"/") {
                        at.truncate(1);
                        names.clear();
                    }
                    let components = target.split(|byte| *byte == b'/').rev();
                    components.filter(|c| !matches!(c, [] | [b'.'])).for_each(|c| steps.push_front(c.to_vec()));
                }
                Err(error) => return Err(error.into()),
                Ok(_) if names.len() >= MAX_DEPTH => return Err(Errno::NAMETOOLONG.into()),
                Ok(fd) => {
                    at.push(fd);
                    names.push(step);
                }
            }
        }
        let path = FilePath::new(names.join(&b'/')).map_err(io::Error::other)?;
        Ok(at.pop().map(|fd| Folder { fd, path }))
    }

    fn folder(&self, parent: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        rustix::fs::openat(parent, name, OFlags::PATH | FOLDER, Mode::empty())
    }
}

/// Where a symbolic link points to; `None` for what is none.
fn link(parent: &OwnedFd, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
    match rustix::fs::readlinkat(parent, name, Vec::new()) {
        Ok(target) => Ok(Some(CString::into_bytes(target))),
        Err(Errno::INVAL) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What kind of thing a name is, no link followed; `None` where nothing is.
pub(crate) fn kind(parent: impl AsFd, name: &[u8]) -> io::Result<Option<FileType>> {
    match rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode as RawMode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: impl AsFd) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let name = entry?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Removes a name and everything below it; no link is followed. Nothing there is well, too.
pub(crate) fn remove(parent: impl AsFd, name: &[u8]) -> io::Result<()> {
    match rustix::fs::unlinkat(&parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let folder = rustix::fs::openat(&parent, name, OFlags::RDONLY | FOLDER, Mode::empty())?;
    for child in names(&folder)? {
        remove(&folder, &child)?;
    }
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Makes a copy of everything in a folder in another, empty one: folders are made, the content of everything else is
/// treated as asked.
pub(crate) fn copy(from: &Path, to: &Path, how: Copying) -> io::Result<()> {
    let (from, to) = (
        rustix::fs::openat(CWD, from, OFlags::RDONLY | FOLDER, Mode::empty())?,
        rustix::fs::openat(CWD, to, OFlags::RDONLY | FOLDER, Mode::empty())?,
    );
    copy_folder(&from, &to, how)
}

/// How files are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Copying {
    /// As files of their own.
    Contents,
    /// As further names of the same files, which then must only be replaced and never be written to.
    Links,
}

fn copy_folder(from: &OwnedFd, to: &OwnedFd, how: Copying) -> io::Result<()> {
    for name in names(from)? {
        match (kind(from, &name)?, how) {
            (Some(FileType::Directory), _) => {
                rustix::fs::mkdirat(to, &*name, Mode::RWXU)?;
                let [from, to] =
                    [from, to].map(|at| rustix::fs::openat(at, &*name, OFlags::RDONLY | FOLDER, Mode::empty()));
                copy_folder(&from?, &to?, how)?;
            }
            (Some(FileType::RegularFile), Copying::Contents) => copy_file(from, to, &name)?,
            (Some(FileType::Symlink), Copying::Contents) => {
                let target = rustix::fs::readlinkat(from, &*name, Vec::new())?;
                rustix::fs::symlinkat(target, to, &*name)?;
            }
            (Some(_), Copying::Links) => rustix::fs::linkat(from, &*name, to, &*name, AtFlags::empty())?,
            (Some(_), Copying::Contents) => {}
            (None, _) => {}
        }
    }
    let stat = rustix::fs::fstat(from)?;
    Ok(rustix::fs::fchmod(to, Mode::from_raw_mode(stat.st_mode & 0o7777))?)
}

fn copy_file(from: &OwnedFd, to: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut source = File::from(rustix::fs::openat(from, name, flags | OFlags::RDONLY, Mode::empty())?);
    let mode = Mode::from_raw_mode(rustix::fs::fstat(&source)?.st_mode & 0o7777);
    let new = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let mut target = File::from(rustix::fs::openat(to, name, new, Mode::RUSR | Mode::WUSR)?);
    // The kernel's own copy: the library uses copy_file_range.
    io::copy(&mut source, &mut target)?;
    Ok(rustix::fs::fchmod(&target, mode)?)
}
