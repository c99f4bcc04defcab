//! SARIF 2.1.0: the results of Trivy, Grype and ourselves.
//!
//! The format knows of rules and places in files, not of packages: package, version and fix are what the tools write
//! into their messages as `Name: value` lines. Without our own properties there is no purl, so it is made of the name,
//! with the type `generic` where the tool does not tell the type.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use patchkit_core::{Finding, FixState, Purl, Suppressed};
use serde::Deserialize;
use serde_json::Value;

use super::{ForeignFormat, ForeignReport, ReportError, grype, json, nullable};
use crate::report::foreign::{Collector, closest_fix, severity};

#[derive(Deserialize)]
struct Log {
    #[serde(default)]
    version: String,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    tool: Tool,
    #[serde(default, deserialize_with = "nullable")]
    results: Vec<Outcome>,
    #[serde(default, deserialize_with = "nullable")]
    properties: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
struct Tool {
    driver: Driver,
}

#[derive(Deserialize)]
struct Driver {
    #[serde(default)]
    name: String,
    #[serde(default)]
    version: String,
    #[serde(default, deserialize_with = "nullable")]
    rules: Vec<Rule>,
}

#[derive(Default, Deserialize)]
struct Rule {
    #[serde(default)]
    id: String,
    #[serde(default)]
    help: Text,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Text {
    text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    #[serde(default)]
    rule_id: String,
    #[serde(default)]
    message: Text,
    #[serde(default, deserialize_with = "nullable")]
    properties: BTreeMap<String, Value>,
}

pub(super) fn read(bytes: &[u8]) -> Result<ForeignReport, ReportError> {
    let format = ForeignFormat::Sarif;
    let log: Log = json(format, bytes)?;
    if !log.version.starts_with("2.") {
        return Err(ReportError::UnknownVersion { format, version: log.version });
    }
    let mut collector = Collector::new(format);
    let mut outside = 0;
    for run in &log.runs {
        run.subject(&mut collector);
        let rules = run.tool.driver.rules.iter().map(|rule| (rule.id.as_str(), Told::by(&rule.help.text)));
        let rules: HashMap<_, _> = rules.collect();
        for outcome in &run.results {
            let rule = rules.get(outcome.rule_id.as_str());
            outside += usize::from(!outcome.take(&mut collector, rule, &run.tool.driver.name));
        }
    }
    if outside > 0 {
        collector.warn(format!("{outside} results are not about packages"));
    }
    Ok(collector.finish())
}

impl Run {
    /// What the run is about, in Trivy's properties or ours.
    fn subject(&self, collector: &mut Collector) {
        let Driver { name, version, .. } = &self.tool.driver;
        let text = |name: &str| self.properties.get(name).and_then(Value::as_str);
        let found = collector.report();
        found.tool = Some(format!("{name} {version}").trim().to_owned());
        found.subject.name = text("imageName").map(Into::into);
        found.subject.config = text("imageID").and_then(|id| id.parse().ok());
        found.subject.manifest = text("imageDigest").and_then(|digest| digest.parse().ok());
        let digests = self.properties.get("repoDigests").and_then(Value::as_array).into_iter().flatten();
        let digests = digests.filter_map(|name| name.as_str()?.rsplit_once('@')?.1.parse().ok());
        found.subject.repository_digests = digests.collect();
        let distribution = self.properties.get("distribution").cloned();
        found.distribution = distribution.and_then(|value| serde_json::from_value(value).ok());
    }
}

/// What a text says in its lines.
#[derive(Default)]
struct Told<'a> {
    /// The lines `Name: value`; the first of a name counts.
    fields: BTreeMap<&'a str, &'a str>,
    /// The id in the line `Vulnerability CVE-…`.
    vulnerability: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn by(text: &'a str) -> Self {
        let pairs = text.lines().rev().filter_map(|line| line.split_once(':'));
        let fields = pairs.map(|(name, value)| (name.trim(), value.trim())).collect();
        let vulnerability = text.lines().find_map(|line| line.strip_prefix("Vulnerability ")).map(str::trim);
        Self { fields, vulnerability: vulnerability.filter(|id| !id.contains(' ')) }
    }

    fn field(&self, names: &[&str]) -> Option<&'a str> {
        names.iter().find_map(|name| self.fields.get(name)).copied().filter(|value| !value.is_empty())
    }
}

impl Outcome {
    /// Takes a result over; says whether it is about a package.
    fn take(&self, collector: &mut Collector, rule: Option<&Told<'_>>, tool: &str) -> bool {
        let own = |name: &str| self.properties.get(name).cloned();
        if let Some(finding) = own("finding").and_then(|value| serde_json::from_value::<Finding>(value).ok()) {
            match own("suppressed").and_then(|value| serde_json::from_value(value).ok()) {
                Some(Dropped { by, reason, source, until }) => {
                    collector.suppressed(Suppressed { finding, by, reason, source, until });
                }
                None => collector.finding(finding),
            }
            return true;
        }
        let message = Told::by(&self.message.text);
        let field = |names: &[&str]| message.field(names).or_else(|| rule?.field(names));
        let Some((package, version)) = field(&["Package"]).zip(field(&["Installed Version", "Version"])) else {
            return false;
        };
        let kind = grype::purl_type(field(&["Type"]).unwrap_or_default());
        let Some(found) = collector.named(kind, package, version) else { return true };
        // Grype's rules have the package's name in theirs, but the help starts with the vulnerability's alone.
        let id = rule.and_then(|rule| rule.vulnerability).or(message.vulnerability).unwrap_or(&self.rule_id);
        let Some(id) = collector.id(id) else { return true };
        let fixed = field(&["Fixed Version", "Fix Version"]);
        let fix = fixed.and_then(|versions| closest_fix(&found.version, versions)).unwrap_or(FixState::NotFixed);
        let severity = severity(field(&["Severity"]).unwrap_or_default());
        let purl: Purl = found.purl.clone();
        collector.package(found);
        collector.finding(Finding::new(id, purl, severity, fix, tool.to_ascii_lowercase()));
        true
    }
}

/// Why a result does not count.
#[derive(Deserialize)]
struct Dropped {
    by: String,
    reason: String,
    source: String,
    #[serde(default)]
    until: Option<Timestamp>,
}
