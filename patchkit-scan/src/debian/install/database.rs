//! The package database of the tree: what is installed, and whose every path is.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use patchkit_core::{Error, Result, image::FilePath};

use super::{
    path,
    tree::{Tree, child},
};
use crate::debian::{
    dpkg::{
        DatabaseError,
        diversion::{self, Diversion},
        info,
        package::InstalledPackage,
        stat_override::{self, StatOverride},
        status::StatusFile,
        status_d::{self, StatusFileKind},
    },
    path::PackagePath,
};

/// The folder of dpkg's database.
pub(super) const FOLDER: &str = "var/lib/dpkg";

/// What dpkg knows of an image.
#[derive(Debug)]
pub(super) struct Database {
    /// Where the packages stand.
    pub(super) layout: Layout,
    /// The packages; a slot stays when its package goes.
    pub(super) packages: Vec<Option<Package>>,
    owners: HashMap<PackagePath, Vec<usize>>,
    pub(super) diversions: Vec<Diversion>,
    pub(super) overrides: Vec<StatOverride>,
}

/// Which kind of database an image has.
#[derive(Debug)]
pub(super) enum Layout {
    /// dpkg's own.
    Dpkg(StatusFile),
    /// One file a package, as in distroless images.
    StatusD,
}

/// A package of the image.
#[derive(Clone, Debug)]
pub(super) struct Package {
    pub(super) installed: InstalledPackage,
    /// Its paths, in the order of its `.list`. In distroless images only its plain files are known.
    pub(super) list: Vec<PackagePath>,
    /// How the names of its files in the database start.
    pub(super) base: String,
}

impl Database {
    /// Reads the database of a tree.
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where there is none;
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged one.
    pub(super) fn of(tree: &Tree) -> Result<Self> {
        let optional = |name: &str| tree.read(&path(FOLDER).join(name).expect("a constant name"));
        let mut database = Self {
            layout: Layout::StatusD,
            packages: Vec::new(),
            owners: HashMap::new(),
            diversions: diversion::read("diversions", &optional("diversions")?.unwrap_or_default()).map_err(damaged)?,
            overrides: stat_override::read("statoverride", &optional("statoverride")?.unwrap_or_default())
                .map_err(damaged)?,
        };
        match optional("status")? {
            Some(status) if !status.trim_ascii().is_empty() => database.read_dpkg(tree, &status)?,
            _ => database.read_status_d(tree)?,
        }
        Ok(database)
    }

    fn read_dpkg(&mut self, tree: &Tree, status: &[u8]) -> Result<()> {
        let mut status = StatusFile::read("status", status).map_err(damaged)?;
        let updates = path("var/lib/dpkg/updates");
        let names = tree.resolve(&updates).map(|updates| tree.names(&updates)).unwrap_or_default();
        for name in names.iter().filter(|name| name.iter().all(u8::is_ascii_digit)) {
            let bytes = tree.read(&child(&updates, name))?.unwrap_or_default();
            status.apply_update(&format!("updates/{}", String::from_utf8_lossy(name)), &bytes).map_err(damaged)?;
        }
        for installed in status.packages() {
            let base = installed.info_name();
            let file = format!("{base}.list");
            let bytes = tree.read(&child(&path("var/lib/dpkg/info"), file.as_bytes()))?;
            let list = info::read_list(&file, &bytes.unwrap_or_default()).map_err(damaged)?;
            self.add(Package { installed: installed.clone(), list, base });
        }
        self.layout = Layout::Dpkg(status);
        Ok(())
    }

    fn read_status_d(&mut self, tree: &Tree) -> Result<()> {
        let none = || Error::unsupported("the image has no package database of dpkg");
        let folder = tree.resolve(&path("var/lib/dpkg/status.d")).ok_or_else(none)?;
        for name in tree.names(&folder) {
            let base = String::from_utf8_lossy(&name).into_owned();
            let file = child(&folder, &name);
            if status_d::kind_of(&base) != StatusFileKind::Control || !tree.entry(&file).is_some_and(|e| e.is_file()) {
                continue;
            }
            let packages = status_d::read(&base, &tree.read(&file)?.unwrap_or_default()).map_err(damaged)?;
            let [installed] = <[_; 1]>::try_from(packages)
                .map_err(|_| Error::unsupported("several packages in one file of status.d").on(&file))?;
            let sums = tree.read(&child(&folder, format!("{base}.md5sums").as_bytes()))?.unwrap_or_default();
            let sums = info::read_md5sums(&base, &sums).map_err(damaged)?;
            self.add(Package { installed, list: sums.into_iter().map(|sum| sum.path).collect(), base });
        }
        Ok(())
    }

    /// The package of the given name and architecture (`all` packages fit any).
    pub(super) fn find(&self, name: &str, architecture: &str) -> Option<usize> {
        let fits = |package: &Package| {
            let same = &*package.installed.architecture == architecture;
            &*package.installed.name == name
                && (same || &*package.installed.architecture == "all" || architecture == "all")
        };
        self.packages.iter().position(|slot| slot.as_ref().is_some_and(fits))
    }

    pub(super) fn add(&mut self, package: Package) -> usize {
        self.packages.push(None);
        self.set(self.packages.len() - 1, Some(package));
        self.packages.len() - 1
    }

    /// Puts a package, or none, in the place of another.
    pub(super) fn set(&mut self, slot: usize, package: Option<Package>) {
        if let Some(old) = self.packages[slot].take() {
            for path in old.list {
                if let Some(owners) = self.owners.get_mut(&path) {
                    owners.retain(|owner| *owner != slot);
                }
            }
        }
        for path in package.iter().flat_map(|package| &package.list) {
            let owners = self.owners.entry(path.clone()).or_default();
            if !owners.contains(&slot) {
                owners.push(slot);
            }
        }
        self.packages[slot] = package;
    }

    /// The image's own architecture: that of dpkg itself, or of most packages.
    pub(super) fn architecture(&self) -> String {
        let present = self.packages.iter().flatten().filter(|package| package.installed.is_present());
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for package in present {
            let weight = if &*package.installed.name == "dpkg" { usize::MAX / 2 } else { 1 };
            let count = counts.entry(&package.installed.architecture).or_default();
            *count = count.saturating_add(weight);
        }
        counts.remove("all");
        counts.into_iter().max_by_key(|(_, count)| *count).map(|(name, _)| name.to_owned()).unwrap_or_default()
    }

    /// The packages that have a path, but one.
    pub(super) fn others(&self, path: &PackagePath, but: usize) -> impl Iterator<Item = usize> {
        self.owners.get(path).into_iter().flatten().copied().filter(move |owner| *owner != but)
    }

    /// The package in a slot.
    pub(super) fn package(&self, slot: usize) -> Option<&Package> {
        self.packages[slot].as_ref()
    }

    /// The names in a folder of the database.
    pub(super) fn names(tree: &Tree, folder: &str) -> BTreeSet<Vec<u8>> {
        tree.resolve(&path(folder)).map(|folder| tree.names(&folder)).unwrap_or_default()
    }
}

/// A damaged database as core's error.
pub(super) fn damaged(error: DatabaseError) -> Error {
    Error::corrupt(error.to_string())
}

/// The path of a file in `/var/lib/dpkg/info`.
pub(super) fn info_path(name: &str) -> FilePath {
    child(&path("var/lib/dpkg/info"), name.as_bytes())
}
