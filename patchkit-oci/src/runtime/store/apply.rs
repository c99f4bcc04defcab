//! Putting a layer's entries into a folder that shows what is below it.
//!
//! The order and the meaning are those of [`Image::files`](patchkit_core::Image::files): directories of a name are
//! followed inside the root, the last component is replaced, a directory over a directory keeps what is in it, and
//! whiteouts hide what was there before the layer.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, Read},
    os::fd::{AsFd, OwnedFd},
};

use patchkit_core::{
    Error, Result,
    image::{Entry, EntryKind, FilePath, LayerVisitor, Metadata, NodeKind},
};
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Timespec, Timestamps, UTIME_OMIT, XattrFlags},
    io::Errno,
    process::{Gid, Uid},
};

use super::tree::{self, Folder, Tree};

/// Whose the files are that are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owners {
    /// The ones that the layer names. Only root can do that.
    Kept,
    /// Us, who can read all of them: for a user namespace in which we are root.
    Ours,
}

/// Writes what it sees.
pub(super) struct Apply {
    tree: Tree,
    owners: Owners,
    /// What the layer has brought, with the directories it is in.
    brought: HashSet<FilePath>,
    /// Directories get their modes and times last, when nothing is put into them any more.
    folders: BTreeMap<FilePath, Metadata>,
    /// The directory of the last entry, as the archive names it.
    last: Option<(FilePath, Folder)>,
}

impl LayerVisitor for Apply {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let done = match &entry.kind {
            EntryKind::Hardlink { target } => self.link(&entry.path, target),
            EntryKind::Node(node) => self.put(entry, node, content),
            EntryKind::Opaque => self.clear(&entry.path),
            EntryKind::Whiteout => self.hide(&entry.path),
        };
        done.map_err(refused)
    }
}

fn refused(error: io::Error) -> Error {
    match Errno::from_io_error(&error) {
        Some(Errno::LOOP) => Error::corrupt("too many symbolic links among its directories"),
        Some(Errno::NOTDIR) => Error::corrupt("it is in something that is no directory"),
        Some(Errno::NAMETOOLONG) => Error::unsupported("its name is too long, or too deep"),
        _ if error.kind() == io::ErrorKind::InvalidData => Error::corrupt(error.to_string()),
        _ => Error::unexpected(format!("cannot unpack: {error}")).because(error),
    }
}

fn invalid(message: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, message)
}

impl Apply {
    /// Into a folder, in which a layer's entries are told from what was there before.
    pub(super) fn new(tree: Tree, owners: Owners) -> Self {
        Self { tree, owners, brought: HashSet::new(), folders: BTreeMap::new(), last: None }
    }

    /// Gives the directories what they have. Blocks.
    pub(super) fn finish(self) -> io::Result<()> {
        for (path, metadata) in self.folders.iter().rev() {
            if let Some(folder) = self.tree.exactly(path)? {
                self.dress(&folder, metadata, Mode::RWXU)?;
            }
        }
        Ok(())
    }

    fn put(&mut self, entry: &Entry, node: &NodeKind, content: &mut dyn Read) -> io::Result<()> {
        let (owners, metadata) = (self.owners, &entry.metadata);
        let Some(name) = entry.path.file_name() else { return self.root(node, metadata) };
        let path = self.place(&entry.path)?;
        if *node == NodeKind::Directory {
            return self.directory(path, name, metadata);
        }
        self.forget(name, node)?;
        let (_, Folder { fd: folder, .. }) = self.last.as_ref().expect("the place is known");
        match node {
            NodeKind::BlockDevice { major, minor } => device(folder, name, FileType::BlockDevice, (*major, *minor))?,
            NodeKind::CharDevice { major, minor } => device(folder, name, FileType::CharacterDevice, (*major, *minor))?,
            NodeKind::Directory => unreachable!("directories have returned"),
            NodeKind::Fifo => rustix::fs::mkfifoat(folder, name, Mode::RUSR | Mode::WUSR)?,
            NodeKind::File { .. } => {
                let file = file(folder, name, content)?;
                self.dress(&file, metadata, Mode::RUSR | Mode::WUSR)?;
            }
            NodeKind::Symlink { target } => rustix::fs::symlinkat(&**target, folder, name)?,
        }
        if !matches!(node, NodeKind::File { .. }) {
            dress_name(folder, name, node, metadata, owners)?;
        }
        if matches!(node, NodeKind::Symlink { .. }) {
            self.last = None;
        }
        Ok(())
    }

    fn root(&mut self, node: &NodeKind, metadata: &Metadata) -> io::Result<()> {
        if *node != NodeKind::Directory {
            return Err(invalid("the root must be a directory"));
        }
        self.folders.insert(FilePath::ROOT, metadata.clone());
        Ok(())
    }

    fn directory(&mut self, path: FilePath, name: &[u8], metadata: &Metadata) -> io::Result<()> {
        let (_, Folder { fd: folder, .. }) = self.last.as_ref().expect("the place is known");
        if tree::kind(folder, name)? != Some(FileType::Directory) {
            tree::remove(folder, name)?;
            rustix::fs::mkdirat(folder, name, Mode::RWXU)?;
            self.last = None;
        }
        self.folders.insert(path, metadata.clone());
        Ok(())
    }

    /// Finds, or makes, the directory of an entry and keeps it; the value is where the entry really is.
    fn place(&mut self, path: &FilePath) -> io::Result<FilePath> {
        let parent = path.parent().unwrap_or_default();
        if self.last.as_ref().is_none_or(|(last, _)| *last != parent) {
            let folder = self.tree.make(&parent)?;
            self.last = Some((parent, folder));
        }
        let (_, folder) = self.last.as_ref().expect("it was just set");
        let real = folder.path.join(path.file_name().unwrap_or_default()).map_err(io::Error::other)?;
        let mut at = Some(real.clone());
        while let Some(new) = at.take_if(|at| !self.brought.contains(at)) {
            at = new.parent();
            self.brought.insert(new);
        }
        Ok(real)
    }

    /// Removes what a new thing of that name replaces.
    fn forget(&mut self, name: &[u8], new: &NodeKind) -> io::Result<()> {
        let (_, Folder { fd: folder, .. }) = self.last.as_ref().expect("the place is known");
        let old = tree::kind(folder, name)?;
        if *new != NodeKind::Directory || old != Some(FileType::Directory) {
            tree::remove(folder, name)?;
        }
        Ok(())
    }

    fn link(&mut self, path: &FilePath, target: &FilePath) -> io::Result<()> {
        const NOWHERE: &str = "a hard link to what is no file";
        let real = self.place(path)?;
        let from = self.tree.find(&target.parent().unwrap_or_default())?.ok_or_else(|| invalid(NOWHERE))?;
        let old = target.file_name().ok_or_else(|| invalid(NOWHERE))?;
        let itself = from.path.join(old).is_ok_and(|from| from == real);
        match tree::kind(&from.fd, old)? {
            None | Some(FileType::Directory) => return Err(invalid(NOWHERE)),
            Some(_) if itself => return Err(invalid("a hard link to itself")),
            Some(_) => {}
        }
        let name = path.file_name().ok_or_else(|| invalid(NOWHERE))?;
        let (_, folder) = self.last.as_ref().expect("the place is known");
        tree::remove(&folder.fd, name)?;
        rustix::fs::linkat(&from.fd, old, &folder.fd, name, AtFlags::empty())?;
        self.last = None;
        Ok(())
    }

    /// A whiteout: what was there before the layer is gone.
    fn hide(&mut self, path: &FilePath) -> io::Result<()> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
        let Some(folder) = self.tree.find(&parent)? else { return Ok(()) };
        self.last = None;
        self.remove_old(&folder, name)
    }

    /// An opaque directory: what was in it before the layer is gone.
    fn clear(&mut self, path: &FilePath) -> io::Result<()> {
        let Some(folder) = self.tree.find(path)? else { return Ok(()) };
        self.last = None;
        self.remove_old_in(&folder.path)
    }

    fn remove_old(&self, folder: &Folder, name: &[u8]) -> io::Result<()> {
        let path = folder.path.join(name).map_err(io::Error::other)?;
        if !self.brought.contains(&path) {
            return tree::remove(&folder.fd, name);
        }
        self.remove_old_in(&path)
    }

    fn remove_old_in(&self, path: &FilePath) -> io::Result<()> {
        let Some(fd) = self.tree.exactly(path)? else { return Ok(()) };
        let folder = Folder { fd, path: path.clone() };
        tree::names(&folder.fd)?.iter().try_for_each(|name| self.remove_old(&folder, name))
    }

    /// Gives an open file or directory its owner, mode, attributes and time, in the order in which none undoes another.
    fn dress(&self, file: impl AsFd, metadata: &Metadata, least: Mode) -> io::Result<()> {
        let mode = Mode::from_raw_mode(metadata.mode);
        match self.owners {
            Owners::Kept => {
                let (uid, gid) = owner(metadata)?;
                rustix::fs::fchown(&file, Some(uid), Some(gid))?;
                rustix::fs::fchmod(&file, mode)?;
            }
            Owners::Ours => rustix::fs::fchmod(&file, mode | least)?,
        }
        for (name, value) in metadata.xattrs.iter().filter(|(name, _)| is_carried(name)) {
            match rustix::fs::fsetxattr(&file, name.as_str(), value, XattrFlags::empty()) {
                Ok(()) | Err(Errno::NOTSUP) => {}
                Err(Errno::PERM | Errno::ACCESS) if self.owners == Owners::Ours => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rustix::fs::futimens(file, &times(metadata))?)
    }
}

/// Which extended attributes a layer may set. Those of the overlay would lead to other files.
fn is_carried(name: &str) -> bool {
    let user = name.starts_with("user.") && !name.starts_with("user.overlay.");
    user || name == "security.capability" || name.starts_with("system.posix_acl_")
}

fn owner(metadata: &Metadata) -> io::Result<(Uid, Gid)> {
    let number =
        |id: u64| u32::try_from(id).ok().filter(|id| *id != u32::MAX).ok_or(invalid("an owner beyond 32 bits"));
    Ok((Uid::from_raw(number(metadata.uid)?), Gid::from_raw(number(metadata.gid)?)))
}

fn times(metadata: &Metadata) -> Timestamps {
    let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
    Timestamps { last_access, last_modification: Timespec { tv_sec: metadata.mtime, tv_nsec: 0 } }
}

fn file(folder: &OwnedFd, name: &[u8], content: &mut dyn Read) -> io::Result<File> {
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut file = File::from(rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)?);
    io::copy(content, &mut file)?;
    Ok(file)
}

/// Makes a device where we may. One of number 0/0 is never made: it is what an overlay takes for a whiteout.
fn device(folder: &OwnedFd, name: &[u8], kind: FileType, (major, minor): (u32, u32)) -> io::Result<()> {
    if (major, minor) == (0, 0) {
        return Ok(());
    }
    match rustix::fs::mknodat(folder, name, kind, Mode::RUSR | Mode::WUSR, rustix::fs::makedev(major, minor)) {
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Gives what cannot be opened its owner, mode and time. What was not made has none.
fn dress_name(folder: &OwnedFd, name: &[u8], node: &NodeKind, metadata: &Metadata, owners: Owners) -> io::Result<()> {
    if tree::kind(folder, name)?.is_none() {
        return Ok(());
    }
    if owners == Owners::Kept {
        let (uid, gid) = owner(metadata)?;
        rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    if !matches!(node, NodeKind::Symlink { .. }) {
        // It was just made, and nobody else works in this folder: it is no link.
        rustix::fs::chmodat(folder, name, Mode::from_raw_mode(metadata.mode), AtFlags::empty())?;
    }
    Ok(rustix::fs::utimensat(folder, name, &times(metadata), AtFlags::SYMLINK_NOFOLLOW)?)
}
