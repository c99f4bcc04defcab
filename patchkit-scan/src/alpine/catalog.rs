//! The packages of an Alpine system, or of one that derives from it.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Package, Purl, SourcePackage, Version, image::FilePath};

use super::installed::{self, InstalledPackage};
use crate::inventory::{
    Cataloguer, Damage, Problem, Snapshot,
    system::{Claims, Found, SystemPurl, damaged, databases, purls},
};

/// The scheme of Alpine's versions.
pub(crate) const SCHEME: &str = "apk";

/// Where the database is: apk-tools 3 has it below `usr`.
const PLACES: [&str; 2] = ["lib/apk/db/installed", "usr/lib/apk/db/installed"];

/// Lists what apk has installed.
#[derive(Debug)]
pub(crate) struct Apk;

impl Cataloguer for Apk {
    fn places(&self) -> &[&'static str] {
        &PLACES
    }

    fn catalog(&self, files: &Snapshot, distribution: Option<&Distribution>) -> Result<Option<Vec<Package>>, Damage> {
        let (mut found, databases) = (Found::default(), databases(files, &PLACES));
        for (path, bytes) in &databases {
            for package in installed::read(bytes).map_err(damaged(path))? {
                found.add(path, package_of(&package, distribution).map_err(damaged(path))?);
            }
        }
        Ok((!databases.is_empty()).then(|| found.packages()))
    }

    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage> {
        let (mut claims, purls) = (Claims::new(files, wanted), purls(packages));
        for (path, bytes) in databases(files, &PLACES) {
            for package in installed::read(bytes).map_err(damaged(&path))? {
                let key = (package.name, package.version, package.architecture);
                let Some(purl) = purls.get(&key) else { continue };
                package.files.iter().for_each(|(folder, name)| claims.file(folder, name, purl));
            }
        }
        Ok(claims.owners())
    }
}

fn package_of(found: &InstalledPackage<'_>, distribution: Option<&Distribution>) -> Result<Package, Problem> {
    let version = Version::new(SCHEME, found.version)?;
    let origin = found.origin.unwrap_or(found.name);
    let source = SourcePackage { name: origin.parse()?, version: version.clone() };
    let purl = SystemPurl::new("apk", distribution)
        .with("arch", found.architecture)
        .with("upstream", Some(origin).filter(|origin| *origin != found.name));
    let package = Package::new(purl.build(found.name, found.version)?, found.name.parse()?, version);
    Ok(Package { architecture: found.architecture.map(Into::into), source: Some(source), ..package })
}
