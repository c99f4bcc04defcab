//! Java run times that were unpacked rather than installed: the file `release` at the top of each.
//!
//! Source: JEP 223 and the builds of OpenJDK for its keys; vendor and product are called as syft calls them, after NVD's
//! names.

use patchkit_core::{Package, Presence};

use crate::{
    inventory::{Candidate, Content, Detector, Problem},
    language::package::{package, parts},
};

/// The detector of a run time's `release`. Other files of that name are passed over.
#[derive(Debug)]
pub(in crate::language) struct Runtimes;

/// The most bytes of such a file: the list of modules takes a few KiB.
const MAX_SIZE: u64 = 64 << 10;

impl Detector for Runtimes {
    fn name(&self) -> &'static str {
        "java-runtime"
    }

    fn wants(&self, file: &Candidate<'_>) -> bool {
        file.size <= MAX_SIZE && file.path.file_name() == Some(b"release")
    }

    fn detect(&self, file: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem> {
        let Ok(text) = content.text() else { return Ok(Vec::new()) };
        Ok(release(&file.path.to_string(), text).into_iter().collect())
    }
}

/// The run time of a `release` at a path.
fn release(path: &str, text: &str) -> Option<Package> {
    let value = |key: &str| {
        let mut lines = text.lines().filter_map(|line| line.split_once('='));
        lines.find(|(name, _)| *name == key).map(|(_, value)| value.trim().trim_matches('"')).filter(|v| !v.is_empty())
    };
    let version = version(value("JAVA_VERSION"), value("JAVA_RUNTIME_VERSION"), value("FULL_VERSION"))?;
    let is_jre = value("IMAGE_TYPE").is_some_and(|kind| kind.eq_ignore_ascii_case("jre"));
    let (vendor, product) = vendor(path, value("IMPLEMENTOR").unwrap_or_default(), is_jre);
    let mut parts = parts("generic", vendor, product, version);
    if let Some(repository) = value("SOURCE_REPO").or(value("BUILD_SOURCE_REPO")) {
        parts.qualifiers.insert("repository_url".into(), repository.into());
    }
    package(&parts, product, Presence::Installed)
}

/// The most precise of the versions. The full one may be that of the build's tool, which another major number shows.
fn version<'a>(short: Option<&'a str>, run_time: Option<&'a str>, full: Option<&'a str>) -> Option<&'a str> {
    let major = |version: &'a str| version.split('.').next();
    let full = full.filter(|full| short.is_some_and(|short| major(full) == major(short)));
    run_time.or(short.and(full)).or(short)
}

fn vendor(path: &str, implementor: &str, is_jre: bool) -> (&'static str, &'static str) {
    let implementor = implementor.to_ascii_lowercase();
    let product = if is_jre { "jre" } else { "jdk" };
    match () {
        () if implementor.contains("azul") || path.contains("zulu") => ("azul", "zulu"),
        () if implementor.contains("sun") => ("sun", product),
        () if implementor.contains("oracle") || path.contains("oracle") => ("oracle", product),
        () => ("oracle", "openjdk"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_vendors_release() {
        let temurin = "IMPLEMENTOR=\"Eclipse Adoptium\"\nJAVA_RUNTIME_VERSION=\"21.0.4+7-LTS\"\nJAVA_VERSION=\"21.0.4\"\n\
                       MODULES=\"java.base java.xml\"\nSOURCE_REPO=\"https://example.org/jdk21u.git\"\n";
        for (path, text, purl) in [
            (
                "opt/java/openjdk/release",
                temurin,
                Some("pkg:generic/oracle/openjdk@21.0.4%2B7-LTS?repository_url=https:%2F%2Fexample.org%2Fjdk21u.git"),
            ),
            (
                "usr/lib/jvm/jdk-1.8-oracle-x64/release",
                "JAVA_VERSION=\"1.8.0_411\"\nJAVA_RUNTIME_VERSION=\"1.8.0_411-b25\"\n",
                Some("pkg:generic/oracle/jdk@1.8.0_411-b25"),
            ),
            (
                "opt/zulu/release",
                "JAVA_VERSION=\"17.0.1\"\nFULL_VERSION=\"17.0.1+12\"\n",
                Some("pkg:generic/azul/zulu@17.0.1%2B12"),
            ),
            (
                "jre/release",
                "IMPLEMENTOR=\"Sun Microsystems\"\nIMAGE_TYPE=\"JRE\"\nJAVA_VERSION=\"1.7\"\nFULL_VERSION=\"2.0\"",
                Some("pkg:generic/sun/jre@1.7"),
            ),
            ("etc/release", "NAME=Debian\nVERSION=12\n", None),
        ] {
            let found = release(path, text).map(|package| package.purl.to_string());
            assert_eq!(found.as_deref(), purl, "{path}");
        }
    }
}
