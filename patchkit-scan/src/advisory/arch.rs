//! Arch Linux's security tracker: groups of vulnerabilities in packages, as one JSON array.
//!
//! Arch has no releases. A group's `affected` version is one that has the vulnerability, not the first one: all versions
//! up to the fix are taken to have it. Source: the tracker's JSON.

use std::io::Read;

use patchkit_core::{AdvisoryId, PackageName};
use serde::Deserialize;

use super::{Advisory, AdvisoryError, End, Scope, Status, budget::check_pairs, json, rating::severity_of_word};

/// The name of the source.
pub const SOURCE: &str = "arch-security-tracker";

#[derive(Deserialize)]
struct Group {
    name: AdvisoryId,
    packages: Vec<PackageName>,
    status: String,
    #[serde(default)]
    severity: String,
    #[serde(default)]
    fixed: Option<String>,
    issues: Vec<AdvisoryId>,
    #[serde(default)]
    advisories: Vec<AdvisoryId>,
}

/// Reads the array piece by piece and gives out an advisory for each issue in each package of each group.
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    json::elements(input, "", |_, group: Group| group.give(sink).map_err(|error| format!("{}: {error}", group.name)))
}

impl Group {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        let status = self.status()?;
        check_pairs(self.issues.len(), self.packages.len())?;
        for id in &self.issues {
            for package in &self.packages {
                let scope = Scope::new("arch", None);
                sink(Advisory {
                    bulletins: [&self.name].into_iter().chain(&self.advisories).cloned().collect(),
                    urgency: severity_of_word(&self.severity),
                    ..Advisory::new(id.clone(), scope, package.clone(), status.clone(), SOURCE)
                });
            }
        }
        Ok(())
    }

    /// How the group stands; a fix that is still tested is to be had from the testing repository only.
    fn status(&self) -> Result<Status, String> {
        let fixed = self.fixed.as_deref().filter(|version| !version.is_empty());
        if let Some(bad) = fixed.filter(|version| version.contains(char::is_whitespace)) {
            return Err(format!("version {bad:?} has a space in it"));
        }
        match (self.status.as_str(), fixed) {
            ("Not affected", _) => Ok(Status::NotAffected),
            ("Fixed", Some(version)) => Ok(Status::up_to(End::Fixed(version.into()))),
            ("Fixed", None) => Err("it is fixed without a version".into()),
            ("Testing", Some(version)) => Ok(Status::up_to(End::FixedElsewhere(version.into()))),
            ("Testing" | "Unknown" | "Vulnerable", _) => Ok(Status::up_to(End::NotFixed)),
            (other, _) => {
                Err(format!("status {other:?} is none of Fixed, Not affected, Testing, Unknown and Vulnerable"))
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(status: &str, fixed: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let text = format!(
            r#"[{{"name": "AVG-1", "packages": ["a", "lib32-a"], "status": "{status}", "severity": "High", "affected": "1-1",
            "fixed": {fixed}, "issues": ["CVE-2016-6352"], "advisories": ["ASA-201611-12"]}}]"#
        );
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    #[test]
    fn every_state_of_a_group() {
        for (status, fixed, expected) in [
            ("Fixed", "\"1-2\"", Status::up_to(End::Fixed("1-2".into()))),
            ("Testing", "\"1-2\"", Status::up_to(End::FixedElsewhere("1-2".into()))),
            ("Vulnerable", "null", Status::up_to(End::NotFixed)),
            ("Not affected", "null", Status::NotAffected),
        ] {
            let found = parse(status, fixed).unwrap();
            assert_eq!(found.len(), 2);
            assert_eq!((&found[0].status, found[0].bulletins.len()), (&expected, 2), "{status}");
        }
        assert!(parse("Fixed", "null").unwrap_err().to_string().contains("AVG-1: it is fixed without a version"));
        assert!(parse("New", "null").is_err());
    }
}
