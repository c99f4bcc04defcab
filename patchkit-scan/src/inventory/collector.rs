//! What is picked out of a layer while it is read once.

use std::{io::Read, sync::Arc};

use bytes::Bytes;
use patchkit_core::{
    Error, Package, Result,
    image::{Entry, EntryKind, FilePath, LayerVisitor, NodeKind},
};
use serde::{Deserialize, Serialize};

use super::{
    changes::{Bring, Changes, Hide},
    detector::{Candidate, Content, Detector, HEAD, Problem},
    place::{Place, is_wanted},
};

/// The most bytes of one file of a package database. Real ones have up to some 100 MiB.
const MAX_FILE: u64 = 256 << 20;

/// The most bytes of all wanted files of a layer.
const MAX_LAYER: u64 = 512 << 20;

/// The largest file that a detector is shown. The largest real programs have some 100 MiB.
const MAX_CANDIDATE: u64 = 2 << 30;

/// Picks out of a layer what a [`Snapshot`](super::Snapshot) needs: the files at some places, the names of all others,
/// and what the detectors find in single files.
pub(super) struct Collector {
    places: Arc<[Place]>,
    detectors: Arc<[Box<dyn Detector>]>,
    changes: Changes,
    kept: u64,
}

/// What the detectors found in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Detected {
    /// The packages, without their layer.
    pub(super) packages: Vec<Package>,
    /// What is wrong with the file, said by which detector.
    pub(super) problems: Vec<String>,
}

impl Detected {
    fn is_empty(&self) -> bool {
        self.packages.is_empty() && self.problems.is_empty()
    }
}

impl Collector {
    pub(super) fn new(places: Arc<[Place]>, detectors: Arc<[Box<dyn Detector>]>) -> Self {
        Self { places, detectors, changes: Changes::default(), kept: 0 }
    }

    pub(super) fn changes(self) -> Changes {
        self.changes
    }

    fn hide(&mut self, entry: &Entry, hide: Hide) -> Result<()> {
        self.changes.hides.push((entry.path.clone(), hide));
        Ok(())
    }

    fn wanted(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<Bytes> {
        self.kept += entry.size();
        if entry.size() > MAX_FILE || self.kept > MAX_LAYER {
            let message = format!("a package database of {} bytes, more than is read", self.kept);
            return Err(Error::unsupported(message));
        }
        entry.read(content)
    }

    /// Shows a file to the detectors that want it.
    fn show(&self, entry: &Entry, mut content: &mut dyn Read) -> Result<Bring> {
        let mut head = Vec::with_capacity(HEAD);
        content.take(HEAD as u64).read_to_end(&mut head).map_err(unreadable)?;
        let candidate = Candidate { path: &entry.path, size: entry.size(), head: &head };
        let mut willing = self.detectors.iter().filter(|detector| detector.wants(&candidate)).peekable();
        if willing.peek().is_none() {
            return Ok(Bring::Other);
        }
        let mut found = Detected::default();
        if entry.size() > MAX_CANDIDATE {
            found.problems.push(format!("{} bytes, more than is looked at", entry.size()));
        } else {
            let content = Content::read(head.chain(&mut content), entry.size()).map_err(unreadable)?;
            willing.for_each(|detector| found.add(detector.name(), &entry.path, detector.detect(&candidate, &content)));
        }
        if found.is_empty() {
            return Ok(Bring::Other);
        }
        Ok(Bring::Detected(serde_json::to_vec(&found).expect("packages have only string keys").into()))
    }
}

impl Detected {
    fn add(&mut self, detector: &str, path: &FilePath, found: Result<Vec<Package>, Problem>) {
        match found {
            Ok(packages) => self.packages.extend(packages.into_iter().map(|mut package| {
                if package.locations.is_empty() {
                    package.locations.insert(path.to_string());
                }
                package
            })),
            Err(problem) => self.problems.push(format!("not a sound {detector} file: {problem}")),
        }
    }
}

fn unreadable(error: std::io::Error) -> Error {
    Error::unexpected(error.to_string()).because(error)
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
                Bring::File(self.wanted(entry, content)?)
            }
            EntryKind::Node(NodeKind::File { size: 0 }) => Bring::Other,
            EntryKind::Node(NodeKind::File { .. }) => self.show(entry, content)?,
            EntryKind::Node(_) => Bring::Other,
        };
        self.changes.brings.push((entry.path.clone(), bring));
        Ok(())
    }
}
