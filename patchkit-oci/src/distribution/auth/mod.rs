//! Who we are, as far as a registry asks: challenges, credentials, and the tokens they are changed for.

mod challenge;
mod credential;
mod file;
mod helper;
mod store;
mod token;

use std::{
    collections::{BTreeSet, HashMap},
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::{SignedDuration, Timestamp};
use patchkit_core::{Context, Digest, Error, Result};
use reqwest::header::{HeaderMap, HeaderValue};

use super::{endpoint::Place, exchange::Access, options::Options, wire::Wire};
use challenge::Bearer;
pub(super) use challenge::{Challenge, parse as parse_challenges};
pub use credential::Credential;
pub(super) use file::AuthFile;
pub use store::AuthFiles;
use store::Credentials;

/// How long a user name and password are used before they are looked up again.
const BASIC_LIFETIME: Duration = Duration::from_secs(600);

/// Answers the challenges of every registry, and remembers the answers.
#[derive(Debug)]
pub(super) struct Auth {
    wire: Arc<Wire>,
    credentials: Credentials,
    /// What each host asked for last, so that the next scope needs no refusal first.
    challenges: Mutex<HashMap<String, Challenge>>,
    /// Locked while one is fetched, so that many at once fetch one token.
    grants: Slots<Party, Option<Grant>>,
    /// By host and the digest of a refresh token: the one that came in its place. It is held while it is used, since
    /// some servers take each one once only. It lives as long as the client and is written nowhere: files of
    /// credentials are other programs', too.
    refreshed: Slots<(String, Digest), Credential>,
}

/// Values by key, each with a lock of its own.
#[derive(Debug)]
struct Slots<K, V>(Mutex<HashMap<K, Arc<tokio::sync::Mutex<V>>>>);

impl<K: Eq + Hash, V> Slots<K, V> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// The slot of a key, with a first value where it is new.
    fn of(&self, key: K, first: impl FnOnce() -> V) -> Arc<tokio::sync::Mutex<V>> {
        let mut slots = lock(&self.0);
        Arc::clone(slots.entry(key).or_insert_with(|| Arc::new(first().into())))
    }
}

/// Whom a grant is for: what is to be done with which repository.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Party {
    /// The host as credentials name it.
    host: String,
    path: String,
    /// The host as it is reached.
    origin: String,
    scopes: BTreeSet<String>,
}

impl Party {
    pub(super) fn new(place: &Place, access: Access<'_>) -> Self {
        Self {
            host: place.host.clone(),
            path: place.path.clone(),
            origin: place.base.origin().ascii_serialization(),
            scopes: access.scopes(&place.path).into_iter().collect(),
        }
    }
}

/// The value of an `Authorization` header, while it is good.
#[derive(Clone, Debug)]
struct Grant {
    value: HeaderValue,
    until: Timestamp,
}

impl Grant {
    /// A grant for some time from now. The value never shows in logs.
    fn new(text: &str, lifetime: Duration, now: Timestamp) -> Result<Self> {
        let mut value = HeaderValue::from_str(text)
            .map_err(|_| Error::denied("the credentials or token have characters that HTTP cannot carry"))?;
        value.set_sensitive(true);
        let lifetime = SignedDuration::try_from(lifetime).unwrap_or(SignedDuration::MAX);
        Ok(Self { value, until: now.checked_add(lifetime).unwrap_or(Timestamp::MAX) })
    }

    fn basic(username: &str, password: &str, now: Timestamp) -> Result<Self> {
        Self::new(&basic(username, password), BASIC_LIFETIME, now)
    }
}

fn basic(username: &str, password: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{username}:{password}")))
}

impl Auth {
    pub(super) fn new(options: &Options, wire: Arc<Wire>) -> Self {
        let credentials = Credentials::new(options.credentials.clone(), options.auth_files.clone());
        Self { wire, credentials, challenges: Mutex::default(), grants: Slots::new(), refreshed: Slots::new() }
    }

    /// What to send before anybody asks: a grant that is still good, or a new one where the host has asked before.
    pub(super) async fn known(&self, party: &Party, cx: &Context) -> Result<Option<HeaderValue>> {
        let slot = self.slot(party);
        let mut grant = slot.lock().await;
        if let Some(grant) = grant.as_ref().filter(|grant| cx.now() < grant.until) {
            return Ok(Some(grant.value.clone()));
        }
        let Some(challenge) = self.asked_before(party) else { return Ok(None) };
        let fresh = self.obtain(party, &challenge, cx).await?;
        Ok(Some(grant.insert(fresh).value.clone()))
    }

    /// What to send after a refusal: what somebody else got since, or a new grant.
    pub(super) async fn answer(
        &self,
        party: &Party,
        used: Option<&HeaderValue>,
        headers: &HeaderMap,
        cx: &Context,
    ) -> Result<HeaderValue> {
        let challenge = challenge::choose(headers)?;
        let slot = self.slot(party);
        let mut grant = slot.lock().await;
        if let Some(grant) = grant.as_ref().filter(|grant| Some(&grant.value) != used && cx.now() < grant.until) {
            return Ok(grant.value.clone());
        }
        *grant = None;
        let fresh = self.obtain(party, &challenge, cx).await?;
        lock(&self.challenges).insert(party.origin.clone(), challenge.of_any_scope());
        Ok(grant.insert(fresh).value.clone())
    }

    async fn obtain(&self, party: &Party, challenge: &Challenge, cx: &Context) -> Result<Grant> {
        let credential = self.credentials.find(&party.host, &party.path, cx).await?;
        match (challenge, credential) {
            (Challenge::Bearer { .. }, Some(Credential::RegistryToken(token))) => {
                Grant::new(&format!("Bearer {token}"), BASIC_LIFETIME, cx.now())
            }
            (Challenge::Bearer(bearer), Some(Credential::IdentityToken(token))) => {
                self.refresh(party, bearer, &token, cx).await
            }
            (Challenge::Bearer(bearer), credential) => {
                Ok(token::fetch(&self.wire, bearer, &party.scopes, credential.as_ref(), cx).await?.grant)
            }
            (Challenge::Basic, Some(Credential::Basic { username, password })) => {
                Grant::basic(&username, &password, cx.now())
            }
            (Challenge::Basic, Some(_)) => {
                Err(Error::denied(format!("{} asks for a user name and password, and we have a token", party.host)))
            }
            (Challenge::Basic, None) => {
                Err(Error::denied(format!("{} asks for credentials, and none are known for it", party.host)))
            }
        }
    }

    /// A token for a refresh token, or for what came in its place when it was used before.
    async fn refresh(&self, party: &Party, bearer: &Bearer, token: &str, cx: &Context) -> Result<Grant> {
        let key = (party.host.clone(), Digest::of(token));
        let newest = self.refreshed.of(key, || Credential::IdentityToken(token.to_owned()));
        let mut newest = newest.lock().await;
        let answered = token::fetch(&self.wire, bearer, &party.scopes, Some(&newest), cx).await?;
        if let Some(next) = answered.refresh {
            *newest = Credential::IdentityToken(next);
        }
        Ok(answered.grant)
    }

    fn slot(&self, party: &Party) -> Arc<tokio::sync::Mutex<Option<Grant>>> {
        self.grants.of(party.clone(), || None)
    }

    fn asked_before(&self, party: &Party) -> Option<Challenge> {
        lock(&self.challenges).get(&party.origin).cloned()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
