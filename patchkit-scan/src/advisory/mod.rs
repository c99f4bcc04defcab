//! What is known to be vulnerable: advisories of several sources in one form, and the store that is searched.
//!
//! Every source is a small module that turns foreign bytes into [`Advisory`] values, one after the other, without
//! holding the whole input. [`AdvisoryStore`] collects them, joins what speaks of the same, and is what the
//! [matcher](crate::matcher) asks.

pub mod arch;
mod archive;
mod budget;
pub mod changelog;
pub mod csaf;
pub mod debian;
mod error;
pub mod exploitation;
pub mod input;
mod json;
pub mod openvex;
pub mod osv;
pub mod oval;
pub mod photon;
mod platform;
mod rating;
mod rpm;
pub mod rustsec;
mod scope;
pub mod secdb;
pub(crate) mod store;
pub mod update;
pub mod updateinfo;
mod xml;

use std::{borrow::Cow, sync::Arc};

use jiff::civil::Date;
use patchkit_core::{AdvisoryId, CvssScore, Exploitation, PackageName, Severity};

pub use error::{AdvisoryError, AdvisoryErrorKind};
pub use input::{Format, read};
pub use rating::severity_of_score;
pub use scope::Scope;
pub use store::{AdvisoryStore, Builder, Claim, SourceInfo};
pub use update::Feeds;

/// What one source says about one vulnerability in one package of one release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advisory {
    /// The vulnerability; a CVE id where the source knows one.
    pub id: AdvisoryId,
    /// Other ids of the same vulnerability: a CVE's GHSA.
    pub aliases: Vec<AdvisoryId>,
    /// The vendor's announcements that fix it, which may fix others too: `DSA-5764-1`.
    pub bulletins: Vec<AdvisoryId>,
    /// Where it holds.
    pub scope: Scope,
    /// The package: the source package where the ecosystem has such.
    pub package: PackageName,
    /// Which versions have it.
    pub status: Status,
    /// How bad the vendor of the package finds it in this package.
    pub urgency: Severity,
    /// How bad it is in general: by its CVSS score.
    pub severity: Severity,
    /// The CVSS vectors, sorted.
    pub cvss: Vec<CvssScore>,
    /// The architectures that have it, in the ecosystem's words, sorted; none for all.
    pub architectures: Vec<Arc<str>>,
    /// The module stream that it holds in, as rpm names it: `nodejs:18`; `None` for packages outside of modules.
    pub module: Option<Arc<str>>,
    /// The functions that have it, as `import/path.Symbol`, sorted; none where the source does not tell.
    pub symbols: Vec<Arc<str>>,
    /// One line of what it is.
    pub title: Option<Arc<str>>,
    /// When it was published.
    pub date: Option<Date>,
    /// The name of the source: `debian-security-tracker`.
    pub source: Arc<str>,
}

impl Advisory {
    /// An advisory that says nothing more. The package gets the name that its ecosystem holds for
    /// [normal](Scope::package_name).
    #[must_use]
    pub fn new(id: AdvisoryId, scope: Scope, package: PackageName, status: Status, source: &str) -> Self {
        let package = match scope.package_name(package.as_str()) {
            Cow::Borrowed(_) => package,
            Cow::Owned(normal) => normal.parse().unwrap_or(package),
        };
        Self {
            id,
            aliases: Vec::new(),
            bulletins: Vec::new(),
            scope,
            package,
            status,
            urgency: Severity::Unknown,
            severity: Severity::Unknown,
            cvss: Vec::new(),
            architectures: Vec::new(),
            module: None,
            symbols: Vec::new(),
            title: None,
            date: None,
            source: source.into(),
        }
    }
}

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly all are advisories, and none is kept")]
pub enum Statement {
    /// A package has a vulnerability.
    Advisory(Advisory),
    /// A vulnerability is exploited, or how probable that is.
    Exploitation(AdvisoryId, Exploitation),
}

impl From<Advisory> for Statement {
    fn from(advisory: Advisory) -> Self {
        Self::Advisory(advisory)
    }
}

/// Which versions of a package have a vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Those in any of the ranges; there is at least one.
    Affected(Vec<Range>),
    /// None, says the vendor.
    NotAffected,
}

/// A range of versions that have a vulnerability.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// The first version that has it; `None` for every version from the start.
    pub from: Option<Arc<str>>,
    /// Where it ends.
    pub end: End,
}

/// Where a [`Range`] ends.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Before this version, which is available where the advisory holds.
    Fixed(Arc<str>),
    /// Before this version, which is available somewhere else: in a later release.
    FixedElsewhere(Arc<str>),
    /// With this version.
    Last(Arc<str>),
    /// Nowhere yet.
    NotFixed,
    /// Nowhere, and the vendor will leave it so.
    WillNotFix,
}

impl End {
    /// Whether it has no version.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self, Self::NotFixed | Self::WillNotFix)
    }
}

impl Range {
    /// The range of every version up to the end.
    #[must_use]
    pub fn up_to(end: End) -> Self {
        Self { from: None, end }
    }
}

impl Status {
    /// All versions up to the end.
    #[must_use]
    pub fn up_to(end: End) -> Self {
        Self::Affected(vec![Range::up_to(end)])
    }
}

impl Status {
    /// Every version that it names.
    fn versions(&self) -> impl Iterator<Item = &str> {
        let ranges = match self {
            Self::Affected(ranges) => ranges.as_slice(),
            Self::NotAffected => &[],
        };
        ranges.iter().flat_map(|range| range.from.iter().chain(range.end.version())).map(|version| &**version)
    }
}

impl End {
    /// The version it names.
    pub(crate) fn version(&self) -> Option<&Arc<str>> {
        match self {
            Self::Fixed(version) | Self::FixedElsewhere(version) | Self::Last(version) => Some(version),
            Self::NotFixed | Self::WillNotFix => None,
        }
    }
}

/// The longest title, in characters; what is longer is cut.
const MAX_TITLE: usize = 160;

/// A text as a title: its first line, cut where it is too long; nothing for a blank one.
fn title(text: &str) -> Option<Arc<str>> {
    let line = text.trim().lines().next()?.trim_end();
    if line.is_empty() {
        return None;
    }
    match line.char_indices().nth(MAX_TITLE) {
        Some((cut, _)) => Some(format!("{}…", line[..cut].trim_end()).into()),
        None => Some(line.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_title_is_one_short_line() {
        assert_eq!(title(" a \n b").as_deref(), Some("a"));
        assert_eq!(title(" \n "), None);
        let long = title(&"ü".repeat(MAX_TITLE + 1)).unwrap();
        assert_eq!(long.chars().count(), MAX_TITLE + 1);
        assert!(long.ends_with("ü…"));
    }
}
