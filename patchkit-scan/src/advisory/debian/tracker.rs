//! The security tracker's JSON: for each source package and CVE, how it stands in each release.

use std::{collections::BTreeMap, fmt, io::Read};

use patchkit_core::{AdvisoryId, PackageName};
use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor},
};

use super::{TRACKER, urgency, version};
use crate::advisory::{Advisory, AdvisoryError, End, Scope, Status, budget::Budget, json, title};

/// Reads the document piece by piece and gives out an advisory for each release of each CVE of each package.
///
/// # Errors
/// [`AdvisoryError`] with the line.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    json::document(input, |budget| Packages { sink, budget })
}

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    description: String,
    releases: BTreeMap<String, Release>,
}

#[derive(Deserialize)]
struct Release {
    status: String,
    #[serde(default)]
    fixed_version: Option<String>,
    #[serde(default)]
    urgency: String,
    #[serde(default)]
    nodsa_reason: Option<String>,
}

struct Packages<'a> {
    sink: &'a mut dyn FnMut(Advisory),
    budget: Budget,
}

impl<'de> DeserializeSeed<'de> for Packages<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Packages<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of source packages")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut packages: A) -> Result<(), A::Error> {
        while let Some(package) = packages.next_key::<PackageName>()? {
            packages.next_value_seed(Issues { package, sink: &mut *self.sink, budget: &self.budget })?;
        }
        Ok(())
    }
}

struct Issues<'a> {
    package: PackageName,
    sink: &'a mut dyn FnMut(Advisory),
    budget: &'a Budget,
}

impl<'de> DeserializeSeed<'de> for Issues<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Issues<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of the CVEs of {}", self.package)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut issues: A) -> Result<(), A::Error> {
        while let Some((id, issue)) = issues.next_entry::<AdvisoryId, Issue>()? {
            self.budget.renew();
            for (codename, release) in &issue.releases {
                let status = release.status().map_err(|message| {
                    A::Error::custom(format_args!("{id} in {} of {codename}: {message}", self.package))
                })?;
                let scope = Scope::new("debian", Some(codename));
                (self.sink)(Advisory {
                    urgency: urgency(&release.urgency),
                    title: title(&issue.description),
                    ..Advisory::new(id.clone(), scope, self.package.clone(), status, TRACKER)
                });
            }
        }
        Ok(())
    }
}

impl Release {
    /// How the release stands. Version 0 is the tracker's way to say that no version ever had it; what it could not
    /// determine is not taken for safe.
    fn status(&self) -> Result<Status, String> {
        match (self.status.as_str(), self.fixed_version.as_deref()) {
            ("resolved", Some("0")) => Ok(Status::NotAffected),
            ("resolved", Some(fixed)) => Ok(Status::up_to(End::Fixed(version(fixed)?))),
            ("resolved", None) => Err("it is resolved without a version".into()),
            ("open" | "undetermined", _) if self.is_given_up() => Ok(Status::up_to(End::WillNotFix)),
            ("open" | "undetermined", _) => Ok(Status::up_to(End::NotFixed)),
            (other, _) => Err(format!("status {other:?} is none of open, resolved and undetermined")),
        }
    }

    fn is_given_up(&self) -> bool {
        self.nodsa_reason.as_deref() == Some("ignored") || self.urgency == "end-of-life"
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use patchkit_core::Severity;

    use super::*;

    fn parse(text: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    #[test]
    fn every_state_of_a_release() {
        for (release, status, severity) in [
            (
                r#""status": "resolved", "fixed_version": "1.2-3", "urgency": "low**""#,
                End::Fixed("1.2-3".into()),
                Severity::Low,
            ),
            (r#""status": "open", "urgency": "not yet assigned""#, End::NotFixed, Severity::Unknown),
            (
                r#""status": "open", "urgency": "unimportant", "nodsa": "Minor", "nodsa_reason": """#,
                End::NotFixed,
                Severity::Negligible,
            ),
            (
                r#""status": "open", "urgency": "high", "nodsa": "Minor", "nodsa_reason": "postponed""#,
                End::NotFixed,
                Severity::High,
            ),
            (
                r#""status": "open", "urgency": "medium", "nodsa": "Minor", "nodsa_reason": "ignored""#,
                End::WillNotFix,
                Severity::Medium,
            ),
            (r#""status": "open", "urgency": "end-of-life""#, End::WillNotFix, Severity::Unknown),
            (r#""status": "undetermined", "urgency": "not yet assigned""#, End::NotFixed, Severity::Unknown),
        ] {
            let text = format!(r#"{{"curl": {{"CVE-2024-1234": {{"releases": {{"bullseye": {{{release}}}}}}}}}}}"#);
            let found = parse(&text).unwrap();
            assert_eq!((&found[0].status, found[0].urgency), (&Status::up_to(status), severity), "{release}");
        }
        let text =
            r#"{"a": {"TEMP-0000000-0CA7E3": {"releases": {"sid": {"status": "resolved", "fixed_version": "0"}}}}}"#;
        assert_eq!(parse(text).unwrap()[0].status, Status::NotAffected);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let error = parse("{\"curl\":\n{\"CVE-2024-1234\": {\"releases\": {\"bullseye\": {\"status\": \"new\"}}}}}")
            .unwrap_err();
        assert_eq!(error.line(), Some(2));
        assert!(error.to_string().contains("CVE-2024-1234 in curl of bullseye: status \"new\""), "{error}");
        assert!(parse("{\"curl\": {}} x").is_err());
        assert!(parse("{\"curl\": {").is_err());
    }
}
