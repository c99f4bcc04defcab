//! `http:` and `https:` addresses.

mod attempt;
mod options;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{Context, Error, ErrorKind, Result, Retry};
use reqwest::{Client, Response, StatusCode};
use url::Url;

use super::{Body, Fetch, Held, Refresh, Refreshed, on_url, unsupported};
use attempt::{Progress, ask};

pub use options::{HttpOptions, install_crypto_provider};

/// Reads `http:` and `https:` addresses.
///
/// Refused connections, time-outs, 408, 429 and 5xx are tried again with growing pauses, or when `Retry-After` says
/// so. A body whose connection drops is resumed where it stopped (RFC 9110 section 14), as long as it is still the
/// same file. Proxies are taken from `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy`; user names and passwords
/// in them and in addresses are used and never shown.
#[derive(Clone, Debug)]
pub struct HttpFetch {
    client: Client,
    retries: Arc<options::Retries>,
}

impl HttpFetch {
    /// A client with the given settings. It keeps connections open; clones share them.
    ///
    /// # Errors
    /// `Invalid` for a certificate or proxy that cannot be read.
    pub fn new(options: &HttpOptions) -> Result<Self> {
        Ok(Self { client: options.client()?, retries: Arc::new(options.retries()) })
    }
}

#[async_trait]
impl Fetch for HttpFetch {
    async fn open(&self, url: &Url, cx: &Context) -> Result<Body> {
        Ok(self.connected(url, Progress::default(), cx).await?.body())
    }
}

/// A conditional request (RFC 9110 section 13), or one for the rest where a beginning is held.
#[async_trait]
impl Refresh for HttpFetch {
    async fn refresh(&self, url: &Url, held: &Held, cx: &Context) -> Result<Refreshed> {
        let rest = match held.partial.as_ref().and_then(Progress::of_partial) {
            None => None,
            Some(progress) => match self.connected(url, progress, cx).await {
                Ok(reading) => Some(reading),
                // What there is by now is another file, or the beginning is none of it.
                Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::Corrupt) => None,
                Err(error) => return Err(error),
            },
        };
        let reading = match rest {
            Some(reading) => reading,
            None => self.connected(url, Progress::since(&held.whole), cx).await?,
        };
        if reading.response.as_ref().is_some_and(|response| response.status() == StatusCode::NOT_MODIFIED) {
            return Ok(Refreshed::Unchanged);
        }
        let (validators, start) = (reading.progress.validators().clone(), reading.progress.received());
        Ok(Refreshed::Changed { validators, start, body: reading.body() })
    }
}

impl HttpFetch {
    async fn connected(&self, url: &Url, progress: Progress, cx: &Context) -> Result<Reading> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unsupported(url));
        }
        let (fetch, url, cx) = (self.clone(), url.clone(), cx.clone());
        let mut reading = Reading { fetch, url, cx, progress, response: None, failures: 0 };
        match reading.connect().await {
            Ok(()) => Ok(reading),
            Err(error) => Err(on_url(&reading.url)(error)),
        }
    }
}

/// A body that is being read, over as many connections as it takes.
struct Reading {
    fetch: HttpFetch,
    url: Url,
    cx: Context,
    progress: Progress,
    response: Option<Response>,
    /// Since the last bytes came.
    failures: u32,
}

async fn next_chunk(reading: Option<Reading>) -> Option<(Result<Bytes>, Option<Reading>)> {
    let mut reading = reading?;
    match reading.advance().await {
        Ok(None) => None,
        Ok(Some(bytes)) => Some((Ok(bytes), Some(reading))),
        Err(error) => Some((Err(error), None)),
    }
}

impl Reading {
    fn body(self) -> Body {
        let (length, locate) = (self.progress.length(), on_url(&self.url));
        let chunks = stream::unfold(Some(self), next_chunk).map(move |chunk| chunk.map_err(&locate));
        Body::new(length, chunks.boxed())
    }

    async fn advance(&mut self) -> Result<Option<Bytes>> {
        loop {
            self.connect().await?;
            let response = self.response.as_mut().expect("connected");
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    self.failures = 0;
                    let fresh = self.progress.take(bytes)?;
                    if !fresh.is_empty() {
                        return Ok(Some(fresh));
                    }
                }
                Ok(None) => return self.progress.finish().map(|()| None),
                Err(error) => {
                    self.response = None;
                    self.pause(attempt::transport(&error)).await?;
                }
            }
        }
    }

    /// Makes sure that there is an answer to read from, which starts or goes on where we are.
    async fn connect(&mut self) -> Result<()> {
        while self.response.is_none() {
            match ask(&self.fetch.client, &self.url, &mut self.progress, &self.cx).await {
                Ok(response) => self.response = Some(response),
                Err(error) => self.pause(error).await?,
            }
        }
        Ok(())
    }

    /// Waits before the next attempt, or gives the error back where another makes no sense.
    async fn pause(&mut self, error: Error) -> Result<()> {
        let Retry::After(wanted) = error.retryable() else {
            return Err(error);
        };
        let Some(pause) = self.fetch.retries.pause(self.failures, wanted) else {
            return Err(error);
        };
        self.failures += 1;
        tracing::info!(url = %super::without_credentials(&self.url), %error, ?pause, at = self.progress.received(), "trying again");
        self.cx.sleep(pause).await
    }
}
