//! `http:` and `https:` addresses.

mod attempt;
mod options;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{Context, Error, Result, Retry};
use reqwest::{Client, Response};
use url::Url;

use super::{Body, Fetch, on_url, unsupported};
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
        if !matches!(url.scheme(), "http" | "https") {
            return Err(unsupported(url));
        }
        let mut reading = Reading {
            fetch: self.clone(),
            url: url.clone(),
            cx: cx.clone(),
            progress: Progress::default(),
            response: None,
            failures: 0,
        };
        reading.connect().await.map_err(on_url(url))?;
        let length = reading.progress.length();
        let locate = on_url(url);
        let chunks = stream::unfold(Some(reading), next_chunk).map(move |chunk| chunk.map_err(&locate));
        Ok(Body::new(length, chunks.boxed()))
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
