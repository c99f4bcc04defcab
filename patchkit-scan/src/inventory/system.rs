//! What the package databases of all operating systems have in common: package URLs, packages that several files speak
//! of, and which package a file belongs to.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use bytes::Bytes;
use patchkit_core::{Distribution, Package, ParsePurlError, Purl, PurlParts, image::FilePath};

use super::{Damage, Problem, Snapshot};

/// The file at a place, with where it really is: two names of one folder are one database.
pub(crate) fn file_at<'a>(files: &'a Snapshot, place: &str) -> Option<(FilePath, &'a Bytes)> {
    let path = files.place(&FilePath::new(place).ok()?)?;
    files.read(&path).map(|bytes| (path, bytes))
}

/// The files that are at some places.
pub(crate) fn databases<'a>(files: &'a Snapshot, places: &[&str]) -> BTreeMap<FilePath, &'a Bytes> {
    places.iter().filter_map(|place| file_at(files, place)).collect()
}

/// Says of an error which file it is about.
pub(crate) fn damaged<E: Into<Problem>>(path: &FilePath) -> impl FnOnce(E) -> Damage + use<'_, E> {
    |error| Damage { path: path.clone(), error: error.into() }
}

/// The package URL of a distribution's package: its namespace is the distribution, which the qualifier `distro` names
/// with its release.
#[derive(Debug)]
pub(crate) struct SystemPurl(PurlParts);

impl SystemPurl {
    /// A package URL of the given type (`deb`, `apk`, `rpm`, `alpm`).
    pub(crate) fn new(kind: &str, distribution: Option<&Distribution>) -> Self {
        let namespace = distribution.map(|distribution| distribution.id.clone()).unwrap_or_default();
        let purl = Self(PurlParts { kind: kind.into(), namespace, ..PurlParts::default() });
        purl.with("distro", distribution.map(distro).as_deref())
    }

    /// The same with another namespace than the distribution's id.
    pub(crate) fn under(mut self, namespace: &str) -> Self {
        self.0.namespace = namespace.into();
        self
    }

    /// The same with one more qualifier, where there is a value.
    pub(crate) fn with(mut self, key: &str, value: Option<&str>) -> Self {
        self.0.qualifiers.extend(value.map(|value| (key.into(), value.into())));
        self
    }

    /// The package URL of a package.
    ///
    /// # Errors
    /// As [`PurlParts::build`].
    pub(crate) fn build(self, name: &str, version: &str) -> Result<Purl, ParsePurlError> {
        PurlParts { name: name.into(), version: version.into(), ..self.0 }.build()
    }
}

/// `debian-11`, as the qualifier `distro` has it.
fn distro(distribution: &Distribution) -> String {
    let release = distribution.version_id.as_ref().or(distribution.codename.as_ref());
    release.map_or_else(|| distribution.id.clone(), |release| format!("{}-{release}", distribution.id))
}

/// The packages so far, by purl: one that several files speak of is one package.
#[derive(Debug, Default)]
pub(crate) struct Found(BTreeMap<Purl, Package>);

impl Found {
    /// Adds a package that a file speaks of.
    pub(crate) fn add(&mut self, path: &FilePath, package: Package) {
        let known = self.0.entry(package.purl.clone()).or_insert(package);
        known.locations.insert(path.to_string());
    }

    /// All of them, sorted by purl.
    pub(crate) fn packages(self) -> Vec<Package> {
        self.0.into_values().collect()
    }
}

/// What tells the packages of one database apart: name, version, architecture.
pub(crate) type PackageKey<'a> = (&'a str, &'a str, Option<&'a str>);

/// The package URLs of the packages of an ecosystem.
pub(crate) fn purls(packages: &[Package]) -> HashMap<PackageKey<'_>, &Purl> {
    packages.iter().map(|package| (key(package), &package.purl)).collect()
}

fn key(package: &Package) -> PackageKey<'_> {
    (package.name.as_str(), package.version.as_str(), package.architecture.as_deref())
}

/// A file as a database lists it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ListedFile<'a> {
    /// The folder it is in; it may be empty, and begin and end with a slash.
    pub(crate) folder: &'a [u8],
    /// Its name in that folder.
    pub(crate) name: &'a [u8],
}

impl<'a> ListedFile<'a> {
    /// The file of a whole path.
    pub(crate) fn at(path: &'a [u8]) -> Self {
        let cut = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        let (folder, name) = path.split_at(cut);
        Self { folder, name }
    }
}

/// Finds out which of some files belong to which package, from the paths that the packages list.
///
/// A database names a file as the package's archive does, which may be through a symbolic link to a directory
/// (`lib/libc.so` where `lib` is a link to `usr/lib`); the wanted files are named by where they really are.
#[derive(Debug)]
pub(crate) struct Claims<'a> {
    files: &'a Snapshot,
    wanted: &'a BTreeSet<FilePath>,
    /// The last components of the wanted files: most listed paths end otherwise, and are passed over at once.
    names: HashSet<&'a [u8]>,
    /// Where the folders of listed paths really are.
    folders: HashMap<Vec<u8>, Option<FilePath>>,
    found: BTreeMap<FilePath, Purl>,
}

impl<'a> Claims<'a> {
    /// Nothing is claimed yet.
    pub(crate) fn new(files: &'a Snapshot, wanted: &'a BTreeSet<FilePath>) -> Self {
        let names = wanted.iter().filter_map(FilePath::file_name).collect();
        Self { files, wanted, names, folders: HashMap::new(), found: BTreeMap::new() }
    }

    /// Says that a file belongs to a package. A path that no file can have is passed over.
    pub(crate) fn add(&mut self, file: ListedFile<'_>, owner: &Purl) {
        let ListedFile { folder, name } = file;
        if !self.names.contains(name) {
            return;
        }
        let Some(path) = self.folder(folder).and_then(|folder| folder.join(name).ok()) else { return };
        if self.wanted.contains(&path) {
            self.found.insert(path, owner.clone());
        }
    }

    /// Where a folder really is.
    fn folder(&mut self, folder: &[u8]) -> Option<&FilePath> {
        if !self.folders.contains_key(folder) {
            // Only what is above the last component is followed by `place`, so it is asked for something in it.
            let inside = FilePath::new([folder, b"/x"].concat()).ok();
            let real = inside.and_then(|inside| self.files.place(&inside)).and_then(|inside| inside.parent());
            self.folders.insert(folder.to_vec(), real);
        }
        self.folders.get(folder)?.as_ref()
    }

    /// The files that are claimed, with their packages; where several claim one, the last.
    pub(crate) fn owners(self) -> BTreeMap<FilePath, Purl> {
        self.found
    }
}
