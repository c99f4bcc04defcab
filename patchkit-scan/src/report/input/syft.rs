//! Syft's JSON (`syft --output json`): packages, without findings.

use patchkit_core::{Digest, Package, SourcePackage, Version};
use serde::Deserialize;
use serde_json::Value;

use super::{
    ForeignFormat, ForeignReport, ReportError,
    grype::{ImageTarget, purl_type},
    json, nullable,
};
use crate::{
    purl_pattern::relative,
    report::foreign::{Collector, distribution},
};

#[derive(Deserialize)]
struct Document {
    artifacts: Vec<Artifact>,
    #[serde(default)]
    source: Source,
    #[serde(default)]
    distro: Distro,
    #[serde(default)]
    descriptor: Descriptor,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Source {
    #[serde(rename = "type")]
    kind: String,
    name: String,
    /// The image; `target` in documents of before 2023.
    #[serde(alias = "target")]
    metadata: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Distro {
    id: String,
    name: String,
    version: String,
    #[serde(rename = "versionID")]
    version_id: String,
    #[serde(rename = "versionCodename")]
    codename: String,
    #[serde(rename = "prettyName")]
    pretty_name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Descriptor {
    version: String,
}

#[derive(Deserialize)]
struct Artifact {
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default, deserialize_with = "nullable")]
    locations: Vec<Location>,
    #[serde(default)]
    purl: String,
    #[serde(default)]
    metadata: Value,
}

#[derive(Deserialize)]
struct Location {
    #[serde(default)]
    path: String,
    #[serde(default, rename = "layerID")]
    layer: String,
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let document: Document = json(ForeignFormat::Syft, bytes)?;
    let mut collector = Collector::new(ForeignFormat::Syft);
    let found = collector.report();
    found.tool = Some(format!("Syft {}", document.descriptor.version).trim_end().to_owned());
    let Source { kind, name, metadata } = document.source;
    found.subject.name = Some(name).filter(|name| !name.is_empty());
    if let (true, Ok(image)) = (kind == "image", serde_json::from_value::<ImageTarget>(metadata)) {
        found.subject = image.subject();
    }
    found.distribution = document.distro.distribution();
    for artifact in &document.artifacts {
        if let Some(package) = artifact.package(&mut collector) {
            collector.package(package);
        }
    }
    Ok(collector.finish())
}

impl Distro {
    fn distribution(self) -> Option<patchkit_core::Distribution> {
        let Self { id, name, version, version_id, codename, pretty_name } = self;
        let id = if id.is_empty() { name } else { id };
        let version = if version_id.is_empty() { version } else { version_id };
        let some = |text: String| Some(text).filter(|text| !text.is_empty());
        let id = some(id)?;
        let found = distribution(&id, &version);
        let codename = some(codename).or(found.codename);
        Some(patchkit_core::Distribution { codename, pretty_name: some(pretty_name), ..found })
    }
}

impl Artifact {
    fn package(&self, collector: &mut Collector) -> Option<Package> {
        // Files without a package around them have a made-up version or none.
        let purl = self.purl.parse::<patchkit_core::Purl>().ok();
        let mut package = match purl.filter(|purl| !purl.parts().version.is_empty()) {
            Some(purl) => collector.purl(purl.as_str())?,
            None => collector.named(purl_type(&self.kind), &self.name, &self.version)?,
        };
        package.source = self.source(&package.version);
        package.layer = self.locations.first().and_then(|location| location.layer.parse::<Digest>().ok());
        let paths = self.locations.iter().map(|location| relative(&location.path).into_owned());
        package.locations.extend(paths.filter(|path| !path.is_empty()));
        Some(package)
    }

    /// The source package, which dpkg and apk name, and rpm as a file: `nss-3.79.0-17.el9_1.src.rpm`.
    fn source(&self, installed: &Version) -> Option<SourcePackage> {
        let text = |field: &str| self.metadata.get(field).and_then(Value::as_str).filter(|text| !text.is_empty());
        let of = |name: &str, version: &str| {
            Some(SourcePackage { name: name.parse().ok()?, version: Version::new(installed.scheme(), version).ok()? })
        };
        if let Some(file) = text("sourceRpm") {
            let mut parts = file.strip_suffix(".src.rpm")?.rsplitn(3, '-');
            let (release, version, name) = (parts.next()?, parts.next()?, parts.next()?);
            return of(name, &format!("{version}-{release}"));
        }
        let own = Some(self.name.as_str()).filter(|_| matches!(self.kind.as_str(), "deb" | "apk"));
        let name = text("source").or_else(|| text("originPackage")).or(own)?;
        of(name, text("sourceVersion").unwrap_or(installed.as_str()))
    }
}
