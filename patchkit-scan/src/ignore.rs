//! Rules by which findings do not count: each with an owner, a reason and a day on which it ends.
//!
//! ```yaml
//! rules:
//!   - id: CVE-2023-1234              # * stands for any text; an alias is enough
//!     package: pkg:deb/debian/curl   # any version of it; may be left out where there is an id
//!     owner: web team
//!     reason: only used in the build
//!     expires: 2026-12-31            # the last day on which it applies, in UTC
//! ```
//!
//! What a rule fits is moved to [`suppressed`](patchkit_core::ScanReport::suppressed), with the owner and the reason. A
//! rule that has expired does nothing but warn; so does one that fits nothing, since it may be misspelt.

use std::{fmt, str::FromStr};

use async_trait::async_trait;
use jiff::Timestamp;
use patchkit_core::{
    Context, Digest, Finding, Image, LastDay, Package, Plugin, PluginInfo, Result, ScanReport, Scanner, Suppressed,
};
use serde::Deserialize;
use thiserror::Error;

use crate::{
    PurlPattern,
    purl_pattern::{find, wild},
};

/// Why rules cannot be read: the source names line and column.
#[derive(Debug, Error)]
pub enum RulesError {
    /// It is not the YAML of rules.
    #[error("rules: {0}")]
    Yaml(String),
    /// A rule fits everything, or says not who is answerable or why.
    #[error("rule {number}: {why}")]
    Rule {
        /// Its number, from 1.
        number: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl From<RulesError> for patchkit_core::Error {
    fn from(error: RulesError) -> Self {
        Self::invalid(error.to_string()).during("read ignore rules").because(error)
    }
}

/// A list of rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    rules: Vec<Rule>,
    name: String,
    digest: Digest,
}

/// A rule by which some findings do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The vulnerability's id or alias, where `*` stands for any text; `None` for every one.
    pub id: Option<String>,
    /// The packages; `None` for all.
    pub package: Option<PurlPattern>,
    /// Who answers for it.
    pub owner: String,
    /// Why.
    pub reason: String,
    /// The last day on which it applies.
    pub expires: LastDay,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rules: Vec<RawRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    package: Option<String>,
    owner: String,
    reason: String,
    expires: String,
}

impl FromStr for Rules {
    type Err = RulesError;

    /// Reads rules from YAML.
    fn from_str(text: &str) -> std::result::Result<Self, RulesError> {
        Self::read("ignore rules", text)
    }
}

impl Rules {
    /// Reads rules from YAML; the name is that of the file, for what is suppressed to refer to.
    ///
    /// # Errors
    /// [`RulesError`]: also for an unknown field, a missing owner, reason or day, a rule without id and package.
    pub fn read(name: &str, text: &str) -> std::result::Result<Self, RulesError> {
        let raw: Raw = serde_saphyr::from_str(text).map_err(|error| RulesError::Yaml(error.to_string()))?;
        let rules = raw
            .rules
            .into_iter()
            .enumerate()
            .map(|(n, raw)| raw.rule().map_err(|why| RulesError::Rule { number: n + 1, why }));
        Ok(Self { rules: rules.collect::<std::result::Result<_, _>>()?, name: name.into(), digest: Digest::of(text) })
    }

    /// The rules, in their order.
    #[must_use]
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Moves what the rules fit from the findings to what is suppressed, as of a time. The first rule that fits counts.
    #[must_use]
    pub fn apply(&self, report: ScanReport, now: Timestamp) -> ScanReport {
        let mut report = report.sorted();
        let mut used = vec![false; self.rules.len()];
        let mut kept = Vec::new();
        for finding in std::mem::take(&mut report.findings) {
            let package = find(&report.packages, &finding.package);
            let fitting = self.rules.iter().enumerate().filter(|(_, rule)| rule.fits(&finding, package));
            let fitting: Vec<_> = fitting.inspect(|(n, _)| used[*n] = true).collect();
            match fitting.iter().find(|(_, rule)| !rule.expires.is_over(now)) {
                Some((_, rule)) => {
                    let (by, reason, source) = (rule.owner.clone(), rule.reason.clone(), self.name.clone());
                    let until = Some(rule.expires.end());
                    report.suppressed.push(Suppressed { finding, by, reason, source, until });
                }
                None => kept.push(finding),
            }
        }
        report.findings = kept;
        for (rule, used) in self.rules.iter().zip(used) {
            report.warnings.extend(self.warning(rule, used, now));
        }
        report.sorted()
    }

    fn warning(&self, rule: &Rule, used: bool, now: Timestamp) -> Option<String> {
        let Self { name, .. } = self;
        if rule.expires.is_over(now) {
            return Some(format!("{name}: the rule for {rule} expired on {} ({})", rule.expires, rule.owner));
        }
        (!used).then(|| format!("{name}: the rule for {rule} fits no finding ({})", rule.owner))
    }
}

impl RawRule {
    fn rule(self) -> std::result::Result<Rule, String> {
        let Self { id, package, owner, reason, expires } = self;
        let expires =
            expires.trim().parse().map_err(|_| format!("expires {expires:?}: expected a day as 2026-12-31"))?;
        let package = package.map(|text| text.parse::<PurlPattern>()).transpose().map_err(|error| error.to_string())?;
        if id.as_deref().is_none_or(|id| id.trim_matches('*').is_empty()) && package.is_none() {
            return Err("it needs an id or a package".into());
        }
        if owner.trim().is_empty() || reason.trim().is_empty() {
            return Err("owner and reason must not be empty".into());
        }
        Ok(Rule { id, package, owner, reason, expires })
    }
}

impl Rule {
    /// Whether a finding, in the given package of its report, is one that the rule is about.
    #[must_use]
    pub fn fits(&self, finding: &Finding, package: Option<&Package>) -> bool {
        let mut ids = [&finding.id].into_iter().chain(&finding.aliases);
        let id = self.id.as_ref().is_none_or(|pattern| ids.any(|id| wild(pattern, id.as_str())));
        let fits = |pattern: &PurlPattern| match package {
            Some(package) => pattern.fits_package(package),
            None => pattern.fits(&finding.package),
        };
        id && self.package.as_ref().is_none_or(fits)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.id, &self.package) {
            (Some(id), Some(package)) => write!(f, "{id} in {package}"),
            (Some(id), None) => f.write_str(id),
            (None, Some(package)) => write!(f, "{package}"),
            (None, None) => f.write_str("everything"),
        }
    }
}

/// A scanner some of whose findings do not count, by rules; what day it is comes from the context's clock.
#[derive(Clone, Debug)]
pub struct Ignored<S> {
    scanner: S,
    rules: Rules,
}

/// Applies rules after a scanner.
pub trait Ignoring: Scanner + Sized {
    /// The same scanner, some of whose findings do not count.
    fn ignoring(self, rules: Rules) -> Ignored<Self> {
        Ignored { scanner: self, rules }
    }
}

impl<S: Scanner> Ignoring for S {}

impl<S: Scanner> Plugin for Ignored<S> {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("ignore", env!("CARGO_PKG_VERSION"));
        info.configured(&(self.scanner.info(), &self.rules.name, self.rules.digest))
    }
}

#[async_trait]
impl<S: Scanner> Scanner for Ignored<S> {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        Ok(self.rules.apply(self.scanner.scan(image, cx).await?, cx.now()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::report::sample;

    fn applied(rules: &str, now: &str) -> ScanReport {
        let mut report = sample::report();
        report.suppressed.clear();
        report.warnings.clear();
        Rules::read("rules.yaml", rules).unwrap().apply(report, now.parse().unwrap())
    }

    const RULE: &str = "rules:\n- id: CVE-2024-5535\n  package: pkg:deb/debian/libssl1.1\n  owner: web team\n  \
                        reason: not reachable\n  expires: 2026-06-30\n";

    #[test]
    fn a_rule_holds_through_its_last_day() {
        let before = sample::report().findings.len();
        let report = applied(RULE, "2026-06-30T23:59:59Z");
        assert_eq!(report.findings.len(), before - 1);
        let [suppressed] = &report.suppressed[..] else { panic!("{:?}", report.suppressed) };
        assert_eq!(suppressed.finding.id.as_str(), "CVE-2024-5535");
        assert_eq!((suppressed.by.as_str(), suppressed.source.as_str()), ("web team", "rules.yaml"));
        assert_eq!(suppressed.reason, "not reachable");
        assert_eq!(report.counts_until(), Some("2026-07-01T00:00:00Z".parse().unwrap()));
        assert_eq!(report.warnings, [""; 0]);
        let report = applied(RULE, "2026-07-01T00:00:00Z");
        assert_eq!((report.findings.len(), report.suppressed.len()), (before, 0));
        let warning =
            "rules.yaml: the rule for CVE-2024-5535 in pkg:deb/debian/libssl1.1 expired on 2026-06-30 (web team)";
        assert_eq!(report.warnings, [warning]);
    }

    #[test]
    fn aliases_and_stars_fit_and_what_fits_nothing_warns() {
        let rule = |what: &str| format!("rules:\n- {what}\n  owner: a\n  reason: b\n  expires: 2030-01-01\n");
        for (what, dropped) in [
            ("id: DLA-3942-2", 1),
            ("id: CVE-2024-*", 1),
            ("package: 'pkg:npm/%40example/*'", 1),
            ("package: pkg:deb/debian/openssl?arch=source", 1),
            ("id: CVE-1999-0001", 0),
            ("package: pkg:deb/debian/libssl1.1@0", 0),
        ] {
            let report = applied(&rule(what), "2026-01-01T00:00:00Z");
            assert_eq!(report.suppressed.len(), dropped, "{what}");
            assert_eq!(report.warnings.len(), usize::from(dropped == 0), "{what}");
        }
    }

    #[test]
    fn a_rule_needs_all_its_parts() {
        for (text, message) in [
            ("rules:\n- id: A\n  owner: a\n  reason: b\n", "expires"),
            ("rules:\n- id: A\n  owner: a\n  reason: b\n  expires: soon\n", "rule 1: expires \"soon\""),
            ("rules:\n- id: A\n  owner: ' '\n  reason: b\n  expires: 2026-01-01\n", "must not be empty"),
            ("rules:\n- owner: a\n  reason: b\n  expires: 2026-01-01\n", "needs an id or a package"),
            ("rules:\n- id: '*'\n  owner: a\n  reason: b\n  expires: 2026-01-01\n", "needs an id or a package"),
            ("rules:\n- id: A\n  ownr: a\n", "ownr"),
            ("- nothing", ""),
        ] {
            let error = text.parse::<Rules>().unwrap_err().to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
