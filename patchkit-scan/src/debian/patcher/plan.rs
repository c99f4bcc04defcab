//! Planning: which packages to change so that findings go away.

mod left;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use patchkit_core::{
    Change, Context, Download, Error, Finding, FindingKey, FixState, Image, Package, Plan, Result, ScanReport, Version,
};

use super::{PatchOptions, Repositories, Selection};
use crate::{
    debian::{
        apt::{
            client::{Archive, ArchiveClient},
            sources::without_credentials,
        },
        dpkg::package::InstalledPackage,
        install::{Installation, base::ImageFiles, keeps, tree::Tree},
        solve::{self, Goal, Situation, Solution, Why},
        version::DebVersion,
    },
    patcher::origin,
};
use wanted::Wanted;

/// The scheme of Debian's versions.
const SCHEME: &str = "deb";

/// Plans the changes to an image that a report asks for.
///
/// An image that was patched before is planned for from its original, so that layers never pile up. Where that would
/// lose something that the earlier patch brought, since no archive has it any more, or would bring nothing that is not
/// there already, the plan is for the image as it is.
pub(super) async fn plan(
    client: &ArchiveClient,
    options: &PatchOptions,
    image: &Image,
    report: &ScanReport,
    cx: &Context,
) -> Result<Plan> {
    let asked = Asked { client, options, image, report };
    if !asked.wanted().needs_archives() {
        return asked.nothing(cx);
    }
    let base = origin(image)?;
    let (planning, plan) = asked.plan_from(&base, cx).await?;
    if base.digest() == image.digest() || planning.improves(&plan) {
        return Ok(plan);
    }
    Ok(asked.plan_from(image, cx).await?.1)
}

/// What is asked of planning.
#[derive(Clone, Copy)]
struct Asked<'a> {
    client: &'a ArchiveClient,
    options: &'a PatchOptions,
    image: &'a Image,
    report: &'a ScanReport,
}

/// What planning works on.
struct Planning<'a> {
    asked: Asked<'a>,
    installed: Vec<InstalledPackage>,
    archive: Archive,
    repositories: Repositories,
    architecture: String,
}

impl<'a> Asked<'a> {
    fn wanted(self) -> Wanted<'a> {
        Wanted { report: self.report, selection: &self.options.selection }
    }

    /// The plan that changes nothing; no archive is read for it.
    fn nothing(self, cx: &Context) -> Result<Plan> {
        let (installed, archive) = (Vec::new(), Archive::default());
        let (repositories, architecture) = (Repositories::default(), String::new());
        let planning = Planning { asked: self, installed, archive, repositories, architecture };
        planning.finish(self.image, &Solution::default(), cx)
    }

    async fn plan_from(self, base: &Image, cx: &Context) -> Result<(Planning<'a>, Plan)> {
        let (tree, installation) = open(base, cx).await?;
        let repositories = repositories(self.options, &tree)?;
        repositories.warnings.iter().for_each(|warning| tracing::warn!(warning, "passed over"));
        let architecture = installation.architecture().to_owned();
        let archive = self.client.update(&repositories.sources, &repositories.trust, &architecture, cx).await?;
        let installed = installation.packages();
        let planning = Planning { asked: self, installed, archive, repositories, architecture };
        let plan = planning.finish(base, &planning.solve(), cx)?;
        Ok((planning, plan))
    }
}

async fn open(base: &Image, cx: &Context) -> Result<(Tree, Installation)> {
    let files = Arc::new(ImageFiles(base.files(keeps, cx).await?));
    let installation = Installation::open(Tree::new(files.clone()), 0)?;
    Ok((Tree::new(files), installation))
}

/// The given archives, else the image's own, else those for images that name none.
pub(super) fn repositories(options: &PatchOptions, tree: &Tree) -> Result<Repositories> {
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

    fn finish(&self, base: &Image, solution: &Solution, cx: &Context) -> Result<Plan> {
        let created = || base.config().created().and_then(|time| time.parse().ok());
        Ok(Plan {
            subject: *self.asked.image.digest(),
            base: *base.digest(),
            timestamp: self.asked.options.timestamp.or_else(|| self.newest()).or_else(created).unwrap_or(cx.now()),
            changes: self.changes(solution)?,
            unfixable: self.unfixable(solution),
        })
    }

    /// When the newest of the archives was made: planning again with the same archives gives the same plan.
    fn newest(&self) -> Option<Timestamp> {
        self.archive.indexes().iter().map(|index| index.origin().release.date).max()
    }

    fn solve(&self) -> Solution {
        match self.asked.options.selection {
            Selection::All => {
                let mut solution = solve::upgrade_all(self.situation());
                solution.unreachable.extend(solve::obstacles(self.situation(), &self.goals()));
                solution
            }
            Selection::Findings | Selection::Only(_) => solve::reach(self.situation(), &self.goals()),
        }
    }

    /// For each package the lowest version that fixes all that is wanted, and keeps what an earlier patch has done.
    fn goals(&self) -> Vec<Goal> {
        let mut goals: BTreeMap<String, DebVersion> = BTreeMap::new();
        let mut raise = |package: &Package, version: DebVersion| {
            let goal = goals.entry(package.name.to_string()).or_insert_with(|| version.clone());
            if version > *goal {
                *goal = version;
            }
        };
        for (package, fix) in self.asked.wanted().findings().filter_map(|finding| self.open(finding)) {
            if let Some(version) = self.fixed_by(package, &fix) {
                raise(package, version);
            }
        }
        for (package, version) in self.patched_before() {
            raise(package, version);
        }
        goals.into_iter().map(|(package, version)| Goal { package, version }).collect()
    }

    /// Packages that are newer in the image than in what the patch starts from.
    fn patched_before(&self) -> Vec<(&Package, DebVersion)> {
        let newer = self.native_packages().filter_map(|package| {
            let now = version_of(&package.version)?;
            let before = self.installed_version(package)?;
            (now > *before).then_some((package, now))
        });
        newer.collect()
    }

    /// Whether a plan that starts before an earlier patch keeps all that the patch brought, and brings something more.
    fn improves(&self, plan: &Plan) -> bool {
        let planned: BTreeMap<&str, DebVersion> = plan
            .changes
            .iter()
            .filter_map(|change| Some((change.package.as_str(), version_of(change.to.as_ref()?)?)))
            .collect();
        let mut now: BTreeMap<&str, DebVersion> = BTreeMap::new();
        for package in self.native_packages() {
            let Some(version) = version_of(&package.version) else { continue };
            let then = planned.get(package.name.as_str()).or_else(|| self.installed_version(package));
            if then.is_none_or(|then| *then < version) {
                return false;
            }
            now.insert(package.name.as_str(), version);
        }
        planned.iter().any(|(name, version)| now.get(name) != Some(version))
    }

    /// The packages of the image that dpkg calls by their names alone.
    fn native_packages(&self) -> impl Iterator<Item = &Package> {
        self.asked
            .report
            .packages
            .iter()
            .filter(|package| package.version.scheme() == SCHEME && self.is_native(package))
    }

    /// Whether a package is of the image's own architecture, or of none.
    fn is_native(&self, package: &Package) -> bool {
        package.architecture.as_ref().is_none_or(|of| *of == self.architecture || of == "all")
    }

    fn installed_version(&self, package: &Package) -> Option<&DebVersion> {
        let fits = |of: &str| matches!(of, "" | "all") || of == self.architecture;
        let named = self.installed.iter().filter(|old| *old.name == *package.name.as_str() && old.is_present());
        named.filter(|old| fits(&old.architecture)).map(|old| &old.version).next()
    }

    fn package_of(&self, finding: &Finding) -> Option<&Package> {
        self.asked.report.package(&finding.package)
    }

    /// The package of a finding and the version of its source that fixes it, where an archive may have that.
    fn open(&self, finding: &Finding) -> Option<(&Package, DebVersion)> {
        let FixState::Fixed(fix) = &finding.fix else { return None };
        let (package, fix) = (self.package_of(finding)?, version_of(fix)?);
        (self.is_native(package) && source_version(package)? < fix).then_some((package, fix))
    }

    /// The lowest version of a package in the archive whose source has the fix.
    fn fixed_by(&self, package: &Package, fix: &DebVersion) -> Option<DebVersion> {
        let fixed = self.archive.named(package.name.as_str()).filter(|available| {
            let fits = available.architecture() == self.architecture || available.architecture() == "all";
            fits && DebVersion::parse_lenient(&available.source_version()).is_ok_and(|source| source >= *fix)
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
        let url = change.package.origin().source.file_url(&file.path);
        let version = |version: &DebVersion| Version::new(SCHEME, version.as_str()).map_err(|error| invalid(&error));
        let fixes = self.fixes(change);
        Ok(Change {
            package: change.name.parse().map_err(|error| invalid(&error))?,
            architecture: Some(change.package.architecture().to_owned()),
            from: change.from.as_ref().map(version).transpose()?,
            to: Some(version(&change.to)?),
            artifact: Some(Download {
                url: without_credentials(&url).to_string(),
                digest: file.digest,
                size: file.size,
            }),
            reason: reason(change, &fixes, solution),
            fixes,
        })
    }

    /// The findings that go away with a change, wanted or not, sorted.
    fn fixes(&self, change: &solve::Change) -> Vec<FindingKey> {
        let Ok(source) = DebVersion::parse_lenient(&change.package.source_version()) else { return Vec::new() };
        let fixed = self.asked.report.findings.iter().filter(|finding| {
            self.open(finding).is_some_and(|(package, fix)| package.name.as_str() == change.name && fix <= source)
        });
        let keys: BTreeSet<FindingKey> = fixed.map(Finding::key).collect();
        keys.into_iter().collect()
    }
}

fn version_of(version: &Version) -> Option<DebVersion> {
    (version.scheme() == SCHEME).then(|| DebVersion::parse_lenient(version.as_str()).ok()).flatten()
}

/// The version of the source that a package was built from.
fn source_version(package: &Package) -> Option<DebVersion> {
    version_of(package.source.as_ref().map_or(&package.version, |source| &source.version))
}

/// Why a package changes: the findings, or who asked for it, back to one that has findings or was there before.
fn reason(change: &solve::Change, fixes: &[FindingKey], solution: &Solution) -> String {
    let needed = solution.chain(&change.name).into_iter().filter(|link| link.why != Why::Asked);
    let needed: Vec<String> = needed.map(|link| link.why.to_string()).collect();
    match fixes.len() {
        0 if needed.is_empty() => "brought by an earlier patch".into(),
        0 => needed.join(", "),
        1 => "fixes 1 finding".into(),
        count => format!("fixes {count} findings"),
    }
}
