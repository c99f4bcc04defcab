//! Patch coverage: which of the files that a patch changed were used while the tests ran.
//!
//! "All tests pass" says little when nobody loaded the new library. [`Changes`] has the files that a patch changed, with
//! their packages and the vulnerabilities that were fixed; [`exercise`] holds against them what each test used, as a
//! [`Runtime`](patchkit_core::Runtime) saw it. A [`review`] over a history of these finds the tests that no patch needed
//! and the packages that no test covers.

mod changes;
mod history;

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{AdvisoryId, Evidence, MediaType, Reason, Seen, Used, image::FilePath};
use serde::{Deserialize, Serialize};

pub use changes::{ChangedFile, Changes, FileClass};
pub use history::{Review, history, review};

/// The media type of an [`Exercise`] as evidence.
pub const MEDIA_TYPE: &str = "application/vnd.patchkit.exercise+json";

/// A test, a command of a suite, with what it used.
#[derive(Clone, Copy, Debug)]
pub struct TestStep<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The files it used; none where nobody looked.
    pub used: Option<&'a Used>,
}

/// How well the tests exercised a patch. All lists are sorted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exercise {
    /// The changed files that were used, with the tests that used them.
    pub covered: Vec<Covered>,
    /// What no test used, by package: programs, libraries and code.
    pub gaps: Vec<Gap>,
    /// How many other changed files (configuration, certificates, time zones) no test used.
    pub other_untouched: usize,
    /// The tests that used nothing that the patch changed.
    pub idle_tests: BTreeSet<String>,
    /// The tests that used each changed package: what a quick first round runs.
    pub tests_by_package: BTreeMap<String, BTreeSet<String>>,
    /// The tests of which nobody knows what they used.
    pub unobserved_tests: BTreeSet<String>,
    /// How use was seen, by the weakest look.
    pub seen: Sight,
}

/// How the use of files was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sight {
    /// Not at all.
    Nothing,
    /// By what was mapped from time to time: a gap may be none.
    Mapped,
    /// By every opening: a gap is one.
    Opened,
}

/// A changed file that was used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Covered {
    /// The file.
    pub path: String,
    /// Its package; none where no list of packages names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<String>,
    /// The tests that used it.
    pub tests: BTreeSet<String>,
}

/// What no test used of a package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// The package; none for files of no package.
    pub package: Option<String>,
    /// The vulnerabilities that its change fixes.
    pub fixes: BTreeSet<AdvisoryId>,
    /// The files, each with what it is.
    pub files: BTreeMap<String, FileClass>,
    /// Whether no file of the package was used at all.
    pub untouched: bool,
}

/// Which gaps a patch may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Require {
    /// No changed program, library or code may be unused.
    EveryFile,
    /// Of each package whose change fixes a vulnerability, something must be used.
    EveryFix,
    /// All of them: they are listed.
    #[default]
    Nothing,
}

/// Holds what the tests used against what a patch changed.
///
/// A file counts as used under each of its names: through links in its folders, and through hard links.
#[must_use]
pub fn exercise(changes: &Changes, steps: &[TestStep<'_>]) -> Exercise {
    let users = users(changes, steps);
    let mut found = Exercise {
        covered: Vec::new(),
        gaps: Vec::new(),
        other_untouched: 0,
        idle_tests: idle(&users, steps),
        tests_by_package: BTreeMap::new(),
        unobserved_tests: named(steps.iter().filter(|step| step.used.is_none())),
        seen: sight(steps),
    };
    let mut gaps: BTreeMap<Option<String>, Gap> = BTreeMap::new();
    for file in changes.files() {
        match users.get(&file.path) {
            Some(tests) => {
                if let Some(package) = &file.package {
                    found.tests_by_package.entry(package.clone()).or_default().extend(tests.iter().cloned());
                }
                let (path, package) = (file.path.to_string(), file.package.clone());
                found.covered.push(Covered { path, package, tests: tests.clone() });
            }
            None if file.class == FileClass::Other => found.other_untouched += 1,
            None => {
                let gap = gaps.entry(file.package.clone()).or_insert_with(|| gap(file, changes));
                gap.files.insert(file.path.to_string(), file.class);
            }
        }
    }
    let touched: BTreeSet<_> = found.covered.iter().map(|covered| covered.package.clone()).collect();
    found.gaps = gaps.into_values().map(|gap| Gap { untouched: !touched.contains(&gap.package), ..gap }).collect();
    found
}

fn gap(file: &ChangedFile, changes: &Changes) -> Gap {
    let fixes = file.package.as_ref().map(|package| changes.fixes(package)).unwrap_or_default();
    Gap { package: file.package.clone(), fixes, files: BTreeMap::new(), untouched: true }
}

/// The tests that used each changed file.
fn users(changes: &Changes, steps: &[TestStep<'_>]) -> BTreeMap<FilePath, BTreeSet<String>> {
    let mut users: BTreeMap<FilePath, BTreeSet<String>> = BTreeMap::new();
    for step in steps {
        for path in step.used.into_iter().flat_map(|used| &used.files).flat_map(|path| changes.changed(path)) {
            users.entry(path.clone()).or_default().insert(step.name.to_owned());
        }
    }
    users
}

fn named<'a>(steps: impl Iterator<Item = &'a TestStep<'a>>) -> BTreeSet<String> {
    steps.map(|step| step.name.to_owned()).collect()
}

fn idle(users: &BTreeMap<FilePath, BTreeSet<String>>, steps: &[TestStep<'_>]) -> BTreeSet<String> {
    let busy: BTreeSet<&String> = users.values().flatten().collect();
    let mut idle = named(steps.iter().filter(|step| step.used.is_some()));
    idle.retain(|name| !busy.contains(name));
    idle
}

fn sight(steps: &[TestStep<'_>]) -> Sight {
    let sights = steps.iter().map(|step| match step.used.map(|used| used.seen) {
        None => Sight::Nothing,
        Some(Seen::Mapped) => Sight::Mapped,
        Some(Seen::Opened) => Sight::Opened,
    });
    sights.min().unwrap_or(Sight::Nothing)
}

impl Exercise {
    /// The gaps as a reason. Where something is required and it is not known what every test used, a gap could not be
    /// told from none, and the reason does not hold.
    #[must_use]
    pub fn reason(&self, require: Require) -> Reason {
        let fails = |gap: &Gap| match require {
            Require::EveryFile => true,
            Require::EveryFix => gap.untouched && !gap.fixes.is_empty(),
            Require::Nothing => false,
        };
        let gaps = self.gaps.iter().map(|gap| Reason::of(!fails(gap), gap.said(), vec![]));
        let mut because: Vec<_> = gaps.collect();
        if self.seen == Sight::Nothing && !(self.gaps.is_empty() && self.covered.is_empty()) {
            let holds = require == Require::Nothing;
            let message = if holds { self.unseen() } else { format!("could not tell: {}", self.unseen()) };
            because.push(Reason::of(holds, message, vec![]));
        }
        let files: usize = self.gaps.iter().map(|gap| gap.files.len()).sum();
        let message = format!("{} changed files were used, {files} were not{}", self.covered.len(), self.hint());
        Reason::of(because.iter().all(|reason| reason.holds), message, because)
    }

    fn unseen(&self) -> String {
        match self.unobserved_tests.len() {
            0 => "no test ran".into(),
            tests => format!("nobody saw what {tests} tests used"),
        }
    }

    fn hint(&self) -> &'static str {
        match self.seen {
            Sight::Mapped => " (short uses may have been missed)",
            Sight::Nothing | Sight::Opened => "",
        }
    }

    /// As a document for a verdict; the name begins with the given one.
    #[must_use]
    pub fn evidence(&self, name: &str) -> Evidence {
        Evidence {
            name: format!("{name}-exercise.json"),
            media_type: MediaType::new(MEDIA_TYPE),
            content: serde_json::to_string(self).expect("an exercise has only string keys"),
        }
    }
}

impl Gap {
    fn said(&self) -> String {
        const SHOWN: usize = 5;
        let package = self.package.as_deref().unwrap_or("files of no package");
        let mut files: Vec<_> = self.files.keys().take(SHOWN).map(String::as_str).collect();
        let more = self.files.len().saturating_sub(SHOWN);
        let more = format!("{more} more");
        if self.files.len() > SHOWN {
            files.push(&more);
        }
        let what = if self.untouched { "nothing was used" } else { "not everything was used" };
        let fixes: Vec<_> = self.fixes.iter().map(AdvisoryId::as_str).collect();
        let fixes = if fixes.is_empty() { String::new() } else { format!(" (fixes {})", fixes.join(", ")) };
        format!("{package}{fixes}: {what}: {}", files.join(", "))
    }
}
