//! CycloneDX JSON: components as packages, vulnerabilities as findings.
//!
//! Source: the CycloneDX specification 1.6; the properties that Trivy and Syft add.

mod vulnerability;

use std::collections::HashMap;

use patchkit_core::{Digest, Distribution, Package, Presence, Purl, SourcePackage, Version};
use serde::Deserialize;

use self::vulnerability::Vulnerability;
use super::{ForeignFormat, ForeignReport, ReportError, json, nullable};
use crate::{
    purl_pattern::relative,
    report::{
        foreign::{Collector, distribution},
        property::{self, trivy},
    },
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bom {
    spec_version: String,
    #[serde(default)]
    metadata: Metadata,
    #[serde(default, deserialize_with = "nullable")]
    components: Vec<Component>,
    #[serde(default, deserialize_with = "nullable")]
    vulnerabilities: Vec<Vulnerability>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    component: Option<Component>,
    tools: Option<Tools>,
}

/// A list of tools as in CycloneDX 1.4, or an object with components as since 1.5.
#[derive(Deserialize)]
#[serde(untagged)]
enum Tools {
    List(Vec<Tool>),
    Components {
        #[serde(default)]
        components: Vec<Tool>,
    },
}

#[derive(Deserialize)]
struct Tool {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
}

#[derive(Deserialize)]
struct Component {
    #[serde(default, rename = "bom-ref")]
    bom_ref: String,
    #[serde(default, rename = "type")]
    kind: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default)]
    purl: String,
    #[serde(default, deserialize_with = "nullable")]
    hashes: Vec<Hash>,
    #[serde(default, deserialize_with = "nullable")]
    properties: Vec<Property>,
    #[serde(default, deserialize_with = "nullable")]
    components: Vec<Component>,
}

#[derive(Deserialize)]
struct Hash {
    #[serde(default)]
    alg: String,
    #[serde(default)]
    content: String,
}

#[derive(Deserialize)]
struct Property {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: String,
}

/// The first property of a name.
fn property<'a>(properties: &'a [Property], name: &str) -> Option<&'a str> {
    properties_of(properties, name).next()
}

fn properties_of<'a>(properties: &'a [Property], name: &str) -> impl Iterator<Item = &'a str> {
    properties.iter().filter(move |property| property.name == name).map(|property| property.value.as_str())
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let format = ForeignFormat::CycloneDx;
    let bom: Bom = json(format, bytes)?;
    let minor = bom.spec_version.strip_prefix("1.").and_then(|minor| minor.parse::<u32>().ok());
    if !minor.is_some_and(|minor| (2..=7).contains(&minor)) {
        return Err(ReportError::UnknownVersion { format, version: bom.spec_version });
    }
    let mut collector = Collector::new(format);
    collector.report().tool = bom.metadata.tool();
    let mut known = HashMap::new();
    if let Some(component) = &bom.metadata.component {
        subject(&mut collector, component);
    }
    let mut rest: Vec<&Component> = bom.components.iter().rev().collect();
    rest.extend(bom.metadata.component.iter().flat_map(|component| component.components.iter().rev()));
    while let Some(component) = rest.pop() {
        rest.extend(component.components.iter().rev());
        if let Some(package) = component.take(&mut collector) {
            known.insert(component.bom_ref.as_str(), package);
        }
    }
    for vulnerability in &bom.vulnerabilities {
        vulnerability.take(&mut collector, &known);
    }
    Ok(collector.finish())
}

impl Metadata {
    fn tool(&self) -> Option<String> {
        let tools = match self.tools.as_ref()? {
            Tools::List(tools) | Tools::Components { components: tools } => tools,
        };
        tools.first().map(|tool| format!("{} {}", tool.name, tool.version).trim().to_owned())
    }
}

/// What the document is about: Syft gives the manifest's digest as the version, Trivy properties, we a hash.
fn subject(collector: &mut Collector, component: &Component) {
    let properties = &component.properties;
    let found = &mut collector.report().subject;
    found.name = Some(component.name.clone()).filter(|name| !name.is_empty());
    let hash = component.hashes.iter().find(|hash| hash.alg == "SHA-256");
    let hash = hash.and_then(|hash| format!("sha256:{}", hash.content).parse().ok());
    found.manifest = component.version.parse().ok().or(hash);
    found.config = property(properties, trivy::IMAGE_ID).and_then(|id| id.parse().ok());
    found.diff_ids = properties_of(properties, trivy::DIFF_ID).filter_map(|id| id.parse().ok()).collect();
    let digests = properties_of(properties, trivy::REPO_DIGEST).filter_map(|name| name.rsplit_once('@'));
    found.repository_digests = digests.filter_map(|(_, digest)| digest.parse().ok()).collect();
    let purl = component.purl.parse::<Purl>().ok().filter(|purl| purl.as_str().starts_with("pkg:oci/"));
    found.repository_digests.extend(purl.and_then(|purl| purl.parts().version.parse::<Digest>().ok()));
    let warnings: Vec<_> = properties_of(properties, property::WARNING).map(str::to_owned).collect();
    collector.report().warnings.extend(warnings);
}

impl Component {
    /// Takes a component over, and gives the package that it is.
    fn take(&self, collector: &mut Collector) -> Option<Purl> {
        if self.kind == "operating-system" {
            collector.report().distribution = self.distribution();
            return None;
        }
        if self.purl.is_empty() {
            // Files, devices, data, and the applications whose packages these are.
            return None;
        }
        let package = self.package(collector)?;
        let purl = package.purl.clone();
        collector.package(package);
        Some(purl)
    }

    fn distribution(&self) -> Option<Distribution> {
        let found = distribution(property(&self.properties, "syft:distro:id").unwrap_or(&self.name), &self.version);
        let codename = property(&self.properties, property::CODENAME)
            .or_else(|| property(&self.properties, "syft:distro:versionCodename"));
        let pretty_name = property(&self.properties, "syft:distro:prettyName").map(Into::into);
        let codename = codename.map(Into::into).or(found.codename);
        Some(Distribution { codename, pretty_name, ..found }).filter(|found| !found.id.is_empty())
    }

    fn package(&self, collector: &mut Collector) -> Option<Package> {
        let mut package = collector.purl(&self.purl)?;
        let property = |name: &str| property(&self.properties, name);
        package.source = self.source(&package);
        package.module = property(trivy::MODULE).map(Into::into);
        let layer = property(trivy::LAYER_DIFF_ID).or_else(|| property("syft:location:0:layerID"));
        package.layer = layer.and_then(|layer| layer.parse().ok());
        package.owner = property(property::OWNER).and_then(|owner| owner.parse().ok());
        package.presence = match property(property::PRESENCE) {
            Some("declared") => Presence::Declared,
            Some("guessed") => Presence::Guessed,
            _ => Presence::Installed,
        };
        let syft = self.properties.iter().filter(|property| {
            property.name.strip_prefix("syft:location:").is_some_and(|rest| rest.ends_with(":path"))
        });
        let paths = properties_of(&self.properties, property::LOCATION).chain(syft.map(|path| path.value.as_str()));
        package.locations.extend(paths.map(|path| relative(path).into_owned()));
        Some(package)
    }

    /// The source: by Trivy's properties, by Syft's, by the qualifier `upstream`.
    fn source(&self, package: &Package) -> Option<SourcePackage> {
        let property = |name: &str| property(&self.properties, name).filter(|value| !value.is_empty());
        let scheme = package.version.scheme();
        let of = |name: &str, version: &str| {
            Some(SourcePackage { name: name.parse().ok()?, version: Version::new(scheme, version).ok()? })
        };
        if let Some(name) = property(trivy::SRC_NAME) {
            let epoch = property(trivy::SRC_EPOCH).map(|epoch| format!("{epoch}:")).unwrap_or_default();
            let release = property(trivy::SRC_RELEASE).map(|release| format!("-{release}")).unwrap_or_default();
            let version = property(trivy::SRC_VERSION).unwrap_or(package.version.as_str());
            return of(name, &format!("{epoch}{version}{release}"));
        }
        upstream(package)
    }
}

/// The source that the qualifier `upstream` names, as Syft writes it: `name`, `name@version`, or a source rpm. Without
/// it, a distribution's package has the source of its own name.
pub(super) fn upstream(package: &Package) -> Option<SourcePackage> {
    let parts = package.purl.parts();
    let installed = package.version.as_str();
    let upstream = parts.qualifiers.get("upstream").map(String::as_str);
    let (name, version) = match (parts.kind.as_str(), upstream) {
        ("rpm", Some(file)) => {
            let (rest, release) = file.strip_suffix(".src.rpm")?.rsplit_once('-')?;
            let (name, version) = rest.rsplit_once('-')?;
            (name, format!("{version}-{release}"))
        }
        ("apk" | "deb", Some(text)) => match text.rsplit_once('@') {
            Some((name, version)) => (name, version.to_owned()),
            None => (text, installed.to_owned()),
        },
        ("apk" | "deb", None) => (parts.name.as_str(), installed.to_owned()),
        _ => return None,
    };
    let version = Version::new(package.version.scheme(), &version).ok()?;
    Some(SourcePackage { name: name.parse().ok()?, version })
}
