//! Which tags a repository has (distribution specification, "Listing Tags").

use patchkit_core::{Context, Error, Repository, Result};
use reqwest::Method;
use serde::Deserialize;

use super::{client::Inner, exchange::Ask};

/// How many tags are asked for at once; registries may give fewer.
const PAGE: &str = "1000";

#[derive(Debug, Deserialize)]
struct TagList {
    /// Some registries say `null` for none.
    tags: Option<Vec<String>>,
}

impl Inner {
    pub(super) async fn tags(&self, repository: &Repository, cx: &Context) -> Result<Vec<String>> {
        let ask = Ask::pull(Method::GET, repository, "tags/list").query("n", PAGE);
        let mut tags = Vec::new();
        for page in self.pages(ask, cx).await? {
            tags.extend(parse(&page.body)?);
        }
        tags.sort_unstable();
        tags.dedup();
        Ok(tags)
    }
}

/// The tags on one page.
pub(super) fn parse(body: &[u8]) -> Result<Vec<String>> {
    let list: TagList = serde_json::from_slice(body)
        .map_err(|error| Error::corrupt(format!("the list of tags is no JSON of that kind: {error}")))?;
    Ok(list.tags.unwrap_or_default())
}
