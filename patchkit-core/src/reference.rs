//! The name of an image in a registry: `HOST[:PORT]/REPOSITORY[:TAG][@DIGEST]`.
//!
//! The grammar is the distribution specification's; short names are completed as Docker does (`debian` is
//! `docker.io/library/debian:latest`), since that is what people type.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Digest;

const DEFAULT_HOST: &str = "docker.io";
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;

/// A repository of a registry: where blobs and manifests live.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    host: String,
    path: String,
}

impl Repository {
    /// The registry's host, with the port where one is given: `localhost:5000`.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path below the host: `library/debian`.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The reference to a tag of this repository.
    ///
    /// # Errors
    /// [`ParseReferenceError::Tag`] where the tag is not `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
    pub fn tag(&self, tag: &str) -> Result<Reference, ParseReferenceError> {
        if !is_tag(tag) {
            return Err(ParseReferenceError::Tag(tag.into()));
        }
        Ok(Reference { repository: self.clone(), tag: Some(tag.into()), digest: None })
    }

    /// The reference to a digest in this repository.
    #[must_use]
    pub fn digest(&self, digest: Digest) -> Reference {
        Reference { repository: self.clone(), tag: None, digest: Some(digest) }
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl FromStr for Repository {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (host, path) = match text.split_once('/') {
            Some((first, rest)) if is_host_like(first) => (first, rest.to_owned()),
            Some(_) => (DEFAULT_HOST, text.to_owned()),
            None => (DEFAULT_HOST, format!("library/{text}")),
        };
        if !is_host(host) {
            return Err(ParseReferenceError::Host(host.into()));
        }
        if path.len() > MAX_REPOSITORY || !path.split('/').all(is_component) {
            return Err(ParseReferenceError::Repository(path));
        }
        Ok(Self { host: host.into(), path })
    }
}

/// What an image is called: a repository with a tag, a digest, or both. Both means "the tag, which must be this digest".
///
/// ```
/// use patchkit_core::Reference;
///
/// let reference: Reference = "debian".parse().unwrap();
/// assert_eq!(reference.to_string(), "docker.io/library/debian:latest");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reference {
    repository: Repository,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag; `latest` where the text had neither tag nor digest.
    #[must_use]
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest the image must have.
    #[must_use]
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The same name, fixed to a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self { digest: Some(digest), ..self.clone() }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.tag.iter().try_for_each(|tag| write!(f, ":{tag}"))?;
        self.digest.iter().try_for_each(|digest| write!(f, "@{digest}"))
    }
}

impl FromStr for Reference {
    type Err = ParseReferenceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => {
                let parsed = digest.parse().map_err(|_| ParseReferenceError::Digest(digest.into()))?;
                (name, Some(parsed))
            }
            None => (text, None),
        };
        let (repository, tag) = match name.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => (repository, Some(tag)),
            _ => (name, None),
        };
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(ParseReferenceError::Tag(tag.into()));
        }
        let tag = tag.or(if digest.is_none() { Some("latest") } else { None });
        Ok(Self { repository: repository.parse()?, tag: tag.map(Into::into), digest })
    }
}

impl TryFrom<String> for Reference {
    type Error = ParseReferenceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Reference> for String {
    fn from(reference: Reference) -> Self {
        reference.to_string()
    }
}

/// Why a text is no [`Reference`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseReferenceError {
    /// What stands after `@` is no digest.
    #[error("reference: {0:?} after @ is no digest")]
    Digest(String),
    /// The registry's host is no host name or address with an optional port.
    #[error("reference: {0:?} is no registry host")]
    Host(String),
    /// The repository has upper-case letters, an empty component, or is longer than 255 characters.
    #[error("reference: {0:?} is no repository name (lower-case components of a-z 0-9 . _ - joined by /)")]
    Repository(String),
    /// The tag has a character that tags may not have, or is longer than 128 characters.
    #[error("reference: {0:?} is no tag (at most 128 of A-Z a-z 0-9 _ . -, not starting with . or -)")]
    Tag(String),
}

/// Docker's rule: the first component is a host when it has a dot or a colon, or is `localhost`, or has upper case.
fn is_host_like(first: &str) -> bool {
    first == "localhost" || first.contains(['.', ':', '[']) || first.bytes().any(|b| b.is_ascii_uppercase())
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':').unwrap_or("")) };
            return address.parse::<std::net::Ipv6Addr>().is_ok() && port.is_none_or(is_port);
        }
        None => host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))),
    };
    let label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.split('.').all(label) && port.is_none_or(is_port)
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// A path component: runs of `[a-z0-9]` joined by `.`, `_`, `__` or any number of `-`.
fn is_component(component: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = component.as_bytes();
    let ends = bytes.first().is_some_and(|b| alphanumeric(*b)) && bytes.last().is_some_and(|b| alphanumeric(*b));
    ends && component
        .split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        .all(|joint| matches!(joint, "" | "." | "_" | "__") || joint.bytes().all(|b| b == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= MAX_TAG
        && tag.bytes().next().is_some_and(word)
        && tag.bytes().all(|b| word(b) || b == b'.' || b == b'-')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn completes_short_names_as_docker_does() {
        let hex = "0".repeat(64);
        for (text, shown) in [
            ("debian", "docker.io/library/debian:latest".to_owned()),
            ("debian:11", "docker.io/library/debian:11".to_owned()),
            ("me/app", "docker.io/me/app:latest".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("[::1]:5000/a/b:c", "[::1]:5000/a/b:c".to_owned()),
            (&format!("reg.example.org:5000/a@sha256:{hex}"), format!("reg.example.org:5000/a@sha256:{hex}")),
            (&format!("a:b@sha256:{hex}"), format!("docker.io/library/a:b@sha256:{hex}")),
        ] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), shown);
        }
    }

    #[test]
    fn refuses_bad_names() {
        let long = "a".repeat(300);
        for text in [
            "",
            "me/UPPER:x",
            "a//b",
            "a:",
            "a:-x",
            "a@",
            "a@sha256:00",
            "a b",
            "-a",
            "a..b",
            "example.org:0/a",
            "[::g]/a",
            "../a",
            &long,
        ] {
            assert!(text.parse::<Reference>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_parses_to_the_same(text in "([a-z]{1,4}\\.[a-z]{2}(:[1-9][0-9]{0,3})?/)?[a-z0-9]{1,5}([._-][a-z0-9]{1,3})?(/[a-z]{1,4})?(:[A-Za-z0-9_.]{1,5})?") {
            if let Ok(reference) = text.parse::<Reference>() {
                prop_assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference);
            }
        }

        #[test]
        fn never_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<Reference>();
        }
    }
}
