//! Changes credentials for a token (distribution's "Token Authentication" and "Oauth2 Token Authentication").

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use patchkit_core::{Context, Error, ErrorKind, Result};
use reqwest::{
    Method, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::Deserialize;
use url::{Url, form_urlencoded::Serializer};

use super::{
    super::{
        errors,
        retry::retry_after,
        wire::{Outgoing, Wire},
    },
    Credential, Grant,
    challenge::Bearer,
};

const CLIENT_ID: &str = "patchkit";
/// The most bytes a token server's answer may have.
const LIMIT: u64 = 1 << 20;
/// How long a token is good that does not say so (the specification's default).
const DEFAULT_LIFETIME: u64 = 60;

/// What a token server gives.
pub(super) struct Answered {
    pub(super) grant: Grant,
    /// The refresh token to use from now on, where the one that was used is used up by that (RFC 6749, section 6).
    pub(super) refresh: Option<String>,
}

/// A token for some scopes and those that the challenge named.
pub(super) async fn fetch(
    wire: &Wire,
    bearer: &Bearer,
    scopes: &BTreeSet<String>,
    credential: Option<&Credential>,
    cx: &Context,
) -> Result<Answered> {
    let realm = Url::parse(&bearer.realm)
        .map_err(|error| Error::denied("the registry names a token server that has no URL").because(error))?;
    let scopes: BTreeSet<&str> = scopes.iter().chain(&bearer.scopes).map(String::as_str).collect();
    let request = match credential {
        Some(Credential::IdentityToken(token)) => by_refresh(realm, bearer, &scopes, token),
        Some(Credential::Basic { username, password }) => {
            let mut request = by_get(realm, bearer, &scopes, Some(username));
            let grant = Grant::basic(username, password, cx.now())?;
            request.authorization = Some(grant.value);
            request
        }
        _ => by_get(realm, bearer, &scopes, None),
    };
    let response = wire.send(request, cx).await?;
    read(wire, response, cx).await
}

fn by_get(mut realm: Url, bearer: &Bearer, scopes: &BTreeSet<&str>, account: Option<&str>) -> Outgoing {
    {
        let mut query = realm.query_pairs_mut();
        query.extend_pairs(bearer.service.iter().map(|service| ("service", service)));
        query.extend_pairs(scopes.iter().map(|scope| ("scope", scope)));
        query.extend_pairs(account.map(|account| ("account", account)));
    }
    let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
    Outgoing { method: Method::GET, url: realm, headers, authorization: None, body: Bytes::new() }
}

fn by_refresh(realm: Url, bearer: &Bearer, scopes: &BTreeSet<&str>, token: &str) -> Outgoing {
    let scope = scopes.iter().copied().collect::<Vec<_>>().join(" ");
    let form = Serializer::new(String::new())
        .append_pair("grant_type", "refresh_token")
        .append_pair("service", bearer.service.as_deref().unwrap_or_default())
        .append_pair("client_id", CLIENT_ID)
        .append_pair("scope", &scope)
        .append_pair("refresh_token", token)
        .finish();
    let form_type = HeaderValue::from_static("application/x-www-form-urlencoded");
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, form_type)]);
    Outgoing { method: Method::POST, url: realm, headers, authorization: None, body: form.into() }
}

#[derive(Deserialize)]
struct Answer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
    refresh_token: Option<String>,
}

async fn read(wire: &Wire, response: Response, cx: &Context) -> Result<Answered> {
    let (status, delay) = (response.status(), retry_after(response.headers(), cx.now()));
    let body = wire.collect(response, LIMIT, cx).await?;
    if !status.is_success() {
        let error = errors::refused(status, &body, delay);
        // RFC 6749, section 5.2: what the token server does not like is a 400.
        let is_denial = matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound);
        return Err(if is_denial { Error::denied(error.message()) } else { error }.during("fetch token"));
    }
    let answer: Answer = serde_json::from_slice(&body)
        .map_err(|_| Error::unexpected("the token server's answer is no token in JSON"))?;
    let token = answer.token.or(answer.access_token).filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| Error::denied("the token server gave no token"))?;
    let lifetime = answer.expires_in.unwrap_or(DEFAULT_LIFETIME).max(1);
    // A little early, so that it does not expire on the way.
    let grant = Grant::new(&format!("Bearer {token}"), Duration::from_secs(lifetime) * 9 / 10, cx.now())?;
    Ok(Answered { grant, refresh: answer.refresh_token.filter(|token| !token.is_empty()) })
}
