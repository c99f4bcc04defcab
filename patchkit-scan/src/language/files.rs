//! Packages in files that are known by their names: what all of those detectors share.

use std::collections::BTreeMap;

use patchkit_core::{Package, PackageName, Presence, Purl, PurlParts, Version, image::FilePath};

use crate::inventory::{Candidate, Content, Detector, Problem};

/// The longest name or version in bytes; the registries allow less, so that this is no package.
const MAX_WORD: usize = 1024;

/// Where packages are published, and how they are named there.
#[derive(Debug)]
pub(super) struct Ecosystem {
    /// The type of its package URLs.
    pub(super) kind: &'static str,
    /// The order of its versions.
    pub(super) scheme: &'static str,
    /// The one spelling of a name that has several.
    pub(super) normalize: fn(&str) -> String,
}

/// A kind of file that says which packages there are.
pub(super) struct FileKind {
    /// Whether a file is of this kind.
    pub(super) is: fn(FileName<'_>) -> bool,
    /// What it means that a package is named in it.
    pub(super) presence: Presence,
    /// Adds the packages that are named in a file's content.
    pub(super) read: fn(&[u8], &mut Found) -> Result<(), Problem>,
}

/// Finds the packages of one ecosystem in files of these kinds.
pub(super) struct LanguageFiles {
    /// The name of the detector.
    pub(super) name: &'static str,
    /// Where the packages are from.
    pub(super) ecosystem: Ecosystem,
    /// The kinds; a file is read as the first that it is of.
    pub(super) kinds: &'static [FileKind],
}

impl LanguageFiles {
    fn kind_of(&self, path: &FilePath) -> Option<&'static FileKind> {
        let name = FileName::of(path)?;
        self.kinds.iter().find(|kind| (kind.is)(name))
    }

    /// The packages in the content of a file of some kind, sorted by purl.
    ///
    /// # Errors
    /// What is wrong with the file, and where.
    pub(super) fn read(&'static self, kind: &FileKind, content: &[u8]) -> Result<Vec<Package>, Problem> {
        let mut found = Found { ecosystem: &self.ecosystem, presence: kind.presence, packages: BTreeMap::new() };
        (kind.read)(content.strip_prefix("\u{feff}".as_bytes()).unwrap_or(content), &mut found)?;
        Ok(found.packages.into_values().collect())
    }
}

impl Detector for &'static LanguageFiles {
    fn name(&self) -> &'static str {
        self.name
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        self.kind_of(file.path).is_some()
    }

    fn detect(&self, file: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        let Some(kind) = self.kind_of(file.path) else { return Ok(Vec::new()) };
        self.read(kind, content.bytes()?)
    }
}

/// A file's name, and the folders it is in.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileName<'a> {
    path: &'a FilePath,
    /// The name in its folder.
    pub(super) name: &'a str,
}

impl<'a> FileName<'a> {
    /// The name of a path; `None` where it is not UTF-8: no file that is looked for has such a name.
    pub(super) fn of(path: &'a FilePath) -> Option<Self> {
        let name = std::str::from_utf8(path.file_name()?).ok()?;
        Some(Self { path, name })
    }

    /// The folder that it is directly in.
    pub(super) fn folder(self) -> &'a str {
        let folder = self.path.components().nth_back(1);
        folder.and_then(|folder| std::str::from_utf8(folder).ok()).unwrap_or_default()
    }

    /// Whether it is in a folder of the given name, directly or not.
    pub(super) fn is_below(self, folder: &str) -> bool {
        self.path.components().rev().skip(1).any(|component| component == folder.as_bytes())
    }
}

/// The packages that were found in a file, each once.
pub(super) struct Found {
    ecosystem: &'static Ecosystem,
    presence: Presence,
    packages: BTreeMap<Purl, Package>,
}

impl Found {
    /// Adds a package by its full name: `@babel/core`, `symfony/http-kernel`.
    ///
    /// It is passed over where name or version are empty or have characters that none has.
    pub(super) fn add(&mut self, name: &str, version: &str) {
        if let Some(package) = self.package(name.trim(), version.trim()) {
            self.packages.entry(package.purl.clone()).or_insert(package);
        }
    }

    fn package(&self, name: &str, version: &str) -> Option<Package> {
        if name.len().max(version.len()) > MAX_WORD {
            return None;
        }
        let name = (self.ecosystem.normalize)(name);
        let (namespace, last) = name.rsplit_once('/').unwrap_or(("", &name));
        let parts = PurlParts {
            kind: self.ecosystem.kind.into(),
            namespace: namespace.into(),
            name: last.into(),
            version: version.into(),
            ..PurlParts::default()
        };
        let known: PackageName = name.parse().ok()?;
        let version = Version::new(self.ecosystem.scheme, version).ok()?;
        Some(Package { presence: self.presence, ..Package::new(parts.build().ok()?, known, version) })
    }
}

/// Packages in the content of a file, as name and version, for the tests of the readers.
#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) fn packages_in(files: &'static LanguageFiles, path: &str, content: &str) -> Vec<String> {
    try_packages_in(files, path, content.as_bytes()).unwrap()
}

/// As [`packages_in`], for content that may be broken.
#[cfg(test)]
pub(super) fn try_packages_in(
    files: &'static LanguageFiles,
    path: &str,
    content: &[u8],
) -> Result<Vec<String>, Problem> {
    let path = FilePath::new(path)?;
    let file = Candidate { path: &path, size: content.len() as u64, head: &[] };
    assert!((&files).wants(&file), "{path} is not wanted");
    let found = (&files).detect(&file, &Content::Memory(content.to_vec().into()))?;
    Ok(found.iter().map(|package| format!("{} {}", package.name, package.version)).collect())
}
