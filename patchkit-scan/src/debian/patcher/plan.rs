//! Planning: which packages to change so that findings go away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use patchkit_core::{
    Change, Context, Download, Error, Finding, FindingKey, FixState, Image, Package, Plan, Result, ScanReport,
    Unfixable, UnfixableReason, Version,
};

use super::{PatchOptions, Repositories, Selection};
use crate::{
    debian::{
        apt::client::{Archive, ArchiveClient},
        dpkg::package::InstalledPackage,
        install::{Installation, base::ImageFiles, keeps, tree::Tree},
        solve::{self, Goal, Obstacle, Situation, Solution},
        version::DebVersion,
    },
    patcher::origin,
};

/// The scheme of Debian's versions.
const SCHEME: &str = "deb";

/// What planning works on.
struct Planning<'a> {
    report: &'a ScanReport,
    options: &'a PatchOptions,
    installed: Vec<InstalledPackage>,
    archive: Archive,
    repositories: Repositories,
    architecture: String,
}

pub(super) async fn plan(
    client: &ArchiveClient,
    options: &PatchOptions,
    image: &Image,
    report: &ScanReport,
    cx: &Context,
) -> Result<Plan> {
    let base = origin(image)?;
    let (tree, installation) = open(&base, cx).await?;
    let repositories = repositories(options, &tree)?;
    let architecture = installation.architecture().to_owned();
    let archive = client.update(&repositories.sources, &repositories.trust, &architecture, cx).await?;
    let installed = installation.packages();
    let planning = Planning { report, options, installed, archive, repositories, architecture };
    let solution = planning.solve();
    Ok(Plan {
        subject: *image.digest(),
        base: *base.digest(),
        timestamp: options.timestamp.or_else(|| planning.newest()).unwrap_or_else(|| cx.now()),
        changes: planning.changes(&solution)?,
        unfixable: planning.unfixable(&solution),
    })
}

async fn open(base: &Image, cx: &Context) -> Result<(Tree, Installation)> {
    let files = Arc::new(ImageFiles(base.files(keeps, cx).await?));
    let installation = Installation::open(Tree::new(files.clone()), 0)?;
    Ok((Tree::new(files), installation))
}

/// The given archives, else the image's own, else those for images that name none.
fn repositories(options: &PatchOptions, tree: &Tree) -> Result<Repositories> {
    if let Some(given) = &options.repositories {
        return Ok(given.clone());
    }
    let own = Repositories::of_tree(tree)?;
    match &options.fallback {
        _ if !own.is_empty() => Ok(own),
        Some(fallback) => Ok(fallback.clone()),
        None => Err(Error::invalid("the image names no package archive, and none was given")),
    }
}

impl Planning<'_> {
    fn situation(&self) -> Situation<'_> {
        Situation {
            installed: &self.installed,
            archive: &self.archive,
            preferences: &self.repositories.preferences,
            architecture: &self.architecture,
        }
    }

    /// When the newest of the archives was made: planning again with the same archives gives the same plan.
    fn newest(&self) -> Option<Timestamp> {
        self.archive.indexes().iter().map(|index| index.origin().release.date).max()
    }

    fn solve(&self) -> Solution {
        match self.options.selection {
            Selection::All => solve::upgrade_all(self.situation()),
            Selection::Findings | Selection::Only(_) => solve::reach(self.situation(), &self.goals()),
        }
    }

    /// For each package the lowest version that fixes all that is wanted, and keeps what an earlier patch has done.
    fn goals(&self) -> Vec<Goal> {
        let mut goals: BTreeMap<String, DebVersion> = BTreeMap::new();
        let mut raise = |package: &str, version: DebVersion| {
            let goal = goals.entry(package.to_owned()).or_insert_with(|| version.clone());
            if version > *goal {
                *goal = version;
            }
        };
        for finding in self.report.findings.iter().filter(|finding| self.is_wanted(finding)) {
            if let Some((package, version)) =
                self.package_of(finding).and_then(|p| Some((p, self.fixed_by(p, finding)?)))
            {
                raise(package.name.as_str(), version);
            }
        }
        for (name, version) in self.patched_before() {
            raise(&name, version);
        }
        goals.into_iter().map(|(package, version)| Goal { package, version }).collect()
    }

    /// Packages that are newer in the image than in what the patch starts from.
    fn patched_before(&self) -> Vec<(String, DebVersion)> {
        let newer = self.report.packages.iter().filter_map(|package| {
            let now = version_of(&package.version)?;
            let before = self.installed.iter().find(|old| *old.name == *package.name.as_str())?;
            (now > before.version).then(|| (package.name.to_string(), now))
        });
        newer.collect()
    }

    fn is_wanted(&self, finding: &Finding) -> bool {
        let Selection::Only(wanted) = &self.options.selection else { return true };
        let names = finding.aliases.iter().chain([&finding.id]).map(|id| id.as_str());
        let package = self.package_of(finding);
        let source = package.and_then(|package| package.source.as_ref()).map(|source| source.name.as_str());
        names.chain(package.map(|package| package.name.as_str())).chain(source).any(|name| wanted.contains(name))
    }

    fn package_of(&self, finding: &Finding) -> Option<&Package> {
        self.report.package(&finding.package)
    }

    /// The lowest version of a package in the archive whose source has the fix.
    fn fixed_by(&self, package: &Package, finding: &Finding) -> Option<DebVersion> {
        let FixState::Fixed(fix) = &finding.fix else { return None };
        let fix = version_of(fix)?;
        let fixed = self.archive.named(package.name.as_str()).filter(|available| {
            let fits = available.architecture() == self.architecture || available.architecture() == "all";
            fits && DebVersion::parse_lenient(&available.source_version()).is_ok_and(|source| source >= fix)
        });
        fixed.filter_map(|available| DebVersion::parse_lenient(available.version()).ok()).min()
    }

    fn changes(&self, solution: &Solution) -> Result<Vec<Change>> {
        let mut changes =
            solution.changes.iter().map(|change| self.change(change, solution)).collect::<Result<Vec<_>>>()?;
        changes.sort_by(|a, b| (&a.package, &a.architecture).cmp(&(&b.package, &b.architecture)));
        Ok(changes)
    }

    fn change(&self, change: &solve::Change, solution: &Solution) -> Result<Change> {
        let invalid = |error: &dyn std::fmt::Display| Error::corrupt(error.to_string()).on(&change.name);
        let file = change.package.file().map_err(|error| invalid(&error))?;
        let url = change.package.origin().source.file_url(&file.path).to_string();
        let version = |version: &DebVersion| Version::new(SCHEME, version.as_str()).map_err(|error| invalid(&error));
        let fixes = self.fixes(change);
        Ok(Change {
            package: change.name.parse().map_err(|error| invalid(&error))?,
            architecture: Some(change.package.architecture().to_owned()),
            from: change.from.as_ref().map(version).transpose()?,
            to: Some(version(&change.to)?),
            artifact: Some(Download { url, digest: file.digest, size: file.size }),
            reason: reason(change, &fixes, solution),
            fixes,
        })
    }

    /// The findings that go away with a change, wanted or not, sorted.
    fn fixes(&self, change: &solve::Change) -> Vec<FindingKey> {
        let Ok(source) = DebVersion::parse_lenient(&change.package.source_version()) else { return Vec::new() };
        let fixed = self.report.findings.iter().filter(|finding| {
            let same = self.package_of(finding).is_some_and(|package| package.name.as_str() == change.name);
            let FixState::Fixed(fix) = &finding.fix else { return false };
            same && version_of(fix).is_some_and(|fix| fix <= source)
        });
        let keys: BTreeSet<FindingKey> = fixed.map(Finding::key).collect();
        keys.into_iter().collect()
    }

    /// Every finding that no change fixes, with the reason, sorted.
    fn unfixable(&self, solution: &Solution) -> Vec<Unfixable> {
        let fixed: BTreeSet<FindingKey> = solution.changes.iter().flat_map(|change| self.fixes(change)).collect();
        let left = self.report.findings.iter().filter(|finding| !fixed.contains(&finding.key()));
        let left: BTreeMap<FindingKey, UnfixableReason> =
            left.map(|finding| (finding.key(), self.why_left(finding, solution))).collect();
        left.into_iter().map(|(finding, reason)| Unfixable { finding, reason }).collect()
    }

    fn why_left(&self, finding: &Finding, solution: &Solution) -> UnfixableReason {
        let fix = match &finding.fix {
            _ if !self.is_wanted(finding) => return UnfixableReason::NotChosen,
            FixState::Fixed(fix) => fix,
            FixState::NotAffected => return UnfixableReason::Unsupported("the package is not affected".into()),
            FixState::NotFixed => return UnfixableReason::NoFixYet,
            FixState::WillNotFix => return UnfixableReason::WillNotFix,
        };
        let Some(package) = self.package_of(finding).filter(|_| fix.scheme() == SCHEME) else {
            return UnfixableReason::Unsupported("not a Debian package".into());
        };
        let unreachable = solution.unreachable.iter().find(|left| left.goal.package == package.name.as_str());
        match unreachable.map(|left| (left.obstacle, left.reason.to_string())) {
            Some((Obstacle::Held | Obstacle::Pinned, reason)) => UnfixableReason::Held(reason),
            Some((Obstacle::Conflict, reason)) => UnfixableReason::Conflict(reason),
            Some((Obstacle::NotAvailable, reason)) => UnfixableReason::NotAvailable(reason),
            Some((Obstacle::NotInstalled, reason)) => UnfixableReason::Unsupported(reason),
            None => UnfixableReason::NotAvailable(format!("no archive has {} (>= {fix})", package.name)),
        }
    }
}

fn version_of(version: &Version) -> Option<DebVersion> {
    (version.scheme() == SCHEME).then(|| DebVersion::parse_lenient(version.as_str()).ok()).flatten()
}

/// Why a package changes, with who asked for it, back to a finding.
fn reason(change: &solve::Change, fixes: &[FindingKey], solution: &Solution) -> String {
    let chain = solution.chain(&change.name);
    let asked: Vec<String> = chain.iter().map(|link| link.why.to_string()).collect();
    match fixes.len() {
        0 => asked.join(", "),
        1 => "fixes 1 finding".into(),
        count => format!("fixes {count} findings"),
    }
}
