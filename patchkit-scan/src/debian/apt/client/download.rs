//! Packages that a plan names, whose index need not be at hand any more.

use std::path::PathBuf;

use patchkit_core::{Context, Download, Error, Result};
use url::Url;

use super::ArchiveClient;
use crate::debian::apt::sources::shown;

impl ArchiveClient {
    /// Fetches what a plan names, or finds it in the cache, and says where its verified file is.
    ///
    /// # Errors
    /// `Invalid` for an address that is none, `Corrupt` where size or digest are not the plan's, and what
    /// [`Fetch::open`](crate::debian::apt::fetch::Fetch::open) gives.
    pub async fn fetch(&self, download: &Download, cx: &Context) -> Result<PathBuf> {
        if let Some(path) = self.cached(download.digest, cx).await? {
            return Ok(path);
        }
        let url = Url::parse(&download.url);
        let url = url.map_err(|error| Error::invalid(format!("not an address: {error}")).on(shown(&download.url)))?;
        self.try_mirrors(&url, |url| self.download_file(url, download.digest, download.size, cx)).await
    }
}
