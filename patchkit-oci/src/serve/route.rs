//! Which endpoint a path means (distribution specification, "Endpoints").

use patchkit_core::Digest;
use percent_encoding::percent_decode_str;

/// An endpoint with the repository's path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Route {
    Base,
    Blob(String, Result<Digest, String>),
    Catalog,
    Manifest(String, String),
    Referrers(String, Result<Digest, String>),
    Tags(String),
    /// A session of an upload.
    Upload(String, String),
    /// Where uploads begin.
    Uploads(String),
}

impl Route {
    /// Reads a path; `None` where there is no such endpoint. A repository's name may itself have components that are
    /// words of an endpoint, so the path is read from its end.
    pub(super) fn of(path: &str) -> Option<Self> {
        let path = percent_decode_str(path).decode_utf8().ok()?;
        let path = path.strip_prefix("/v2")?;
        if matches!(path, "" | "/") {
            return Some(Self::Base);
        }
        let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let name = |rest: &[&str]| rest.join("/");
        let digest = |text: &str| text.parse().map_err(|_| text.to_owned());
        Some(match segments.as_slice() {
            ["_catalog"] => Self::Catalog,
            [rest @ .., "blobs", "uploads"] | [rest @ .., "blobs", "uploads", ""] => Self::Uploads(name(rest)),
            [rest @ .., "blobs", "uploads", id] => Self::Upload(name(rest), (*id).into()),
            [rest @ .., "blobs", text] => Self::Blob(name(rest), digest(text)),
            [rest @ .., "manifests", reference] => Self::Manifest(name(rest), (*reference).into()),
            [rest @ .., "referrers", text] => Self::Referrers(name(rest), digest(text)),
            [rest @ .., "tags", "list"] => Self::Tags(name(rest)),
            _ => return None,
        })
    }
}

/// The parameters of a query.
#[derive(Debug)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn of(query: Option<&str>) -> Self {
        let pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        // A plus in a media type is what clients mean, though a form would mean a space.
        Self(pairs.map(|(key, value)| (key.into_owned(), value.replace(' ', "+"))).collect())
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_read_from_their_end() {
        let digest = Digest::of(b"");
        for (path, route) in [
            ("/v2".to_owned(), Route::Base),
            ("/v2/".into(), Route::Base),
            ("/v2/_catalog".into(), Route::Catalog),
            ("/v2/a/b/tags/list".into(), Route::Tags("a/b".into())),
            ("/v2/a/blobs/uploads/".into(), Route::Uploads("a".into())),
            ("/v2/a/blobs/uploads/x".into(), Route::Upload("a".into(), "x".into())),
            ("/v2/a/blobs/uploads/manifests/1".into(), Route::Manifest("a/blobs/uploads".into(), "1".into())),
            (format!("/v2/a/blobs/{digest}"), Route::Blob("a".into(), Ok(digest))),
            (format!("/v2/a/referrers/{digest}").replace(':', "%3A"), Route::Referrers("a".into(), Ok(digest))),
            ("/v2/a/blobs/x".into(), Route::Blob("a".into(), Err("x".into()))),
        ] {
            assert_eq!(Route::of(&path), Some(route), "{path}");
        }
        for path in ["/", "/v1/", "/v2x", "/v2/a", "/v2/a/tags", "/v2/%ff/tags/list"] {
            assert_eq!(Route::of(path), None, "{path}");
        }
    }

    #[test]
    fn a_media_type_in_a_query_keeps_its_plus() {
        let query = Query::of(Some("artifactType=a/b+json&n=5"));
        assert_eq!((query.get("artifactType"), query.get("n"), query.get("x")), (Some("a/b+json"), Some("5"), None));
    }

    proptest! {
        #[test]
        fn never_panics(path in "(/v2)?/\\PC{0,40}") {
            Route::of(&path);
            Query::of(Some(&path));
        }
    }
}
