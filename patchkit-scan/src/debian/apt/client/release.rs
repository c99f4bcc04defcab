//! The signed heart of a repository: `InRelease`, or `Release` with `Release.gpg`.

use std::sync::Arc;

use patchkit_core::{Context, Error, ErrorKind, Result};
use url::Url;

use super::{ArchiveClient, blocking};
use crate::debian::apt::{
    openpgp::{Keyring, Policy, VerifyError, verify_clear_signed, verify_detached},
    release::{Freshness, Release, ReleaseError},
    sources::{self, Source},
    trust::TrustStore,
};

/// The largest `Release` file read. Debian's have 150 kB.
const MAX_RELEASE_SIZE: u64 = 64 << 20;
/// The largest detached signature read.
const MAX_SIGNATURE_SIZE: u64 = 1 << 20;

impl ArchiveClient {
    /// Fetches, verifies and reads a source's `Release` file.
    pub(super) async fn read_release(&self, source: &Source, trust: &TrustStore, cx: &Context) -> Result<Arc<Release>> {
        let folder = source.release_folder();
        let keys = self.keys(source, trust)?;
        let text = self.signed_text(&folder, keys, self.policy(source, cx), cx).await?;
        let release = Release::parse(&text).map_err(|error| refused(&error, &folder))?;
        let freshness = Freshness {
            now: cx.now(),
            check_valid_until: source.options.check_valid_until.unwrap_or(true) && !self.accept_expired,
            check_date: source.options.check_date.unwrap_or(true),
        };
        release.check_fresh(freshness).map_err(|error| refused(&error, &folder))?;
        self.check_not_rolled_back(&folder, release, cx).await
    }

    /// Whom to trust; `None` where the source asks for no signature.
    fn keys(&self, source: &Source, trust: &TrustStore) -> Result<Option<Keyring>> {
        match source.options.trusted {
            Some(false) => Err(Error::denied("the source is marked trusted=no").on(&source.place)),
            Some(true) => {
                tracing::warn!(place = %source.place, "the source is marked trusted=yes: its signature is not checked");
                Ok(None)
            }
            None => trust.keyring_for(source).map(Some),
        }
    }

    fn policy(&self, source: &Source, cx: &Context) -> Policy {
        let frozen = self.accept_expired || source.options.check_valid_until == Some(false);
        Policy::at(cx.now()).with_expired_keys(frozen)
    }

    /// The text of the `Release` file, verified. The detached form is asked for only where there is no `InRelease` at
    /// all: a bad one is never passed over.
    async fn signed_text(&self, folder: &Url, keys: Option<Keyring>, policy: Policy, cx: &Context) -> Result<String> {
        let inline = sources::join(folder, "InRelease");
        match self.read_small(&inline, MAX_RELEASE_SIZE, cx).await {
            Ok(document) => inline_text(document, keys, policy)
                .await
                .map_err(|error| error.on(sources::without_credentials(&inline))),
            Err(error) if error.kind() == ErrorKind::NotFound => self.detached_text(folder, keys, policy, cx).await,
            Err(error) => Err(error),
        }
    }

    async fn detached_text(&self, folder: &Url, keys: Option<Keyring>, policy: Policy, cx: &Context) -> Result<String> {
        let plain = sources::join(folder, "Release");
        let document = self.read_small(&plain, MAX_RELEASE_SIZE, cx).await?;
        if let Some(keys) = keys {
            let signature = sources::join(folder, "Release.gpg");
            let signature =
                self.read_small(&signature, MAX_SIGNATURE_SIZE, cx).await.map_err(|error| match error.kind() {
                    ErrorKind::NotFound => {
                        Error::corrupt("neither InRelease nor Release.gpg: the repository is not signed")
                    }
                    _ => error,
                })?;
            let verified = verify_detached(&document, &signature, &keys, policy);
            verified.map_err(|error| unverified(&error).on(sources::without_credentials(&plain)))?;
        }
        String::from_utf8(document).map_err(|_| Error::corrupt("is not UTF-8").on(sources::without_credentials(&plain)))
    }

    pub(super) async fn read_small(&self, url: &Url, limit: u64, cx: &Context) -> Result<Vec<u8>> {
        self.try_mirrors(url, |url| async move { self.fetch.open(&url, cx).await?.read(limit, cx).await }).await
    }

    async fn check_not_rolled_back(&self, folder: &Url, release: Release, cx: &Context) -> Result<Arc<Release>> {
        cx.check()?;
        let (cache, folder) = (self.cache.clone(), folder.clone());
        blocking(move || {
            let suite = sources::without_credentials(&folder).to_string();
            if let Some(seen) = cache.seen(&suite)? {
                release.check_not_older_than(seen).map_err(|error| refused(&error, &folder))?;
            }
            cache.set_seen(&suite, release.date)?;
            Ok(Arc::new(release))
        })
        .await
    }
}

async fn inline_text(document: Vec<u8>, keys: Option<Keyring>, policy: Policy) -> Result<String> {
    let Some(keys) = keys else {
        let text =
            crate::debian::apt::openpgp::split_clear_signed(&document).map(|parts| parts.text).unwrap_or(document);
        return String::from_utf8(text).map_err(|_| Error::corrupt("is not UTF-8"));
    };
    let verified = blocking(move || verify_clear_signed(&document, &keys, policy).map_err(|error| unverified(&error)));
    let (text, signers) = verified.await?;
    for signer in signers {
        tracing::debug!(key = signer.key, user_id = signer.user_id, "good signature");
    }
    Ok(text)
}

fn unverified(error: &VerifyError) -> Error {
    Error::corrupt(error.to_string()).because(error.clone())
}

fn refused(error: &ReleaseError, folder: &Url) -> Error {
    let kind = match error {
        ReleaseError::Expired { .. } | ReleaseError::Future { .. } => ErrorKind::Invalid,
        _ => ErrorKind::Corrupt,
    };
    let subject = sources::join(&sources::without_credentials(folder), "Release");
    Error::new(kind, error.to_string()).on(subject).because(error.clone())
}
