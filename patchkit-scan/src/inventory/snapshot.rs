//! The wanted files of the layers so far, put over each other.
//!
//! The whole merged view of core remembers only the last content of a file. Which layer brought a package is only seen
//! in the contents on the way there, so this keeps the few files that matter, and all symbolic links, layer by layer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::image::FilePath;

use super::{
    changes::{Bring, Changes, Hide},
    place::{Place, is_wanted},
};

/// How many symbolic links are followed on the way to one file, as Linux does.
const MAX_LINKS: usize = 40;

/// The files that matter, as they are after some of an image's layers.
#[derive(Debug)]
pub(crate) struct Snapshot {
    places: Arc<[Place]>,
    nodes: BTreeMap<FilePath, Node>,
    /// Names in the archives that are behind a place, but were not known to be: their content was not kept.
    missed: BTreeSet<FilePath>,
}

#[derive(Clone, Debug)]
enum Node {
    Detected { found: Bytes, layer: usize },
    File { content: Bytes, layer: usize },
    Symlink(Bytes),
}

impl Snapshot {
    pub(super) fn new(places: Arc<[Place]>) -> Self {
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
        Self { nodes: nodes.collect(), ..Self::new(Arc::new([])) }
    }

    /// Puts a layer over what is there; says whether a kept file, or the way to one, may have changed.
    pub(super) fn apply(&mut self, layer: usize, changes: Changes) -> bool {
        let mut touched = false;
        for (path, hide) in changes.hides {
            let place = if hide == Hide::Below { self.follow(&path) } else { self.place(&path) };
            touched |= place.is_some_and(|place| self.remove(&place, hide) && self.concerns(&place));
        }
        for (path, bring) in changes.brings {
            if let Some(place) = self.place(&path) {
                touched |= self.bring(&path, place.clone(), layer, bring) && self.concerns(&place);
            }
        }
        touched
    }

    /// Whether a path is one of a wanted file, or on the way to one.
    fn concerns(&self, path: &FilePath) -> bool {
        self.places.iter().any(|place| place.wants(path) || place.path.starts_with(path))
    }

    /// Puts what an archive calls `name` where that really is.
    fn bring(&mut self, name: &FilePath, place: FilePath, layer: usize, bring: Bring) -> bool {
        let wanted = is_wanted(&self.places, &place);
        if wanted && matches!(bring, Bring::Detected(_) | Bring::Other) && !is_wanted(&self.places, name) {
            self.missed.insert(name.clone());
        }
        let node = match bring {
            Bring::Directory => return self.nodes.remove(&place).is_some(),
            Bring::Detected(found) => Some(Node::Detected { found, layer }),
            Bring::File(content) => Some(Node::File { content, layer }),
            Bring::Symlink(target) => Some(Node::Symlink(target)),
            Bring::Hardlink(target) => self.linked(&target, layer, wanted),
            Bring::Other => None,
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
            Some(Node::Detected { found, .. }) => Some(Node::Detected { found: found.clone(), layer }),
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
            Node::Detected { .. } | Node::Symlink(_) => None,
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
            Node::Detected { layer, .. } | Node::File { layer, .. } => Some(*layer),
            Node::Symlink(_) => None,
        }
    }

    /// The files that the detectors found something in, with the index of their layer; sorted by path.
    pub(super) fn detected(&self) -> impl Iterator<Item = (&FilePath, usize, &Bytes)> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::Detected { found, layer } => Some((path, *layer, found)),
            Node::File { .. } | Node::Symlink(_) => None,
        })
    }

    /// What has to be wanted too, since a place is behind a link to it. Where some places lead is of no interest.
    pub(super) fn strays(&self, unneeded: &BTreeSet<FilePath>) -> BTreeSet<Place> {
        let links =
            self.nodes.iter().filter(|(path, node)| matches!(node, Node::Symlink(_)) && is_wanted(&self.places, path));
        let links = links.map(|(path, _)| Place::at(path.clone()));
        let names = links.chain(self.places.iter().cloned()).filter(|place| !unneeded.contains(&place.path));
        let moved = names.filter_map(|place| Some(place.moved(self.follow(&place.path)?)));
        let real = moved.filter(|place| !self.places.contains(place) && !is_wanted(&self.places, &place.path));
        real.chain(self.missed.iter().cloned().map(Place::at)).collect()
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
