//! What a registry asks for with `WWW-Authenticate` (RFC 9110, section 11.6.1; distribution's token authentication).

use std::collections::BTreeSet;

use patchkit_core::{Error, Result};
use reqwest::header::{HeaderMap, WWW_AUTHENTICATE};

/// A challenge that we can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) enum Challenge {
    /// A user name and a password.
    Basic,
    /// A token that another server gives out.
    Bearer(Bearer),
}

/// Where tokens are given out, and for what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Bearer {
    pub(super) realm: String,
    pub(super) service: Option<String>,
    pub(super) scopes: BTreeSet<String>,
}

impl Challenge {
    /// The same, without the scope of the one request that it answered.
    pub(super) fn of_any_scope(self) -> Self {
        match self {
            Self::Basic => Self::Basic,
            Self::Bearer(bearer) => Self::Bearer(Bearer { scopes: BTreeSet::new(), ..bearer }),
        }
    }
}

/// The best challenge of an answer: a token before a password.
pub(super) fn choose(headers: &HeaderMap) -> Result<Challenge> {
    let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
    let all: Vec<Challenge> = texts.flat_map(parse).collect();
    let bearer = all.iter().find(|challenge| matches!(challenge, Challenge::Bearer(_)));
    bearer
        .or(all.first())
        .cloned()
        .ok_or_else(|| Error::denied("the registry refuses without a challenge of type Bearer or Basic"))
}

/// The challenges in the text of one header that we can answer; none where it is no list of challenges.
pub(in super::super) fn parse(header: &str) -> Vec<Challenge> {
    let Ok(challenges) = http_auth::parse_challenges(header) else { return Vec::new() };
    challenges.iter().filter_map(understand).collect()
}

fn understand(challenge: &http_auth::ChallengeRef<'_>) -> Option<Challenge> {
    if challenge.scheme.eq_ignore_ascii_case("basic") {
        return Some(Challenge::Basic);
    }
    let parameter = |wanted: &str| {
        let found = challenge.params.iter().find(|(name, _)| name.eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.to_unescaped()).filter(|value| !value.is_empty())
    };
    let is_bearer = challenge.scheme.eq_ignore_ascii_case("bearer");
    let realm = parameter("realm").filter(|_| is_bearer)?;
    let scopes = parameter("scope").unwrap_or_default().split_ascii_whitespace().map(Into::into).collect();
    Some(Challenge::Bearer(Bearer { realm, service: parameter("service"), scopes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scopes: &[&str]) -> Challenge {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        Challenge::Bearer(Bearer { realm: realm.into(), service: service.map(Into::into), scopes })
    }

    #[test]
    fn reads_what_registries_send() {
        for (header, challenges) in [
            (
                r#"Bearer realm="https://auth.example.org/token",service="registry.example.org",scope="repository:a/b:pull,push repository:c:pull""#,
                vec![bearer(
                    "https://auth.example.org/token",
                    Some("registry.example.org"),
                    &["repository:a/b:pull,push", "repository:c:pull"],
                )],
            ),
            (r#"BEARER Realm="https://a.example.org", Service="""#, vec![bearer("https://a.example.org", None, &[])]),
            (
                r#"Basic realm="x, \"y\"", Bearer realm="https://a.example.org""#,
                vec![Challenge::Basic, bearer("https://a.example.org", None, &[])],
            ),
            (r#"Negotiate, Basic realm="x""#, vec![Challenge::Basic]),
            ("Bearer scope=\"x\"", vec![]),
            ("Bearer realm=\"unfinished", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(parse(header), challenges, "{header}");
        }
    }

    #[test]
    fn a_token_is_better_than_a_password() {
        let headers = [r#"Basic realm="x""#, r#"Bearer realm="https://a.example.org""#]
            .map(|text| (WWW_AUTHENTICATE, text.parse().unwrap()));
        let chosen = choose(&HeaderMap::from_iter(headers)).unwrap();
        assert_eq!(chosen, bearer("https://a.example.org", None, &[]));
    }
}
