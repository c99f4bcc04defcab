//! The layer: what differs from the image in the end, and nothing else.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::{self, Read},
    sync::Arc,
};

use bytes::{Buf, Bytes};
use futures::StreamExt;
use patchkit_core::{
    BlobSource, ByteRange, ByteStream, Context, Digest, Error, Layer, Result,
    image::{Compression, FilePath, FileTree, LayerWriter, Metadata, NodeKind},
};
use tokio::runtime::Handle;

use super::{
    base::Answers,
    tree::{Base, Content, Entry, Kind, Stored, Tree},
};

/// What a layer does at one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Another name of a file that this layer has, at the given path; what it has beside its content is said again.
    HardLink(FilePath, Metadata),
    /// Puts this, or says again what a folder is that something in it changes.
    Put(Entry),
    /// Takes away what the image has.
    Whiteout,
}

/// The paths of the image whose content decides whether a change is one.
#[must_use]
pub fn undecided(tree: &Tree) -> BTreeSet<FilePath> {
    let base = tree.base();
    let asked = tree.changes().filter_map(|(path, change)| {
        let (new, old) = (change?, base.entry(path)?);
        let same_size = new.content()?.size() == old.content()?.size();
        let moved = matches!(new.content(), Some(Content::Base { path: from, .. }) if from == path);
        (same_size && !moved).then(|| path.clone())
    });
    asked.collect()
}

/// What the layer does, sorted by path. `answers` has the digests of what is [`undecided`].
///
/// # Errors
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where a file of the image would have to be moved whose
/// content is not at hand.
pub fn operations(tree: &Tree, files: &FileTree, answers: &Answers) -> Result<BTreeMap<FilePath, Operation>> {
    let changed = changed(tree, files, answers);
    let mut operations: BTreeMap<FilePath, Operation> = BTreeMap::new();
    let mut inodes: HashMap<u64, FilePath> = HashMap::new();
    for path in &changed {
        let operation = match tree.entry(path) {
            None if is_covered(path, &operations) => continue,
            None => Operation::Whiteout,
            Some(entry) => match entry.content() {
                Some(Content::Stored(stored)) => match inodes.get(&stored.inode) {
                    Some(first) => Operation::HardLink(first.clone(), metadata_of(entry).0),
                    None => {
                        inodes.insert(stored.inode, path.clone());
                        Operation::Put(entry)
                    }
                },
                _ => Operation::Put(entry),
            },
        };
        operations.insert(path.clone(), operation);
    }
    add_parents(tree, &mut operations);
    Ok(operations)
}

/// The paths that are not as they were. Hard links count together: where one differs, all are written.
pub(super) fn changed(tree: &Tree, files: &FileTree, answers: &Answers) -> BTreeSet<FilePath> {
    let mut groups: HashMap<u64, Vec<&FilePath>> = HashMap::new();
    for (path, change) in tree.changes() {
        if let Some(Content::Stored(stored)) = change.and_then(Entry::content) {
            groups.entry(stored.inode).or_default().push(path);
        }
    }
    let mut changed = BTreeSet::new();
    for (path, change) in tree.changes() {
        let old = tree.base().entry(path);
        let same = match (change, &old) {
            (None, None) => true,
            (Some(new), Some(old)) => is_same(path, new, old, tree.base().as_ref(), answers),
            _ => false,
        };
        if !same {
            changed.insert(path.clone());
        }
    }
    for group in groups.values().filter(|group| group.len() > 1) {
        let linked = group.iter().skip(1).all(|path| files.links(group[0]).contains(path));
        if !linked || group.iter().any(|path| changed.contains(*path)) {
            changed.extend(group.iter().map(|path| (*path).clone()));
        }
    }
    changed
}

/// Whether an entry is as the image has it. Times alone do not count: a package that was built again has new times on
/// every file, and none of them is worth shipping.
fn is_same(path: &FilePath, new: &Entry, old: &Entry, base: &dyn Base, answers: &Answers) -> bool {
    let metadata = |entry: &Entry| (entry.mode, entry.uid, entry.gid, entry.xattrs.clone());
    metadata(new) == metadata(old)
        && match (&new.kind, &old.kind) {
            (Kind::File(new), Kind::File(old)) => is_same_content(path, new, old, base, answers),
            (new, old) => new == old,
        }
}

fn is_same_content(path: &FilePath, new: &Content, old: &Content, base: &dyn Base, answers: &Answers) -> bool {
    let digest = |content: &Content| match content {
        Content::Memory(bytes) => Some(Digest::of(bytes)),
        Content::Stored(stored) => Some(stored.sha256),
        Content::Base { path, .. } => {
            answers.digests.get(path).copied().or_else(|| base.content(path).ok().map(Digest::of))
        }
    };
    let unmoved = matches!(new, Content::Base { path: from, .. } if from == path);
    unmoved || (new.size() == old.size() && digest(new).is_some_and(|new| digest(old) == Some(new)))
}

/// Whether a path is gone already because a folder above it is, or is something else now.
fn is_covered(path: &FilePath, operations: &BTreeMap<FilePath, Operation>) -> bool {
    let mut parent = path.parent();
    while let Some(folder) = parent {
        match operations.get(&folder) {
            Some(Operation::Put(entry)) if entry.is_directory() => {}
            Some(_) => return true,
            None => {}
        }
        parent = folder.parent();
    }
    false
}

/// Adds the folders above every operation: some tools make missing ones anew, with a mode of their own.
fn add_parents(tree: &Tree, operations: &mut BTreeMap<FilePath, Operation>) {
    let mut folders = BTreeSet::new();
    for path in operations.keys() {
        let mut parent = path.parent();
        while let Some(folder) = parent.filter(|folder| !folder.is_root() && !operations.contains_key(folder)) {
            parent = folder.parent();
            folders.insert(folder);
        }
    }
    for folder in folders {
        if let Some(entry) = tree.entry(&folder) {
            operations.insert(folder, Operation::Put(entry));
        }
    }
}

/// Writes the layer. `stored` has what was set aside while unpacking.
///
/// # Errors
/// Those of reading what was set aside and of the scratch space.
pub async fn write(
    operations: BTreeMap<FilePath, Operation>,
    tree: &Tree,
    stored: Arc<dyn BlobSource>,
    compression: Compression,
    cx: &Context,
) -> Result<Layer> {
    let mut planned = Vec::with_capacity(operations.len());
    for (path, operation) in operations {
        let step = match operation {
            Operation::Put(Entry { kind: Kind::File(content), mode, uid, gid, mtime, xattrs }) => {
                let metadata = Metadata { mode, uid, gid, mtime, xattrs };
                match content {
                    Content::Stored(file) => Step::Stored(metadata, file),
                    other => Step::Bytes(metadata, tree.content(&other)?),
                }
            }
            other => Step::Other(other),
        };
        planned.push((path, step));
    }
    let (handle, cx) = (Handle::current(), cx.clone());
    let writing = tokio::task::spawn_blocking(move || write_steps(planned, &handle, &*stored, compression, &cx));
    writing.await.map_err(|error| Error::unexpected(format!("the layer's writer ended: {error}")))?
}

enum Step {
    Bytes(Metadata, Bytes),
    Other(Operation),
    Stored(Metadata, Arc<Stored>),
}

fn write_steps(
    steps: Vec<(FilePath, Step)>,
    handle: &Handle,
    stored: &dyn BlobSource,
    compression: Compression,
    cx: &Context,
) -> Result<Layer> {
    let mut writer = LayerWriter::new(compression, cx)?;
    for (path, step) in steps {
        cx.check()?;
        match step {
            Step::Bytes(metadata, bytes) => writer.file(&path, &metadata, bytes.len() as u64, &mut bytes.reader())?,
            Step::Other(operation) => write_other(&mut writer, &path, operation)?,
            Step::Stored(metadata, file) => {
                let range = ByteRange { start: file.offset, end: Some(file.offset + file.size) };
                let stream =
                    if file.size == 0 { ByteStream::of("") } else { handle.block_on(stored.open(range, cx))? };
                let mut content = StreamReader { handle, stream, piece: Bytes::new() };
                writer.file(&path, &metadata, file.size, &mut content)?;
            }
        }
    }
    writer.finish()
}

fn write_other(writer: &mut LayerWriter, path: &FilePath, operation: Operation) -> Result<()> {
    let entry = match operation {
        Operation::HardLink(target, metadata) => return writer.hardlink(path, &metadata, &target),
        Operation::Whiteout => return writer.whiteout(path),
        Operation::Put(entry) => entry,
    };
    let (metadata, kind) = metadata_of(entry);
    match kind {
        Kind::BlockDevice(major, minor) => writer.device(path, &metadata, &NodeKind::BlockDevice { major, minor }),
        Kind::CharDevice(major, minor) => writer.device(path, &metadata, &NodeKind::CharDevice { major, minor }),
        Kind::Directory => writer.directory(path, &metadata),
        Kind::Fifo => writer.device(path, &metadata, &NodeKind::Fifo),
        Kind::File(_) => Err(Error::unexpected("a file without its content").on(path)),
        Kind::Symlink(target) => writer.symlink(path, &metadata, &target),
    }
}

fn metadata_of(entry: Entry) -> (Metadata, Kind) {
    let Entry { kind, mode, uid, gid, mtime, xattrs } = entry;
    (Metadata { mode, uid, gid, mtime, xattrs }, kind)
}

/// A stream of bytes, read from a thread that may wait.
struct StreamReader<'a> {
    handle: &'a Handle,
    stream: ByteStream,
    piece: Bytes,
}

impl Read for StreamReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.piece.is_empty() {
            match self.handle.block_on(self.stream.next()) {
                Some(Ok(piece)) => self.piece = piece,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(0),
            }
        }
        let length = self.piece.len().min(buffer.len());
        self.piece.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}
