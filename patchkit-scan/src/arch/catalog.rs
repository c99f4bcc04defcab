//! The packages of an Arch Linux system, or of one that derives from it.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Distribution, Package, Purl, SourcePackage, Version, image::FilePath};

use super::local::{self, InstalledPackage};
use crate::inventory::{
    Cataloguer, Damage, Problem, Snapshot,
    system::{Claims, Found, ListedFile, SystemPurl, damaged, purls},
};

/// The scheme of pacman's versions.
pub(crate) const SCHEME: &str = "alpm";

const LOCAL: &str = "var/lib/pacman/local";
/// Says which version the database has; it is there without any package too.
const MARKER: &[u8] = b"ALPM_DB_VERSION";

/// Lists what pacman has installed.
#[derive(Debug)]
pub(crate) struct Pacman;

impl Cataloguer for Pacman {
    fn places(&self) -> &[&'static str] {
        &[LOCAL]
    }

    fn catalog(&self, files: &Snapshot, distribution: Option<&Distribution>) -> Result<Option<Vec<Package>>, Damage> {
        let (mut found, mut any) = (Found::default(), false);
        for path in local_files(files) {
            any |= path.file_name() == Some(MARKER);
            if path.file_name() != Some(b"desc") {
                continue;
            }
            any = true;
            let package = local::read_desc(content(files, &path)).map_err(damaged(&path))?;
            found.add(&path, package_of(&package, distribution).map_err(damaged(&path))?);
        }
        Ok(any.then(|| found.packages()))
    }

    fn owners(
        &self,
        files: &Snapshot,
        packages: &[Package],
        wanted: &BTreeSet<FilePath>,
    ) -> Result<BTreeMap<FilePath, Purl>, Damage> {
        let (mut claims, purls) = (Claims::new(files, wanted), purls(packages));
        for desc in local_files(files).into_iter().filter(|path| path.file_name() == Some(b"desc")) {
            let package = local::read_desc(content(files, &desc)).map_err(damaged(&desc))?;
            let Some(purl) = purls.get(&(package.name, package.version, package.architecture)) else { continue };
            let Some(list) = desc.parent().and_then(|folder| folder.join("files").ok()) else { continue };
            let Some(bytes) = files.read(&list) else { continue };
            for path in local::read_files(bytes).map_err(damaged(&list))? {
                claims.add(ListedFile::at(path), purl);
            }
        }
        Ok(claims.owners())
    }
}

fn local_files(files: &Snapshot) -> Vec<FilePath> {
    files.files_below(&FilePath::new(LOCAL).expect("a constant"))
}

fn content<'a>(files: &'a Snapshot, path: &FilePath) -> &'a [u8] {
    files.read(path).expect("it is listed")
}

fn package_of(found: &InstalledPackage<'_>, distribution: Option<&Distribution>) -> Result<Package, Problem> {
    let version = Version::new(SCHEME, found.version)?;
    let base = found.base.unwrap_or(found.name);
    let source = SourcePackage { name: base.parse()?, version: version.clone() };
    let purl = SystemPurl::new("alpm", distribution)
        .with("arch", found.architecture)
        .with("upstream", Some(base).filter(|base| *base != found.name));
    let purl = if distribution.is_none() { purl.under("arch") } else { purl };
    let package = Package::new(purl.build(found.name, found.version)?, found.name.parse()?, version);
    Ok(Package { architecture: found.architecture.map(Into::into), source: Some(source), ..package })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::os_release;

    fn files() -> Snapshot {
        let desc = |name: &str, version: &str, base: &str| {
            let sections = [("NAME", name), ("VERSION", version), ("BASE", base), ("ARCH", "x86_64")];
            sections.map(|(section, value)| format!("%{section}%\n{value}\n\n")).concat().into_bytes()
        };
        let list = b"%FILES%\nusr/\nusr/lib/\nusr/lib/libelf.so.1\n\n".to_vec();
        let files = [
            ("var/lib/pacman/local/ALPM_DB_VERSION", b"9\n".to_vec()),
            ("var/lib/pacman/local/libelf-0.192-4/desc", desc("libelf", "0.192-4", "elfutils")),
            ("var/lib/pacman/local/libelf-0.192-4/files", list),
            ("var/lib/pacman/local/libelf-0.192-4/mtree", b"\x1f\x8b".to_vec()),
            ("var/lib/pacman/local/zlib-1:1.3.1-2/desc", desc("zlib", "1:1.3.1-2", "zlib")),
        ];
        Snapshot::of(files, [("lib", "usr/lib")])
    }

    #[test]
    fn packages_and_the_owners_of_files_are_found() {
        let arch = os_release::parse(b"ID=arch\n").unwrap();
        let packages = Pacman.catalog(&files(), Some(&arch)).unwrap().unwrap();
        let purls: Vec<_> = packages.iter().map(|package| package.purl.as_str()).collect();
        let expected = [
            "pkg:alpm/arch/libelf@0.192-4?arch=x86_64&distro=arch&upstream=elfutils",
            "pkg:alpm/arch/zlib@1:1.3.1-2?arch=x86_64&distro=arch",
        ];
        assert_eq!(purls, expected);
        assert_eq!(packages[0].source.as_ref().unwrap().name.as_str(), "elfutils");
        let path = |text: &str| FilePath::new(text).unwrap();
        let wanted = ["usr/lib/libelf.so.1", "usr/lib/libz.so"].map(path).into();
        let owners = Pacman.owners(&files(), &packages, &wanted).unwrap();
        assert_eq!(owners, [(path("usr/lib/libelf.so.1"), packages[0].purl.clone())].into());
    }

    #[test]
    fn damage_names_the_file_and_no_database_is_none() {
        let files = Snapshot::of([("var/lib/pacman/local/a-1-1/desc", b"%NAME%\na".to_vec())], []);
        let damage = Pacman.catalog(&files, None).unwrap_err();
        assert_eq!(damage.path.to_string(), "var/lib/pacman/local/a-1-1/desc");
        assert_eq!(damage.error.to_string(), "line 2: the file is cut off here");
        let files = Snapshot::of([("var/lib/pacman/local/ALPM_DB_VERSION", b"9\n".to_vec())], []);
        assert_eq!(Pacman.catalog(&files, None).unwrap(), Some(vec![]));
        assert_eq!(Pacman.catalog(&Snapshot::of([], []), None).unwrap(), None);
    }
}
