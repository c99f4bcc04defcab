//! Reading again what was read before, where it has changed.

use std::fmt;

use async_trait::async_trait;
use patchkit_core::{Context, Result};
use serde::{Deserialize, Serialize};
use url::Url;

use super::{Body, Fetch, FileFetch, SchemeFetch};

/// Reads addresses again: nothing where nothing has changed, and the rest where reading was broken off.
#[async_trait]
pub trait Refresh: fmt::Debug + Send + Sync {
    /// Asks for what is not held yet.
    ///
    /// # Errors
    /// As [`Fetch::open`].
    async fn refresh(&self, url: &Url, held: &Held, cx: &Context) -> Result<Refreshed>;
}

/// What there is of an address already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Of the version that there is as a whole; none where there is none.
    pub whole: Validators,
    /// The beginning of a version that was not read to its end.
    pub partial: Option<Partial>,
}

/// The beginning of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partial {
    /// How many bytes there are of it.
    pub length: u64,
    /// Of the version that it is of.
    pub validators: Validators,
}

/// What tells one version of what is behind an address from another (RFC 9110 section 8.8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validators {
    /// The entity tag, as the server writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub etag: Option<String>,
    /// The date of the last change, as the server writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_modified: Option<String>,
}

impl Validators {
    /// What a piece of a body can be continued by: a strong entity tag, else the date (RFC 9110 section 13.1.5).
    #[must_use]
    pub fn strong(&self) -> Option<&str> {
        let tag = self.etag.as_deref().filter(|tag| !tag.starts_with("W/"));
        tag.or(self.last_modified.as_deref())
    }
}

/// What is behind an address now.
#[derive(Debug)]
pub enum Refreshed {
    /// Another version than the whole one that is held.
    Changed {
        /// What tells it from others.
        validators: Validators,
        /// Where the body starts, in bytes: behind the beginning that is held, or at the very start.
        start: u64,
        /// The bytes from there on.
        body: Body,
    },
    /// What is held.
    Unchanged,
}

/// Reads every time: files of this machine are at hand.
#[async_trait]
impl Refresh for FileFetch {
    async fn refresh(&self, url: &Url, _: &Held, cx: &Context) -> Result<Refreshed> {
        let body = self.open(url, cx).await?;
        Ok(Refreshed::Changed { validators: Validators::default(), start: 0, body })
    }
}

#[async_trait]
impl<F: Refresh> Refresh for SchemeFetch<F> {
    async fn refresh(&self, url: &Url, held: &Held, cx: &Context) -> Result<Refreshed> {
        match url.scheme() {
            "file" => FileFetch.refresh(url, held, cx).await,
            _ => self.other.refresh(url, held, cx).await,
        }
    }
}

#[async_trait]
impl<F: Refresh + ?Sized> Refresh for std::sync::Arc<F> {
    async fn refresh(&self, url: &Url, held: &Held, cx: &Context) -> Result<Refreshed> {
        (**self).refresh(url, held, cx).await
    }
}
