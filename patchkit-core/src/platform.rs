//! The operating system and processor an image is made for (OCI image specification, "Image Index": `platform`).

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A platform, written `os/architecture[/variant]` with Go's names: `linux/amd64`, `linux/arm/v7`.
///
/// ```
/// use patchkit_core::Platform;
///
/// let platform: Platform = "linux/arm64/v8".parse().unwrap();
/// assert_eq!(platform, "linux/arm64".parse().unwrap());
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Platform {
    os: String,
    architecture: String,
    variant: Option<String>,
}

impl Platform {
    /// The platform of the given names, normalised: `arm64/v8` is `arm64`, `arm` without variant is `arm/v7`,
    /// `x86_64` is `amd64`, `aarch64` is `arm64`.
    ///
    /// # Errors
    /// [`ParsePlatformError`] where a name is empty or has a character that no platform's name has.
    pub fn new(os: &str, architecture: &str, variant: Option<&str>) -> Result<Self, ParsePlatformError> {
        let names = [Some(os), Some(architecture), variant];
        if let Some(bad) = names.into_iter().flatten().find(|name| !is_name(name)) {
            return Err(ParsePlatformError(bad.into()));
        }
        let (architecture, variant) = match (architecture, variant) {
            ("x86_64" | "amd64", variant) => ("amd64", variant.filter(|v| *v != "v1")),
            ("aarch64" | "arm64", variant) => ("arm64", variant.filter(|v| *v != "v8")),
            ("arm", variant) => ("arm", variant.or(Some("v7"))),
            other => other,
        };
        Ok(Self { os: os.into(), architecture: architecture.into(), variant: variant.map(Into::into) })
    }

    /// The operating system: `linux`.
    #[must_use]
    pub fn os(&self) -> &str {
        &self.os
    }

    /// The processor architecture: `amd64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The variant of the architecture: `v7`.
    #[must_use]
    pub fn variant(&self) -> Option<&str> {
        self.variant.as_deref()
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

/// A text that is no [`Platform`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("platform {0:?}: expected os/architecture[/variant], as in linux/arm64 or linux/arm/v7")]
pub struct ParsePlatformError(String);

impl FromStr for Platform {
    type Err = ParsePlatformError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parsed = match text.split('/').collect::<Vec<_>>()[..] {
            [os, architecture] => Self::new(os, architecture, None),
            [os, architecture, variant] => Self::new(os, architecture, Some(variant)),
            _ => Err(ParsePlatformError(text.into())),
        };
        parsed.map_err(|_| ParsePlatformError(text.into()))
    }
}

impl TryFrom<String> for Platform {
    type Error = ParsePlatformError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Platform> for String {
    fn from(platform: Platform) -> Self {
        platform.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalises_variants() {
        for (text, shown) in
            [("linux/arm", "linux/arm/v7"), ("linux/x86_64", "linux/amd64"), ("linux/arm/v6", "linux/arm/v6")]
        {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_other_shapes() {
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "lin ux/amd64"] {
            assert!(text.parse::<Platform>().is_err(), "{text}");
        }
    }
}
