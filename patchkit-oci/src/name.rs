//! What people call an image, wherever it is.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use patchkit_core::{ParseReferenceError, Reference};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The name of an image with the place it is in, as skopeo and podman write it.
///
/// | text | place |
/// |---|---|
/// | `docker://HOST/REPO[:TAG][@DIGEST]`, `HOST/REPO:TAG` | a registry |
/// | `oci:DIR[:NAME]` | an OCI image layout |
/// | `oci-archive:FILE[:NAME]` | a layout in a tar archive |
/// | `docker-archive:FILE[:NAME]` | what `docker save` writes |
///
/// A path ends at the first colon. Without a name it is the only image there.
///
/// ```
/// use patchkit_oci::ImageName;
///
/// let name: ImageName = "oci:build/image:1.0".parse().unwrap();
/// assert_eq!(name.to_string(), "oci:build/image:1.0");
/// let name: ImageName = "registry.example.org/app:1.0".parse().unwrap();
/// assert_eq!(name.to_string(), "docker://registry.example.org/app:1.0");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
#[non_exhaustive]
pub enum ImageName {
    /// An image in a file that `docker save` or `podman save` wrote.
    DockerArchive(Local),
    /// An image in an OCI image layout.
    Oci(Local),
    /// An image in an OCI image layout that is a tar archive.
    OciArchive(Local),
    /// An image in a registry.
    Registry(Reference),
}

/// A path, and which of the images there is meant.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Local {
    path: PathBuf,
    name: Option<String>,
}

impl Local {
    /// The folder or file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A tag, or the full name of an image.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }
}

/// Why a text is no [`ImageName`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseImageNameError {
    /// There is nothing after the colon before the name.
    #[error("image {0:?}: a name must follow the last colon")]
    Name(String),
    /// There is no path after the transport.
    #[error("image {0:?}: a path must follow {1}:")]
    Path(String, &'static str),
    /// It is no reference into a registry.
    #[error("image {0:?}: {1}")]
    Reference(String, ParseReferenceError),
    /// `docker:` without the slashes.
    #[error("image {0:?}: expected docker://HOST/REPO[:TAG][@DIGEST]")]
    Slashes(String),
    /// A place that skopeo knows and this library does not.
    #[error("image {0:?}: images in {1}: are not supported; use docker://, oci:, oci-archive: or docker-archive:")]
    Transport(String, String),
}

/// The places of images that skopeo and podman know beside ours.
const FOREIGN: [&str; 7] = ["atomic", "containers-storage", "dir", "docker-daemon", "ostree", "sif", "tarball"];

impl FromStr for ImageName {
    type Err = ParseImageNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (transport, rest) = text.split_once(':').unwrap_or((text, ""));
        match transport {
            "docker" => match rest.strip_prefix("//") {
                Some(reference) => registry(text, reference),
                None => Err(ParseImageNameError::Slashes(text.into())),
            },
            "docker-archive" => local(text, "docker-archive", rest).map(Self::DockerArchive),
            "oci" => local(text, "oci", rest).map(Self::Oci),
            "oci-archive" => local(text, "oci-archive", rest).map(Self::OciArchive),
            other if FOREIGN.contains(&other) && text.contains(':') => {
                Err(ParseImageNameError::Transport(text.into(), other.into()))
            }
            _ => registry(text, text),
        }
    }
}

fn registry(text: &str, reference: &str) -> Result<ImageName, ParseImageNameError> {
    let reference = reference.parse().map_err(|error| ParseImageNameError::Reference(text.into(), error))?;
    Ok(ImageName::Registry(reference))
}

fn local(text: &str, transport: &'static str, rest: &str) -> Result<Local, ParseImageNameError> {
    let (path, name) = match rest.split_once(':') {
        Some((_, "")) => return Err(ParseImageNameError::Name(text.into())),
        Some((path, name)) => (path, Some(name.to_owned())),
        None => (rest, None),
    };
    if path.is_empty() {
        return Err(ParseImageNameError::Path(text.into(), transport));
    }
    Ok(Local { path: path.into(), name })
}

impl fmt::Display for ImageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DockerArchive(local) => write!(f, "docker-archive:{local}"),
            Self::Oci(local) => write!(f, "oci:{local}"),
            Self::OciArchive(local) => write!(f, "oci-archive:{local}"),
            Self::Registry(reference) => write!(f, "docker://{reference}"),
        }
    }
}

impl fmt::Display for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())?;
        self.name.iter().try_for_each(|name| write!(f, ":{name}"))
    }
}

impl TryFrom<String> for ImageName {
    type Error = ParseImageNameError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ImageName> for String {
    fn from(name: ImageName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_read_as_skopeo_reads_them() {
        for (text, path, name) in [
            ("oci:dir", "dir", None),
            ("oci:./a/b:1.0", "./a/b", Some("1.0")),
            ("oci-archive:/x.tar:registry.example.org:5000/app:1", "/x.tar", Some("registry.example.org:5000/app:1")),
            ("docker-archive:x.tar:debian:11", "x.tar", Some("debian:11")),
        ] {
            let parsed: ImageName = text.parse().unwrap();
            let (ImageName::DockerArchive(local) | ImageName::Oci(local) | ImageName::OciArchive(local)) = &parsed
            else {
                panic!("{text} is local")
            };
            assert_eq!((local.path(), local.name()), (Path::new(path), name));
            assert_eq!(parsed.to_string(), text);
        }
        for (text, shown) in [
            ("docker://registry.example.org/app", "docker://registry.example.org/app:latest"),
            ("localhost:5000/app:2", "docker://localhost:5000/app:2"),
        ] {
            assert_eq!(text.parse::<ImageName>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_and_says_why() {
        for (text, why) in [
            ("", "repository"),
            ("oci:", "path must follow oci:"),
            ("oci::1", "path must follow"),
            ("oci:dir:", "name must follow"),
            ("docker:debian", "docker://"),
            ("docker://", "repository"),
            ("docker://example.org/UPPER", "no repository name"),
            ("docker-daemon:debian:11", "docker-daemon: are not supported"),
            ("dir:/tmp/x", "not supported"),
        ] {
            let error = text.parse::<ImageName>().unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same(text in "(oci:|oci-archive:|docker-archive:|docker://)?[a-z.0-9/]{1,12}(:[a-z0-9/:.]{1,8})?") {
            if let Ok(name) = text.parse::<ImageName>() {
                prop_assert_eq!(name.to_string().parse::<ImageName>().unwrap(), name);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<ImageName>();
        }
    }
}
