//! The root file system while packages are put into it: what the image has, and what has changed over that.
//!
//! Nothing is written anywhere: a change is an entry in memory, and what differs from the image in the end is what the
//! new layer gets. Paths go through symbolic links as the kernel would take them, and never leave the root.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{Digest, Error, Result, image::FilePath};

use super::elf::Elf;

/// How many symbolic links are followed before a path counts as a loop: 40, as on Linux.
const MAX_LINKS: usize = 40;

/// The files of the image that packages are put into.
pub trait Base: Send + Sync {
    /// What is at a path that has no symbolic link in it, itself not followed.
    fn entry(&self, path: &FilePath) -> Option<Entry>;

    /// The names in a folder, sorted.
    fn names(&self, folder: &FilePath) -> Vec<Vec<u8>>;

    /// The content of a plain file.
    ///
    /// # Errors
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where it was not kept.
    fn content(&self, path: &FilePath) -> Result<Bytes>;
}

/// What is at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: Kind,
    /// The permission bits with set-user-id, set-group-id and sticky.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The time of modification in seconds since 1970.
    pub mtime: i64,
    /// The extended attributes by name.
    pub xattrs: BTreeMap<String, Bytes>,
}

/// What an [`Entry`] is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A block device, by major and minor number.
    BlockDevice(u32, u32),
    /// A character device, by major and minor number.
    CharDevice(u32, u32),
    /// A folder.
    Directory,
    /// A named pipe.
    Fifo,
    /// A plain file.
    File(Content),
    /// A symbolic link and where it leads, as written.
    Symlink(Bytes),
}

/// Where the bytes of a plain file are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// In the image, under this path.
    Base {
        /// The path, without symbolic links.
        path: FilePath,
        /// The length in bytes.
        size: u64,
    },
    /// In memory.
    Memory(Bytes),
    /// Set aside while unpacking.
    Stored(Arc<Stored>),
}

/// The content of a packaged file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Where it starts in the scratch space, in bytes.
    pub offset: u64,
    /// The length in bytes.
    pub size: u64,
    /// The digest.
    pub sha256: Digest,
    /// The MD5 sum, which dpkg identifies conffiles by.
    pub md5: [u8; 16],
    /// What the dynamic linker's cache needs to know of a shared library.
    pub elf: Option<Arc<Elf>>,
    /// Which file it is: entries with the same number are hard links of each other.
    pub inode: u64,
    /// The bytes, where they will be read again before the layer is written.
    pub kept: Option<Bytes>,
}

impl Entry {
    /// An entry of root's, without extended attributes.
    #[must_use]
    pub fn new(kind: Kind, mode: u32, mtime: i64) -> Self {
        Self { kind, mode, uid: 0, gid: 0, mtime, xattrs: BTreeMap::new() }
    }

    /// Whether it is a folder.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Whether it is a plain file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File(_))
    }

    /// The content, where it is a plain file.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        match &self.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }
}

impl Content {
    /// The length in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Base { size, .. } => *size,
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Stored(stored) => stored.size,
        }
    }
}

/// A root file system that is being changed.
pub struct Tree {
    base: Arc<dyn Base>,
    changes: BTreeMap<FilePath, Option<Entry>>,
}

impl std::fmt::Debug for Tree {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tree").field("changes", &self.changes.len()).finish_non_exhaustive()
    }
}

impl Tree {
    /// The unchanged tree of an image.
    #[must_use]
    pub fn new(base: Arc<dyn Base>) -> Self {
        Self { base, changes: BTreeMap::new() }
    }

    /// What is at a path without symbolic links in it, itself not followed.
    #[must_use]
    pub fn entry(&self, path: &FilePath) -> Option<Entry> {
        match self.changes.get(path) {
            Some(change) => change.clone(),
            None => self.base.entry(path),
        }
    }

    /// What is at a path whose parents may be symbolic links, itself not followed: `lstat`.
    #[must_use]
    pub fn lstat(&self, path: &FilePath) -> Option<Entry> {
        self.entry(&self.place(path)?)
    }

    /// What a path leads to: `stat`.
    #[must_use]
    pub fn stat(&self, path: &FilePath) -> Option<Entry> {
        self.entry(&self.resolve(path)?)
    }

    /// Where a path leads, all symbolic links followed: `realpath`. `None` where there is nothing, or a loop.
    #[must_use]
    pub fn resolve(&self, path: &FilePath) -> Option<FilePath> {
        let found = self.walk(path, true)?;
        self.entry(&found).is_some().then_some(found)
    }

    /// Where a path is written: its parents' symbolic links followed, its own not. What does not exist is taken as
    /// folders yet to be made. `None` for a loop, or where a parent is no folder.
    #[must_use]
    pub fn place(&self, path: &FilePath) -> Option<FilePath> {
        self.walk(path, false)
    }

    /// Where a file would be written through the links of a path, whether there is one or not. `None` for a loop.
    #[must_use]
    pub fn follow(&self, path: &FilePath) -> Option<FilePath> {
        self.walk(path, true)
    }

    /// Where a link at `place` (a path without links in it) with the given target would lead.
    #[must_use]
    pub fn resolve_link(&self, place: &FilePath, target: &[u8]) -> Option<FilePath> {
        let start = if target.starts_with(b"/") { FilePath::ROOT } else { place.parent()? };
        let found = self.walk_from(start, target.split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect(), true)?;
        self.entry(&found).is_some().then_some(found)
    }

    fn walk(&self, path: &FilePath, follow_last: bool) -> Option<FilePath> {
        self.walk_from(FilePath::ROOT, path.components().map(<[u8]>::to_vec).collect(), follow_last)
    }

    fn walk_from(&self, start: FilePath, mut todo: Vec<Vec<u8>>, follow_last: bool) -> Option<FilePath> {
        let (mut links, mut at) = (0, start);
        todo.reverse();
        while let Some(name) = todo.pop() {
            match &name[..] {
                b"" | b"." => continue,
                b".." => {
                    at = at.parent().unwrap_or(at);
                    continue;
                }
                _ => {}
            }
            let next = at.join(&name).ok()?;
            match self.entry(&next).map(|entry| entry.kind) {
                Some(Kind::Symlink(target)) if follow_last || !todo.is_empty() => {
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        at = FilePath::ROOT;
                    }
                    todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                }
                Some(Kind::Directory) | None => at = next,
                Some(_) if todo.is_empty() => at = next,
                Some(_) => return None,
            }
        }
        Some(at)
    }

    /// The names in a folder (a path without symbolic links), sorted.
    #[must_use]
    pub fn names(&self, folder: &FilePath) -> BTreeSet<Vec<u8>> {
        let mut names: BTreeSet<Vec<u8>> = self.base.names(folder).into_iter().collect();
        for (path, change) in self.below(folder) {
            if path.parent().as_ref() != Some(folder) {
                continue;
            }
            let name = path.file_name().expect("a path below a folder has a name").to_vec();
            match change {
                Some(_) => names.insert(name),
                None => names.remove(&name),
            };
        }
        names
    }

    fn below<'t>(&'t self, folder: &'t FilePath) -> impl Iterator<Item = (&'t FilePath, &'t Option<Entry>)> {
        let after = self.changes.range((Bound::Excluded(folder.clone()), Bound::Unbounded));
        after.take_while(move |(path, _)| path.starts_with(folder))
    }

    /// All paths of plain files, links and so on below a folder (a path without symbolic links), and the folders.
    #[must_use]
    pub fn descendants(&self, folder: &FilePath) -> Vec<FilePath> {
        let mut found = Vec::new();
        let mut todo = vec![folder.clone()];
        while let Some(folder) = todo.pop() {
            for name in self.names(&folder) {
                let path = child(&folder, &name);
                if self.entry(&path).is_some_and(|entry| entry.is_directory()) {
                    todo.push(path.clone());
                }
                found.push(path);
            }
        }
        found.sort();
        found
    }

    /// Reads the plain file that a path leads to; `None` where there is none.
    ///
    /// # Errors
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where its content was not kept.
    pub fn read(&self, path: &FilePath) -> Result<Option<Bytes>> {
        let Some(place) = self.resolve(path) else {
            return Ok(None);
        };
        match self.entry(&place).and_then(|entry| entry.content().cloned()) {
            Some(content) => self.content(&content).map(Some).map_err(|error| error.on(path)),
            None => Ok(None),
        }
    }

    /// The bytes of some content.
    ///
    /// # Errors
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where they were not kept.
    pub fn content(&self, content: &Content) -> Result<Bytes> {
        match content {
            Content::Base { path, .. } => self.base.content(path),
            Content::Memory(bytes) => Ok(bytes.clone()),
            Content::Stored(stored) => {
                let kept = stored.kept.clone();
                kept.ok_or_else(|| Error::unexpected("the content of a packaged file was set aside"))
            }
        }
    }

    /// Puts an entry at a path without symbolic links in it, in the place of whatever was there.
    pub fn put(&mut self, path: FilePath, entry: Entry) {
        self.changes.insert(path, Some(entry));
    }

    /// Writes a file of root's where a path leads to; an existing file keeps its mode and owner.
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where the path leads nowhere.
    pub fn write(&mut self, path: &FilePath, bytes: impl Into<Bytes>, (mode, mtime): (u32, i64)) -> Result<()> {
        let place = self.resolve(path).or_else(|| self.place(path));
        let place = place.ok_or_else(|| Error::unsupported("the path is a loop of links").on(path))?;
        let kind = Kind::File(Content::Memory(bytes.into()));
        let entry = match self.entry(&place) {
            Some(old) if old.is_file() => Entry { kind, mtime, ..old },
            _ => Entry::new(kind, mode, mtime),
        };
        self.put(place, entry);
        Ok(())
    }

    /// Removes what is at a path without symbolic links in it. A folder must be empty.
    pub fn remove(&mut self, path: &FilePath) {
        match self.base.entry(path) {
            Some(_) => self.changes.insert(path.clone(), None),
            None => self.changes.remove(path),
        };
    }

    /// Removes what is at a path without symbolic links in it, with all below it.
    pub fn remove_all(&mut self, path: &FilePath) {
        for below in self.descendants(path).iter().rev() {
            self.remove(below);
        }
        self.remove(path);
    }

    /// Moves what is at one path to another, both without symbolic links in them; a folder with all below it.
    pub fn rename(&mut self, from: &FilePath, to: &FilePath) {
        let mut moved = self.descendants(from);
        moved.insert(0, from.clone());
        for path in moved.iter().rev() {
            let Some(entry) = self.entry(path) else {
                continue;
            };
            let rest = &path.as_bytes()[from.as_bytes().len()..];
            let target = FilePath::new([to.as_bytes(), rest].concat()).expect("both halves are normalised");
            self.remove(path);
            self.put(target, entry);
        }
    }

    /// The image as it was.
    #[must_use]
    pub fn base(&self) -> &Arc<dyn Base> {
        &self.base
    }

    /// What was put (`Some`) or removed (`None`), sorted by path. Some of it may be as it was.
    pub fn changes(&self) -> impl Iterator<Item = (&FilePath, Option<&Entry>)> {
        self.changes.iter().map(|(path, change)| (path, change.as_ref()))
    }
}

/// The path of a name in a folder.
pub(super) fn child(folder: &FilePath, name: &[u8]) -> FilePath {
    folder.join(name).expect("the name of a file has neither a slash nor a NUL, and is no dots")
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A tree in memory, to start tests from.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct MemoryBase(pub(crate) BTreeMap<FilePath, Entry>);

    impl MemoryBase {
        pub(crate) fn with(mut self, path: &str, entry: Entry) -> Self {
            let path = FilePath::new(path).expect("a test's path");
            let mut parent = path.parent();
            while let Some(folder) = parent {
                self.0.entry(folder.clone()).or_insert_with(|| Entry::new(Kind::Directory, 0o755, 0));
                parent = folder.parent();
            }
            self.0.insert(path, entry);
            self
        }

        pub(crate) fn file(self, path: &str, content: impl Into<Bytes>) -> Self {
            self.with(path, Entry::new(Kind::File(Content::Memory(content.into())), 0o644, 1))
        }

        pub(crate) fn link(self, path: &str, target: &'static str) -> Self {
            self.with(path, Entry::new(Kind::Symlink(target.into()), 0o777, 1))
        }

        pub(crate) fn folder(self, path: &str) -> Self {
            self.with(path, Entry::new(Kind::Directory, 0o755, 1))
        }

        pub(crate) fn tree(self) -> Tree {
            Tree::new(Arc::new(self))
        }
    }

    impl Base for MemoryBase {
        fn entry(&self, path: &FilePath) -> Option<Entry> {
            self.0.get(path).cloned()
        }

        fn names(&self, folder: &FilePath) -> Vec<Vec<u8>> {
            let inside = self.0.keys().filter(|path| path.parent().as_ref() == Some(folder));
            inside.filter_map(|path| path.file_name().map(<[u8]>::to_vec)).collect()
        }

        fn content(&self, path: &FilePath) -> Result<Bytes> {
            match self.0.get(path).map(|entry| &entry.kind) {
                Some(Kind::File(Content::Memory(bytes))) => Ok(bytes.clone()),
                _ => Err(Error::unexpected("no file in memory").on(path)),
            }
        }
    }

    pub(crate) fn path(text: &str) -> FilePath {
        FilePath::new(text).expect("a test's path")
    }

    #[test]
    fn links_lead_as_the_kernel_takes_them() {
        let tree = MemoryBase::default()
            .link("lib", "usr/lib")
            .file("usr/lib/x", "1")
            .link("usr/lib/y", "/../../lib/x")
            .link("loop", "loop")
            .link("up", "../../usr")
            .tree();
        assert_eq!(tree.resolve(&path("lib/y")), Some(path("usr/lib/x")));
        assert_eq!(tree.place(&path("lib/y")), Some(path("usr/lib/y")));
        assert_eq!(tree.place(&path("lib/new/z")), Some(path("usr/lib/new/z")));
        assert_eq!(tree.resolve(&path("up/lib/x")), Some(path("usr/lib/x")));
        assert_eq!((tree.resolve(&path("loop")), tree.resolve(&path("nothing"))), (None, None));
        assert_eq!(tree.place(&path("lib/x/below-a-file")), None);
    }

    #[test]
    fn changes_lie_over_the_image() {
        let mut tree = MemoryBase::default().file("a/b", "1").file("a/b-c", "2").file("a/d/e", "3").tree();
        tree.remove(&path("a/b"));
        tree.put(path("a/f"), Entry::new(Kind::Fifo, 0o600, 0));
        assert_eq!(tree.names(&path("a")), BTreeSet::from([b"b-c".to_vec(), b"d".to_vec(), b"f".to_vec()]));
        tree.rename(&path("a/d"), &path("g"));
        assert_eq!(tree.read(&path("g/e")).unwrap().unwrap(), "3");
        assert!(tree.entry(&path("a/d")).is_none() && tree.entry(&path("a/d/e")).is_none());
        tree.remove(&path("a/f"));
        assert!(tree.entry(&path("a/f")).is_none() && tree.changes().all(|(changed, _)| *changed != path("a/f")));
    }
}
