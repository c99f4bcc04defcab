//! Docker's and podman's files of credentials (`config.json`; `containers-auth.json(5)`).

use std::{collections::BTreeMap, fmt};

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;

use super::{super::endpoint::canonical_host, Credential};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The content of a file of credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(in super::super) struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    #[serde(default)]
    creds_store: Option<String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// What a file says about a repository.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The credentials themselves.
    Credential(Credential),
    /// Ask `docker-credential-<program>` for them.
    Helper(String),
}

impl AuthFile {
    pub(in super::super) fn parse(bytes: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// What the file says about a repository: the host's own helper, then the longest entry, then the general helper.
    pub(super) fn find(&self, host: &str, path: &str) -> Option<Found> {
        let helper = |program: &String| (!program.is_empty()).then(|| Found::Helper(program.clone()));
        let own = self.cred_helpers.iter().find(|(key, _)| same(key, host)).and_then(|(_, program)| helper(program));
        own.or_else(|| self.entry(host, path).map(Found::Credential))
            .or_else(|| self.creds_store.as_ref().and_then(helper))
    }

    fn entry(&self, host: &str, path: &str) -> Option<Credential> {
        candidates(host, path).find_map(|wanted| {
            let mut matching = self.auths.iter().filter(|(key, _)| same(key, &wanted));
            matching.find_map(|(_, entry)| entry.credential())
        })
    }
}

impl Entry {
    fn credential(&self) -> Option<Credential> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.identitytoken) {
            return Some(Credential::IdentityToken(token));
        }
        if let Some(token) = filled(&self.registrytoken) {
            return Some(Credential::RegistryToken(token));
        }
        if let (Some(username), Some(password)) = (filled(&self.username), filled(&self.password)) {
            return Some(Credential::Basic { username, password });
        }
        let decoded = String::from_utf8(BASE64.decode(self.auth.as_deref()?.trim()).ok()?).ok()?;
        let (username, password) = decoded.trim_end_matches('\0').split_once(':')?;
        Some(Credential::basic(username, password))
    }
}

/// The keys that speak of a repository, longest first: `host/a/b`, `host/a`, `host`.
pub(super) fn candidates(host: &str, path: &str) -> impl Iterator<Item = String> {
    let host = canonical_host(host);
    let full = format!("{host}/{path}");
    let mut ends: Vec<usize> = full.match_indices('/').map(|(at, _)| at).collect();
    ends.push(full.len());
    let at_host = host.len();
    ends.into_iter().rev().filter(move |end| *end >= at_host).map(move |end| full[..end].to_owned())
}

/// Whether a file's key is what is wanted. Docker writes URLs: `https://index.docker.io/v1/`.
fn same(key: &str, wanted: &str) -> bool {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let key = match bare {
        Some(bare) => bare.split('/').next().unwrap_or(bare),
        None => key.strip_suffix("/v1/").or_else(|| key.strip_suffix("/v2/")).unwrap_or(key).trim_end_matches('/'),
    };
    let (host, path) = key.split_at(key.find('/').unwrap_or(key.len()));
    wanted.strip_prefix(canonical_host(host)) == Some(path)
}

impl fmt::Debug for AuthFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthFile").field("auths", &self.auths.keys()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::BASE64_STANDARD;
    use serde_json::json;

    use super::*;

    fn file() -> AuthFile {
        let auth = |text: &str| json!({ "auth": BASE64_STANDARD.encode(text) });
        let json = json!({
            "auths": {
                "https://index.docker.io/v1/": auth("hub:pw"),
                "example.org": auth("host:pw:with:colons"),
                "example.org/team": auth("team:pw"),
                "example.org/team/app": auth("app:pw\0\0"),
                "oauth.example.org": { "auth": "MDAwOg==", "identitytoken": "refresh" },
                "plain.example.org": { "username": "u", "password": "p" },
                "empty.example.org": {},
                "bad.example.org": { "auth": "!" },
            },
            "credHelpers": { "helped.example.org": "one", "none.example.org": "" },
            "HttpHeaders": { "User-Agent": "x" },
        });
        AuthFile::parse(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn the_longest_prefix_wins() {
        for (host, path, user) in [
            ("example.org", "other", Some("host")),
            ("example.org", "team", Some("team")),
            ("example.org", "team/app", Some("app")),
            ("example.org", "team/app/part", Some("app")),
            ("example.org", "team/application", Some("team")),
            ("example.org", "teams/x", Some("host")),
            ("example.org:5000", "x", None),
            ("docker.io", "library/debian", Some("hub")),
            ("plain.example.org", "x", Some("u")),
            ("empty.example.org", "x", None),
            ("bad.example.org", "x", None),
        ] {
            let found = match file().find(host, path) {
                Some(Found::Credential(Credential::Basic { username, .. })) => Some(username),
                None => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(found.as_deref(), user, "{host}/{path}");
        }
        let Some(Found::Credential(host)) = file().find("example.org", "x") else { panic!() };
        assert_eq!(host, Credential::basic("host", "pw:with:colons"));
    }

    #[test]
    fn tokens_and_helpers() {
        let token = Found::Credential(Credential::IdentityToken("refresh".into()));
        assert_eq!(file().find("oauth.example.org", "x"), Some(token));
        assert_eq!(file().find("helped.example.org", "x"), Some(Found::Helper("one".into())));
        assert_eq!(file().find("none.example.org", "x"), None);
        let stored = AuthFile::parse(br#"{"auths":{"a.example.org":{}},"credsStore":"all"}"#).unwrap();
        assert_eq!(stored.find("a.example.org", "x"), Some(Found::Helper("all".into())));
    }
}
