//! Where a repository is reached: which host, in which scheme, under which path.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Error, Repository, Result};
use url::{Host, Url};

use super::options::{Mirror, MirrorUse, Options};

const DOCKER_HUB: &str = "docker.io";
const DOCKER_HUB_API: &str = "registry-1.docker.io";

/// The repositories of every host, and of the mirrors.
#[derive(Debug)]
pub(super) struct Endpoints {
    plain_http: BTreeSet<String>,
    https: BTreeSet<String>,
    mirrors: BTreeMap<String, Vec<Mirror>>,
}

impl Endpoints {
    pub(super) fn new(options: &Options) -> Result<Self> {
        let Options { plain_http, https, mirrors, .. } = options;
        mirrors.values().flatten().try_for_each(|mirror| mirrored(mirror, "a").map(drop))?;
        Ok(Self { plain_http: plain_http.clone(), https: https.clone(), mirrors: mirrors.clone() })
    }

    /// The repository itself.
    pub(super) fn origin(&self, repository: &Repository) -> Result<Place> {
        let host = canonical_host(repository.host());
        let path = match repository.path() {
            path if host == DOCKER_HUB && !path.contains('/') => format!("library/{path}"),
            path => path.to_owned(),
        };
        self.place(host, path)
    }

    /// The mirrors of the repository that serve what is asked for, best first.
    pub(super) fn mirrors(&self, repository: &Repository, what: MirrorUse) -> Result<Vec<Place>> {
        let origin = self.origin(repository)?;
        let mirrors = self.mirrors.get(repository.host()).or_else(|| self.mirrors.get(&origin.host));
        mirrors
            .into_iter()
            .flatten()
            .filter(|mirror| what == MirrorUse::Digests || mirror.used_for == MirrorUse::Everything)
            .map(|mirror| {
                let (host, path) = mirrored(mirror, &origin.path)?;
                self.place(&host, path)
            })
            .collect()
    }

    /// Refuses a URL that would go over the network in the clear, unless the options allow it.
    pub(super) fn check(&self, url: &Url) -> Result<()> {
        let refused = |why: &str| Err(Error::denied(format!("{}: {why}", shown(url))));
        match url.scheme() {
            "https" => Ok(()),
            "http" if is_loopback(url) || self.plain_http.contains(&authority(url)) => Ok(()),
            "http" => refused("plain HTTP is not allowed for this host"),
            _ => refused("only HTTP and HTTPS are spoken"),
        }
    }

    fn place(&self, host: &str, path: String) -> Result<Place> {
        let address = if host == DOCKER_HUB { DOCKER_HUB_API } else { host };
        let invalid = |error| Error::invalid(format!("{host:?} is no host")).because(error);
        let secure = Url::parse(&format!("https://{address}/")).map_err(invalid)?;
        let is_plain = self.plain_http.contains(host) || is_loopback(&secure) && !self.https.contains(host);
        let base = match is_plain {
            true => Url::parse(&format!("http://{address}/")).map_err(invalid)?,
            false => secure,
        };
        Ok(Place { host: host.into(), path, base })
    }
}

/// One place where a repository lives.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The host as credentials name it.
    pub(super) host: String,
    /// The repository's name there.
    pub(super) path: String,
    /// The root of the host.
    pub(super) base: Url,
}

impl Place {
    /// The URL of something of the repository, such as `blobs/sha256:…`.
    pub(super) fn url(&self, what: &str, query: &[(&str, String)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("/v2/{}/{what}", self.path));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// Whether a URL belongs to the host that credentials are for.
    pub(super) fn owns(&self, url: &Url) -> bool {
        url.origin() == self.base.origin()
    }
}

/// The one name of a host that has several.
pub(super) fn canonical_host(host: &str) -> &str {
    match host {
        "index.docker.io" | DOCKER_HUB_API => DOCKER_HUB,
        host => host,
    }
}

/// A URL as it may be shown: what follows the path may hold secrets.
pub(super) fn shown(url: &Url) -> String {
    format!("{}://{}{}", url.scheme(), authority(url), url.path())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The host and path of a repository in a mirror.
fn mirrored(mirror: &Mirror, path: &str) -> Result<(String, String)> {
    let invalid = || Error::invalid(format!("mirror {:?}: expected HOST[:PORT][/PREFIX]", mirror.location));
    let (host, prefix) = mirror.location.split_once('/').unwrap_or((&mirror.location, ""));
    let path = if prefix.is_empty() { path.to_owned() } else { format!("{}/{path}", prefix.trim_end_matches('/')) };
    let parsed: Repository = format!("{host}/{path}").parse().map_err(|error| invalid().because(error))?;
    if parsed.host() != host {
        return Err(invalid());
    }
    Ok((host.into(), path))
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    fn endpoints(options: Options) -> Endpoints {
        Endpoints::new(&options).unwrap()
    }

    #[test]
    fn names_become_urls() {
        let endpoints = endpoints(Options::default().with_plain_http("plain.example.org").with_https("localhost:5001"));
        for (name, url) in [
            ("debian", "https://registry-1.docker.io/v2/library/debian/tags/list"),
            ("docker.io/debian", "https://registry-1.docker.io/v2/library/debian/tags/list"),
            ("index.docker.io/me/app", "https://registry-1.docker.io/v2/me/app/tags/list"),
            ("example.org:5000/a/b", "https://example.org:5000/v2/a/b/tags/list"),
            ("plain.example.org/a", "http://plain.example.org/v2/a/tags/list"),
            ("localhost:5000/a", "http://localhost:5000/v2/a/tags/list"),
            ("localhost:5001/a", "https://localhost:5001/v2/a/tags/list"),
            ("127.0.0.1:5000/a", "http://127.0.0.1:5000/v2/a/tags/list"),
            ("[::1]:5000/a", "http://[::1]:5000/v2/a/tags/list"),
        ] {
            let place = endpoints.origin(&name.parse().unwrap()).unwrap();
            assert_eq!(place.url("tags/list", &[]).as_str(), url);
        }
    }

    #[test]
    fn plain_http_needs_a_word() {
        let endpoints = endpoints(Options::default().with_plain_http("plain.example.org:5000"));
        for (url, allowed) in [
            ("http://plain.example.org:5000/x", true),
            ("http://plain.example.org/x", false),
            ("http://127.0.0.2:1/x", true),
            ("http://localhost.example.org/x", false),
            ("https://example.org/x", true),
            ("ftp://127.0.0.1/x", false),
        ] {
            let checked = endpoints.check(&Url::parse(url).unwrap());
            assert_eq!(checked.is_ok(), allowed, "{url}");
        }
    }

    #[test]
    fn mirrors_stand_in_for_the_host() {
        let options = Options::default()
            .with_mirror("docker.io", Mirror::new("mirror.example.org/hub"))
            .with_mirror("docker.io", Mirror::of_digests("localhost:5000"));
        let endpoints = endpoints(options);
        let urls = |what| -> Vec<String> {
            let places = endpoints.mirrors(&"debian".parse().unwrap(), what).unwrap();
            places.iter().map(|place| place.url("x", &[]).to_string()).collect()
        };
        let first = "https://mirror.example.org/v2/hub/library/debian/x".to_owned();
        assert_eq!(urls(MirrorUse::Everything), std::slice::from_ref(&first));
        assert_eq!(urls(MirrorUse::Digests), [first, "http://localhost:5000/v2/library/debian/x".into()]);
    }

    #[test]
    fn a_mirror_is_a_host() {
        for location in ["", "mirror", "https://mirror.example.org", "mirror.example.org/UP"] {
            let options = Options::default().with_mirror("docker.io", Mirror::new(location));
            assert_eq!(Endpoints::new(&options).unwrap_err().kind(), ErrorKind::Invalid, "{location}");
        }
    }

    #[test]
    fn what_follows_the_path_is_not_shown() {
        let url = Url::parse("https://me:pw@example.org:1/a?X-Signature=s3cret#f").unwrap();
        assert_eq!(shown(&url), "https://example.org:1/a");
    }
}
