//! Which packages to change: exactly what is asked for and what that needs, and nothing is removed.
//!
//! The search is [resolvo](https://docs.rs/resolvo)'s; what packages mean to each other (Debian Policy 7), which version
//! counts as the candidate (apt_preferences(5)) and what is a good answer are decided here. Every answer is checked
//! once more, package by package, before it is given. The same input always gives the same answer.
//!
//! A virtual package is the union of its providers' concrete versions; a `Conflicts` or `Breaks` forbids what it matches
//! in every provider but the package itself. Packages of other architectures are kept as they are. A dependency that
//! is broken in the image already (distroless images leave many out) may stay broken, and is reported.

mod explain;
mod provider;
mod relation;
mod strategy;
mod universe;

use std::fmt;

use super::{
    apt::{client::Archive, index::AvailablePackage, preferences::Preferences},
    dpkg::package::InstalledPackage,
    version::DebVersion,
};

/// What the solver works on.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// What dpkg knows: removed packages are passed over.
    pub installed: &'a [InstalledPackage],
    /// What can be had.
    pub archive: &'a Archive,
    /// Pins.
    pub preferences: &'a Preferences,
    /// The image's own architecture in Debian's words: `amd64`.
    pub architecture: &'a str,
}

/// A package that should be at least of some version.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Goal {
    /// The binary package.
    pub package: String,
    /// The lowest version that will do.
    pub version: DebVersion,
}

/// What can be done, and what cannot and why. Lists are sorted by package.
#[derive(Clone, Debug, Default)]
pub struct Solution {
    /// What changes.
    pub changes: Vec<Change>,
    /// What was asked for and cannot be had.
    pub unreachable: Vec<Unreachable>,
    /// Dependencies that are broken in the image and stay so: `tzdata: debconf (>= 0.5) | debconf-2.0`.
    pub broken: Vec<String>,
}

/// One package that changes.
#[derive(Clone, Debug)]
pub struct Change {
    /// The package.
    pub name: String,
    /// What is installed; `None` for a new package.
    pub from: Option<DebVersion>,
    /// What is to be installed.
    pub to: DebVersion,
    /// The same in the archive.
    pub package: AvailablePackage,
    /// Who asked for it.
    pub why: Why,
}

/// Who asked for a change.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Why {
    /// It is a goal.
    Asked,
    /// Another change needs it.
    NeededBy {
        /// The package that changes too.
        package: String,
        /// What it asks for: `libssl3 (= 3.0.17-1)`.
        relation: String,
    },
    /// It comes from the source package of a goal, of which everything should be of one version.
    SameSource {
        /// The source package.
        source: String,
    },
    /// Everything was to be upgraded.
    Upgrade,
}

/// Something that was asked for and cannot be had.
#[derive(Clone, Debug)]
pub struct Unreachable {
    /// What was asked for.
    pub goal: Goal,
    /// What kind of thing stands in the way.
    pub obstacle: Obstacle,
    /// What stands in the way, in words.
    pub reason: Reason,
}

/// What kind of thing stands in the way of a goal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Obstacle {
    /// Other packages, which would break or have to go.
    Conflict,
    /// The package is on hold.
    Held,
    /// No archive has such a version.
    NotAvailable,
    /// The package is not installed.
    NotInstalled,
    /// An archive has it, but pins say to take another version.
    Pinned,
}

/// A reason and its own reasons: a tree that a person can read. [`fmt::Display`] indents it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Reason {
    /// One line.
    pub text: String,
    /// Why that is so.
    pub because: Vec<Reason>,
}

/// Finds the smallest change that reaches as many goals as possible.
///
/// Other binary packages of the same source follow, as far as that is possible. What stands in the way of the other
/// goals is part of the answer.
#[must_use]
pub fn reach(situation: Situation<'_>, goals: &[Goal]) -> Solution {
    strategy::reach(situation, goals)
}

/// Finds all upgrades that can be had together: `apt-get upgrade --with-new-pkgs`. New packages come where they are
/// needed, none goes; what other packages keep back stands in [`Solution::unreachable`]. What the user keeps back, by
/// a hold or a pin, is no upgrade to begin with: see [`obstacles`].
#[must_use]
pub fn upgrade_all(situation: Situation<'_>) -> Solution {
    strategy::upgrade_all(situation)
}

/// The goals that no choice of versions reaches, whatever else changes: because of a hold or a pin, or because there is
/// no such version or package.
#[must_use]
pub fn obstacles(situation: Situation<'_>, goals: &[Goal]) -> Vec<Unreachable> {
    strategy::obstacles(situation, goals)
}

impl Solution {
    /// The change of a package.
    #[must_use]
    pub fn change(&self, package: &str) -> Option<&Change> {
        self.changes.iter().find(|change| change.name == package)
    }

    /// Who asked for a package's change, back to a goal: each is asked for by the next.
    #[must_use]
    pub fn chain(&self, package: &str) -> Vec<&Change> {
        let mut chain = Vec::new();
        let mut next = self.change(package);
        while let Some(change) = next {
            if chain.iter().any(|known: &&Change| known.name == change.name) {
                break;
            }
            chain.push(change);
            next = match &change.why {
                Why::NeededBy { package, .. } => self.change(package),
                _ => None,
            };
        }
        chain
    }
}

impl Reason {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), because: Vec::new() }
    }

    fn lines(&self, f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
        if depth > 0 {
            write!(f, "\n{:1$}because ", "", 2 * depth)?;
        }
        f.write_str(&self.text)?;
        self.because.iter().try_for_each(|reason| reason.lines(f, depth + 1))
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines(f, 0)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (>= {})", self.package, self.version)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asked => f.write_str("asked for"),
            Self::NeededBy { package, relation } => write!(f, "{package} needs {relation}"),
            Self::SameSource { source } => write!(f, "from the same source package {source}"),
            Self::Upgrade => f.write_str("a newer version is available"),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.from {
            Some(from) => write!(f, "{} {from} -> {}: {}", self.name, self.to, self.why),
            None => write!(f, "{} {} (new): {}", self.name, self.to, self.why),
        }
    }
}

#[cfg(test)]
mod tests;
