//! The Open Source Vulnerability format, schema 1.x: one document, several in a row, or one a line.
//!
//! Source: the OSV schema. Of a package's ranges, those of type `ECOSYSTEM` and `SEMVER` are read; the list of versions
//! only where there is no such range, since it only spells a range out. Withdrawn records are passed over, and notices
//! of RustSec's that are about no vulnerability. The modules of rpm distributions, which the format has no field for, are
//! taken from the summary.

use std::{io::Read, sync::Arc};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, CvssScore, PackageName, Severity};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::{Map, Value};

use super::{
    Advisory, AdvisoryError, AdvisoryErrorKind, End, Range, Scope, Status,
    budget::check_pairs,
    debian, json,
    platform::{self, Fixes, Platform},
    rating::{cvss, severity_of_scores, severity_of_word, sorted},
    rpm::{stream_in_title, without_zero_epoch},
    title,
};

/// The name of the source.
pub const SOURCE: &str = "osv";

/// The distributions of the format, with their ids as in os-release(5): their records name CVEs as `upstream` or
/// `related`, and their packages are source packages.
const DISTRIBUTIONS: [(&str, &str); 17] = [
    ("AlmaLinux", "almalinux"),
    ("Alpaquita", "alpaquita"),
    ("Alpine", "alpine"),
    ("Azure Linux", "azurelinux"),
    ("Chainguard", "chainguard"),
    ("Debian", "debian"),
    ("Echo", "echo"),
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

#[derive(Deserialize)]
struct Record {
    #[serde(deserialize_with = "id")]
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
    #[serde(default)]
    database_specific: Option<Map<String, Value>>,
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

/// A record's id, in which blanks, that a feed of SUSE's has, are dashes.
fn id<'de, D: Deserializer<'de>>(reader: D) -> Result<AdvisoryId, D::Error> {
    let text = String::deserialize(reader)?;
    text.replace(' ', "-").parse().map_err(D::Error::custom)
}

impl Record {
    fn give(&self, sink: &mut dyn FnMut(Advisory)) -> Result<(), String> {
        // What a kernel is patched with while it runs is no version of a package.
        if self.withdrawn.is_some() || self.id.as_str().starts_with("LSN-") {
            return Ok(());
        }
        check_pairs(self.upstream.len().max(self.aliases.len()).max(self.related.len()), self.affected.len())?;
        let date = self.published.as_deref().and_then(|text| text.get(..10)?.parse::<Date>().ok());
        let title = title(&self.summary).or_else(|| title(&self.details));
        for affected in self.affected.iter().filter(|affected| !affected.only_informs()) {
            let Some(package) = &affected.package else { continue };
            let Some(ecosystem) = Ecosystem::parse(&package.ecosystem) else { continue };
            let Some(status) = affected.status(&ecosystem)? else { continue };
            let module = status.versions().find_map(|version| stream_in_title(&self.summary, version));
            let scores = affected.scores(&self.severity);
            let severity = match severity_of_scores(&scores) {
                Severity::Unknown => word(self.database_specific.as_ref(), "severity"),
                known => known,
            };
            let urgency = match affected.urgency(&self.severity) {
                Severity::Unknown if ecosystem.is_distribution => self.urgency(),
                own => own,
            };
            for naming in self.namings(ecosystem.is_distribution) {
                sink(Advisory {
                    aliases: naming.aliases,
                    bulletins: naming.bulletins,
                    urgency,
                    severity,
                    cvss: scores.clone(),
                    module: module.clone(),
                    symbols: affected.symbols(),
                    title: title.clone(),
                    date,
                    ..Advisory::new(naming.id, ecosystem.scope.clone(), package.name.clone(), status.clone(), SOURCE)
                });
            }
        }
        Ok(())
    }

    /// The word that a summary starts with: `Important: nodejs:18 security update`.
    fn urgency(&self) -> Severity {
        self.summary.split_once(": ").map(|(word, _)| severity_of_word(word)).unwrap_or_default()
    }

    /// Whether it is a distribution's announcement that fixes something other than a vulnerability: `ALBA-…`, `RHEA-…`.
    fn is_maintenance(&self) -> bool {
        let kind = self.id.as_str().split('-').next().unwrap_or_default();
        matches!(kind, "ALBA" | "ALEA" | "RHBA" | "RHEA" | "RLBA" | "RLEA")
    }

    /// What the record is about. A distribution's record is an announcement about one or more CVEs, unless it has the
    /// name of one; any other one is about one vulnerability under several names.
    fn namings(&self, is_distribution: bool) -> Vec<Naming> {
        let cves = |ids: &[AdvisoryId]| ids.iter().filter(|id| id.is_cve()).cloned().collect::<Vec<_>>();
        let lists = [&self.upstream, &self.aliases, &self.related];
        let named = lists.into_iter().map(|list| cves(list)).find(|cves| !cves.is_empty()).unwrap_or_default();
        if is_distribution && !self.id.is_cve() && !named.is_empty() {
            return named.into_iter().map(|id| self.announced(id)).collect();
        }
        if is_distribution && self.is_maintenance() {
            return Vec::new();
        }
        let id = Some(&self.id).filter(|id| id.is_cve()).or_else(|| self.aliases.iter().find(|id| id.is_cve()));
        let id = id.unwrap_or(&self.id).clone();
        let names = [&self.id].into_iter().chain(&self.aliases);
        let aliases = names.filter(|name| **name != id).cloned().collect();
        vec![Naming { id, aliases, bulletins: vec![] }]
    }

    /// A CVE that the record announces, unless the record is only what a database calls the CVE: `UBUNTU-CVE-2024-1`.
    fn announced(&self, id: AdvisoryId) -> Naming {
        let is_name = self.id.as_str().ends_with(id.as_str());
        Naming { aliases: vec![], bulletins: if is_name { vec![] } else { vec![self.id.clone()] }, id }
    }
}

impl Affected {
    fn status(&self, ecosystem: &Ecosystem) -> Result<Option<Status>, String> {
        let given_up =
            self.ecosystem_specific.as_ref().and_then(|map| map.get("urgency")?.as_str()) == Some("end-of-life");
        let open = if given_up { End::WillNotFix } else { End::NotFixed };
        let mut ranges = Vec::new();
        for events in self.ranges.iter().filter(|range| matches!(range.kind.as_str(), "ECOSYSTEM" | "SEMVER")) {
            events.ranges(&open, ecosystem, &mut ranges)?;
        }
        if ranges.is_empty() {
            let versions = self.versions.iter().map(|version| ecosystem.version(version));
            for version in versions {
                let version = version?;
                ranges.push(Range { from: Some(version.clone()), end: End::Last(version) });
            }
        }
        Ok(Some(Status::Affected(ranges)).filter(|status| *status != Status::Affected(vec![])))
    }

    /// Whether it is a notice of RustSec's: `unmaintained`, `unsound`.
    fn only_informs(&self) -> bool {
        self.database_specific.as_ref().and_then(|map| map.get("informational")).is_some_and(Value::is_string)
    }

    /// How bad the vendor finds it, whose own word may stand as a severity of its own kind: `Ubuntu`.
    fn urgency(&self, general: &[Score]) -> Severity {
        let map = self.ecosystem_specific.as_ref();
        let of_debian = map.and_then(|map| map.get("urgency")?.as_str()).map(debian::urgency);
        let scores = self.severity.iter().chain(general).filter(|score| !score.kind.starts_with("CVSS"));
        let words = scores.map(|score| severity_of_word(&score.score));
        let all = of_debian.into_iter().chain([word(map, "severity"), word(map, "ubuntu_priority")]).chain(words);
        all.into_iter().find(|severity| *severity != Severity::Unknown).unwrap_or_default()
    }

    /// The vectors of the package and of the record.
    fn scores(&self, general: &[Score]) -> Vec<CvssScore> {
        let scores = self.severity.iter().chain(general).filter(|score| score.kind.starts_with("CVSS"));
        sorted(scores.filter_map(|score| cvss(&score.score)))
    }

    /// The functions that have it: Go's `imports` with their symbols, RustSec's `affects.functions`.
    fn symbols(&self) -> Vec<Arc<str>> {
        let Some(map) = &self.ecosystem_specific else { return Vec::new() };
        let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
        let mut symbols = Vec::new();
        for import in list(map.get("imports")) {
            let Some(path) = import.get("path").and_then(Value::as_str) else { continue };
            let names = list(import.get("symbols"));
            symbols.extend(names.iter().filter_map(Value::as_str).map(|name| format!("{path}.{name}").into()));
        }
        let functions = list(map.get("affects").and_then(|affects| affects.get("functions")));
        symbols.extend(functions.iter().filter_map(Value::as_str).map(Arc::from));
        symbols.sort();
        symbols.dedup();
        symbols
    }
}

impl Events {
    /// The ranges that the events delimit, which come in the order of versions.
    fn ranges(&self, open: &End, ecosystem: &Ecosystem, found: &mut Vec<Range>) -> Result<(), String> {
        let mut from: Option<Option<Arc<str>>> = None;
        for event in &self.events {
            if let Some(version) = &event.introduced {
                let version = if version == "0" { None } else { Some(ecosystem.version(version)?) };
                from.get_or_insert(version);
            }
            let fixed =
                event.fixed.as_deref().map(|version| Ok::<_, String>(ecosystem.fixed(ecosystem.version(version)?)));
            let last = event.last_affected.as_deref().map(|version| Ok(End::Last(ecosystem.version(version)?)));
            if let Some(end) = fixed.or(last).transpose()? {
                let from = from.take().ok_or("a range ends that was not introduced")?;
                found.push(Range { from, end });
            }
        }
        found.extend(from.map(|from| Range { from, end: open.clone() }));
        Ok(())
    }
}

/// What an ecosystem's name means: `Debian:11`, `Alpine:v3.20`, `Red Hat:enterprise_linux:9::baseos`, `PyPI`.
struct Ecosystem {
    scope: Scope,
    fixes: Fixes,
    is_distribution: bool,
}

impl Ecosystem {
    /// `None` where it is a product that is no distribution's release.
    fn parse(name: &str) -> Option<Self> {
        let (kind, release) = match name.split_once(':') {
            Some((kind, release)) => (kind, Some(release)),
            None => (name, None),
        };
        let Some((_, id)) = DISTRIBUTIONS.iter().find(|(known, _)| *known == kind) else {
            return Some(Self { scope: Scope::new(name, None), fixes: Fixes::ForAll, is_distribution: false });
        };
        if let (Some(release), "Red Hat" | "SUSE" | "Ubuntu" | "openSUSE") = (release, kind) {
            let Platform { scope, fixes } = platform::of_osv(kind, release)?;
            return Some(Self { scope, fixes, is_distribution: true });
        }
        let release = release.map(|release| release.strip_prefix('v').unwrap_or(release));
        Some(Self { scope: Scope::new(id, release), fixes: Fixes::ForAll, is_distribution: true })
    }

    fn fixed(&self, version: Arc<str>) -> End {
        Platform { scope: self.scope.clone(), fixes: self.fixes }.fixed(version)
    }

    /// A version, checked where its order can fail; without an epoch that is zero.
    fn version(&self, text: &str) -> Result<Arc<str>, String> {
        match self.scope.ecosystem() {
            "debian" | "ubuntu" => debian::version(text),
            _ if self.is_distribution => Ok(without_zero_epoch(text).into()),
            _ => Ok(text.into()),
        }
    }
}

/// A word of a map as a severity.
fn word(map: Option<&Map<String, Value>>, key: &str) -> Severity {
    map.and_then(|map| map.get(key)?.as_str()).map(severity_of_word).unwrap_or_default()
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
        let maintenance = r#"{"id": "ALBA-2022:1", "affected": [{"package": {"ecosystem": "AlmaLinux:9", "name": "x"}, "versions": ["1"]}]}"#;
        assert!(parse(maintenance).unwrap().is_empty());
        assert_eq!(record("PYSEC-1", "PyPI"), [("CVE-2024-1001".into(), 2, 0)]);
        assert_eq!(record("CVE-2024-7777", "Alpine:v3.20"), [("CVE-2024-7777".into(), 2, 0)]);
        assert_eq!(record("UBUNTU-CVE-2024-1001", "Ubuntu:22.04:LTS"), [("CVE-2024-1001".into(), 0, 0)]);
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
            ("SUSE:Linux Enterprise Server 15 SP4", "sles 15.4", true),
            ("openSUSE:Leap 15.5", "opensuse-leap 15.5", true),
            ("Rocky Linux:9", "rocky 9", true),
            ("AlmaLinux:8", "almalinux 8", true),
            ("crates.io", "crates.io", false),
        ] {
            let found = Ecosystem::parse(ecosystem).unwrap();
            assert_eq!((found.scope.to_string().as_str(), found.is_distribution), (shown, distribution));
        }
    }

    #[test]
    fn products_beside_a_release_are_passed_over() {
        for ecosystem in ["Red Hat:rhel_eus:9.2::appstream", "SUSE:Package Hub 12", "Ubuntu:Pro:FIPS:22.04:LTS"] {
            assert!(Ecosystem::parse(ecosystem).is_none(), "{ecosystem}");
        }
        let pro = Ecosystem::parse("Ubuntu:Pro:18.04:LTS").unwrap();
        assert_eq!(pro.fixed("1-1".into()), End::FixedElsewhere("1-1".into()));
    }

    #[test]
    fn what_a_package_says_is_kept() {
        let one = |text: &str| parse(text).unwrap().into_iter().next();
        let go = one(
            r#"{"id": "GO-1", "severity": [{"type": "Ubuntu", "score": "low"}, {"type": "CVSS_V2", "score": "AV:N/AC:L/Au:N/C:N/I:N/A:C"}],
            "affected": [{"package": {"ecosystem": "Go", "name": "stdlib"}, "versions": ["1"], "ecosystem_specific": {"imports": [
                {"path": "net/http", "symbols": ["Serve", "Client.Do"]}, {"path": "os"}]}}]}"#,
        )
        .unwrap();
        assert_eq!(go.symbols, ["net/http.Client.Do".into(), "net/http.Serve".into()]);
        assert_eq!((go.urgency, go.severity, go.cvss[0].tenths), (Severity::Low, Severity::High, 78));
        let rust = |informational: &str| {
            one(&format!(
                r#"{{"id": "RUSTSEC-1", "affected": [{{"package": {{"ecosystem": "crates.io", "name": "a"}}, "versions": ["1"],
                "database_specific": {{"informational": {informational}}}, "ecosystem_specific": {{"affects": {{"functions": ["a::b"]}}}}}}]}}"#
            ))
        };
        assert_eq!(rust("\"unsound\""), None);
        assert_eq!(rust("null").unwrap().symbols, ["a::b".into()]);
        let alma = one(
            r#"{"id": "ALSA-1", "summary": "Important: nodejs:18 security update", "related": ["CVE-2024-1001"], "affected": [
            {"package": {"ecosystem": "AlmaLinux:9", "name": "npm"}, "ranges": [{"type": "ECOSYSTEM", "events":
                [{"introduced": "0"}, {"fixed": "0:9.6-1.module_el9.2.0+36"}]}]}]}"#,
        )
        .unwrap();
        assert_eq!((alma.module.as_deref(), alma.urgency), (Some("nodejs:18"), Severity::High));
        assert_eq!(alma.status, Status::up_to(End::Fixed("9.6-1.module_el9.2.0+36".into())));
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
