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
                package.files.iter().for_each(|file| claims.add(*file, purl));
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::os_release;

    const INSTALLED: &str = "P:libcrypto3\nV:3.3.2-r0\nA:x86_64\no:openssl\nF:lib\nR:libcrypto.so.3\n\n\
        P:openssl\nV:3.3.2-r0\nA:x86_64\no:openssl\nF:usr/bin\nR:openssl\n\n";

    fn files() -> Snapshot {
        let database = ("usr/lib/apk/db/installed", INSTALLED.as_bytes().to_vec());
        Snapshot::of([database], [("lib", "usr/lib")])
    }

    #[test]
    fn a_package_has_its_origin_as_source() {
        let wolfi = os_release::parse(b"ID=wolfi\nVERSION_ID=20230201\n").unwrap();
        let packages = Apk.catalog(&files(), Some(&wolfi)).unwrap().unwrap();
        let purls: Vec<_> = packages.iter().map(|package| package.purl.as_str()).collect();
        let expected = [
            "pkg:apk/wolfi/libcrypto3@3.3.2-r0?arch=x86_64&distro=wolfi-20230201&upstream=openssl",
            "pkg:apk/wolfi/openssl@3.3.2-r0?arch=x86_64&distro=wolfi-20230201",
        ];
        assert_eq!(purls, expected);
        let source = packages[0].source.as_ref().unwrap();
        assert_eq!((source.name.as_str(), source.version.as_str()), ("openssl", "3.3.2-r0"));
        assert_eq!(Vec::from_iter(&packages[0].locations), ["usr/lib/apk/db/installed"]);
    }

    #[test]
    fn files_are_owned_where_they_really_are() {
        let (files, path) = (files(), |text: &str| FilePath::new(text).unwrap());
        let packages = Apk.catalog(&files, None).unwrap().unwrap();
        let wanted = ["usr/lib/libcrypto.so.3", "usr/bin/openssl", "opt/openssl"].map(path).into();
        let owners = Apk.owners(&files, &packages, &wanted).unwrap();
        let expected = [("usr/bin/openssl", 1), ("usr/lib/libcrypto.so.3", 0)];
        assert_eq!(owners, expected.map(|(name, n)| (path(name), packages[n].purl.clone())).into());
    }

    #[test]
    fn damage_names_file_and_line() {
        let files = Snapshot::of([("lib/apk/db/installed", b"P:a\n".to_vec())], []);
        let damage = Apk.catalog(&files, None).unwrap_err();
        assert_eq!(damage.path.to_string(), "lib/apk/db/installed");
        assert_eq!(damage.error.to_string(), "line 1: the package that ends here has no version");
        assert_eq!(Apk.catalog(&Snapshot::of([], []), None).unwrap(), None);
    }
}
