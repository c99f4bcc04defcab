//! Putting layers over each other, as the container runtimes do.
//!
//! What the OCI specification leaves open is done as containerd does it (`archive.Apply`): the directories of an
//! entry's name are looked up in what is there so far and symbolic links among them are followed, inside the root; the
//! last component is not followed, but replaced. A directory over a directory keeps what is in it; everything else
//! replaces what was there. Whiteouts hide what lower layers have, wherever in the archive they stand.

use std::{
    collections::{HashMap, HashSet},
    io::Read,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::{
    Entry, EntryKind, FilePath, FileTree, Image, LayerVisitor, Node, NodeKind, ReadLimits,
    tree::{Blocked, Names},
};
use crate::{Context, Error, Result};

/// How many layers are read at once.
const PARALLEL_LAYERS: usize = 2;

/// How many entries are kept together, so that the memory of a layer's list is given back while it is merged.
const CHUNK: usize = 4096;

impl Image {
    /// The merged view of the image's files, made in one pass over each layer; every layer's digests are checked.
    ///
    /// The content of a regular file for which `keep` says yes to the path, as it stands in the layer's archive, and
    /// the size is kept in memory. All other content is passed over, and can be had in a second pass:
    /// [`FileTree::contents`].
    ///
    /// # Errors
    /// As [`Layer::visit`](super::Layer::visit); [`Corrupt`](crate::ErrorKind::Corrupt) for a hard link to what does not
    /// exist, and for something in what is no directory; [`Unsupported`](crate::ErrorKind::Unsupported) where more is
    /// to be kept than [`ReadLimits::kept_bytes`].
    pub async fn files(
        &self,
        keep: impl Fn(&FilePath, u64) -> bool + Send + Sync + 'static,
        cx: &Context,
    ) -> Result<FileTree> {
        self.files_within(keep, &ReadLimits::default(), cx).await
    }

    /// As [`files`](Self::files), with other limits.
    ///
    /// # Errors
    /// As [`files`](Self::files).
    pub async fn files_within(
        &self,
        keep: impl Fn(&FilePath, u64) -> bool + Send + Sync + 'static,
        limits: &ReadLimits,
        cx: &Context,
    ) -> Result<FileTree> {
        let (keep, kept): (Arc<Keep>, _) = (Arc::new(keep), Arc::new(AtomicU64::new(0)));
        let listings = self.layers().to_vec().into_iter().map(|layer| {
            let listing = Listing::new(keep.clone(), kept.clone(), limits.kept_bytes);
            async move { Ok::<_, Error>((*layer.digest(), layer.visit_within(listing, limits, cx).await?)) }
        });
        let mut listings = stream::iter(listings).buffered(PARALLEL_LAYERS);
        let mut merge = Merge::new(limits.metadata_bytes);
        while let Some((digest, listing)) = listings.try_next().await? {
            let (over, faults) = merge.over(listing, 1).await;
            merge = over;
            if let Some(fault) = faults.into_iter().next() {
                return Err(fault.during("merge layer").on(digest));
            }
        }
        Ok(FileTree::new(merge.names, merge.kept, self.layers().to_vec(), limits.clone()))
    }
}

type Keep = dyn Fn(&FilePath, u64) -> bool + Send + Sync;

/// Everything that a layer's archive says, in its order.
pub(super) struct Listing {
    keep: Arc<Keep>,
    /// How many bytes of content are kept, of all layers.
    kept: Arc<AtomicU64>,
    most: u64,
    hides: Vec<Entry>,
    brings: Vec<Vec<Entry>>,
    /// Kept content by the entry's index.
    contents: HashMap<usize, Bytes>,
}

impl Listing {
    fn new(keep: Arc<Keep>, kept: Arc<AtomicU64>, most: u64) -> Self {
        Self { keep, kept, most, hides: Vec::new(), brings: Vec::new(), contents: HashMap::new() }
    }

    /// One that keeps no content.
    pub(super) fn of_nothing() -> Self {
        Self::new(Arc::new(|_: &FilePath, _| false), Arc::default(), 0)
    }

    fn paths(&self) -> HashSet<FilePath> {
        self.brings.iter().flatten().map(|entry| entry.path.clone()).collect()
    }
}

impl LayerVisitor for Listing {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if matches!(entry.kind, EntryKind::Opaque | EntryKind::Whiteout) {
            self.hides.push(entry.clone());
            return Ok(());
        }
        let size = entry.size();
        if size > 0 && (self.keep)(&entry.path, size) {
            if self.kept.fetch_add(size, Ordering::Relaxed) + size > self.most {
                return Err(too_much(self.most));
            }
            self.contents.insert(entry.index, entry.read(content)?);
        }
        match self.brings.last_mut() {
            Some(chunk) if chunk.len() < CHUNK => chunk.push(entry.clone()),
            _ => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(entry.clone());
                self.brings.push(chunk);
            }
        }
        Ok(())
    }
}

fn too_much(most: u64) -> Error {
    Error::unsupported(format!("more than {most} bytes of content to keep in memory"))
}

/// Reads the contents of some entries.
pub(super) struct Contents {
    wanted: HashMap<usize, u32>,
    pub(super) found: HashMap<u32, Bytes>,
    most: u64,
    pub(super) left: u64,
}

impl Contents {
    /// Of the wanted indexes; the results are under what they lead to. At most so many bytes.
    pub(super) fn new(wanted: HashMap<usize, u32>, most: u64) -> Self {
        Self { wanted, found: HashMap::new(), most, left: most }
    }
}

impl LayerVisitor for Contents {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if let Some(inode) = self.wanted.get(&entry.index) {
            self.left = self.left.checked_sub(entry.size()).ok_or_else(|| too_much(self.most))?;
            self.found.insert(*inode, entry.read(content)?);
        }
        Ok(())
    }
}

/// The layers so far.
pub(super) struct Merge {
    names: Names,
    kept: HashMap<u32, Bytes>,
    layer: usize,
    /// The directory of the last entry as the archive names it, and where it is.
    last: Option<(FilePath, FilePath)>,
    /// How many bytes of names may still come.
    left: u64,
    most: u64,
}

impl Merge {
    /// Nothing but the root; at most so many bytes of names.
    pub(super) fn new(most: u64) -> Self {
        Self { names: Names::new(), kept: HashMap::new(), layer: 0, last: None, left: most, most }
    }

    /// Puts a layer over what is there, in a thread where that may take its time. The second value says what is wrong
    /// with the layer, up to so many things; entries after the last are not looked at.
    pub(super) async fn over(mut self, listing: Listing, most: usize) -> (Self, Vec<Error>) {
        let apply = move || {
            let faults = self.apply(listing, most);
            self.layer += 1;
            (self, faults)
        };
        let done = tokio::task::spawn_blocking(apply).await;
        done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
    }

    fn apply(&mut self, mut listing: Listing, most: usize) -> Vec<Error> {
        self.hide(&listing);
        let entries = std::mem::take(&mut listing.brings).into_iter().flatten();
        let faults = entries.filter_map(|entry| {
            let place = (entry.index, entry.path.clone());
            let content = listing.contents.remove(&entry.index);
            self.bring(entry, content).err().map(|refused| refused.at(place))
        });
        faults.take(most).collect()
    }

    fn hide(&mut self, listing: &Listing) {
        let mut brought = None;
        for entry in &listing.hides {
            let Some(path) = self.hidden(entry, || brought.get_or_insert_with(|| listing.paths())) else { continue };
            match entry.kind {
                EntryKind::Opaque => self.remove_below(&path),
                _ => self.remove(&path),
            }
        }
    }

    /// What a whiteout is about; `None` where that is nothing.
    fn hidden<'a>(&self, entry: &Entry, brought: impl FnOnce() -> &'a mut HashSet<FilePath>) -> Option<FilePath> {
        let directory = match entry.kind {
            EntryKind::Opaque => entry.path.clone(),
            _ => entry.path.parent()?,
        };
        let real = self.names.follow(&directory).ok()?;
        if real != directory {
            // The layer itself may put something else in the place of the link, and hide nothing behind it.
            let brought = brought();
            if directory.ancestors().chain([directory.clone()]).any(|ancestor| brought.contains(&ancestor)) {
                return None;
            }
        }
        match entry.kind {
            EntryKind::Opaque => Some(real),
            _ => entry.path.file_name().map(|name| real.child(name)),
        }
    }

    fn bring(&mut self, entry: Entry, content: Option<Bytes>) -> Result<(), Refused> {
        let Entry { path, kind, metadata, index, offset: _ } = entry;
        let path = self.place(path)?;
        match kind {
            EntryKind::Hardlink { target } => self.link(path, &target),
            EntryKind::Node(kind) => self.put(path, Node::new(kind, metadata, self.layer, index), content),
            EntryKind::Opaque | EntryKind::Whiteout => unreachable!("these are hidden, not brought"),
        }
    }

    /// Where an entry goes: its directories are followed, and made where they are missing.
    fn place(&mut self, path: FilePath) -> Result<FilePath, Refused> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(path) };
        let real = match &self.last {
            Some((last, real)) if *last == parent => real.clone(),
            _ => {
                let real = self.directory(&parent)?;
                self.last = Some((parent.clone(), real.clone()));
                real
            }
        };
        Ok(if real == parent { path } else { real.child(name) })
    }

    fn directory(&mut self, path: &FilePath) -> Result<FilePath, Refused> {
        let real = self.names.follow(path)?;
        if let Some(node) = self.names.get(&real) {
            return if node.is_directory() { Ok(real) } else { Err(Blocked::NoDirectory(real).into()) };
        }
        let missing: Vec<_> =
            real.ancestors().chain([real.clone()]).filter(|at| self.names.get(at).is_none()).collect();
        for directory in missing {
            self.insert(directory, Node::implied(self.layer))?;
        }
        Ok(real)
    }

    fn put(&mut self, path: FilePath, node: Node, content: Option<Bytes>) -> Result<(), Refused> {
        let old = self.names.get(&path);
        if !old.is_some_and(|old| old.is_directory() && node.is_directory()) {
            self.remove(&path);
        }
        if matches!(node.kind, NodeKind::Symlink { .. }) {
            self.last = None;
        }
        let inode = self.insert(path, node)?;
        if let Some(content) = content {
            self.kept.insert(inode, content);
        }
        Ok(())
    }

    fn insert(&mut self, path: FilePath, node: Node) -> Result<u32, Refused> {
        self.left = self.left.checked_sub(path.as_bytes().len() as u64).ok_or(Refused::Names(self.most))?;
        let inode = u32::try_from(self.names.nodes.len()).map_err(|_| Refused::Names(self.most))?;
        self.names.nodes.push(node);
        self.names.inodes.insert(path, inode);
        Ok(inode)
    }

    fn link(&mut self, path: FilePath, target: &FilePath) -> Result<(), Refused> {
        let nowhere = || Refused::Nowhere(target.clone());
        let parent = self.names.follow(&target.parent().unwrap_or_default()).map_err(|_| nowhere())?;
        let real = parent.child(target.file_name().unwrap_or_default());
        self.remove(&path);
        let inode = *self.names.inodes.get(&real).ok_or_else(nowhere)?;
        if self.names.nodes[inode as usize].is_directory() {
            return Err(nowhere());
        }
        if matches!(self.names.nodes[inode as usize].kind, NodeKind::Symlink { .. }) {
            self.last = None;
        }
        self.names.inodes.insert(path, inode);
        Ok(())
    }

    fn remove(&mut self, path: &FilePath) {
        let Some(old) = self.names.get(path) else { return };
        if old.is_directory() {
            self.remove_below(path);
        }
        self.last = None;
        if !path.is_root() {
            self.names.inodes.remove(path);
        }
    }

    fn remove_below(&mut self, path: &FilePath) {
        use std::ops::Bound::{Excluded, Unbounded};
        let end = if path.is_root() { Unbounded } else { Excluded(path.after_subtree()) };
        self.names.inodes.extract_if((Excluded(path.clone()), end), |_, _| true).for_each(drop);
        self.last = None;
    }
}

/// Why an entry cannot be put over what is there.
enum Refused {
    Blocked(Blocked),
    Names(u64),
    Nowhere(FilePath),
}

impl From<Blocked> for Refused {
    fn from(blocked: Blocked) -> Self {
        Self::Blocked(blocked)
    }
}

impl Refused {
    fn at(self, (index, path): (usize, FilePath)) -> Error {
        let entry = format!("entry {index} {path:?}");
        match self {
            Self::Blocked(Blocked::Links) => {
                Error::corrupt(format!("{entry}: too many symbolic links among its directories"))
            }
            Self::Blocked(Blocked::NoDirectory(file)) => {
                Error::corrupt(format!("{entry}: {file:?} is no directory, so nothing can be in it"))
            }
            Self::Names(most) => Error::unsupported(format!("{entry}: names of more than {most} bytes")),
            Self::Nowhere(target) => Error::corrupt(format!("{entry}: a hard link to {target:?}, which is no file")),
        }
    }
}
