//! Lists: tags, repositories, referrers.

use hyper::{
    StatusCode,
    header::{CONTENT_TYPE, HeaderName, LINK},
};
use patchkit_core::{Digest, MediaType, ReferrersFilter, Result};
use serde_json::json;

use super::{
    Service, digest_of,
    reply::{Refusal, Reply},
    route::Query,
};

const FILTERS_APPLIED: HeaderName = HeaderName::from_static("oci-filters-applied");

impl Service {
    pub(super) async fn tags(&self, name: &str, query: &Query) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        let tags = self.registry.tags(&repository, &self.cx).await;
        let tags = tags.map_err(|error| Refusal::stored(&error, "NAME_UNKNOWN"))?;
        let page = Page::of(tags, query)?;
        let link = page.link(&format!("/v2/{name}/tags/list"));
        Ok(linked(Reply::json(StatusCode::OK, &json!({ "name": name, "tags": page.entries })), link))
    }

    pub(super) async fn catalog(&self, query: &Query) -> Result<Reply, Refusal> {
        let names = self.registry.repositories(&self.cx).await;
        let page = Page::of(names.map_err(|error| Refusal::stored(&error, "NAME_UNKNOWN"))?, query)?;
        let link = page.link("/v2/_catalog");
        Ok(linked(Reply::json(StatusCode::OK, &json!({ "repositories": page.entries })), link))
    }

    pub(super) async fn referrers(
        &self,
        name: &str,
        digest: Result<Digest, String>,
        query: &Query,
    ) -> Result<Reply, Refusal> {
        let (repository, digest) = (self.repository(name)?, digest_of(digest)?);
        let filter = ReferrersFilter { artifact_type: query.get("artifactType").map(MediaType::new) };
        let found = self.registry.referrers(&repository, &digest, &filter, &self.cx).await;
        let found = found.map_err(|error| Refusal::stored(&error, "NAME_UNKNOWN"))?;
        let index = json!({ "schemaVersion": 2, "mediaType": MediaType::OCI_INDEX, "manifests": found });
        let reply = Reply::json(StatusCode::OK, &index).header(CONTENT_TYPE, MediaType::OCI_INDEX);
        Ok(match filter.artifact_type {
            Some(_) => reply.header(FILTERS_APPLIED, "artifactType"),
            None => reply,
        })
    }
}

fn linked(reply: Reply, link: Option<String>) -> Reply {
    match link {
        Some(link) => reply.header(LINK, link),
        None => reply,
    }
}

/// Part of a sorted list (distribution specification, "Listing Tags"): at most `n` that come after `last`.
struct Page {
    entries: Vec<String>,
    /// How many were asked for, where there are more.
    more: Option<usize>,
}

impl Page {
    fn of(mut all: Vec<String>, query: &Query) -> Result<Self, Refusal> {
        let invalid = |n: &str| {
            Refusal::new(StatusCode::BAD_REQUEST, "PAGINATION_NUMBER_INVALID", format!("n={n:?} is no number"))
        };
        let n = query.get("n").map(|n| n.parse::<usize>().map_err(|_| invalid(n))).transpose()?;
        all.sort();
        if let Some(last) = query.get("last") {
            all.retain(|entry| entry.as_str() > last);
        }
        let more = n.filter(|n| *n > 0 && *n < all.len());
        all.truncate(n.unwrap_or(usize::MAX));
        Ok(Self { entries: all, more })
    }

    /// The header that says where the rest is (RFC 5988).
    fn link(&self, path: &str) -> Option<String> {
        let (n, last) = (self.more?, self.entries.last()?);
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("n", &n.to_string())
            .append_pair("last", last)
            .finish();
        Some(format!("<{path}?{query}>; rel=\"next\""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another() {
        let all: Vec<String> = ["c", "a", "b"].map(Into::into).to_vec();
        let page = |query| Page::of(all.clone(), &Query::of(Some(query))).unwrap();
        let first = page("n=2");
        assert_eq!((first.entries.as_slice(), first.more), (["a".to_owned(), "b".into()].as_slice(), Some(2)));
        assert_eq!(first.link("/x").unwrap(), "</x?n=2&last=b>; rel=\"next\"");
        let second = page("n=2&last=b");
        assert_eq!((second.entries.as_slice(), second.more), (["c".to_owned()].as_slice(), None));
        assert_eq!(page("n=0").entries.len(), 0);
        assert_eq!(page("n=0").more, None);
        assert!(Page::of(all, &Query::of(Some("n=x"))).is_err());
    }
}
