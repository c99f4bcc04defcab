//! The way from an image's layers to its inventory.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZero,
    sync::Arc,
    thread::available_parallelism,
};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{Context, Distribution, Error, Image, Layer, Package, Presence, Purl, Result, image::FilePath};

use super::{
    Cataloguer, Damage, Inventory, LayerCache, Snapshot,
    cache::Question,
    changes::Changes,
    collector::{Collector, Detected},
    detector::Detector,
    place::Place,
};
use crate::os_release;

/// How many times an image may be read: once, and again where symbolic links lead to files that nobody wanted at first.
const MAX_PASSES: usize = 4;

/// What identifies a package while layers come and go.
type Identity = (usize, String, String, Option<String>);

pub(super) struct Survey<'a> {
    image: &'a Image,
    cataloguers: &'a [Box<dyn Cataloguer>],
    detectors: Arc<[Box<dyn Detector>]>,
    cache: Option<&'a LayerCache>,
    /// The layer since which each package is there without a break.
    since: BTreeMap<Identity, usize>,
}

impl<'a> Survey<'a> {
    pub(super) fn new(
        image: &'a Image,
        cataloguers: &'a [Box<dyn Cataloguer>],
        detectors: Arc<[Box<dyn Detector>]>,
        cache: Option<&'a LayerCache>,
    ) -> Self {
        Self { image, cataloguers, detectors, cache, since: BTreeMap::new() }
    }

    pub(super) async fn run(mut self, cx: &Context) -> Result<Inventory> {
        let mut more = BTreeSet::new();
        for _ in 0..MAX_PASSES {
            let snapshot = self.pass(&more, cx).await?;
            let found = snapshot.strays(&unneeded(&snapshot));
            if found.is_empty() {
                return self.finish(&snapshot);
            }
            more.extend(found);
        }
        Err(Error::unsupported("the package database is behind too many symbolic links").on(self.image.digest()))
    }

    /// Every place of every cataloguer, and the files that say which distribution it is.
    fn places(&self) -> impl Iterator<Item = Place> {
        let places = self.cataloguers.iter().flat_map(|cataloguer| cataloguer.places());
        places.chain(&os_release::PATHS).chain(&os_release::FALLBACKS).map(|place| Place::new(place))
    }

    /// Reads all layers once and puts them over each other.
    async fn pass(&mut self, more: &BTreeSet<Place>, cx: &Context) -> Result<Snapshot> {
        let places: Arc<[Place]> = self.places().chain(more.iter().cloned()).collect();
        let look = Look { places: places.clone(), detectors: self.detectors.clone(), cache: self.cache.cloned() };
        let visits = self.image.layers().to_vec().into_iter().map(|layer| {
            let (look, cx) = (look.clone(), cx.clone());
            async move { look.at(&layer, &cx).await }
        });
        let parallel = available_parallelism().map_or(1, NonZero::get);
        let mut visits = stream::iter(visits.collect::<Vec<_>>()).buffered(parallel);
        let (mut snapshot, mut layer) = (Snapshot::new(places), 0);
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
        let mut found = self.detected(snapshot)?;
        let paths: BTreeSet<_> = found.files.values().flatten().cloned().collect();
        let (mut packages, mut databases) = (Vec::new(), 0);
        for (n, cataloguer) in self.cataloguers.iter().enumerate() {
            let listed = cataloguer.catalog(snapshot, distribution.as_ref());
            let Some(listed) = listed.map_err(|damage| self.corrupt(snapshot, damage))? else { continue };
            databases += 1;
            if !paths.is_empty() {
                let owners = cataloguer.owners(snapshot, &listed, &paths);
                found.own(&owners.map_err(|damage| self.corrupt(snapshot, damage))?);
            }
            packages.extend(listed.into_iter().map(|package| self.located(n, package)));
        }
        let mut warnings = Self::missing(distribution.as_ref(), databases, &packages, found.packages.is_empty());
        warnings.append(&mut found.warnings);
        packages.extend(found.packages.into_values());
        packages.sort_by(|a, b| a.purl.cmp(&b.purl));
        Ok(Inventory { distribution, packages, base: None, warnings })
    }

    /// What an image should have and lacks. One with nothing but programs needs no distribution.
    fn missing(distribution: Option<&Distribution>, databases: usize, listed: &[Package], bare: bool) -> Vec<String> {
        let mut warnings = Vec::new();
        if distribution.is_none() && (databases != 0 || bare) {
            warnings.push("the image does not say which distribution it is: it has no os-release file".to_owned());
        }
        if databases == 0 && bare {
            warnings.push("the image has no package database of a known kind (dpkg, apk, rpm, pacman)".to_owned());
        } else if databases != 0 && listed.is_empty() {
            warnings.push("the image's package database lists no installed package".to_owned());
        }
        warnings
    }

    /// What the detectors found in the files that are there in the end.
    fn detected(&self, snapshot: &Snapshot) -> Result<Findings> {
        let mut findings = Findings::default();
        for (path, layer, found) in snapshot.detected() {
            let found: Detected = serde_json::from_slice(found)
                .map_err(|error| Error::unexpected(format!("what was remembered of {path}: {error}")))?;
            let layer = self.image.layers().get(layer).map(|layer| *layer.diff_id());
            let place = layer.map_or_else(|| path.to_string(), |layer| format!("{path} of layer {layer}"));
            findings.warnings.extend(found.problems.into_iter().map(|problem| format!("{place}: {problem}")));
            for package in found.packages {
                findings.add(path, Package { layer, ..package });
            }
        }
        Ok(findings)
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

/// How a layer is looked at.
#[derive(Clone)]
struct Look {
    places: Arc<[Place]>,
    detectors: Arc<[Box<dyn Detector>]>,
    cache: Option<LayerCache>,
}

impl Look {
    async fn at(&self, layer: &Layer, cx: &Context) -> Result<Changes> {
        let question = Question::of(&self.places, &self.detectors);
        if let Some(changes) = self.cache.as_ref().and_then(|cache| cache.find(layer.diff_id(), question)) {
            return Ok(changes);
        }
        let collector = Collector::new(self.places.clone(), self.detectors.clone());
        let changes = layer.visit(collector, cx).await?.changes();
        if let Some(cache) = &self.cache {
            cache.keep(layer.diff_id(), question, &changes)?;
        }
        Ok(changes)
    }
}

/// The packages of single files: one that several files speak of is one package.
#[derive(Default)]
struct Findings {
    packages: BTreeMap<Purl, Package>,
    /// The files that speak of each package.
    files: BTreeMap<Purl, BTreeSet<FilePath>>,
    warnings: Vec<String>,
}

impl Findings {
    /// Files come in the order of their paths. The layer is that of the first one.
    fn add(&mut self, file: &FilePath, mut package: Package) {
        self.files.entry(package.purl.clone()).or_default().insert(file.clone());
        match self.packages.get_mut(&package.purl) {
            Some(known) => {
                known.locations.append(&mut package.locations);
                known.presence = known.presence.max(package.presence);
            }
            None => drop(self.packages.insert(package.purl.clone(), package)),
        }
    }

    /// Notes to which packages of the distribution the files belong. One of which any file belongs to none is its own. A
    /// guess about files whose owner is known says nothing more, and goes.
    fn own(&mut self, owners: &BTreeMap<FilePath, Purl>) {
        for (purl, files) in &self.files {
            let owner = files.iter().map(|file| owners.get(file)).collect::<Option<Vec<_>>>();
            if let (Some(package), Some(owner)) = (self.packages.get_mut(purl), owner) {
                package.owner = owner.first().map(|owner| (*owner).clone());
            }
        }
        self.packages.retain(|_, package| package.owner.is_none() || package.presence != Presence::Guessed);
    }
}

fn identity(cataloguer: usize, package: &Package) -> Identity {
    let Package { name, version, architecture, .. } = package;
    (cataloguer, name.to_string(), version.to_string(), architecture.clone())
}

/// The places that nobody needs to see: where `os-release` names the distribution, those that would name it too. Often
/// they are links, for which all layers would be read again.
fn unneeded(files: &Snapshot) -> BTreeSet<FilePath> {
    let mut releases = os_release::PATHS.iter().filter_map(|place| files.read(&FilePath::new(place).ok()?));
    let is_named = releases.any(|bytes| os_release::parse(bytes).is_ok_and(|release| release.id != "linux"));
    let places = os_release::FALLBACKS.iter().filter(|_| is_named);
    places.map(|place| FilePath::new(place).expect("a constant")).collect()
}

/// The distribution that the first file names which names one. An `os-release` that has no id is the last resort.
fn distribution(files: &Snapshot) -> Result<Option<Distribution>, Damage> {
    let mut nameless = None;
    for place in os_release::PATHS {
        let path = FilePath::new(place).expect("a constant");
        let Some(bytes) = files.read(&path) else { continue };
        let parsed = os_release::parse(bytes).map_err(|error| Damage { path, error: error.into() })?;
        if parsed.id != "linux" {
            return Ok(Some(parsed));
        }
        nameless.get_or_insert(parsed);
    }
    let named = os_release::FALLBACKS.iter().find_map(|place| {
        let bytes = files.read(&FilePath::new(place).expect("a constant"))?;
        os_release::parse_fallback(place, bytes)
    });
    Ok(named.or(nameless))
}
