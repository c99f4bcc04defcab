//! The Open Source Vulnerability format, schema 1.x: one document, several in a row, or one a line.
//!
//! Source: the OSV schema. Of a package's ranges, those of type `ECOSYSTEM` and `SEMVER` are read; the list of versions
//! only where there is no such range, since it only spells a range out. Withdrawn records are passed over.

use std::{io::Read, sync::Arc};

use cvss::Cvss;
use jiff::civil::Date;
use patchkit_core::{AdvisoryId, PackageName, Severity};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Advisory, AdvisoryError, AdvisoryErrorKind, End, Range, Scope, Status, debian, json, title};

/// The name of the source.
pub const SOURCE: &str = "osv";

/// The distributions of the format, with their ids as in os-release(5): their records name CVEs as `upstream` or
/// `related`, and their packages are source packages.
const DISTRIBUTIONS: [(&str, &str); 16] = [
    ("AlmaLinux", "almalinux"),
    ("Alpaquita", "alpaquita"),
    ("Alpine", "alpine"),
    ("Azure Linux", "azurelinux"),
    ("Chainguard", "chainguard"),
    ("Debian", "debian"),
    ("Mageia", "mageia"),
    ("MinimOS", "minimos"),
    ("Photon OS", "photon"),
    ("Red Hat", "rhel"),
    ("Rocky Linux", "rocky"),
    ("SUSE", "sles"),
    ("Ubuntu", "ubuntu"),
    ("Wolfi", "wolfi"),
    ("openEuler", "openeuler"),
    ("openSUSE", "opensuse"),
];

/// Reads records and gives out an advisory for each vulnerability in each affected package.
///
/// # Errors
/// [`AdvisoryError`] with the line, or naming the record by its number and id.
pub fn read(input: impl Read, sink: &mut dyn FnMut(Advisory)) -> Result<(), AdvisoryError> {
    json::documents(input, |number, record: Record| {
        record.give(sink).map_err(|message| {
            let message = format!("record {number}, {}: {message}", record.id);
            AdvisoryError::new(None, AdvisoryErrorKind::Syntax(message))
        })
    })
}

/// The severity of a CVSS score, by the qualitative scale of CVSS 3 and 4.
#[must_use]
pub fn severity_of_score(score: f64) -> Severity {
    match score {
        s if s >= 9.0 => Severity::Critical,
        s if s >= 7.0 => Severity::High,
        s if s >= 4.0 => Severity::Medium,
        s if s > 0.0 => Severity::Low,
        _ => Severity::Unknown,
    }
}

#[derive(Deserialize)]
struct Record {
    id: AdvisoryId,
    #[serde(default)]
    published: Option<String>,
    #[serde(default)]
    withdrawn: Option<String>,
    #[serde(default)]
    aliases: Vec<AdvisoryId>,
    #[serde(default)]
    related: Vec<AdvisoryId>,
    #[serde(default)]
    upstream: Vec<AdvisoryId>,
    #[serde(default)]
    summary: String,
    #[serde(default)]
    details: String,
    #[serde(default)]
    severity: Vec<Score>,
    #[serde(default)]
    affected: Vec<Affected>,
    #[serde(default)]
    database_specific: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Score {
    #[serde(rename = "type")]
    kind: String,
    score: String,
}

#[derive(Deserialize)]
struct Affected {
    #[serde(default)]
    package: Option<Package>,
    #[serde(default)]
    ranges: Vec<Events>,
    #[serde(default)]
    versions: Vec<String>,
    #[serde(default)]
    severity: Vec<Score>,
    #[serde(default)]
    ecosystem_specific: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
struct Package {
    ecosystem: String,
    name: PackageName,
}

#[derive(Deserialize)]
struct Events {
    #[serde(rename = "type")]
    kind: String,
    events: Vec<Event>,
}

/// One or more bounds; a `limit` only narrows where others search, and is not read.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    introduced: Option<String>,
    #[serde(default)]
    fixed: Option<String>,
    #[serde(default)]
    last_affected: Option<String>,
}

/// A vulnerability that a record speaks of, and how it names it.
struct Naming {
    id: AdvisoryId,
    aliases: Vec<AdvisoryId>,
    bulletins: Vec<AdvisoryId>,
}

impl Record {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        if self.withdrawn.is_some() {
            return Ok(());
        }
        let date = self.published.as_deref().and_then(|text| text.get(..10)?.parse::<Date>().ok());
        let title = title(&self.summary).or_else(|| title(&self.details));
        for affected in &self.affected {
            let Some(package) = &affected.package else { continue };
            let (scope, is_distribution) = scope(&package.ecosystem);
            let Some(status) = affected.status()? else { continue };
            if scope.ecosystem() == "debian" {
                status.versions().try_for_each(|version| debian::version(version).map(drop))?;
            }
            for naming in self.namings(is_distribution) {
                let (scope, status) = (scope.clone(), status.clone());
                sink(Advisory {
                    aliases: naming.aliases,
                    bulletins: naming.bulletins,
                    urgency: affected.urgency(),
                    severity: self.severity(affected),
                    title: title.clone(),
                    date,
                    ..Advisory::new(naming.id, scope, package.name.clone(), status, SOURCE)
                });
            }
        }
        Ok(())
    }

    /// What the record is about. A distribution's record is an announcement about one or more CVEs; any other one is
    /// about one vulnerability under several names.
    fn namings(&self, is_distribution: bool) -> Vec<Naming> {
        let cves = |ids: &[AdvisoryId]| ids.iter().filter(|id| id.is_cve()).cloned().collect::<Vec<_>>();
        let lists = [&self.upstream, &self.aliases, &self.related];
        let named = lists.into_iter().map(|list| cves(list)).find(|cves| !cves.is_empty()).unwrap_or_default();
        if is_distribution && !named.is_empty() {
            let bulletin = |id: AdvisoryId| Naming { id, aliases: vec![], bulletins: vec![self.id.clone()] };
            return named.into_iter().map(bulletin).collect();
        }
        let id = Some(&self.id).filter(|id| id.is_cve()).or_else(|| self.aliases.iter().find(|id| id.is_cve()));
        let id = id.unwrap_or(&self.id).clone();
        let names = [&self.id].into_iter().chain(&self.aliases);
        let aliases = names.filter(|name| **name != id).cloned().collect();
        vec![Naming { id, aliases, bulletins: vec![] }]
    }

    /// The severity by the package's or the record's highest CVSS score, else by the word of its database.
    fn severity(&self, affected: &Affected) -> Severity {
        let scores = affected.severity.iter().chain(&self.severity);
        let scored = scores.filter_map(Score::severity).max();
        scored.or_else(|| word(self.database_specific.as_ref(), "severity")).unwrap_or_default()
    }
}

impl Score {
    /// The severity of the vector, where it is one.
    fn severity(&self) -> Option<Severity> {
        if !self.kind.starts_with("CVSS") {
            return self.score.parse().ok();
        }
        // Version 2 vectors have no prefix.
        let vector: Cvss = self.score.parse().ok()?;
        Some(severity_of_score(vector.score())).filter(|severity| *severity != Severity::Unknown)
    }
}

impl Affected {
    fn status(&self) -> Result<Option<Status>, String> {
        let given_up =
            self.ecosystem_specific.as_ref().and_then(|map| map.get("urgency")?.as_str()) == Some("end-of-life");
        let open = if given_up { End::WillNotFix } else { End::NotFixed };
        let mut ranges = Vec::new();
        for events in self.ranges.iter().filter(|range| matches!(range.kind.as_str(), "ECOSYSTEM" | "SEMVER")) {
            events.ranges(&open, &mut ranges)?;
        }
        if ranges.is_empty() {
            let versions = self.versions.iter().map(|version| Arc::from(version.as_str()));
            ranges = versions
                .map(|version: Arc<str>| Range { from: Some(version.clone()), end: End::Last(version) })
                .collect();
        }
        Ok(Some(Status::Affected(ranges)).filter(|status| *status != Status::Affected(vec![])))
    }

    fn urgency(&self) -> Severity {
        let map = self.ecosystem_specific.as_ref();
        let urgency = map.and_then(|map| map.get("urgency")?.as_str()).map(debian::urgency);
        urgency.or_else(|| word(map, "severity")).unwrap_or_default()
    }
}

impl Events {
    /// The ranges that the events delimit, which come in the order of versions.
    fn ranges(&self, open: &End, found: &mut Vec<Range>) -> Result<(), String> {
        let mut from: Option<Option<Arc<str>>> = None;
        for event in &self.events {
            if let Some(version) = &event.introduced {
                from.get_or_insert_with(|| Some(version.as_str().into()).filter(|_| version != "0"));
            }
            let fixed = event.fixed.as_deref().map(|version| End::Fixed(version.into()));
            let last = event.last_affected.as_deref().map(|version| End::Last(version.into()));
            if let Some(end) = fixed.or(last) {
                let from = from.take().ok_or("a range ends that was not introduced")?;
                found.push(Range { from, end });
            }
        }
        found.extend(from.map(|from| Range { from, end: open.clone() }));
        Ok(())
    }
}

/// The scope of an ecosystem's name (`Debian:11`, `Alpine:v3.20`, `PyPI`), and whether it is a distribution's.
fn scope(ecosystem: &str) -> (Scope, bool) {
    let (name, release) = match ecosystem.split_once(':') {
        Some((name, release)) => (name, Some(release)),
        None => (ecosystem, None),
    };
    let Some((_, id)) = DISTRIBUTIONS.iter().find(|(known, _)| *known == name) else {
        return (Scope::new(ecosystem, None), false);
    };
    let release = release.map(|release| release.strip_prefix('v').unwrap_or(release).trim_end_matches(":LTS"));
    (Scope::new(id, release), true)
}

fn word(map: Option<&Map<String, Value>>, key: &str) -> Option<Severity> {
    let word = map?.get(key)?.as_str()?;
    match word.to_ascii_lowercase().as_str() {
        "moderate" => Some(Severity::Medium),
        "important" => Some(Severity::High),
        other => other.parse().ok(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Vec<Advisory>, AdvisoryError> {
        let mut found = Vec::new();
        read(text.as_bytes(), &mut |advisory| found.push(advisory)).map(|()| found)
    }

    fn affected(ranges: &str) -> Vec<Range> {
        let package = r#""package": {"ecosystem": "Debian:11", "name": "curl"}"#;
        let found = parse(&format!(r#"{{"id": "DSA-1-1", "affected": [{{{package}, {ranges}}}]}}"#)).unwrap();
        match found.into_iter().next().map(|advisory| advisory.status) {
            Some(Status::Affected(ranges)) => ranges,
            _ => vec![],
        }
    }

    #[test]
    fn events_make_ranges() {
        let from = |from: &str, end| Range { from: Some(from.into()), end };
        for (events, expected) in [
            (r#"{"introduced": "0"}, {"fixed": "1-2"}"#, vec![Range::up_to(End::Fixed("1-2".into()))]),
            (r#"{"introduced": "0"}"#, vec![Range::up_to(End::NotFixed)]),
            (r#"{"introduced": "1"}, {"last_affected": "2"}"#, vec![from("1", End::Last("2".into()))]),
            (
                r#"{"introduced": "0"}, {"fixed": "1"}, {"introduced": "2"}, {"fixed": "3"}"#,
                vec![Range::up_to(End::Fixed("1".into())), from("2", End::Fixed("3".into()))],
            ),
        ] {
            let ranges = format!(r#""ranges": [{{"type": "ECOSYSTEM", "events": [{events}]}}]"#);
            assert_eq!(affected(&ranges), expected, "{events}");
        }
        assert_eq!(affected(r#""versions": ["1-1"]"#), [from("1-1", End::Last("1-1".into()))]);
        assert!(affected(r#""ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]"#).is_empty());
    }

    #[test]
    fn an_announcement_names_its_cves_and_others_one_vulnerability() {
        let record = |id: &str, ecosystem: &str| {
            let text = format!(
                r#"{{"id": "{id}", "aliases": ["GHSA-1", "CVE-2024-1001"], "related": ["CVE-2024-9999"], "affected":
                [{{"package": {{"ecosystem": "{ecosystem}", "name": "x"}}, "versions": ["1"]}}]}}"#
            );
            let show = |a: Advisory| (a.id.to_string(), a.aliases.len(), a.bulletins.len());
            parse(&text).unwrap().into_iter().map(show).collect::<Vec<_>>()
        };
        assert_eq!(record("DSA-1-1", "Debian:12"), [("CVE-2024-1001".into(), 0, 1)]);
        assert_eq!(record("PYSEC-1", "PyPI"), [("CVE-2024-1001".into(), 2, 0)]);
    }

    #[test]
    fn severity_is_the_score_else_the_databases_word() {
        let of = |fields: &str| {
            let text = format!(
                r#"{{"id": "X-1", {fields}, "affected": [{{"package": {{"ecosystem": "Go", "name": "x"}}, "versions": ["1"]}}]}}"#
            );
            parse(&text).unwrap()[0].severity
        };
        let v3 = r#"{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}"#;
        let v4 = r#"{"type": "CVSS_V4", "score": "CVSS:4.0/AV:L/AC:L/AT:P/PR:L/UI:N/VC:N/VI:N/VA:L/SC:N/SI:N/SA:N"}"#;
        assert_eq!(of(&format!(r#""severity": [{v3}]"#)), Severity::Critical);
        assert_eq!(of(&format!(r#""severity": [{v4}]"#)), Severity::Low);
        assert_eq!(of(r#""severity": [{"type": "Ubuntu", "score": "medium"}]"#), Severity::Medium);
        assert_eq!(of(r#""database_specific": {"severity": "MODERATE"}"#), Severity::Medium);
        assert_eq!(of(r#""severity": [{"type": "CVSS_V3", "score": "nonsense"}]"#), Severity::Unknown);
    }

    #[test]
    fn ecosystems_are_scopes() {
        for (ecosystem, shown, distribution) in [
            ("Debian:11", "debian 11", true),
            ("Debian:6.0", "debian 6", true),
            ("Alpine:v3.20", "alpine 3.20", true),
            ("Ubuntu:22.04:LTS", "ubuntu 22.04", true),
            ("Red Hat:enterprise_linux:9::baseos", "rhel 9", true),
            ("crates.io", "crates.io", false),
        ] {
            let (scope, is_distribution) = scope(ecosystem);
            assert_eq!((scope.to_string().as_str(), is_distribution), (shown, distribution));
        }
    }

    #[test]
    fn withdrawn_records_are_passed_over_and_damage_is_named() {
        let text = r#"{"id": "A-1", "withdrawn": "2024-01-01T00:00:00Z", "affected": [{"package": {"ecosystem": "Go", "name": "x"}, "versions": ["1"]}]}"#;
        assert!(parse(text).unwrap().is_empty());
        let text = r#"{"id": "A-1", "affected": [{"package": {"ecosystem": "Debian:11", "name": "x"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"fixed": "1"}]}]}]}"#;
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains("record 1, A-1: a range ends that was not introduced"), "{error}");
    }
}
