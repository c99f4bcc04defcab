//! Entries for the fuzz targets into parsers that are not public. No part of the interface.

use patchkit_core::{Package, image::FilePath};

use crate::{
    alpine, arch,
    rpm::{self, Container, header::Header, package::InstalledPackage},
};

/// apk's database: how many packages, and how many files they have.
#[must_use]
pub fn apk_installed(data: &[u8]) -> Option<(usize, usize)> {
    let packages = alpine::installed::read(data).ok()?;
    Some((packages.len(), packages.iter().map(|package| package.files.len()).sum()))
}

/// The two files of a package in pacman's database: how many files the package has.
#[must_use]
pub fn pacman_local(data: &[u8]) -> Option<usize> {
    let _ = arch::local::read_desc(data);
    Some(arch::local::read_files(data).ok()?.len())
}

/// rpm's databases, each with half of the data as its log too: how many bytes of headers the first that can be read has.
#[must_use]
pub fn rpm_database(data: &[u8]) -> Option<usize> {
    let read = |container: Container, data, log| {
        let mut length = 0;
        let result = container.each(data, log, &mut |header| {
            length += header.len();
            Ok(())
        });
        result.is_ok().then_some(length)
    };
    let (database, log) = data.split_at(data.len() / 2);
    let _ = read(Container::Sqlite, database, log);
    [Container::Sqlite, Container::Ndb, Container::Bdb].into_iter().find_map(|container| read(container, data, &[]))
}

/// The header of an rpm package: how many files it has. And the list of packages of a distroless image.
#[must_use]
pub fn rpm_header(data: &[u8]) -> Option<usize> {
    let _ = rpm::manifest::read(data);
    let header = Header::read(data).ok()?;
    if let Ok(Some(package)) = InstalledPackage::of(&header) {
        let _ = (package.full_version(), package.source_package());
    }
    Some(rpm::package::files(&header).ok()?.len())
}

/// Reads bytes as every part of a compiled advisory database.
pub fn database_parts(bytes: &[u8]) {
    crate::advisory::store::parts::read(bytes);
}

/// Reads a lock file, or what is installed with a package, of the kind that the first byte tells.
pub fn lockfile(data: &[u8]) {
    crate::language::read_any(data);
}

/// The packages that the detectors find in one file, which is called so in an image.
///
/// # Errors
/// The message of the first detector that cannot read it.
pub fn detect(path: &str, content: impl std::io::Read, size: u64) -> Result<Vec<Package>, String> {
    let path = FilePath::new(path).map_err(|error| error.to_string())?;
    crate::language::detect(&path, content, size).map_err(|error| error.to_string())
}
