//! The wanted files of the layers so far, put over each other.
//!
//! The whole merged view of core remembers only the last content of a file. Which layer brought a package is only seen
//! in the contents on the way there, so this keeps the few files that matter, and all symbolic links, layer by layer.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Read,
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{
    Error, Result,
    image::{Entry, EntryKind, FilePath, LayerVisitor, NodeKind},
};

/// The most bytes of one file of a package database. Those of rpm have tens of MiB, more on a desktop.
const MAX_FILE: u64 = 256 << 20;

/// The most bytes of all wanted files of a layer.
const MAX_LAYER: u64 = 256 << 20;

/// How many symbolic links are followed on the way to one file, as Linux does.
const MAX_LINKS: usize = 40;

/// Picks out of a layer what a [`Snapshot`] needs.
pub(super) struct Collector {
    places: Arc<Vec<FilePath>>,
    changes: Changes,
    kept: u64,
}

/// What a layer changes, in the order of its archive.
#[derive(Default)]
pub(super) struct Changes {
    hides: Vec<(FilePath, Hide)>,
    brings: Vec<(FilePath, Bring)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Hide {
    Below,
    Whole,
}

enum Bring {
    Directory,
    File(Bytes),
    Hardlink(FilePath),
    Symlink(Bytes),
    /// Something whose content is of no interest, but which replaces what was there.
    Other,
}

impl Collector {
    pub(super) fn new(places: Arc<Vec<FilePath>>) -> Self {
        Self { places, changes: Changes::default(), kept: 0 }
    }

    pub(super) fn changes(self) -> Changes {
        self.changes
    }

    fn hide(&mut self, entry: &Entry, hide: Hide) -> Result<()> {
        self.changes.hides.push((entry.path.clone(), hide));
        Ok(())
    }

    fn content(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<Bytes> {
        self.kept += entry.size();
        if entry.size() > MAX_FILE || self.kept > MAX_LAYER {
            let message = format!("a package database of {} bytes, more than is read", self.kept);
            return Err(Error::unsupported(message));
        }
        entry.read(content)
    }
}

impl LayerVisitor for Collector {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let bring = match &entry.kind {
            EntryKind::Opaque => return self.hide(entry, Hide::Below),
            EntryKind::Whiteout => return self.hide(entry, Hide::Whole),
            EntryKind::Hardlink { target } => Bring::Hardlink(target.clone()),
            EntryKind::Node(NodeKind::Directory) => Bring::Directory,
            EntryKind::Node(NodeKind::Symlink { target }) => Bring::Symlink(target.clone()),
            EntryKind::Node(NodeKind::File { .. }) if is_wanted(&self.places, &entry.path) => {
                Bring::File(self.content(entry, content)?)
            }
            EntryKind::Node(_) => Bring::Other,
        };
        self.changes.brings.push((entry.path.clone(), bring));
        Ok(())
    }
}

fn is_wanted(places: &[FilePath], path: &FilePath) -> bool {
    places.iter().any(|place| path.starts_with(place))
}

/// The files that matter, as they are after some of an image's layers.
#[derive(Debug)]
pub(crate) struct Snapshot {
    places: Arc<Vec<FilePath>>,
    nodes: BTreeMap<FilePath, Node>,
    /// Names in the archives that are behind a place, but were not known to be: their content was not kept.
    missed: BTreeSet<FilePath>,
}

#[derive(Clone, Debug)]
enum Node {
    File { content: Bytes, layer: usize },
    Symlink(Bytes),
}

impl Snapshot {
    pub(super) fn new(places: Arc<Vec<FilePath>>) -> Self {
        Self { places, nodes: BTreeMap::new(), missed: BTreeSet::new() }
    }

    /// Some files, and symbolic links with their targets.
    #[cfg(test)]
    pub(crate) fn of<'a>(
        files: impl IntoIterator<Item = (&'a str, Vec<u8>)>,
        links: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let files = files.into_iter().map(|(path, content)| (path, Node::File { content: content.into(), layer: 0 }));
        let links = links.into_iter().map(|(path, target)| (path, Node::Symlink(Bytes::from(target.to_owned()))));
        let nodes = files.chain(links).map(|(path, node)| (FilePath::new(path).expect("a test's path"), node));
        Self { nodes: nodes.collect(), ..Self::new(Arc::new(Vec::new())) }
    }

    /// Puts a layer over what is there; says whether a kept file, or the way to one, may have changed.
    pub(super) fn apply(&mut self, layer: usize, changes: Changes) -> bool {
        let mut touched = false;
        for (path, hide) in changes.hides {
            let place = if hide == Hide::Below { self.follow(&path) } else { self.place(&path) };
            touched |= place.is_some_and(|place| self.remove(&place, hide));
        }
        for (path, bring) in changes.brings {
            if let Some(place) = self.place(&path) {
                touched |= self.bring(&path, place, layer, bring);
            }
        }
        touched
    }

    /// Puts what an archive calls `name` where that really is.
    fn bring(&mut self, name: &FilePath, place: FilePath, layer: usize, bring: Bring) -> bool {
        let wanted = is_wanted(&self.places, &place);
        let node = match bring {
            Bring::Directory => return self.nodes.remove(&place).is_some(),
            Bring::File(content) => Some(Node::File { content, layer }),
            Bring::Symlink(target) => Some(Node::Symlink(target)),
            Bring::Hardlink(target) => self.linked(&target, layer, wanted),
            Bring::Other => {
                if wanted && !is_wanted(&self.places, name) {
                    self.missed.insert(name.clone());
                }
                None
            }
        };
        let removed = self.remove(&place, Hide::Whole);
        let Some(node) = node else { return removed };
        self.nodes.insert(place, node);
        true
    }

    /// What a hard link makes its name: the same as its target.
    fn linked(&mut self, target: &FilePath, layer: usize, wanted: bool) -> Option<Node> {
        let place = self.place(target)?;
        match self.nodes.get(&place) {
            Some(Node::File { content, .. }) => Some(Node::File { content: content.clone(), layer }),
            Some(link @ Node::Symlink(_)) => Some(link.clone()),
            None => {
                if wanted && !is_wanted(&self.places, target) {
                    self.missed.insert(target.clone());
                }
                None
            }
        }
    }

    /// Removes what is below a path and, but for [`Hide::Below`], the path itself; says whether there was anything.
    fn remove(&mut self, path: &FilePath, hide: Hide) -> bool {
        let below = self.nodes.range(path.clone()..).map(|(found, _)| found);
        let below = below.take_while(|found| found.starts_with(path));
        let gone: Vec<_> = below.filter(|found| hide == Hide::Whole || *found != path).cloned().collect();
        gone.iter().for_each(|found| drop(self.nodes.remove(found)));
        !gone.is_empty()
    }

    /// The content of a file, behind symbolic links too; `None` where there is none, or it was not kept.
    pub(crate) fn read(&self, path: &FilePath) -> Option<&Bytes> {
        match self.nodes.get(&self.follow(path)?)? {
            Node::File { content, .. } => Some(content),
            Node::Symlink(_) => None,
        }
    }

    /// The names of the kept files directly in a folder, which may be behind symbolic links; sorted.
    pub(crate) fn files_in(&self, folder: &FilePath) -> Vec<FilePath> {
        let Some(real) = self.follow(folder) else { return Vec::new() };
        let below = self.nodes.range(real.clone()..).map(|(path, _)| path).take_while(|path| path.starts_with(&real));
        let direct = below.filter(|path| path.parent().as_ref() == Some(&real));
        let names = direct.filter_map(|path| folder.join(path.file_name()?).ok());
        names.filter(|path| self.read(path).is_some()).collect()
    }

    /// Where the kept files below a folder, which may be behind symbolic links, really are; sorted. What only symbolic
    /// links name is left out.
    pub(crate) fn files_below(&self, folder: &FilePath) -> Vec<FilePath> {
        let Some(real) = self.follow(folder) else { return Vec::new() };
        let below = self.nodes.range(real.clone()..).take_while(|(path, _)| path.starts_with(&real));
        below.filter(|(_, node)| matches!(node, Node::File { .. })).map(|(path, _)| path.clone()).collect()
    }

    /// The index of the layer that brought a file.
    pub(super) fn layer_of(&self, path: &FilePath) -> Option<usize> {
        match self.nodes.get(&self.follow(path)?)? {
            Node::File { layer, .. } => Some(*layer),
            Node::Symlink(_) => None,
        }
    }

    /// What has to be wanted too, since a place is behind a link to it. Where some places lead is of no interest.
    pub(super) fn strays(&self, unneeded: &BTreeSet<FilePath>) -> BTreeSet<FilePath> {
        let links =
            self.nodes.iter().filter(|(path, node)| matches!(node, Node::Symlink(_)) && is_wanted(&self.places, path));
        let names = links.map(|(path, _)| path).chain(&*self.places).filter(|name| !unneeded.contains(name));
        let real = names.filter_map(|name| self.follow(name)).filter(|real| !is_wanted(&self.places, real));
        real.chain(self.missed.iter().cloned()).collect()
    }

    /// Where a name is when the symbolic links in its directories are followed, and the last component is not.
    pub(crate) fn place(&self, path: &FilePath) -> Option<FilePath> {
        match (path.parent(), path.file_name()) {
            (Some(parent), Some(name)) => self.follow(&parent)?.join(name).ok(),
            _ => Some(path.clone()),
        }
    }

    /// Where a name leads when all symbolic links are followed, inside the root; `None` where it goes in circles.
    fn follow(&self, path: &FilePath) -> Option<FilePath> {
        let mut todo: Vec<Vec<u8>> = path.components().rev().map(<[u8]>::to_vec).collect();
        let (mut at, mut links) = (FilePath::ROOT, 0);
        while let Some(component) = todo.pop() {
            match component.as_slice() {
                b"" | b"." => continue,
                b".." => at = at.parent().unwrap_or(FilePath::ROOT),
                name => {
                    let next = at.join(name).ok()?;
                    let Some(Node::Symlink(target)) = self.nodes.get(&next) else {
                        at = next;
                        continue;
                    };
                    links += 1;
                    if links > MAX_LINKS {
                        return None;
                    }
                    if target.starts_with(b"/") {
                        at = FilePath::ROOT;
                    }
                    todo.extend(target.split(|byte| *byte == b'/').rev().map(<[u8]>::to_vec));
                }
            }
        }
        Some(at)
    }
}
