//! Unpacks packages into one layer, as data.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fs::File,
    io::{BufReader, Read},
    path::Path,
};

use bytes::Bytes;
use patchkit_core::{
    Context, Error, Result,
    image::{Compression, FilePath, Layer, LayerWriter, Metadata, NodeKind},
};

use crate::debian::{
    deb::{DataEntry, Deb, DebError, EntryKind},
    dpkg::status_d,
    path::PackagePath,
};

/// Where distroless images say what is installed.
const STATUS_FOLDER: &str = "var/lib/dpkg/status.d";
/// The folders that releases with a merged `/usr` have there and only links to at the top.
const MERGED: [&str; 7] = ["bin", "lib", "lib32", "lib64", "libo32", "libx32", "sbin"];
/// The links that such a release has even where no package needs them.
const ALWAYS_MERGED: [&str; 3] = ["bin", "lib", "sbin"];
/// The users and groups that every system has, as the package base-passwd ships them.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("etc/passwd", "usr/share/base-passwd/passwd.master", PASSWD),
    ("etc/group", "usr/share/base-passwd/group.master", GROUP),
];
const PASSWD: &str =
    "root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// The largest file that is copied to a second place.
const MAX_COPY: u64 = 1 << 20;

/// A root file system in the making: one layer, written while packages are read, which blocks.
#[derive(Debug)]
pub(super) struct Root {
    layer: LayerWriter,
    places: BTreeMap<FilePath, Place>,
    is_merged: bool,
    /// The time of everything that is in no package, in seconds since 1970.
    time: i64,
    accounts: BTreeMap<&'static str, Vec<u8>>,
}

/// What was written under a path, and for whom.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Directory,
    File(String),
    Symlink(Vec<u8>, String),
}

impl Root {
    pub(super) fn new(is_merged: bool, time: i64, compression: Compression, cx: &Context) -> Result<Self> {
        let mut root = Self {
            layer: LayerWriter::new(compression, cx)?,
            places: BTreeMap::new(),
            is_merged,
            time,
            accounts: BTreeMap::new(),
        };
        root.directory(&FilePath::ROOT)?;
        if is_merged {
            ALWAYS_MERGED.iter().try_for_each(|name| root.merge(name))?;
        }
        Ok(root)
    }

    /// Unpacks a package, and notes it in `status.d`.
    pub(super) fn unpack(&mut self, package: &str, path: &Path) -> Result<()> {
        let file = File::open(path).map_err(|error| Error::unexpected(error.to_string()).on(path.display()))?;
        let mut deb = Deb::open(BufReader::new(file)).map_err(damaged)?;
        let control = deb.control_files().map_err(damaged)?;
        let mut data = deb.data().map_err(damaged)?;
        while let Some(entry) = data.next_entry().map_err(damaged)? {
            self.put(package, entry)?;
        }
        let bytes = |name| control.get(name).map(|file| file.bytes.as_slice());
        let files = status_d::write(package, bytes("control").unwrap_or_default(), bytes("md5sums"));
        files.into_iter().try_for_each(|(name, bytes)| self.file(&format!("{STATUS_FOLDER}/{name}"), &bytes))
    }

    /// Writes what no package brings, and ends the layer.
    pub(super) fn finish(mut self) -> Result<Layer> {
        for (path, _, minimal) in ACCOUNTS {
            if !self.places.contains_key(&FilePath::new(path).expect("a constant")) {
                let content = self.accounts.remove(path).unwrap_or_else(|| minimal.into());
                self.file(path, &content)?;
            }
        }
        self.layer.finish()
    }

    fn put(&mut self, package: &str, mut entry: DataEntry<'_>) -> Result<()> {
        let path = match is_top_link(&entry) {
            true => file_path(&entry.path)?,
            false => self.place(&entry.path)?,
        };
        let metadata = metadata(&entry);
        let kind = entry.kind.clone();
        if !self.is_new(&path, &kind, package)? {
            return Ok(());
        }
        self.parents(&path)?;
        let layer = &mut self.layer;
        match kind {
            EntryKind::Directory => layer.directory(&path, &metadata),
            EntryKind::File { size } => match self.copied(&path).filter(|_| size <= MAX_COPY) {
                Some(account) => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).map_err(|error| Error::corrupt(error.to_string()).on(&path))?;
                    let written = self.layer.file(&path, &metadata, size, &mut content.as_slice());
                    self.accounts.insert(account, content);
                    written
                }
                None => self.layer.file(&path, &metadata, size, &mut entry),
            },
            EntryKind::HardLink { target } => {
                let target = self.place(&target)?;
                self.layer.hardlink(&path, &metadata, &target)
            }
            EntryKind::Symlink { target } => layer.symlink(&path, &metadata, &target),
            EntryKind::BlockDevice { major, minor } => {
                layer.device(&path, &metadata, &NodeKind::BlockDevice { major, minor })
            }
            EntryKind::CharacterDevice { major, minor } => {
                layer.device(&path, &metadata, &NodeKind::CharDevice { major, minor })
            }
            EntryKind::Fifo => layer.device(&path, &metadata, &NodeKind::Fifo),
        }
    }

    /// Where a package's path goes: through the links of a merged `/usr`.
    fn place(&mut self, path: &PackagePath) -> Result<FilePath> {
        let path = file_path(path)?;
        let first = path.components().next().unwrap_or_default();
        let Some(name) = MERGED.iter().find(|name| self.is_merged && name.as_bytes() == first) else {
            return Ok(path);
        };
        self.merge(name)?;
        FilePath::new("usr")
            .expect("a constant")
            .join(path.as_bytes())
            .map_err(|error| Error::corrupt(error.to_string()))
    }

    /// Makes a top folder a link to that in `/usr`.
    fn merge(&mut self, name: &str) -> Result<()> {
        let link = FilePath::new(name).expect("a constant");
        let target = format!("usr/{name}");
        let place = Place::Symlink(target.clone().into(), String::new());
        if let Entry::Vacant(vacant) = self.places.entry(link.clone()) {
            vacant.insert(place);
            self.layer.symlink(
                &link,
                &Metadata { mode: 0o777, mtime: self.time, ..Metadata::default() },
                target.as_bytes(),
            )?;
            self.directory(&FilePath::new(&target).expect("a constant"))?;
        }
        Ok(())
    }

    /// Whether something is to be written here: folders and equal links that are there already are not.
    fn is_new(&mut self, path: &FilePath, kind: &EntryKind, package: &str) -> Result<bool> {
        let new = match kind {
            EntryKind::Directory => Place::Directory,
            EntryKind::Symlink { target } => Place::Symlink(target.clone(), package.to_owned()),
            _ => Place::File(package.to_owned()),
        };
        let known = match self.places.entry(path.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert(new);
                return Ok(true);
            }
            Entry::Occupied(known) => known.into_mut(),
        };
        match (&*known, &new) {
            (Place::Directory | Place::Symlink(..), Place::Directory) => Ok(false),
            (Place::File(owner), Place::Directory) => {
                Err(Error::conflict(format!("{package} has a folder where {owner} has a file")).on(path))
            }
            (Place::Symlink(known, _), Place::Symlink(new, _)) if known == new => Ok(false),
            (Place::Directory, _) => Err(Error::conflict(format!("{package} has a file where a folder is")).on(path)),
            (Place::File(owner) | Place::Symlink(_, owner), _) => {
                Err(Error::conflict(format!("{package} and {owner} both have this file")).on(path))
            }
        }
    }

    /// Makes the folders that a package relies on without bringing them.
    fn parents(&mut self, path: &FilePath) -> Result<()> {
        let Some(parent) = path.parent() else { return Ok(()) };
        if self.places.contains_key(&parent) {
            return Ok(());
        }
        self.parents(&parent)?;
        self.directory(&parent)
    }

    fn directory(&mut self, path: &FilePath) -> Result<()> {
        match self.places.entry(path.clone()) {
            Entry::Occupied(_) => return Ok(()),
            Entry::Vacant(vacant) => vacant.insert(Place::Directory),
        };
        self.layer.directory(path, &Metadata { mtime: self.time, ..Metadata::implied() })
    }

    /// Writes a file of our own.
    fn file(&mut self, path: &str, content: &[u8]) -> Result<()> {
        let path = FilePath::new(path).map_err(|error| Error::corrupt(error.to_string()))?;
        self.parents(&path)?;
        self.places.insert(path.clone(), Place::File(String::new()));
        let metadata = Metadata { mode: 0o644, mtime: self.time, ..Metadata::default() };
        self.layer.file(&path, &metadata, content.len() as u64, &mut { content })
    }

    /// The second place of a file that is copied there.
    fn copied(&self, path: &FilePath) -> Option<&'static str> {
        ACCOUNTS.iter().find(|(_, original, _)| path.as_bytes() == original.as_bytes()).map(|(copy, ..)| *copy)
    }
}

fn file_path(path: &PackagePath) -> Result<FilePath> {
    FilePath::new(path.as_bytes()).map_err(|error| Error::corrupt(error.to_string()))
}

/// Whether it is a link right below the root, such as `/bin`, which base-files itself brings from Debian 13 on.
fn is_top_link(entry: &DataEntry<'_>) -> bool {
    matches!(entry.kind, EntryKind::Symlink { .. }) && !entry.path.as_bytes().contains(&b'/')
}

fn metadata(entry: &DataEntry<'_>) -> Metadata {
    let xattrs = entry.xattrs.iter();
    let xattrs = xattrs.map(|xattr| (String::from_utf8_lossy(&xattr.name).into(), Bytes::from(xattr.value.clone())));
    Metadata { mode: entry.mode, uid: entry.uid, gid: entry.gid, mtime: entry.mtime, xattrs: xattrs.collect() }
}

fn damaged(error: DebError) -> Error {
    let make = if error.is_damage() { Error::corrupt } else { Error::unexpected };
    make(error.to_string()).because(error)
}
