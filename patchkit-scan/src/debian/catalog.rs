//! The packages of a Debian system: `status` and, in distroless images, `status.d`.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Package, Purl, SourcePackage, Version, image::FilePath};

use super::dpkg::{
    DatabaseError, info,
    package::InstalledPackage,
    status::StatusFile,
    status_d::{self, StatusFileKind},
};
use crate::inventory::{
    Cataloguer, Damage, Problem, Snapshot,
    system::{Claims, Found, ListedFile, SystemPurl, damaged},
};

/// The scheme of Debian's versions.
pub(crate) const SCHEME: &str = "deb";

const STATUS: &str = "var/lib/dpkg/status";
const STATUS_D: &str = "var/lib/dpkg/status.d";
const UPDATES: &str = "var/lib/dpkg/updates";
const INFO: &str = "var/lib/dpkg/info";
const LISTS: &str = "var/lib/dpkg/info/*.list";

/// Lists what dpkg has installed.
#[derive(Debug)]
pub(crate) struct Dpkg;

impl Cataloguer for Dpkg {
    fn places(&self) -> &[&'static str] {
        &[STATUS, STATUS_D, UPDATES, LISTS]
    }

    fn catalog(&self, files: &Snapshot, distribution: Option<&Distribution>) -> Result<Option<Vec<Package>>, Damage> {
        let mut found = Found::default();
        let status = read_status(files, distribution, &mut found)?;
        let folder = read_status_d(files, distribution, &mut found)?;
        Ok((status || folder).then(|| found.packages()))
    }

    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage> {
        let mut claims = Claims::new(files, wanted);
        let purls = by_info_name(packages);
        for (path, kind) in [(INFO, "list"), (STATUS_D, "md5sums")] {
            for path in files.files_in(&self::path(path)) {
                let name = path.file_name().map(String::from_utf8_lossy).unwrap_or_default();
                let base = info::split_name(&name).filter(|(_, found)| *found == kind).map(|(base, _)| base);
                let Some(purl) = base.and_then(|base| purls.get(base)) else { continue };
                claim_listed(&mut claims, files, &path, purl).map_err(damaged(&path))?;
            }
        }
        Ok(claims.owners())
    }
}

/// The packages by the names that their files in `info` have: with the architecture where that is needed.
fn by_info_name(packages: &[Package]) -> BTreeMap<String, &Purl> {
    let names = |package: &Package| {
        let qualified = package.architecture.as_ref().map(|architecture| format!("{}:{architecture}", package.name));
        [Some(package.name.to_string()), qualified].into_iter().flatten()
    };
    packages.iter().flat_map(|package| names(package).map(|name| (name, &package.purl))).collect()
}

/// Claims the files of a package's list, which names them by the paths in the archive.
fn claim_listed(claims: &mut Claims<'_>, files: &Snapshot, list: &FilePath, owner: &Purl) -> Result<(), DatabaseError> {
    let (name, bytes) = (list.to_string(), files.read(list).expect("it is listed"));
    let paths = match name.ends_with(".list") {
        true => info::read_list(&name, bytes)?,
        false => info::read_md5sums(&name, bytes)?.into_iter().map(|hash| hash.path).collect(),
    };
    paths.iter().for_each(|path| claims.add(ListedFile::at(path.as_bytes()), owner));
    Ok(())
}

/// Reads `status` and what is still in `updates`; says whether it is there.
fn read_status(files: &Snapshot, distribution: Option<&Distribution>, found: &mut Found) -> Result<bool, Damage> {
    let path = path(STATUS);
    let Some(bytes) = files.read(&path) else { return Ok(false) };
    let mut status = StatusFile::read(STATUS, bytes).map_err(damaged(&path))?;
    for update in files.files_in(&self::path(UPDATES)).iter().filter(|path| is_update(path)) {
        let bytes = files.read(update).expect("it is listed");
        status.apply_update(&update.to_string(), bytes).map_err(damaged(update))?;
    }
    for package in status.packages().filter(|package| package.is_present()) {
        found.add(&path, package_of(package, distribution).map_err(damaged(&path))?);
    }
    Ok(true)
}

/// dpkg numbers its updates; other names there are of files that were being written.
fn is_update(path: &FilePath) -> bool {
    path.file_name().is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_digit))
}

/// Reads the files of `status.d`; says whether there are any.
fn read_status_d(files: &Snapshot, distribution: Option<&Distribution>, found: &mut Found) -> Result<bool, Damage> {
    let mut any = false;
    for path in files.files_in(&path(STATUS_D)) {
        let name = path.to_string();
        if status_d::kind_of(&name) != StatusFileKind::Control {
            continue;
        }
        any = true;
        let bytes = files.read(&path).expect("it is listed");
        let packages = status_d::read(&name, bytes).map_err(damaged(&path))?;
        for package in packages.iter().filter(|package| package.is_present()) {
            found.add(&path, package_of(package, distribution).map_err(damaged(&path))?);
        }
    }
    Ok(any)
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).expect("a constant")
}

fn package_of(found: &InstalledPackage, distribution: Option<&Distribution>) -> Result<Package, Problem> {
    let version = Version::new(SCHEME, found.version.as_str())?;
    let source = SourcePackage {
        name: found.source.name.parse()?,
        version: Version::new(SCHEME, found.source.version.as_str())?,
    };
    let architecture = Some(found.architecture.to_string()).filter(|name| !name.is_empty());
    let purl = SystemPurl::new("deb", distribution).with("arch", architecture.as_deref());
    let purl = purl.build(found.name.as_ref(), found.version.as_str())?;
    let package = Package::new(purl, found.name.parse()?, version);
    Ok(Package { architecture, source: Some(source), ..package })
}
