//! A package, taken apart: what its archive says, with the content of its files set aside.

use std::{
    collections::BTreeMap,
    io::{Read, Seek, Write},
    sync::Arc,
};

use bytes::Bytes;
use md5::{Digest as _, Md5};
use patchkit_core::{Algorithm, BlobSource, Error, Hasher, Result, ScratchWriter, image::FilePath};

use super::{
    database::damaged,
    elf::Elf,
    keeps,
    ldcache::{self, MAX_LIBRARY},
    tree::{Content, Stored},
};
use crate::debian::{
    deb::{ControlFile, DataEntry, Deb, DebError, EntryKind},
    dpkg::{package::InstalledPackage, status_d},
    path::PackagePath,
};

/// A package's archive.
#[derive(Debug)]
pub struct Archive {
    /// The files of `control.tar` by name.
    pub control: BTreeMap<String, ControlFile>,
    /// The entries of `data.tar` in their order.
    pub entries: Vec<ArchiveEntry>,
}

/// An entry of `data.tar`.
#[derive(Clone, Debug)]
pub struct ArchiveEntry {
    /// Where it goes, before diversions and symbolic links of the image.
    pub path: PackagePath,
    /// What it is.
    pub kind: ArchiveKind,
    /// The permission bits.
    pub mode: u32,
    /// The owner: name and number.
    pub user: (Vec<u8>, u64),
    /// The group: name and number.
    pub group: (Vec<u8>, u64),
    /// The time of modification in seconds since 1970.
    pub mtime: i64,
    /// The extended attributes.
    pub xattrs: BTreeMap<String, Bytes>,
}

/// What an [`ArchiveEntry`] is.
#[derive(Clone, Debug)]
pub enum ArchiveKind {
    /// A block device.
    BlockDevice(u32, u32),
    /// A character device.
    CharDevice(u32, u32),
    /// A folder.
    Directory,
    /// A named pipe.
    Fifo,
    /// A plain file, or another name of one.
    File(Arc<Stored>),
    /// A symbolic link.
    Symlink(Bytes),
}

/// Scratch space for the content of packaged files.
pub struct Store {
    writer: Box<dyn ScratchWriter>,
    length: u64,
    inodes: u64,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("length", &self.length).finish_non_exhaustive()
    }
}

impl Store {
    /// An empty store.
    #[must_use]
    pub fn new(writer: Box<dyn ScratchWriter>) -> Self {
        Self { writer, length: 0, inodes: 0 }
    }

    /// Ends writing; the content is read from the source at the offsets of [`Stored`].
    ///
    /// # Errors
    /// Those of the scratch space.
    pub fn finish(self) -> Result<Arc<dyn BlobSource>> {
        self.writer.finish()
    }

    /// Sets the content of a file aside, and remembers what is needed of it.
    fn put(&mut self, path: &FilePath, size: u64, content: &mut dyn Read) -> Result<Arc<Stored>> {
        let library = path.file_name().is_some_and(ldcache::looks_like_library) && size <= MAX_LIBRARY;
        let keep = keeps(path, size);
        let mut sink = Sink { sha256: Hasher::new(Algorithm::Sha256), md5: Md5::new(), copy: Vec::new() };
        let mut buffer = vec![0; 1 << 16];
        let mut length = 0;
        loop {
            let read = content.read(&mut buffer).map_err(|error| Error::corrupt(error.to_string()).on(path))?;
            if read == 0 {
                break;
            }
            sink.take(&buffer[..read], library || keep);
            self.writer.write_all(&buffer[..read]).map_err(|error| Error::unexpected(format!("scratch: {error}")))?;
            length += read as u64;
        }
        let offset = self.length;
        self.length += length;
        self.inodes += 1;
        Ok(Arc::new(Stored {
            offset,
            size: length,
            sha256: sink.sha256.finish(),
            md5: sink.md5.finalize().into(),
            elf: if library { Elf::parse(&sink.copy).map(Arc::new) } else { None },
            inode: self.inodes,
            kept: keep.then(|| sink.copy.into()),
        }))
    }
}

struct Sink {
    sha256: Hasher,
    md5: Md5,
    copy: Vec<u8>,
}

impl Sink {
    fn take(&mut self, bytes: &[u8], copy: bool) {
        self.sha256.update(bytes);
        self.md5.update(bytes);
        if copy {
            self.copy.extend_from_slice(bytes);
        }
    }
}

impl Archive {
    /// Takes a `.deb` apart.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged one,
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for one of a kind that is not known; those of the scratch
    /// space.
    pub fn read(reader: impl Read + Seek + Send, store: &mut Store) -> Result<Self> {
        let mut deb = Deb::open(reader).map_err(failed)?;
        let control = deb.control_files().map_err(failed)?;
        let mut data = deb.data().map_err(failed)?;
        let mut entries: Vec<ArchiveEntry> = Vec::new();
        let mut files: BTreeMap<PackagePath, Arc<Stored>> = BTreeMap::new();
        while let Some(mut entry) = data.next_entry().map_err(failed)? {
            let kind = take(&mut entry, &mut files, store)?;
            entries.push(ArchiveEntry::of(entry, kind));
        }
        Ok(Self { control, entries })
    }

    /// The package's name and architecture.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where its control data is not sound.
    pub fn identity(&self) -> Result<(String, String)> {
        let package = self.package()?;
        Ok((package.name.into(), package.architecture.into()))
    }

    /// The package, as if it were installed.
    pub(super) fn package(&self) -> Result<InstalledPackage> {
        let packages = status_d::read("control", &self.control["control"].bytes).map_err(damaged)?;
        let [package] =
            <[_; 1]>::try_from(packages).map_err(|_| Error::corrupt("several stanzas in a package's control"))?;
        Ok(package)
    }
}

fn take(
    entry: &mut DataEntry<'_>,
    files: &mut BTreeMap<PackagePath, Arc<Stored>>,
    store: &mut Store,
) -> Result<ArchiveKind> {
    Ok(match entry.kind.clone() {
        EntryKind::BlockDevice { major, minor } => ArchiveKind::BlockDevice(major, minor),
        EntryKind::CharacterDevice { major, minor } => ArchiveKind::CharDevice(major, minor),
        EntryKind::Directory => ArchiveKind::Directory,
        EntryKind::Fifo => ArchiveKind::Fifo,
        EntryKind::File { size } => {
            let stored = store.put(&file_path(&entry.path), size, entry)?;
            files.insert(entry.path.clone(), stored.clone());
            ArchiveKind::File(stored)
        }
        EntryKind::HardLink { target } => {
            let message =
                || Error::corrupt(format!("{} is a hard link to {target}, which did not come before", entry.path));
            ArchiveKind::File(files.get(&target).cloned().ok_or_else(message)?)
        }
        EntryKind::Symlink { target } => ArchiveKind::Symlink(target.into()),
    })
}

impl ArchiveEntry {
    fn of(entry: DataEntry<'_>, kind: ArchiveKind) -> Self {
        let xattrs = entry.xattrs.into_iter();
        Self {
            path: entry.path,
            kind,
            mode: entry.mode,
            user: (entry.user, entry.uid),
            group: (entry.group, entry.gid),
            mtime: entry.mtime,
            xattrs: xattrs.map(|x| (String::from_utf8_lossy(&x.name).into_owned(), x.value.into())).collect(),
        }
    }

    /// The content, of a plain file.
    #[must_use]
    pub fn stored(&self) -> Option<&Arc<Stored>> {
        match &self.kind {
            ArchiveKind::File(stored) => Some(stored),
            _ => None,
        }
    }
}

impl From<Arc<Stored>> for Content {
    fn from(stored: Arc<Stored>) -> Self {
        Self::Stored(stored)
    }
}

/// The same path in core's words.
pub(super) fn file_path(path: &PackagePath) -> FilePath {
    FilePath::new(path.as_bytes()).expect("a package's path has no dots and no NUL")
}

fn failed(error: DebError) -> Error {
    match error.is_damage() {
        true => Error::corrupt(error.to_string()),
        false => Error::unsupported(error.to_string()),
    }
}
