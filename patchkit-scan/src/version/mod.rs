//! Versions, and the exact order that each ecosystem gives them: one module a scheme.
//!
//! A [`Scheme`] reads a text into a [`Parsed`] version. Versions of one scheme are totally ordered, so that they can be
//! sorted and searched; where a native tool's comparison is no order (rpm and pacman pass over a release that one side
//! lacks), [`Parsed::against`] is that comparison and the order itself says what is missing is least.
//!
//! Numbers are compared whatever their length, and no text makes a comparison slower than linear.

mod alpm;
mod apk;
mod composer;
mod deb;
mod evr;
mod gem;
mod generic;
mod golang;
mod maven;
mod numeric;
mod pypi;
mod rpm;
mod semver;
mod token;

use std::{cmp::Ordering, fmt, str::FromStr};

use thiserror::Error;

/// The longest text that is read as a version, in bytes. Real ones are under 100.
pub const MAX_LENGTH: usize = 1024;

/// An order of versions, named as in VERS, whose names are the types of package URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Scheme {
    /// Arch Linux: pacman's `vercmp`.
    Alpm,
    /// Alpine, Wolfi: apk-tools 3.
    Apk,
    /// Rust crates: semantic versions.
    Cargo,
    /// PHP: Composer.
    Composer,
    /// R: numbers between dots and hyphens.
    Cran,
    /// Debian, Ubuntu: dpkg.
    Deb,
    /// Ruby: `Gem::Version`.
    Gem,
    /// Programs that no ecosystem has: numbers, then letters, pre-releases by their usual names.
    Generic,
    /// Go modules and toolchains.
    Golang,
    /// Haskell: lists of numbers.
    Hackage,
    /// Erlang and Elixir: semantic versions.
    Hex,
    /// Java: Maven's version order specification.
    Maven,
    /// JavaScript: node-semver, read loosely.
    Npm,
    /// .NET: semantic versions of four numbers, without case.
    Nuget,
    /// Dart: semantic versions whose build counts.
    Pub,
    /// Python: PEP 440.
    Pypi,
    /// Red Hat, SUSE and others: `rpmvercmp`, with epoch and release.
    Rpm,
    /// Semantic Versioning 2.0.
    Semver,
}

impl Scheme {
    /// All schemes.
    pub const ALL: [Self; 18] = [
        Self::Alpm,
        Self::Apk,
        Self::Cargo,
        Self::Composer,
        Self::Cran,
        Self::Deb,
        Self::Gem,
        Self::Generic,
        Self::Golang,
        Self::Hackage,
        Self::Hex,
        Self::Maven,
        Self::Npm,
        Self::Nuget,
        Self::Pub,
        Self::Pypi,
        Self::Rpm,
        Self::Semver,
    ];

    /// The name: `deb`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alpm => "alpm",
            Self::Apk => "apk",
            Self::Cargo => "cargo",
            Self::Composer => "composer",
            Self::Cran => "cran",
            Self::Deb => "deb",
            Self::Gem => "gem",
            Self::Generic => "generic",
            Self::Golang => "golang",
            Self::Hackage => "hackage",
            Self::Hex => "hex",
            Self::Maven => "maven",
            Self::Npm => "npm",
            Self::Nuget => "nuget",
            Self::Pub => "pub",
            Self::Pypi => "pypi",
            Self::Rpm => "rpm",
            Self::Semver => "semver",
        }
    }

    /// The scheme of a name, or of the versions in package URLs of a type: `cargo`, `swift`.
    #[must_use]
    pub fn of_purl_type(kind: &str) -> Option<Self> {
        match kind {
            "cocoapods" => Some(Self::Gem),
            "bitnami" | "conan" | "conda" => Some(Self::Generic),
            "github" | "swift" => Some(Self::Semver),
            kind => kind.parse().ok(),
        }
    }

    /// Reads a version.
    ///
    /// What the ecosystem's own tool reads is read; some schemes are more lenient, since advisories are: a `v` before a
    /// semantic version, or numbers that are missing at its end.
    ///
    /// # Errors
    /// [`VersionError`], with what is wrong and where.
    pub fn parse(self, text: &str) -> Result<Parsed, VersionError> {
        self.read(text).map_err(|flaw| {
            let text = text.chars().take(80).collect();
            VersionError { scheme: self, text, flaw }
        })
    }

    fn read(self, text: &str) -> Result<Parsed, Flaw> {
        if text.is_empty() {
            return Err(Flaw::new(0, "it is empty"));
        }
        if text.len() > MAX_LENGTH {
            return Err(Flaw::new(MAX_LENGTH, "it is too long"));
        }
        Ok(Parsed(match self {
            Self::Alpm => Order::Alpm(alpm::AlpmVersion::parse(text)?),
            Self::Apk => Order::Apk(apk::ApkVersion::parse(text)?),
            Self::Cargo => Order::Cargo(semver::Semver::parse(text)?),
            Self::Composer => Order::Composer(composer::ComposerVersion::parse(text)?),
            Self::Cran => Order::Cran(numeric::Numeric::parse(text, &['.', '-'])?),
            Self::Deb => Order::Deb(deb::parse(text)?),
            Self::Gem => Order::Gem(gem::GemVersion::parse(text)?),
            Self::Generic => Order::Generic(generic::Generic::parse(text)),
            Self::Golang => Order::Golang(golang::parse(text)?),
            Self::Hackage => Order::Hackage(numeric::Numeric::parse(text, &['.'])?),
            Self::Hex => Order::Hex(semver::Semver::parse(text)?),
            Self::Maven => Order::Maven(maven::MavenVersion::parse(text)),
            Self::Npm => Order::Npm(semver::Semver::parse(text)?),
            Self::Nuget => Order::Nuget(semver::Semver::parse(&text.to_ascii_lowercase())?),
            Self::Pub => Order::Pub(semver::WithBuild(semver::Semver::parse(text)?)),
            Self::Pypi => Order::Pypi(pypi::parse(text)?),
            Self::Rpm => Order::Rpm(rpm::RpmVersion::parse(text)?),
            Self::Semver => Order::Semver(semver::Semver::parse(text)?),
        }))
    }

    /// Compares two texts.
    ///
    /// ```
    /// use patchkit_scan::version::Scheme;
    /// assert!(Scheme::Rpm.compare("1.0~rc1-1", "1.0-1").unwrap().is_lt());
    /// assert!(Scheme::Pypi.compare("1.0.post1", "1.0").unwrap().is_gt());
    /// assert!(Scheme::Gem.compare("1.0", "one").is_err());
    /// ```
    ///
    /// # Errors
    /// As [`parse`](Self::parse), of the first that cannot be read.
    pub fn compare(self, a: &str, b: &str) -> Result<Ordering, VersionError> {
        Ok(self.parse(a)?.cmp(&self.parse(b)?))
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no [`Scheme`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("the order of {0} versions is not known")]
pub struct ParseSchemeError(String);

impl FromStr for Scheme {
    type Err = ParseSchemeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|scheme| scheme.as_str() == text);
        found.ok_or_else(|| ParseSchemeError(text.into()))
    }
}

/// A text that is no version of its scheme.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{scheme} version {text:?}: {}, at byte {}", flaw.reason, flaw.at)]
pub struct VersionError {
    scheme: Scheme,
    text: String,
    flaw: Flaw,
}

/// What is wrong with a text, and where in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flaw {
    at: usize,
    reason: &'static str,
}

impl Flaw {
    fn new(at: usize, reason: &'static str) -> Self {
        Self { at, reason }
    }
}

/// A version that was read.
///
/// Equality follows the order: `1.0` and `1.0.0` are the same version in most schemes. Versions of different schemes
/// are ordered by their schemes, which says nothing but keeps the order total.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Parsed(Order);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    Alpm(alpm::AlpmVersion),
    Apk(apk::ApkVersion),
    Cargo(semver::Semver),
    Composer(composer::ComposerVersion),
    Cran(numeric::Numeric),
    Deb(crate::debian::version::DebVersion),
    Gem(gem::GemVersion),
    Generic(generic::Generic),
    Golang(semver::Semver),
    Hackage(numeric::Numeric),
    Hex(semver::Semver),
    Maven(maven::MavenVersion),
    Npm(semver::Semver),
    Nuget(semver::Semver),
    Pub(semver::WithBuild),
    Pypi(Box<pep440_rs::Version>),
    Rpm(rpm::RpmVersion),
    Semver(semver::Semver),
}

impl Parsed {
    /// How this version stands to a bound of a range, by the ecosystem's own rule for dependencies.
    ///
    /// That is the order, but in rpm and pacman, where a release that only one side names is not compared: `1.0-5` is
    /// equal to the bound `1.0`. For that it is not transitive.
    #[must_use]
    pub fn against(&self, bound: &Self) -> Ordering {
        match (&self.0, &bound.0) {
            (Order::Alpm(version), Order::Alpm(bound)) => version.against(bound),
            (Order::Rpm(version), Order::Rpm(bound)) => version.against(bound),
            _ => self.cmp(bound),
        }
    }
}

#[cfg(test)]
mod tests;
