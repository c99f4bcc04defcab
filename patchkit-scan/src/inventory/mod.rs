//! What is installed in an image.
//!
//! Every layer is read once, some at the same time, or not at all where a [cache](LayerCache) knows it. Of its files,
//! only those at the places that some cataloguer names are kept, and what the detectors find in single files (lock
//! files, programs, jars). The layers are put over each other one by one; the distribution's packages are listed after
//! each that changed the package database, so that it is known which layer brought each package.

mod base;
mod cache;
mod changes;
mod collector;
mod detector;
mod options;
mod place;
mod snapshot;
mod survey;
pub(crate) mod system;

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{BaseLayers, Context, Distribution, Image, Package, Purl, Result, image::FilePath};

use self::survey::Survey;
use crate::{alpine, arch, debian, language, rpm};

pub use cache::LayerCache;
pub(crate) use detector::{Candidate, Content, Detector, HEAD, Problem, ReadSeek};
pub use options::InventoryOptions;
pub(crate) use snapshot::Snapshot;

/// What is installed in an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inventory {
    /// The distribution, where the image says which it is.
    pub distribution: Option<Distribution>,
    /// The packages, sorted by purl.
    pub packages: Vec<Package>,
    /// The layers of the image that this one was built on, where that is known.
    pub base: Option<BaseLayers>,
    /// What could not be judged, and why.
    pub warnings: Vec<String>,
}

impl Inventory {
    /// Lists what is installed in an image.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged layer, and for a damaged package database, naming
    /// file, line and layer; those of reading the layers.
    pub async fn of(image: &Image, cx: &Context) -> Result<Self> {
        Self::with(image, &InventoryOptions::default(), cx).await
    }

    /// Lists what is installed in an image, in some other way.
    ///
    /// # Errors
    /// As [`of`](Self::of); those of the cache.
    pub async fn with(image: &Image, options: &InventoryOptions, cx: &Context) -> Result<Self> {
        let cataloguers: Vec<Box<dyn Cataloguer>> = vec![
            Box::new(debian::catalog::Dpkg),
            Box::new(alpine::catalog::Apk),
            Box::new(rpm::catalog::Rpm),
            Box::new(arch::catalog::Pacman),
        ];
        let detectors = if options.languages { language::detectors() } else { Vec::new() };
        let survey = Survey::new(image, &cataloguers, detectors.into(), options.cache.as_ref());
        let inventory = survey.run(cx).await.map_err(|error| error.during("list packages"))?;
        Ok(Self { base: base::of(image, &options.bases), ..inventory })
    }
}

/// Finds the packages of one ecosystem in an image's package database.
pub(crate) trait Cataloguer: Send + Sync {
    /// Where the ecosystem has its database: files, folders, and `folder/*.ending`, which are found behind symbolic
    /// links too.
    fn places(&self) -> &[&'static str];

    /// The packages; `None` where there is no database of this ecosystem. It is called for the lower layers too, with
    /// what their files were.
    fn catalog(&self, files: &Snapshot, distribution: Option<&Distribution>) -> Result<Option<Vec<Package>>, Damage>;

    /// Which of some files belong to which of the packages that [`catalog`](Self::catalog) gave. A file that belongs to
    /// none is left out.
    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage>;
}

/// A file of a package database that cannot be read.
#[derive(Debug)]
pub(crate) struct Damage {
    /// The file.
    pub(crate) path: FilePath,
    /// What is wrong, with the place in the file.
    pub(crate) error: Problem,
}
