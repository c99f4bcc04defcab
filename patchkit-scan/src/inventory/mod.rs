//! What is installed in an image.
//!
//! Every layer is read once. Of its files, only those at the places that some cataloguer names are kept; the layers are put over
//! each other one by one, and the packages are listed after each that changed a wanted file, so that it is known which
//! layer brought each package.

mod detector;
mod snapshot;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{BaseLayers, Context, Distribution, Error, Image, Package, Purl, Result, image::FilePath};

use self::snapshot::{Changes, Collector};
use crate::{debian, os_release};

pub(crate) use detector::{Candidate, Content, Detector, HEAD, Problem, ReadSeek};
pub(crate) use snapshot::Snapshot;

/// How many layers are read at once.
const PARALLEL_LAYERS: usize = 2;

/// How many times an image may be read: once, and again where symbolic links lead to files that nobody wanted at first.
const MAX_PASSES: usize = 4;

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

/// Finds the packages of one ecosystem in an image's files.
pub(crate) trait Cataloguer: Send + Sync {
    /// Where the ecosystem has its database: files and folders, which are found behind symbolic links too.
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
    pub(crate) error: Box<dyn std::error::Error + Send + Sync>,
}

impl Inventory {
    /// Lists what is installed in an image.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged layer, and for a damaged package database, naming
    /// file, line and layer; those of reading the layers.
    pub async fn of(image: &Image, cx: &Context) -> Result<Self> {
        let cataloguers: [Box<dyn Cataloguer>; 1] = [Box::new(debian::catalog::Dpkg)];
        Survey::new(image, &cataloguers).run(cx).await.map_err(|error| error.during("list packages"))
    }
}

/// What identifies a package while layers come and go.
type Identity = (usize, String, String, Option<String>);

struct Survey<'a> {
    image: &'a Image,
    cataloguers: &'a [Box<dyn Cataloguer>],
    /// The layer since which each package is there without a break.
    since: BTreeMap<Identity, usize>,
}

impl<'a> Survey<'a> {
    fn new(image: &'a Image, cataloguers: &'a [Box<dyn Cataloguer>]) -> Self {
        Self { image, cataloguers, since: BTreeMap::new() }
    }

    async fn run(mut self, cx: &Context) -> Result<Inventory> {
        let mut more = BTreeSet::new();
        for _ in 0..MAX_PASSES {
            let snapshot = self.pass(&more, cx).await?;
            let found = snapshot.strays();
            if found.is_empty() {
                return self.finish(&snapshot);
            }
            more.extend(found);
        }
        Err(Error::unsupported("the package database is behind too many symbolic links").on(self.image.digest()))
    }

    /// Every place of every cataloguer, and the files that say which distribution it is.
    fn places(&self) -> Vec<FilePath> {
        let places = self.cataloguers.iter().flat_map(|cataloguer| cataloguer.places());
        places.chain(&os_release::PATHS).map(|place| FilePath::new(place).expect("a constant")).collect()
    }

    /// Reads all layers once and puts them over each other.
    async fn pass(&mut self, more: &BTreeSet<FilePath>, cx: &Context) -> Result<Snapshot> {
        let places: Arc<Vec<FilePath>> = Arc::new(self.places().into_iter().chain(more.iter().cloned()).collect());
        let collectors = (places.clone(), cx.clone());
        let visits = self.image.layers().to_vec().into_iter().map(move |layer| {
            let (places, cx) = collectors.clone();
            async move { layer.visit(Collector::new(places), &cx).await.map(Collector::changes) }
        });
        let mut visits = stream::iter(visits).buffered(PARALLEL_LAYERS);
        let (mut snapshot, mut layer) = (Snapshot::new(places.clone()), 0);
        self.since.clear();
        while let Some(changes) = visits.try_next().await? {
            self.put_over(&mut snapshot, layer, changes);
            layer += 1;
        }
        Ok(snapshot)
    }

    fn put_over(&mut self, snapshot: &mut Snapshot, layer: usize, changes: Changes) {
        if !snapshot.apply(layer, changes) {
            return;
        }
        let distribution = distribution(snapshot).ok().flatten();
        for (n, cataloguer) in self.cataloguers.iter().enumerate() {
            // What is damaged here may be sound again in a later layer. If not, the end result has the same damage.
            let Ok(packages) = cataloguer.catalog(snapshot, distribution.as_ref()) else { continue };
            let present: BTreeSet<_> = packages.iter().flatten().map(|package| identity(n, package)).collect();
            self.since.retain(|identity, _| identity.0 != n || present.contains(identity));
            for identity in present {
                self.since.entry(identity).or_insert(layer);
            }
        }
    }

    fn finish(self, snapshot: &Snapshot) -> Result<Inventory> {
        let distribution = distribution(snapshot).map_err(|damage| self.corrupt(snapshot, damage))?;
        let (mut packages, mut databases) = (Vec::new(), 0);
        for (n, cataloguer) in self.cataloguers.iter().enumerate() {
            let found = cataloguer.catalog(snapshot, distribution.as_ref());
            let Some(found) = found.map_err(|damage| self.corrupt(snapshot, damage))? else { continue };
            databases += 1;
            packages.extend(found.into_iter().map(|package| self.located(n, package)));
        }
        let mut warnings = Vec::new();
        if distribution.is_none() {
            warnings.push("the image does not say which distribution it is: it has no os-release file".to_owned());
        }
        if databases == 0 {
            warnings.push("the image has no package database of a known kind (dpkg)".to_owned());
        } else if packages.is_empty() {
            warnings.push("the image's package database lists no installed package".to_owned());
        }
        packages.sort_by(|a, b| a.purl.cmp(&b.purl));
        Ok(Inventory { distribution, packages, base: None, warnings })
    }

    /// The package with the layer that brought it.
    fn located(&self, cataloguer: usize, package: Package) -> Package {
        let layer = self.since.get(&identity(cataloguer, &package));
        let layer = layer.and_then(|index| self.image.layers().get(*index)).map(|layer| *layer.diff_id());
        Package { layer, ..package }
    }

    fn corrupt(&self, snapshot: &Snapshot, damage: Damage) -> Error {
        let Damage { path, error } = damage;
        let layer = snapshot.layer_of(&path).and_then(|index| self.image.layers().get(index));
        let place = match layer {
            Some(layer) => format!("{path} of layer {}", layer.digest()),
            None => path.to_string(),
        };
        Error::corrupt(error.to_string()).on(place).because(error)
    }
}

fn identity(cataloguer: usize, package: &Package) -> Identity {
    let Package { name, version, architecture, .. } = package;
    (cataloguer, name.to_string(), version.to_string(), architecture.clone())
}

fn distribution(files: &Snapshot) -> Result<Option<Distribution>, Damage> {
    for path in os_release::PATHS {
        let path = FilePath::new(path).expect("a constant");
        if let Some(bytes) = files.read(&path) {
            let parsed = os_release::parse(bytes);
            return parsed.map(Some).map_err(|error| Damage { path, error: error.into() });
        }
    }
    Ok(None)
}
