//! Paths of the container: no link of the image leads out of its root.

use std::{
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Component, Path, PathBuf},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, mkdirat, openat, openat2},
    io::Errno,
};

use super::super::{Fault, fault::Blame};

/// What a place is made as where it is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// Whether links on the way are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Links {
    Follow,
    Refuse,
}

/// The root of a container.
#[derive(Debug)]
pub(in super::super) struct Inside(OwnedFd);

impl Inside {
    pub(super) fn new(root: &Path) -> Result<Self, Fault> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        openat(CWD, root, flags, Mode::empty()).map(Self).blame(format!("root {}", root.display()))
    }

    /// The place of a path, by whichever kind of thing is there.
    pub(super) fn find(&self, path: &Path, links: Links) -> Result<OwnedFd, Errno> {
        let mut resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        if links == Links::Refuse {
            resolve |= ResolveFlags::NO_SYMLINKS;
        }
        let path = if path == Path::new("/") { Path::new(".") } else { path };
        openat2(&self.0, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty(), resolve)
    }

    /// The place of a path, which is made where it is missing.
    pub(super) fn make(&self, path: &Path, kind: Kind, links: Links) -> Result<OwnedFd, Errno> {
        match self.find(path, links) {
            Err(Errno::NOENT) => {}
            found => return found,
        }
        let path = plain(path).ok_or(Errno::INVAL)?;
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(Errno::INVAL) };
        let parent = self.make(&Path::new("/").join(parent), Kind::Folder, links)?;
        match kind {
            Kind::File => {
                let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                drop(openat(&parent, name, flags, Mode::from_raw_mode(0o644))?);
            }
            Kind::Folder => mkdirat(&parent, name, Mode::from_raw_mode(0o755))?,
        }
        self.find(&Path::new("/").join(&path), links)
    }
}

impl AsFd for Inside {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A path without `.`; `None` where it climbs.
fn plain(path: &Path) -> Option<PathBuf> {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir | Component::RootDir => {}
            Component::Normal(name) => plain.push(name),
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[test]
    fn links_stay_in_the_root() {
        let folder = tempfile::tempdir().unwrap();
        let (root, outside) = (folder.path().join("root"), folder.path().join("outside"));
        fs::create_dir_all(root.join("etc")).unwrap();
        fs::create_dir_all(outside.join("in")).unwrap();
        symlink("/etc", root.join("absolute")).unwrap();
        symlink("../outside", root.join("climbing")).unwrap();
        symlink(&outside, root.join("named")).unwrap();
        let inside = Inside::new(&root).unwrap();
        inside.make(Path::new("/absolute/new"), Kind::Folder, Links::Follow).unwrap();
        assert!(root.join("etc/new").is_dir());
        for link in ["/climbing/in", "/named/in"] {
            assert_eq!(inside.find(Path::new(link), Links::Follow).unwrap_err(), Errno::NOENT, "{link}");
        }
        assert!(inside.make(Path::new("/named/x"), Kind::File, Links::Follow).is_err());
        assert_eq!(inside.find(Path::new("/absolute"), Links::Refuse).unwrap_err(), Errno::LOOP);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    }

    #[test]
    fn what_is_missing_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let inside = Inside::new(folder.path()).unwrap();
        inside.make(Path::new("/a/./b/c"), Kind::File, Links::Follow).unwrap();
        assert!(folder.path().join("a/b/c").is_file());
        assert_eq!(inside.make(Path::new("/x/../../y"), Kind::File, Links::Follow).unwrap_err(), Errno::INVAL);
        inside.find(Path::new("/"), Links::Follow).unwrap();
    }
}
