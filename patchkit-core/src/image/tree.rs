//! The merged view of an image's files.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
};

use bytes::Bytes;

use super::{FilePath, Layer, Metadata, NodeKind, ReadLimits, merge::Contents};
use crate::{Context, Error, Result};

/// How many symbolic links are followed on the way to one file, as Linux does (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// A file, directory or anything else of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// What it has beside its content.
    pub metadata: Metadata,
    /// The index of the layer that brought it, 0 for the lowest.
    pub layer: usize,
    /// The index of its entry there; [`IMPLIED`] for a directory that no entry speaks of.
    entry: u32,
}

/// The index of the entry of what has none.
const IMPLIED: u32 = u32::MAX;

impl Node {
    pub(super) fn new(kind: NodeKind, metadata: Metadata, layer: usize, entry: usize) -> Self {
        let entry = u32::try_from(entry).unwrap_or(IMPLIED);
        Self { kind, metadata, layer, entry }
    }

    pub(super) fn implied(layer: usize) -> Self {
        Self { kind: NodeKind::Directory, metadata: Metadata::implied(), layer, entry: IMPLIED }
    }

    /// The index of its entry in its layer ([`Entry::index`](super::Entry::index)); `None` for a directory that is only
    /// there because something is in it.
    #[must_use]
    pub fn entry(&self) -> Option<usize> {
        (self.entry != IMPLIED).then_some(self.entry as usize)
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == NodeKind::Directory
    }

    /// The length of its content in bytes, where it is a regular file.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        match self.kind {
            NodeKind::File { size } => Some(size),
            _ => None,
        }
    }
}

/// The files of an image as a container sees them: the layers over each other, whiteouts, opaque directories and hard
/// links applied.
///
/// Names are looked up inside the image and never lead out of it: the parent of the root is the root.
#[derive(Clone, Debug)]
pub struct FileTree {
    names: Names,
    /// All names of what has several.
    links: HashMap<u32, Vec<FilePath>>,
    kept: HashMap<u32, Bytes>,
    layers: Vec<Layer>,
    limits: ReadLimits,
}

impl FileTree {
    pub(super) fn new(names: Names, mut kept: HashMap<u32, Bytes>, layers: Vec<Layer>, limits: ReadLimits) -> Self {
        let links = names.links();
        let mut alive = vec![false; names.nodes.len()];
        names.inodes.values().for_each(|inode| alive[*inode as usize] = true);
        kept.retain(|inode, _| alive[*inode as usize]);
        Self { names, links, kept, layers, limits }
    }

    /// What the name itself is; a symbolic link is not followed, neither in the name's directories.
    #[must_use]
    pub fn get(&self, path: &FilePath) -> Option<&Node> {
        self.names.get(path)
    }

    /// Where the name leads when all symbolic links are followed; `None` where it leads nowhere or goes in circles.
    #[must_use]
    pub fn resolve(&self, path: &FilePath) -> Option<FilePath> {
        let end = self.names.follow(path).ok()?;
        self.get(&end).map(|_| end)
    }

    /// Where the name is when the symbolic links in its directories are followed and the last component is not: what a
    /// program writes through that creates it. The last component need not exist, its directory must.
    #[must_use]
    pub fn resolve_parent(&self, path: &FilePath) -> Option<FilePath> {
        let Some((_, name)) = path.split() else { return Some(FilePath::ROOT) };
        let parent = self.resolve(&path.parent()?)?;
        self.get(&parent)?.is_directory().then(|| parent.child(name))
    }

    /// What is directly in a directory, in order. Nothing for what is none, or only leads to one.
    pub fn children(&self, directory: &FilePath) -> impl Iterator<Item = (&FilePath, &Node)> {
        let mut from = Bound::Excluded(directory.clone());
        let directory = directory.clone();
        std::iter::from_fn(move || {
            let (path, inode) = self.names.inodes.range((from.clone(), Bound::Unbounded)).next()?;
            if !path.starts_with(&directory) {
                return None;
            }
            from = Bound::Included(path.after_subtree());
            Some((path, self.names.node(*inode)))
        })
    }

    /// All but the root, sorted: a directory comes before what is in it.
    pub fn iter(&self) -> impl Iterator<Item = (&FilePath, &Node)> {
        let names = self.names.inodes.iter().filter(|(path, _)| !path.is_root());
        names.map(|(path, inode)| (path, self.names.node(*inode)))
    }

    /// How many names there are, without the root.
    #[must_use]
    pub fn len(&self) -> usize {
        self.names.inodes.len() - 1
    }

    /// Whether there is nothing but the root.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The other names of the same file, in order; none for what has only one name.
    #[must_use]
    pub fn links(&self, path: &FilePath) -> Vec<&FilePath> {
        let names = self.names.inodes.get(path).and_then(|inode| self.links.get(inode));
        names.into_iter().flatten().filter(|name| *name != path).collect()
    }

    /// The content of a file that was kept; symbolic links are followed. `None` where there is nothing.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for something else than a regular file, and for content that was not
    /// kept: read that with [`contents`](Self::contents).
    pub fn read(&self, path: &FilePath) -> Result<Option<Bytes>> {
        let Some(end) = self.resolve(path) else { return Ok(None) };
        let inode = self.names.inodes[&end];
        match (self.names.node(inode).size(), self.kept.get(&inode)) {
            (None, _) => Err(Error::invalid("it is no regular file").on(path)),
            (Some(0), _) => Ok(Some(Bytes::new())),
            (_, Some(kept)) => Ok(Some(kept.clone())),
            (Some(_), None) => Err(Error::invalid("its content was not kept").on(path)),
        }
    }

    /// The contents of files, under the paths asked for; symbolic links are followed. What was not kept is read in
    /// another pass over its layers. What leads to no regular file is not in the result.
    ///
    /// # Errors
    /// As [`Layer::visit`]; [`Unsupported`](crate::ErrorKind::Unsupported) beyond
    /// [`kept_bytes`](ReadLimits::kept_bytes).
    pub async fn contents(&self, paths: &BTreeSet<FilePath>, cx: &Context) -> Result<BTreeMap<FilePath, Bytes>> {
        let ends = paths.iter().filter_map(|path| {
            let inode = self.names.inodes[&self.resolve(path)?];
            self.names.node(inode).size().map(|_| (path, inode))
        });
        let ends: Vec<_> = ends.collect();
        let mut found: HashMap<u32, Bytes> = HashMap::new();
        let mut missing: BTreeMap<usize, HashMap<usize, u32>> = BTreeMap::new();
        for (_, inode) in &ends {
            let node = self.names.node(*inode);
            match (self.kept.get(inode), node.entry()) {
                (Some(kept), _) => drop(found.insert(*inode, kept.clone())),
                (None, Some(entry)) => drop(missing.entry(node.layer).or_default().insert(entry, *inode)),
                (None, None) => {}
            }
        }
        let mut left = self.limits.kept_bytes;
        for (layer, wanted) in missing {
            let visitor = Contents::new(wanted, left);
            let visitor = self.layers[layer].visit_within(visitor, &self.limits, cx).await?;
            left = visitor.left;
            found.extend(visitor.found);
        }
        Ok(ends.into_iter().filter_map(|(path, inode)| Some((path.clone(), found.get(&inode)?.clone()))).collect())
    }
}

/// Names and what they lead to.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) inodes: BTreeMap<FilePath, u32>,
    /// In the order they came; what has no name any more stays.
    pub(super) nodes: Vec<Node>,
}

/// Why a path cannot be followed.
#[derive(Debug)]
pub(super) enum Blocked {
    /// There are too many links, perhaps in a circle.
    Links,
    /// This is no directory, but something should be in it.
    NoDirectory(FilePath),
}

impl Names {
    /// The root alone.
    pub(super) fn new() -> Self {
        Self { inodes: BTreeMap::from([(FilePath::ROOT, 0)]), nodes: vec![Node::implied(0)] }
    }

    pub(super) fn get(&self, path: &FilePath) -> Option<&Node> {
        self.inodes.get(path).map(|inode| self.node(*inode))
    }

    fn node(&self, inode: u32) -> &Node {
        &self.nodes[inode as usize]
    }

    /// Where a path leads when every symbolic link is followed, inside the root. What does not exist is taken for a
    /// directory that someone may make.
    pub(super) fn follow(&self, path: &FilePath) -> Result<FilePath, Blocked> {
        let mut steps: VecDeque<Vec<u8>> = path.components().map(<[u8]>::to_vec).collect();
        let (mut at, mut links) = (FilePath::ROOT, 0);
        while let Some(step) = steps.pop_front() {
            if step == b".." {
                if self.get(&at).is_none() {
                    return Err(Blocked::NoDirectory(at));
                }
                at = at.parent().unwrap_or_default();
                continue;
            }
            let next = at.child(&step);
            match self.get(&next).map(|node| &node.kind) {
                Some(NodeKind::Symlink { target }) => {
                    links += 1;
                    if links > MAX_LINKS {
                        return Err(Blocked::Links);
                    }
                    if target.starts_with(b"/") {
                        at = FilePath::ROOT;
                    }
                    let components = target.split(|byte| *byte == b'/').rev();
                    components.filter(|c| !matches!(c, [] | [b'.'])).for_each(|c| steps.push_front(c.to_vec()));
                }
                None | Some(NodeKind::Directory) => at = next,
                Some(_) if steps.is_empty() => at = next,
                Some(_) => return Err(Blocked::NoDirectory(next)),
            }
        }
        Ok(at)
    }

    fn links(&self) -> HashMap<u32, Vec<FilePath>> {
        let mut names = vec![0_u32; self.nodes.len()];
        self.inodes.values().for_each(|inode| names[*inode as usize] += 1);
        let mut links: HashMap<u32, Vec<FilePath>> = HashMap::new();
        for (path, inode) in self.inodes.iter().filter(|(_, inode)| names[**inode as usize] > 1) {
            links.entry(*inode).or_default().push(path.clone());
        }
        links
    }
}
