//! What was found in layers before, on disk.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use patchkit_core::{Digest, Error, Hasher, Result};
use tempfile::NamedTempFile;

use super::{changes::Changes, detector::Detector, place::Place};

/// Which form the files of the cache have, and what the detectors find: changed with either.
const EPOCH: &str = "1";

/// The level of zstd: the entries are small, and read more often than written.
const LEVEL: i32 = 1;

/// The most bytes of an entry, unpacked.
const MAX_ENTRY: u64 = 1 << 30;

/// What inventories found in layers before, in a folder that any number of processes share: a layer seen before is not
/// read again.
///
/// An entry is found by the layer's diff id. It appears whole (written aside, then renamed) and bears a checksum; one
/// that is damaged, or made by another version of this crate, counts as absent. Whoever can write to the folder can
/// change what is found: it should belong to whom the scans belong.
#[derive(Clone, Debug)]
pub struct LayerCache {
    folder: PathBuf,
}

/// What a cache's entries depend on beside the layer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question(Digest);

impl Question {
    /// What is asked of each layer: files at some places, and what detectors find.
    pub(super) fn of(places: &[Place], detectors: &[Box<dyn Detector>]) -> Self {
        let mut hasher = Hasher::default();
        hasher.update(format!("{} {EPOCH} {places:?}", env!("CARGO_PKG_VERSION")).as_bytes());
        detectors.iter().for_each(|detector| hasher.update(detector.name().as_bytes()));
        Self(hasher.finish())
    }
}

impl LayerCache {
    /// Opens a cache in a folder, which is made where it is absent.
    ///
    /// # Errors
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where the folder cannot be made.
    pub fn open(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(|error| failed(&folder, error))?;
        Ok(Self { folder })
    }

    /// What was found in a layer; `None` where it was not looked at before.
    pub(super) fn find(&self, layer: &Digest, question: Question) -> Option<Changes> {
        let file = fs::File::open(self.path(layer, question)).ok()?;
        let mut bytes = Vec::new();
        zstd::Decoder::new(file).ok()?.take(MAX_ENTRY).read_to_end(&mut bytes).ok()?;
        Changes::decode(bytes.into())
    }

    /// Remembers what was found in a layer.
    pub(super) fn keep(&self, layer: &Digest, question: Question, changes: &Changes) -> Result<()> {
        let write = || {
            let mut file = NamedTempFile::new_in(&self.folder)?;
            let mut encoder = zstd::Encoder::new(file.as_file_mut(), LEVEL)?;
            encoder.include_checksum(true)?;
            encoder.write_all(&changes.encode())?;
            encoder.finish()?;
            file.persist(self.path(layer, question)).map_err(io::Error::from).map(drop)
        };
        write().map_err(|error| failed(&self.folder, error))
    }

    fn path(&self, layer: &Digest, question: Question) -> PathBuf {
        self.folder.join(format!("{}-{}.zst", layer.hex(), &question.0.hex()[..16]))
    }
}

fn failed(folder: &Path, error: io::Error) -> Error {
    Error::unexpected(error.to_string()).during("use the cache of layers").on(folder.display()).because(error)
}
