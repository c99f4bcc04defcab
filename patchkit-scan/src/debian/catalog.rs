//! The packages of a Debian system: `status` and, in distroless images, `status.d`.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Package, Purl, PurlParts, SourcePackage, Version, image::FilePath};

use super::dpkg::{
    DatabaseError, info,
    package::InstalledPackage,
    status::StatusFile,
    status_d::{self, StatusFileKind},
};
use crate::inventory::{Cataloguer, Damage, Snapshot};

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
        let mut found = Found { distribution, packages: BTreeMap::new() };
        let status = read_status(files, &mut found)?;
        let folder = read_status_d(files, &mut found)?;
        Ok((status || folder).then(|| found.packages.into_values().collect()))
    }

    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage> {
        let mut owners = Owners { files, wanted, found: BTreeMap::new() };
        let purls = by_info_name(packages);
        for (path, kind) in [(INFO, "list"), (STATUS_D, "md5sums")] {
            for path in files.files_in(&self::path(path)) {
                let name = path.file_name().map(String::from_utf8_lossy).unwrap_or_default();
                let base = info::split_name(&name).filter(|(_, found)| *found == kind).map(|(base, _)| base);
                let Some(purl) = base.and_then(|base| purls.get(base)) else { continue };
                owners.list(&path, purl).map_err(|error| Damage { path, error: Box::new(error) })?;
            }
        }
        Ok(owners.found)
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

struct Owners<'a> {
    files: &'a Snapshot,
    wanted: &'a BTreeSet<FilePath>,
    found: BTreeMap<FilePath, Purl>,
}

impl Owners<'_> {
    /// Looks for the wanted files in a package's list, which names them by the paths in the archive.
    fn list(&mut self, list: &FilePath, owner: &Purl) -> Result<(), DatabaseError> {
        let (name, bytes) = (list.to_string(), self.files.read(list).expect("it is listed"));
        let paths = match name.ends_with(".list") {
            true => info::read_list(&name, bytes)?,
            false => info::read_md5sums(&name, bytes)?.into_iter().map(|hash| hash.path).collect(),
        };
        for path in paths.iter().filter_map(|path| FilePath::new(path.as_bytes()).ok()) {
            let real = self.files.place(&path).unwrap_or(path);
            if self.wanted.contains(&real) {
                self.found.insert(real, owner.clone());
            }
        }
        Ok(())
    }
}

/// Reads `status` and what is still in `updates`; says whether it is there.
fn read_status(files: &Snapshot, found: &mut Found<'_>) -> Result<bool, Damage> {
    let path = path(STATUS);
    let Some(bytes) = files.read(&path) else { return Ok(false) };
    let damage = |path: &FilePath| {
        let path = path.clone();
        move |error| Damage { path, error: Box::new(error) }
    };
    let mut status = StatusFile::read(STATUS, bytes).map_err(damage(&path))?;
    for update in files.files_in(&self::path(UPDATES)).iter().filter(|path| is_update(path)) {
        let bytes = files.read(update).expect("it is listed");
        status.apply_update(&update.to_string(), bytes).map_err(damage(update))?;
    }
    for package in status.packages().filter(|package| package.is_present()) {
        found.add(&path, package)?;
    }
    Ok(true)
}

/// dpkg numbers its updates; other names there are of files that were being written.
fn is_update(path: &FilePath) -> bool {
    path.file_name().is_some_and(|name| !name.is_empty() && name.iter().all(u8::is_ascii_digit))
}

/// Reads the files of `status.d`; says whether there are any.
fn read_status_d(files: &Snapshot, found: &mut Found<'_>) -> Result<bool, Damage> {
    let mut any = false;
    for path in files.files_in(&path(STATUS_D)) {
        let name = path.to_string();
        if status_d::kind_of(&name) != StatusFileKind::Control {
            continue;
        }
        any = true;
        let bytes = files.read(&path).expect("it is listed");
        let packages = status_d::read(&name, bytes);
        let packages = packages.map_err(|error| Damage { path: path.clone(), error: Box::new(error) })?;
        for package in packages.iter().filter(|package| package.is_present()) {
            found.add(&path, package)?;
        }
    }
    Ok(any)
}

fn path(text: &str) -> FilePath {
    FilePath::new(text).expect("a constant")
}

/// The packages so far, by purl: one that several files speak of is one package.
struct Found<'a> {
    distribution: Option<&'a Distribution>,
    packages: BTreeMap<patchkit_core::Purl, Package>,
}

impl Found<'_> {
    fn add(&mut self, path: &FilePath, package: &InstalledPackage) -> Result<(), Damage> {
        let mut package =
            package_of(package, self.distribution).map_err(|error| Damage { path: path.clone(), error })?;
        package.locations.insert(path.to_string());
        let purl = package.purl.clone();
        let known = self.packages.entry(purl).or_insert_with(|| package.clone());
        known.locations.append(&mut package.locations);
        Ok(())
    }
}

fn package_of(
    found: &InstalledPackage,
    distribution: Option<&Distribution>,
) -> Result<Package, Box<dyn std::error::Error + Send + Sync>> {
    let version = Version::new(SCHEME, found.version.as_str())?;
    let source = SourcePackage {
        name: found.source.name.parse()?,
        version: Version::new(SCHEME, found.source.version.as_str())?,
    };
    let architecture = Some(found.architecture.to_string()).filter(|name| !name.is_empty());
    let qualifiers = [("arch", architecture.clone()), ("distro", distribution.map(distro))];
    let qualifiers = qualifiers.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    let parts = PurlParts {
        kind: "deb".into(),
        namespace: distribution.map(|distribution| distribution.id.clone()).unwrap_or_default(),
        name: found.name.to_string(),
        version: found.version.to_string(),
        qualifiers: qualifiers.collect(),
        subpath: String::new(),
    };
    let package = Package::new(parts.build()?, found.name.parse()?, version);
    Ok(Package { architecture, source: Some(source), ..package })
}

/// `debian-11`, as the qualifier `distro` has it.
fn distro(distribution: &Distribution) -> String {
    let release = distribution.version_id.as_ref().or(distribution.codename.as_ref());
    release.map_or_else(|| distribution.id.clone(), |release| format!("{}-{release}", distribution.id))
}
