//! OpenVEX documents of a distribution, which say of its packages whether they have a vulnerability: Ubuntu's.
//!
//! Products are package URLs of Ubuntu's source packages, whose `distro` names the release and the archive
//! (`esm-apps/bionic`); what is fixed is fixed in the package URL's version. Products of other kinds say nothing about a
//! distribution's release and are passed over, so that a document about a program of somebody's own is read as nothing.
//! Source: the OpenVEX specification 0.2.0; Canonical's documents, whose head stands under `metadata`.

use std::{collections::BTreeMap, io::Read};

use patchkit_core::{AdvisoryId, PackageName, Purl};
use serde::Deserialize;

use super::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Status, budget::check_pairs, debian, json, platform, title,
    updateinfo::date,
};

/// The name of the source.
pub const SOURCE: &str = "ubuntu-openvex";

#[derive(Deserialize)]
struct Document {
    statements: Vec<Said>,
}

#[derive(Deserialize)]
struct Said {
    vulnerability: Vulnerability,
    #[serde(default)]
    products: Vec<Product>,
    status: String,
    #[serde(default)]
    timestamp: String,
    #[serde(default)]
    action_statement: String,
}

#[derive(Deserialize)]
struct Vulnerability {
    name: AdvisoryId,
    #[serde(default)]
    description: String,
    #[serde(default)]
    aliases: Vec<String>,
}

#[derive(Deserialize)]
struct Product {
    #[serde(rename = "@id")]
    id: String,
}

/// Reads documents and gives out an advisory for each vulnerability in each source package and release.
///
/// # Errors
/// [`AdvisoryError`] with the line, or naming the document by its number.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    json::documents(input, |number, document: Document| {
        document.statements.iter().try_for_each(|said| said.give(sink)).map_err(|message| {
            AdvisoryError::new(None, AdvisoryErrorKind::Syntax(format!("document {number}: {message}")))
        })
    })
}

impl Said {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        check_pairs(self.vulnerability.aliases.len(), self.products.len())?;
        let mut claims = BTreeMap::new();
        for product in &self.products {
            let Ok(purl) = product.id.parse::<Purl>() else { continue };
            let purl = purl.parts();
            let qualifier = |key: &str| purl.qualifiers.get(key).map(String::as_str);
            if (purl.kind.as_str(), qualifier("arch")) != ("deb", Some("source")) {
                continue;
            }
            let Some(platform) = qualifier("distro").and_then(platform::ubuntu) else { continue };
            let package: PackageName = purl.name.parse().map_err(|error| format!("{error}"))?;
            claims.insert((platform, package), purl.version);
        }
        for ((platform, package), version) in claims {
            let status = self.status(&platform, &version)?;
            for (id, bulletins) in self.ids() {
                let advisory = Advisory::new(id, platform.scope.clone(), package.clone(), status.clone(), SOURCE);
                sink(Advisory {
                    bulletins,
                    title: title(&self.vulnerability.description),
                    date: date(&self.timestamp),
                    ..advisory
                });
            }
        }
        Ok(())
    }

    /// What is said to be; a notice (`USN-7372-1`) is about the CVEs it also names.
    fn ids(&self) -> Vec<(AdvisoryId, Vec<AdvisoryId>)> {
        let name = &self.vulnerability.name;
        let others =
            self.vulnerability.aliases.iter().filter_map(|alias| alias.parse().ok()).filter(AdvisoryId::is_cve);
        let cves: Vec<AdvisoryId> = others.collect();
        match name.is_cve() || cves.is_empty() {
            true => vec![(name.clone(), Vec::new())],
            false => cves.into_iter().map(|cve| (cve, vec![name.clone()])).collect(),
        }
    }

    /// What is still looked into counts as not fixed: it is not known to be safe.
    fn status(&self, platform: &platform::Platform, version: &str) -> Result<Status, String> {
        let given_up = ["ignored", "end of life", "will not"].iter().any(|mark| self.action_statement.contains(mark));
        match self.status.as_str() {
            "affected" if given_up => Ok(Status::up_to(End::WillNotFix)),
            "affected" | "under_investigation" => Ok(Status::up_to(End::NotFixed)),
            "fixed" => Ok(Status::up_to(platform.fixed(debian::version(version)?))),
            "not_affected" => Ok(Status::NotAffected),
            other => Err(format!("status {other:?} is none of affected, fixed, not_affected and under_investigation")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shown(status: &str, product: &str) -> Result<Vec<String>, AdvisoryError> {
        let text = format!(
            r#"{{"metadata": {{"@context": "https://openvex.dev/ns/v0.2.0"}}, "statements": [{{"vulnerability": {{"name": "USN-1-1",
            "aliases": ["CVE-2024-1001"]}}, "timestamp": "2025-03-26 02:44:10", "products": [{{"@id": "{product}"}}], "status": "{status}"}}]}}"#
        );
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |a| found.push(format!("{} {} {} {:?}", a.scope, a.id, a.package, a.status)))?;
        Ok(found)
    }

    #[test]
    fn every_status_of_a_source_package() {
        let curl = "pkg:deb/ubuntu/curl@7.81.0-1ubuntu1.20?arch=source&distro=jammy";
        for (status, expected) in [
            ("fixed", "Affected([Range { from: None, end: Fixed(\"7.81.0-1ubuntu1.20\") }])"),
            ("affected", "Affected([Range { from: None, end: NotFixed }])"),
            ("under_investigation", "Affected([Range { from: None, end: NotFixed }])"),
            ("not_affected", "NotAffected"),
        ] {
            assert_eq!(shown(status, curl).unwrap(), [format!("ubuntu 22.04 CVE-2024-1001 curl {expected}")]);
        }
        assert!(shown("maybe", curl).unwrap_err().to_string().contains("document 1: status \"maybe\""));
    }

    #[test]
    fn archives_of_ubuntu_pro_have_the_fix_elsewhere() {
        let found = shown("fixed", "pkg:deb/ubuntu/a@1%2Besm1?arch=source&distro=esm-apps/bionic").unwrap();
        assert_eq!(
            found,
            ["ubuntu 18.04 CVE-2024-1001 a Affected([Range { from: None, end: FixedElsewhere(\"1+esm1\") }])"]
        );
        for other in
            ["pkg:deb/ubuntu/a@1?arch=amd64&distro=bionic", "pkg:npm/a@1", "x", "pkg:deb/ubuntu/a@1?arch=source"]
        {
            assert_eq!(shown("fixed", other).unwrap(), [""; 0], "{other}");
        }
    }
}
