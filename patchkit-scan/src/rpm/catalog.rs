//! The packages of a system whose package manager is rpm.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use patchkit_core::{Distribution, Package, Purl, SourcePackage, Version, image::FilePath};

use super::{
    Container, DatabaseError,
    header::{Header, Tag},
    manifest,
    package::{self, InstalledPackage},
};
use crate::inventory::{
    Cataloguer, Damage, Problem, Snapshot,
    system::{Claims, Found, SystemPurl, damaged, file_at, purls},
};

/// The scheme of rpm's versions.
pub(crate) const SCHEME: &str = "rpm";

/// Where a database may be: the folder of old, of SUSE and newer Fedora, and of ostree.
const FOLDERS: [&str; 3] = ["var/lib/rpm", "usr/lib/sysimage/rpm", "usr/share/rpm"];

/// The databases that a folder may have, in the order in which rpm looks for one. What it does not choose is left over
/// from before a conversion.
const CONTAINERS: [(&str, Container); 3] =
    [("rpmdb.sqlite", Container::Sqlite), ("Packages.db", Container::Ndb), ("Packages", Container::Bdb)];

const MANIFEST: &str = "var/lib/rpmmanifest/container-manifest-2";

/// Every file above, and SQLite's logs. Not the folders: the indexes in them are as large as the packages.
const PLACES: [&str; 13] = [
    "var/lib/rpm/rpmdb.sqlite",
    "var/lib/rpm/rpmdb.sqlite-wal",
    "var/lib/rpm/Packages.db",
    "var/lib/rpm/Packages",
    "usr/lib/sysimage/rpm/rpmdb.sqlite",
    "usr/lib/sysimage/rpm/rpmdb.sqlite-wal",
    "usr/lib/sysimage/rpm/Packages.db",
    "usr/lib/sysimage/rpm/Packages",
    "usr/share/rpm/rpmdb.sqlite",
    "usr/share/rpm/rpmdb.sqlite-wal",
    "usr/share/rpm/Packages.db",
    "usr/share/rpm/Packages",
    MANIFEST,
];

/// Lists what rpm has installed.
#[derive(Debug)]
pub(crate) struct Rpm;

impl Cataloguer for Rpm {
    fn places(&self) -> &[&'static str] {
        &PLACES
    }

    fn catalog(&self, files: &Snapshot, distribution: Option<&Distribution>) -> Result<Option<Vec<Package>>, Damage> {
        let (mut found, databases) = (Found::default(), databases(files));
        for database in &databases {
            let add = &mut |header: &Header<'_>| {
                let Some(package) = InstalledPackage::of(header)? else { return Ok(()) };
                let package = package_of(&package, distribution);
                let fail = |problem: Problem| DatabaseError::at("tag", Tag::Name as u32, problem.to_string());
                found.add(&database.path, package.map_err(fail)?);
                Ok(())
            };
            database.each(add).map_err(damaged(&database.path))?;
        }
        let manifest = file_at(files, MANIFEST);
        if let Some((path, bytes)) = &manifest {
            for package in manifest::read(bytes).map_err(damaged(path))? {
                found.add(path, package_of(&package, distribution).map_err(damaged(path))?);
            }
        }
        Ok((!databases.is_empty() || manifest.is_some()).then(|| found.packages()))
    }

    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage> {
        let (mut claims, purls) = (Claims::new(files, wanted), purls(packages));
        for database in databases(files) {
            let claim = &mut |header: &Header<'_>| {
                let Some(package) = InstalledPackage::of(header)? else { return Ok(()) };
                let version = package.full_version();
                if let Some(purl) = purls.get(&(package.name, &version, package.architecture)) {
                    package::files(header)?.into_iter().for_each(|file| claims.add(file, purl));
                }
                Ok(())
            };
            database.each(claim).map_err(damaged(&database.path))?;
        }
        Ok(claims.owners())
    }
}

struct Database<'a> {
    path: FilePath,
    container: Container,
    bytes: &'a [u8],
    log: &'a [u8],
}

impl Database<'_> {
    fn each(&self, visit: &mut dyn FnMut(&Header<'_>) -> Result<(), DatabaseError>) -> Result<(), DatabaseError> {
        self.container.each(self.bytes, self.log, &mut |bytes| visit(&Header::read(bytes)?))
    }
}

/// The databases, one a folder. Often two of the folders are one.
fn databases(files: &Snapshot) -> Vec<Database<'_>> {
    let mut databases: Vec<Database<'_>> = Vec::new();
    for folder in FOLDERS {
        let found = CONTAINERS.into_iter().find_map(|(name, container)| {
            let place = format!("{folder}/{name}");
            let (path, bytes) = file_at(files, &place)?;
            let log = file_at(files, &format!("{place}-wal")).map_or(&[][..], |(_, log): (_, &Bytes)| log);
            Some(Database { path, container, bytes, log })
        });
        databases.extend(found.filter(|found| databases.iter().all(|known| known.path != found.path)));
    }
    databases
}

fn package_of(found: &InstalledPackage<'_>, distribution: Option<&Distribution>) -> Result<Package, Problem> {
    let version = Version::new(SCHEME, &found.full_version())?;
    let source = found.source_package().map(|(name, version)| -> Result<_, Problem> {
        Ok(SourcePackage { name: name.parse()?, version: Version::new(SCHEME, &version)? })
    });
    let purl = purl_of(distribution)
        .with("arch", found.architecture)
        .with("epoch", found.epoch.map(|epoch| epoch.to_string()).as_deref())
        .with("upstream", found.source);
    let package = Package::new(purl.build(found.name, &found.version)?, found.name.parse()?, version);
    let architecture = found.architecture.map(Into::into);
    Ok(Package { architecture, source: source.transpose()?, module: found.module.clone(), ..package })
}

/// In package URLs, as in those of Red Hat's own advisories, `rhel` is called `redhat`.
fn purl_of(distribution: Option<&Distribution>) -> SystemPurl {
    let purl = SystemPurl::new("rpm", distribution);
    match distribution {
        Some(distribution) if distribution.id == "rhel" => purl.under("redhat"),
        _ => purl,
    }
}
