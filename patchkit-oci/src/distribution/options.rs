//! Everything that a caller may decide about the client.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use serde_json::json;

use super::{
    auth::{AuthFiles, Credential},
    retry::RetryPolicy,
};

const MIB: u64 = 1 << 20;

/// How the client finds registries, trusts them, and is patient with them. The default suits a public registry.
///
/// Hosts are written as in a reference, with the port where there is one: `localhost:5000`.
#[derive(Clone, Debug)]
pub struct Options {
    /// The hosts that are spoken to in plain HTTP. Loopback is, without being named here.
    pub plain_http: BTreeSet<String>,
    /// The hosts on loopback that are spoken to in HTTPS all the same.
    pub https: BTreeSet<String>,
    /// For a host, where else its content is looked for first, in this order. Only pulls go there.
    pub mirrors: BTreeMap<String, Vec<Mirror>>,
    /// Certificates in PEM that are trusted beside the system's: private authorities.
    pub authorities: Vec<Bytes>,
    /// The way out.
    pub proxy: ProxyChoice,
    /// Credentials for a host, or for the repositories below `host/path`; the longest match wins. Asked before files.
    pub credentials: BTreeMap<String, Credential>,
    /// Which files credentials are looked for in.
    pub auth_files: AuthFiles,
    /// When to try again.
    pub retry: RetryPolicy,
    /// How long a connection may take to be made.
    pub connect_timeout: Duration,
    /// How long the other side may be silent, or take nothing, before the connection counts as dropped.
    pub stall_timeout: Duration,
    /// Blobs up to this size in bytes are sent in one request from memory.
    pub monolithic: u64,
    /// The size in bytes of the pieces of a larger upload, where the registry does not ask for larger ones; `None`
    /// sends all in one piece. A dropped piece goes on where it broke in either case.
    pub chunk: Option<u64>,
    /// What the client calls itself.
    pub user_agent: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            plain_http: BTreeSet::new(),
            https: BTreeSet::new(),
            mirrors: BTreeMap::new(),
            authorities: Vec::new(),
            proxy: ProxyChoice::Environment,
            credentials: BTreeMap::new(),
            auth_files: AuthFiles::Standard,
            retry: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(15),
            stall_timeout: Duration::from_secs(60),
            monolithic: MIB,
            chunk: None,
            user_agent: concat!("patchkit/", env!("CARGO_PKG_VERSION")).into(),
        }
    }
}

impl Options {
    /// The same, speaking plain HTTP to a host.
    #[must_use]
    pub fn with_plain_http(mut self, host: impl Into<String>) -> Self {
        self.plain_http.insert(host.into());
        self
    }

    /// The same, speaking HTTPS to a host although it is on loopback.
    #[must_use]
    pub fn with_https(mut self, host: impl Into<String>) -> Self {
        self.https.insert(host.into());
        self
    }

    /// The same, with one more mirror of a host.
    #[must_use]
    pub fn with_mirror(mut self, host: impl Into<String>, mirror: Mirror) -> Self {
        self.mirrors.entry(host.into()).or_default().push(mirror);
        self
    }

    /// The same, trusting one more file of certificates in PEM.
    #[must_use]
    pub fn with_authority(mut self, pem: impl Into<Bytes>) -> Self {
        self.authorities.push(pem.into());
        self
    }

    /// The same, with another way out.
    #[must_use]
    pub fn with_proxy(self, proxy: ProxyChoice) -> Self {
        Self { proxy, ..self }
    }

    /// The same, with credentials for a host or for `host/path`.
    #[must_use]
    pub fn with_credential(mut self, of: impl Into<String>, credential: Credential) -> Self {
        self.credentials.insert(of.into(), credential);
        self
    }

    /// The same, looking for credentials in other files.
    #[must_use]
    pub fn with_auth_files(self, auth_files: AuthFiles) -> Self {
        Self { auth_files, ..self }
    }

    /// The same, with other patience.
    #[must_use]
    pub fn with_retry(self, retry: RetryPolicy) -> Self {
        Self { retry, ..self }
    }

    /// The same, with another limit on silence.
    #[must_use]
    pub fn with_stall_timeout(self, stall_timeout: Duration) -> Self {
        Self { stall_timeout, ..self }
    }

    /// The same, sending blobs up to this many bytes in one request.
    #[must_use]
    pub fn with_monolithic(self, monolithic: u64) -> Self {
        Self { monolithic, ..self }
    }

    /// The same, uploading in pieces of this many bytes.
    #[must_use]
    pub fn with_chunk(self, chunk: u64) -> Self {
        Self { chunk: Some(chunk), ..self }
    }

    /// The same, under another name.
    #[must_use]
    pub fn with_user_agent(self, user_agent: impl Into<String>) -> Self {
        Self { user_agent: user_agent.into(), ..self }
    }

    /// What can change an answer, without secrets.
    pub(super) fn configuration(&self) -> serde_json::Value {
        let mirrors: BTreeMap<_, Vec<_>> =
            self.mirrors.iter().map(|(host, all)| (host, all.iter().map(|m| &m.location).collect())).collect();
        json!({ "plain_http": self.plain_http, "https": self.https, "mirrors": mirrors })
    }
}

/// Where a registry's content may be found too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// `HOST[:PORT][/PREFIX]`: what stands in place of the registry's host.
    pub location: String,
    /// What it is asked for.
    pub used_for: MirrorUse,
}

impl Mirror {
    /// A mirror that is asked for everything.
    pub fn new(location: impl Into<String>) -> Self {
        Self { location: location.into(), used_for: MirrorUse::Everything }
    }

    /// A mirror that is asked for digests only, since its tags may be old.
    pub fn of_digests(location: impl Into<String>) -> Self {
        Self { location: location.into(), used_for: MirrorUse::Digests }
    }
}

/// What a mirror is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MirrorUse {
    /// Only what has a digest, and so is the same everywhere.
    Digests,
    /// Tags too, which may be older than the registry's.
    #[default]
    Everything,
}

/// How requests leave the machine.
#[derive(Clone, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// Straight.
    Direct,
    /// As `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` and `NO_PROXY` say; straight to loopback.
    #[default]
    Environment,
    /// Through this proxy.
    Url {
        /// `http://` or `https://`, with `user:password@` where the proxy asks for it.
        url: String,
        /// The hosts that are reached straight, in the syntax of `NO_PROXY`.
        except: String,
    },
}

impl ProxyChoice {
    /// Through the given proxy, always.
    pub fn url(url: impl Into<String>) -> Self {
        Self::Url { url: url.into(), except: String::new() }
    }
}

impl std::fmt::Debug for ProxyChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Direct => f.write_str("Direct"),
            Self::Environment => f.write_str("Environment"),
            Self::Url { url, except } => {
                let shown = url.rsplit_once('@').map_or(url.as_str(), |(_, host)| host);
                f.debug_struct("Url").field("url", &shown).field("except", except).finish()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_printed() {
        let options = Options::default()
            .with_proxy(ProxyChoice::url("http://me:s3cret@proxy.example.org:3128"))
            .with_credential("example.org", Credential::basic("me", "s3cret"))
            .with_credential("a.example.org", Credential::IdentityToken("s3cret".into()));
        let shown = format!("{options:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert!(shown.contains("proxy.example.org"));
    }
}
