//! Mirrors: where to read instead of the address that a source names.

use std::str::FromStr;

use thiserror::Error;
use url::Url;

use crate::debian::apt::sources::shown;

/// A rule that replaces the beginning of addresses.
///
/// ```
/// use patchkit_scan::debian::apt::client::Mirror;
///
/// // A host that mirrors several archives under their own paths.
/// let mirror: Mirror = "https://mirror.example.org/all".parse().unwrap();
/// let rewritten = mirror.rewrite(&"http://deb.example.org/debian/dists/x".parse().unwrap()).unwrap();
/// assert_eq!(rewritten.as_str(), "https://mirror.example.org/all/debian/dists/x");
///
/// // One archive that lies elsewhere; others are left alone.
/// let mirror: Mirror = "http://deb.example.org/debian=file:/srv/mirror".parse().unwrap();
/// let rewritten = mirror.rewrite(&"http://deb.example.org/debian/dists/x".parse().unwrap()).unwrap();
/// assert_eq!(rewritten.as_str(), "file:///srv/mirror/dists/x");
/// assert_eq!(mirror.rewrite(&"http://deb.example.org/debian-security/x".parse().unwrap()), None);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mirror {
    /// The beginning that is replaced, its path ending in `/`; unset for whatever host there is.
    from: Option<Url>,
    /// What comes in its place, its path ending in `/`.
    to: Url,
}

/// Why a text is no [`Mirror`].
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("mirror {text:?}: {reason} (expected URL or OLD=URL)")]
pub struct ParseMirrorError {
    text: String,
    reason: String,
}

impl Mirror {
    /// A mirror of every archive, under the path that the archive has at home.
    #[must_use]
    pub fn of_everything(to: &Url) -> Self {
        Self { from: None, to: folder(to) }
    }

    /// A mirror of what begins with `from`.
    #[must_use]
    pub fn of(from: &Url, to: &Url) -> Self {
        Self { from: Some(folder(from)), to: folder(to) }
    }

    /// The address to read instead, or `None` where this mirror does not have it.
    #[must_use]
    pub fn rewrite(&self, url: &Url) -> Option<Url> {
        let below = match &self.from {
            None => url.path().trim_start_matches('/'),
            Some(from) => {
                let same_host = (url.scheme(), url.host(), url.port()) == (from.scheme(), from.host(), from.port());
                url.path().strip_prefix(from.path()).filter(|_| same_host)?
            }
        };
        let mut rewritten = self.to.clone();
        rewritten.set_path(&format!("{}{below}", self.to.path()));
        Some(rewritten)
    }
}

impl FromStr for Mirror {
    type Err = ParseMirrorError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let url = |part: &str| {
            let url = Url::parse(part).map_err(|error| error.to_string()).and_then(|url| match url.scheme() {
                "http" | "https" | "file" => Ok(url),
                scheme => Err(format!("scheme {scheme}: cannot be read")),
            });
            url.map_err(|reason| ParseMirrorError { text: shown(text), reason })
        };
        match text.split_once('=') {
            Some((from, to)) => Ok(Self::of(&url(from)?, &url(to)?)),
            None => Ok(Self::of_everything(&url(text)?)),
        }
    }
}

fn folder(url: &Url) -> Url {
    let mut url = url.clone();
    if !url.path().ends_with('/') {
        let path = format!("{}/", url.path());
        url.set_path(&path);
    }
    url
}

/// The addresses to try for `url`, in their order: those of the mirrors that have it, or its own where none has.
pub(super) fn addresses(mirrors: &[Mirror], url: &Url) -> Vec<Url> {
    let rewritten: Vec<_> = mirrors.iter().filter_map(|mirror| mirror.rewrite(url)).collect();
    if rewritten.is_empty() { vec![url.clone()] } else { rewritten }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_mirror_says_why() {
        for (text, reason) in [
            ("", "relative URL without a base"),
            ("cdrom:x", "scheme cdrom: cannot be read"),
            ("http://a.example.org=", "relative URL without a base"),
        ] {
            let error = text.parse::<Mirror>().expect_err(text).to_string();
            assert_eq!(error, format!("mirror {text:?}: {reason} (expected URL or OLD=URL)"));
        }
        let error = "http://a.example.org=http://user:secret@:x".parse::<Mirror>().unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }
}
