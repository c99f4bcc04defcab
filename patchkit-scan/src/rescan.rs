//! The verifier that looks again: a patched image must have what its plan promised, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use patchkit_core::{
    AdvisoryId, Change, Context, Evidence, Finding, FindingKey, FixState, MediaType, Package, Patched, Plan, Plugin,
    PluginInfo, Reason, Result, ScanReport, Scanner, Verdict, Verifier,
};

use crate::advisory::Scope;

/// Scans each patched image again and compares with the report that its plan was made from.
///
/// It passes an image only where
/// - every finding that the plan promised to fix is gone,
/// - no vulnerability is there that was not there before in the same package or in another one of the same source,
/// - the installed packages are exactly those that the plan leads to,
/// - the distribution is the same, and the scanner could judge all that it could judge before.
///
/// Use the scanner that made the first report, with the same advisories: newer ones may know of vulnerabilities that
/// are not new to the image, for which it then is refused.
#[derive(Clone, Debug)]
pub struct Rescan<S> {
    scanner: S,
}

impl<S: Scanner> Rescan<S> {
    /// A verifier that uses the given scanner.
    pub fn new(scanner: S) -> Self {
        Self { scanner }
    }
}

impl<S: Scanner> Plugin for Rescan<S> {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("rescan", env!("CARGO_PKG_VERSION")).configured(&self.scanner.info())
    }
}

#[async_trait]
impl<S: Scanner> Verifier for Rescan<S> {
    async fn verify(&self, patched: &Patched, cx: &Context) -> Result<Verdict> {
        let planned = patched.planned();
        let mut verdict = Verdict { subject: *patched.images().digest(), reasons: vec![], evidence: vec![] };
        let inputs = patched.images().images().iter().zip(planned.plans()).zip(planned.scanned().reports());
        for ((image, plan), before) in inputs {
            let after = self.scanner.scan(image, cx).await?;
            let mut reason = compare(before, plan, &after);
            if after.subject != *image.digest() {
                reason.holds = false;
                reason.because.push(Reason::no(format!(
                    "the scanner reports about {}, not {}",
                    after.subject,
                    image.digest()
                )));
            }
            verdict.reasons.push(reason);
            verdict.evidence.push(evidence(&after));
        }
        Ok(verdict)
    }
}

fn evidence(report: &ScanReport) -> Evidence {
    let platform = report.platform.to_string().replace('/', "-");
    Evidence {
        name: format!("rescan-{platform}-{}.json", report.subject.short()),
        media_type: MediaType::new("application/json"),
        content: serde_json::to_string(report).expect("a report has only string keys"),
    }
}

/// Whether a patched image is what its plan promised, by the reports from before and after: one reason that rests on
/// all that was checked.
#[must_use]
pub fn compare(before: &ScanReport, plan: &Plan, after: &ScanReport) -> Reason {
    let checks = [
        same_system(before, after),
        promises_kept(plan, after),
        nothing_new(before, after),
        packages_as_planned(before, plan, after),
        nothing_unjudged(before, after),
    ];
    let holds = checks.iter().all(|check| check.holds);
    let word = if holds { "as planned" } else { "not as planned" };
    Reason::of(holds, format!("{} is {word}", after.platform), checks.into()).until(after.counts_until())
}

fn same_system(before: &ScanReport, after: &ScanReport) -> Reason {
    let scope = |report: &ScanReport| report.distribution.as_ref().map(Scope::of);
    if before.platform != after.platform {
        return Reason::no(format!("the platform was {} and is {}", before.platform, after.platform));
    }
    let name = |scope: Option<Scope>| scope.map_or_else(|| "unknown".into(), |scope| scope.to_string());
    match (scope(before), scope(after)) {
        (old, new) if old == new => Reason::yes(format!("the distribution still is {}", name(new))),
        (old, new) => Reason::no(format!("the distribution was {} and is {}", name(old), name(new))),
    }
}

fn promises_kept(plan: &Plan, after: &ScanReport) -> Reason {
    let promised = plan.fixes();
    let broken: Vec<_> =
        promised.iter().filter(|key| vulnerabilities(after).any(|found| is_same(key, found))).collect();
    match broken.len() {
        0 => Reason::yes(format!("all {} findings that the plan fixes are gone", promised.len())),
        n => list(format!("{n} of {} findings that the plan fixes are still there", promised.len()), broken),
    }
}

/// The findings that say that something is vulnerable.
fn vulnerabilities(report: &ScanReport) -> impl Iterator<Item = &Finding> {
    report.findings.iter().filter(|finding| finding.fix != FixState::NotAffected)
}

/// Whether a finding is of the same vulnerability in the same package, in whatever version.
fn is_same(key: &FindingKey, found: &Finding) -> bool {
    let unversioned = |purl: &patchkit_core::Purl| {
        let parts = purl.parts();
        (parts.kind, parts.namespace, parts.name, parts.qualifiers.get("arch").cloned())
    };
    let names_it = found.id == key.id || found.aliases.contains(&key.id);
    names_it && unversioned(&found.package) == unversioned(&key.package)
}

fn nothing_new(before: &ScanReport, after: &ScanReport) -> Reason {
    let mut known: BTreeSet<(&AdvisoryId, String)> = BTreeSet::new();
    for finding in vulnerabilities(before) {
        known.extend(names(before, finding).into_iter().map(|name| (&finding.id, name)));
    }
    let is_new =
        |finding: &&Finding| !names(after, finding).into_iter().any(|name| known.contains(&(&finding.id, name)));
    let new: Vec<_> = vulnerabilities(after).filter(is_new).map(Finding::key).collect();
    match new.len() {
        0 => Reason::yes("no new finding"),
        n => list(format!("{n} findings are new"), new),
    }
}

/// What a finding's package may be called: its own name, and its source's.
fn names(report: &ScanReport, finding: &Finding) -> [String; 2] {
    let parts = finding.package.parts();
    let binary = format!("{} package {}/{}", parts.kind, parts.namespace, parts.name);
    let source = report.package(&finding.package).and_then(|package| package.source.as_ref());
    let source = source.map_or_else(|| binary.clone(), |source| format!("{} source {}", parts.kind, source.name));
    [binary, source]
}

/// Scheme of versions, name and architecture, and the installed versions.
type Installed = BTreeMap<(String, String, Option<String>), BTreeSet<String>>;

fn packages_as_planned(before: &ScanReport, plan: &Plan, after: &ScanReport) -> Reason {
    let mut expected = installed(&before.packages);
    plan.changes.iter().for_each(|change| make_change(&mut expected, change));
    let found = installed(&after.packages);
    let mut faults = Vec::new();
    for (key @ (_, name, architecture), versions) in &expected {
        let there = found.get(key);
        let missing = versions.iter().filter(|version| !there.is_some_and(|there| there.contains(*version)));
        faults.extend(missing.map(|version| format!("{} {version} is missing", full_name(name, architecture))));
    }
    for (key @ (_, name, architecture), versions) in &found {
        let planned = expected.get(key);
        let odd = versions.iter().filter(|version| !planned.is_some_and(|planned| planned.contains(*version)));
        faults.extend(
            odd.map(|version| format!("{} {version} is there, which is not planned", full_name(name, architecture))),
        );
    }
    match faults.len() {
        0 => Reason::yes(format!("the {} packages are those of the plan", after.packages.len())),
        n => list(format!("the packages differ from the plan in {n} ways"), faults),
    }
}

fn full_name(name: &str, architecture: &Option<String>) -> String {
    architecture.as_ref().map_or_else(|| name.to_owned(), |architecture| format!("{name}:{architecture}"))
}

/// The packages that are there on their own: what belongs to a package of the distribution changes with that.
fn installed(packages: &[Package]) -> Installed {
    let mut found = Installed::new();
    let own = packages.iter().filter(|package| package.owner.is_none());
    for Package { name, version, architecture, .. } in own {
        let key = (version.scheme().to_owned(), name.to_string(), architecture.clone());
        found.entry(key).or_default().insert(version.to_string());
    }
    found
}

/// Takes the old version of a package away and adds the new one. Where a plan starts from an earlier image than the one
/// that was scanned, its old version is not there; then whatever version is there gives way.
fn make_change(expected: &mut Installed, change: &Change) {
    let Some(version) = change.to.as_ref().or(change.from.as_ref()) else { return };
    let key = (version.scheme().to_owned(), change.package.to_string(), change.architecture.clone());
    if let Some(from) = &change.from {
        let old = old_key(expected, &key, from.as_str());
        let versions = expected.entry(old).or_default();
        if !versions.remove(from.as_str()) {
            versions.clear();
        }
    }
    if let Some(to) = &change.to {
        let versions = expected.entry(key).or_default();
        if change.from.is_none() {
            versions.clear();
        }
        versions.insert(to.to_string());
    }
}

/// Where the old version is: a package may become independent of the architecture, or cease to be.
fn old_key(
    expected: &Installed,
    key: &(String, String, Option<String>),
    from: &str,
) -> (String, String, Option<String>) {
    if expected.contains_key(key) {
        return key.clone();
    }
    let has_old = |(other, versions): &(&(String, String, Option<String>), &BTreeSet<String>)| {
        (&other.0, &other.1) == (&key.0, &key.1) && versions.contains(from)
    };
    let mut others = expected.iter().filter(has_old);
    match (others.next(), others.next()) {
        (Some((other, _)), None) => other.clone(),
        _ => key.clone(),
    }
}

fn nothing_unjudged(before: &ScanReport, after: &ScanReport) -> Reason {
    let new: Vec<_> = after.warnings.iter().filter(|warning| !before.warnings.contains(warning)).collect();
    match (new.len(), after.warnings.len()) {
        (0, 0) => Reason::yes("the scanner could judge everything"),
        (0, _) => Reason {
            because: after.warnings.iter().map(Reason::yes).collect(),
            ..Reason::yes("the scanner could judge all that it could judge before")
        },
        (n, _) => list(format!("{n} things could not be judged"), new),
    }
}

fn list<T: ToString>(message: String, items: impl IntoIterator<Item = T>) -> Reason {
    items.into_iter().fold(Reason::no(message), |reason, item| reason.with(Reason::no(item.to_string())))
}
