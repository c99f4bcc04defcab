//! Packages as they stand in an image: names, versions, where they came from.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{Digest, Purl};

/// A text that is empty, or has white space or control characters, where a name or version is expected.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{what} {text:?}: must not be empty nor have white space or control characters")]
pub struct ParseWordError {
    what: &'static str,
    text: String,
}

fn word(what: &'static str, text: &str) -> Result<(), ParseWordError> {
    let bad = |c: char| c.is_whitespace() || c.is_control();
    match text.is_empty() || text.contains(bad) {
        true => Err(ParseWordError { what, text: text.into() }),
        false => Ok(()),
    }
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $what:literal;)*) => { $(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseWordError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                word($what, text).map(|()| Self(text.into()))
            }
        }

        impl TryFrom<String> for $name {
            type Error = ParseWordError;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }
    )* };
}

words! {
    /// The name of a package in its ecosystem: `libssl1.1`, `@babel/core`.
    PackageName "package name";
    /// The name of an order of versions, as in VERS (`deb`, `apk`, `rpm`, `semver`, `pypi`).
    VersionScheme "version scheme";
}

/// A version together with the order it belongs to.
///
/// Core only stores it: what is newer is decided by the crate that knows the scheme, so this type has no `Ord`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    scheme: VersionScheme,
    text: String,
}

impl Version {
    /// The version of the given text in the given scheme (a name as in VERS, such as `deb`).
    ///
    /// # Errors
    /// [`ParseWordError`] where one is empty or has white space.
    pub fn new(scheme: &str, text: &str) -> Result<Self, ParseWordError> {
        word("version", text)?;
        Ok(Self { scheme: scheme.parse()?, text: text.into() })
    }

    /// The name of the order.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.scheme.as_str()
    }

    /// The text of the version.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The source that a package was built from: what distributions' advisories speak about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SourcePackage {
    /// The name of the source package.
    pub name: PackageName,
    /// Its version, which may differ from the binary package's.
    pub version: Version,
}

/// A package found in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The package's identity everywhere: in findings, plans and reports.
    pub purl: Purl,
    /// The name, as advisories of its ecosystem have it: `libssl1.1`, `@babel/core`, `org.slf4j:slf4j-api`.
    pub name: PackageName,
    /// The installed version.
    pub version: Version,
    /// The architecture in the ecosystem's words: `amd64`, `all`, `noarch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// The source it was built from, where the ecosystem has such.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourcePackage>,
    /// The module stream it was built for, as rpm names it: `nodejs:18`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<String>,
    /// The files that say so, relative to the root: `var/lib/dpkg/status`.
    pub locations: BTreeSet<String>,
    /// The diff id of the layer that brought the package.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Digest>,
    /// The package of the distribution that these files belong to: its advisories speak for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Purl>,
    /// How it is known that the package is there.
    #[serde(default, skip_serializing_if = "Presence::is_installed")]
    pub presence: Presence,
}

impl Package {
    /// A package of which nothing more is known.
    #[must_use]
    pub fn new(purl: Purl, name: PackageName, version: Version) -> Self {
        Self {
            purl,
            name,
            version,
            architecture: None,
            source: None,
            module: None,
            locations: BTreeSet::new(),
            layer: None,
            owner: None,
            presence: Presence::Installed,
        }
    }
}

/// How it is known that a package is in an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Presence {
    /// A lock file or manifest asks for it; that it is installed is not said.
    Declared,
    /// The files look like it: a version string in a program that no package manager speaks of.
    Guessed,
    /// A package manager's database, or the metadata that is installed with the package, says so.
    #[default]
    Installed,
}

impl Presence {
    fn is_installed(&self) -> bool {
        *self == Self::Installed
    }
}

/// The distribution of an image, from `os-release(5)`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Distribution {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `11`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_id: Option<String>,
    /// `VERSION_CODENAME`: `bullseye`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codename: Option<String>,
    /// `PRETTY_NAME`, to show to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretty_name: Option<String>,
    /// `ID_LIKE`: the distributions it derives from, closest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub id_like: Vec<String>,
}
