//! A scanner made of several: a finding counts where enough of them have it.
//!
//! Findings of different scanners are the same where they share an id or alias, and the package but for its version and
//! qualifiers. What too few have is kept as [`suppressed`](patchkit_core::ScanReport::suppressed), with who said it and
//! who did not; where those who have a finding differ about its severity or fix, the report warns and says who said
//! what. A finding that counts is told in the words of the first scanner that has it, with the aliases of all.
//!
//! # When a scanner fails
//! With `f` failures of `n` scanners, a finding counts where it has enough votes without them, and does not count where
//! it would not have enough with all of theirs. If there is a finding between the two, or if those that failed could
//! carry a finding by themselves that nobody else has (`f` is at least what is needed), then the quorum is not decided,
//! and that is the error. So `any` needs all scanners to answer, and `all` of three with one failure is decided only
//! where the other two agree on no finding.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::Arc,
};

use async_trait::async_trait;
use futures::future::join_all;
use patchkit_core::{
    Context, Error, Finding, Image, Package, Plugin, PluginInfo, Result, ScanReport, Scanner, Suppressed,
};

use crate::{alias, purl_pattern::coordinates};

/// Several scanners, and how many of them it takes.
#[derive(Clone)]
pub struct Quorum {
    scanners: Vec<Arc<dyn Scanner>>,
    needed: usize,
}

impl std::fmt::Debug for Quorum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.scanners.iter().map(|scanner| scanner.info().name).collect();
        write!(f, "at least {} of {names:?}", self.needed)
    }
}

impl Quorum {
    /// What any of the scanners finds.
    pub fn any(first: impl Scanner + 'static, rest: Vec<Arc<dyn Scanner>>) -> Self {
        Self { scanners: together(first, rest), needed: 1 }
    }

    /// What all of the scanners find.
    pub fn all(first: impl Scanner + 'static, rest: Vec<Arc<dyn Scanner>>) -> Self {
        let scanners = together(first, rest);
        Self { needed: scanners.len(), scanners }
    }

    /// What at least so many of the scanners find.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid) where there are not so many scanners.
    pub fn at_least(needed: NonZeroUsize, first: impl Scanner + 'static, rest: Vec<Arc<dyn Scanner>>) -> Result<Self> {
        let (scanners, needed) = (together(first, rest), needed.get());
        if needed > scanners.len() {
            return Err(Error::invalid(format!("a quorum of {needed} with {} scanners", scanners.len())));
        }
        Ok(Self { scanners, needed })
    }

    /// The scanners' names; one that stands several times gets a number.
    fn names(&self) -> Vec<String> {
        let mut seen = BTreeMap::<String, usize>::new();
        let mut number = |name: String| {
            let n = seen.entry(name.clone()).or_default();
            *n += 1;
            if *n == 1 { name } else { format!("{name} {n}") }
        };
        self.scanners.iter().map(|scanner| number(scanner.info().name)).collect()
    }
}

fn together(first: impl Scanner + 'static, rest: Vec<Arc<dyn Scanner>>) -> Vec<Arc<dyn Scanner>> {
    let first: Arc<dyn Scanner> = Arc::new(first);
    [first].into_iter().chain(rest).collect()
}

impl Plugin for Quorum {
    fn info(&self) -> PluginInfo {
        let infos: Vec<_> = self.scanners.iter().map(|scanner| scanner.info()).collect();
        let needs: BTreeSet<_> = infos.iter().flat_map(|info| info.needs.iter().cloned()).collect();
        let info = PluginInfo::new("quorum", env!("CARGO_PKG_VERSION")).configured(&(self.needed, infos));
        needs.into_iter().fold(info, PluginInfo::needing)
    }
}

#[async_trait]
impl Scanner for Quorum {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        let names = self.names();
        let answers = join_all(self.scanners.iter().map(|scanner| scanner.scan(image, cx))).await;
        cx.check()?;
        let mut ballot = Ballot { needed: self.needed, names: &names, reports: Vec::new(), failed: Vec::new() };
        let mut errors = Vec::new();
        for (n, answer) in answers.into_iter().enumerate() {
            match answer {
                Ok(report) => ballot.reports.push((n, report)),
                Err(error) => {
                    ballot.failed.push((n, error.to_string()));
                    errors.push(error);
                }
            }
        }
        match ballot.count(ScanReport::of(image)) {
            Ok(report) => Ok(report),
            Err(why) => {
                let first = errors.into_iter().next().expect("without failures every quorum is decided");
                let error = Error::new(first.kind(), why).retry(first.retryable());
                Err(error.during("scan by quorum").on(image.digest()).because(first))
            }
        }
    }
}

/// The answers of all scanners.
struct Ballot<'a> {
    needed: usize,
    names: &'a [String],
    reports: Vec<(usize, ScanReport)>,
    failed: Vec<(usize, String)>,
}

/// The findings of several scanners that are the same: each with the number of the scanner.
type Votes = Vec<(usize, Finding)>;

impl Ballot<'_> {
    /// The report that follows from the answers.
    ///
    /// # Errors
    /// Why it is not decided, as far as there are failures.
    fn count(self, mut report: ScanReport) -> std::result::Result<ScanReport, String> {
        let failures = self.failed.len();
        let failed: Vec<_> = self.failed.iter().map(|(n, why)| format!("{} failed: {why}", self.names[*n])).collect();
        if failures >= self.needed {
            let why = format!("{failures} of {} scanners failed and {} are needed", self.names.len(), self.needed);
            return Err(format!("{why}: {}", failed.join("; ")));
        }
        for votes in self.groups() {
            let voters: BTreeSet<_> = votes.iter().map(|(n, _)| *n).collect();
            if voters.len() >= self.needed {
                report.warnings.extend(self.differences(&votes));
                report.findings.push(united(&votes));
            } else if voters.len() + failures >= self.needed {
                let key = votes[0].1.key();
                return Err(format!("whether {key} counts depends on a scanner that failed: {}", failed.join("; ")));
            } else {
                report.suppressed.push(self.outvoted(&votes, &voters));
            }
        }
        report.warnings.extend(failed);
        Ok(self.gathered(report))
    }

    /// The findings of all reports, those together that are the same, in the order of the first's key.
    fn groups(&self) -> Vec<Votes> {
        let mut groups: Vec<Votes> = Vec::new();
        let mut known = BTreeMap::<String, usize>::new();
        for (n, report) in &self.reports {
            for finding in &report.findings {
                let place = coordinates(&finding.package);
                let keys: Vec<_> = alias::names(finding).map(|id| format!("{id} {place}")).collect();
                let of_id = known.get(&keys[0]).copied();
                let group = of_id.or_else(|| joined(&known, &groups, &keys, finding)).unwrap_or(groups.len());
                if group == groups.len() {
                    groups.push(Vec::new());
                }
                groups[group].push((*n, finding.clone()));
                for key in keys {
                    known.entry(key).or_insert(group);
                }
            }
        }
        groups.sort_by_cached_key(|votes| votes[0].1.key());
        groups
    }

    /// Where those who have a finding say different things of it.
    fn differences(&self, votes: &Votes) -> Vec<String> {
        let key = votes[0].1.key();
        let tell = |what: &str, of: &dyn Fn(&Finding) -> String| {
            let said: BTreeSet<_> = votes.iter().map(|(n, finding)| (*n, of(finding))).collect();
            let different: BTreeSet<_> = said.iter().map(|(_, text)| text).collect();
            let words = said.iter().map(|(n, text)| format!("{} says {text}", self.names[*n]));
            (different.len() > 1).then(|| format!("{key}: {what}: {}", words.collect::<Vec<_>>().join(", ")))
        };
        let severity = tell("severity", &|finding| finding.severity.to_string());
        let fix = tell("fix", &|finding| match &finding.fix {
            patchkit_core::FixState::Fixed(version) => format!("fixed in {version}"),
            patchkit_core::FixState::NotAffected => "not affected".into(),
            patchkit_core::FixState::NotFixed => "no fix".into(),
            patchkit_core::FixState::WillNotFix => "will not be fixed".into(),
        });
        severity.into_iter().chain(fix).collect()
    }

    fn outvoted(&self, votes: &Votes, voters: &BTreeSet<usize>) -> Suppressed {
        let (yes, no): (Vec<_>, Vec<_>) = self.reports.iter().map(|(n, _)| *n).partition(|n| voters.contains(n));
        let list = |all: Vec<usize>| all.into_iter().map(|n| self.names[n].as_str()).collect::<Vec<_>>().join(", ");
        let reason = format!("{} of {} needed: {} say so, {} do not", voters.len(), self.needed, list(yes), list(no));
        Suppressed { finding: united(votes), by: "quorum".into(), reason, source: "quorum".into(), until: None }
    }

    /// The report with packages, distribution, base, suppressed findings and warnings of all.
    fn gathered(self, mut report: ScanReport) -> ScanReport {
        let mut packages = BTreeMap::<_, Package>::new();
        for (n, one) in self.reports {
            let ScanReport { distribution, packages: own, suppressed, base, warnings, .. } = one;
            report.distribution = report.distribution.or(distribution);
            report.base = report.base.or(base);
            let found = report.findings.iter().map(Finding::key).collect::<BTreeSet<_>>();
            report.suppressed.extend(suppressed.into_iter().filter(|s| !found.contains(&s.finding.key())));
            report.warnings.extend(warnings.into_iter().map(|warning| format!("{}: {warning}", self.names[n])));
            for package in own {
                packages.entry(package.purl.clone()).or_insert(package);
            }
        }
        report.packages = packages.into_values().collect();
        report.sorted()
    }
}

/// The group that shares a name with a finding, unless that is an announcement about several vulnerabilities.
fn joined(known: &BTreeMap<String, usize>, groups: &[Votes], keys: &[String], finding: &Finding) -> Option<usize> {
    let fits = |group: &usize| alias::may_be_same(alias::names(finding), alias::names(&groups[*group][0].1));
    keys.iter().filter_map(|key| known.get(key).copied()).find(fits)
}

/// One finding of several that are the same.
fn united(votes: &Votes) -> Finding {
    let (_, first) = &votes[0];
    let names = votes.iter().flat_map(|(_, finding)| alias::names(finding));
    let aliases: BTreeSet<_> = names.filter(|id| **id != first.id).cloned().collect();
    Finding { aliases: aliases.into_iter().collect(), ..first.clone() }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
