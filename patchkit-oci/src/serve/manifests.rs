//! Manifests: pull, push, delete.

use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, IF_MATCH, IF_NONE_MATCH, LOCATION},
    http::request::Parts,
};
use patchkit_core::{
    Current, Digest, Error, ErrorKind, ManifestBytes, MediaType, PutManifest, Reference, Repository, Result,
};

use super::{
    Service, exists, has_tag, header,
    reply::{CONTENT_DIGEST, Refusal, Reply},
};
use crate::layout::{Document, MAX_MANIFEST};

const SUBJECT: HeaderName = HeaderName::from_static("oci-subject");

impl Service {
    pub(super) async fn manifest(&self, name: &str, reference: &str, parts: &Parts) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        let reference = reference_of(&repository, reference, StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN")?;
        let unknown = |error: Error| Refusal::stored(&error, "MANIFEST_UNKNOWN");
        let found = self.registry.resolve(&reference, &self.cx).await.map_err(unknown)?;
        if header(parts, IF_NONE_MATCH).is_some_and(|tags| has_tag(tags, &found.digest)) {
            return Ok(Reply::new(StatusCode::NOT_MODIFIED).identified(&found.digest));
        }
        let reply = Reply::new(StatusCode::OK).identified(&found.digest);
        if parts.method == Method::HEAD {
            return Ok(reply.header(CONTENT_TYPE, &found.media_type).header(CONTENT_LENGTH, found.size));
        }
        let manifest = self.registry.manifest(&repository, &found.digest, &self.cx).await.map_err(unknown)?;
        Ok(reply.header(CONTENT_TYPE, &manifest.media_type).bytes(manifest.bytes))
    }

    pub(super) async fn put_manifest(
        &self,
        name: &str,
        reference: &str,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        let reference = reference_of(&repository, reference, StatusCode::BAD_REQUEST, "MANIFEST_INVALID")?;
        let manifest = manifest_of(parts, body).await?;
        let options = PutManifest { if_current: self.condition(parts, &reference).await? };
        let put = self.registry.put_manifest(&reference, &manifest, &options, &self.cx).await;
        let stored = match put {
            Ok(stored) => stored,
            Err(error) => return Err(self.refused(&repository, &manifest, &error).await),
        };
        let reply = Reply::new(StatusCode::CREATED)
            .header(LOCATION, format!("/v2/{name}/manifests/{}", stored.digest))
            .header(CONTENT_DIGEST, stored.digest);
        Ok(match Document::parse(&manifest.bytes).ok().and_then(|document| document.subject().copied()) {
            Some(subject) => reply.header(SUBJECT, subject),
            None => reply,
        })
    }

    /// What the tag must point to for it to be moved, as `If-Match` and `If-None-Match` say.
    async fn condition(&self, parts: &Parts, reference: &Reference) -> Result<Option<Current>, Refusal> {
        if header(parts, IF_NONE_MATCH).is_some_and(|tags| tags.trim() == "*") {
            return Ok(Some(Current::Absent));
        }
        let Some(tags) = header(parts, IF_MATCH) else { return Ok(None) };
        let found = exists(self.registry.resolve(reference, &self.cx).await);
        let found = found.map_err(|error| Refusal::stored(&error, "MANIFEST_UNKNOWN"))?;
        match found {
            // Whether it still does is decided when it is stored.
            Some(found) if tags.trim() == "*" || has_tag(tags, &found.digest) => Ok(Some(Current::Is(found.digest))),
            _ => Err(Refusal::new(StatusCode::PRECONDITION_FAILED, "CONFLICT", "the tag does not point there")),
        }
    }

    /// Why a manifest was not stored: the specification has a code of its own for blobs that are missing.
    async fn refused(&self, repository: &Repository, manifest: &ManifestBytes, error: &Error) -> Refusal {
        let refusal = Refusal::of(error, "NAME_UNKNOWN", "MANIFEST_INVALID");
        let (ErrorKind::Invalid, Ok(document)) = (error.kind(), Document::parse(&manifest.bytes)) else {
            return match error.kind() {
                ErrorKind::Unsupported => Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", error),
                _ => refusal,
            };
        };
        for blob in document.blobs() {
            if let Ok(None) = exists(self.registry.blob_size(repository, &blob.digest, &self.cx).await) {
                return missing(&blob.digest);
            }
        }
        for entry in document.manifests() {
            let resolved = self.registry.resolve(&repository.digest(entry.digest), &self.cx).await;
            if let Ok(None) = exists(resolved) {
                return missing(&entry.digest);
            }
        }
        refusal
    }

    pub(super) async fn delete_manifest(&self, name: &str, reference: &str) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        let reference = reference_of(&repository, reference, StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN")?;
        let deleted = self.registry.delete(&reference, &self.cx).await;
        deleted.map_err(|error| Refusal::stored(&error, "MANIFEST_UNKNOWN"))?;
        Ok(Reply::new(StatusCode::ACCEPTED))
    }
}

fn missing(digest: &Digest) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "MANIFEST_BLOB_UNKNOWN", format!("{digest} is not there"))
}

/// The tag or digest at a path's end.
fn reference_of(
    repository: &Repository,
    text: &str,
    status: StatusCode,
    code: &'static str,
) -> Result<Reference, Refusal> {
    match text.contains(':') {
        true => text.parse().map(|digest| repository.digest(digest)).map_err(|error| {
            let message = format!("{error}");
            Refusal::new(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message)
        }),
        false => repository.tag(text).map_err(|error| Refusal::new(status, code, error)),
    }
}

/// The manifest in a request. Where the header does not say its type, it says so itself.
async fn manifest_of(parts: &Parts, body: Incoming) -> Result<ManifestBytes, Refusal> {
    let limit = usize::try_from(MAX_MANIFEST).expect("4 MiB fit");
    let bytes = Limited::new(body, limit).collect().await.map_err(|error| match error.is::<LengthLimitError>() {
        true => {
            let message = format!("a manifest has at most {MAX_MANIFEST} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID", message)
        }
        false => Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", error),
    })?;
    let bytes = bytes.to_bytes();
    let named = header(parts, CONTENT_TYPE).and_then(|named| named.split(';').next()).map(str::trim);
    let media_type = match named.filter(|named| !matches!(*named, "" | "application/json" | "application/octet-stream"))
    {
        Some(named) => MediaType::new(named),
        None => Document::parse(&bytes).and_then(|document| document.media_type()).map_err(invalid)?,
    };
    let manifest = ManifestBytes { media_type, bytes };
    Document::of(&manifest).map_err(invalid)?;
    Ok(manifest)
}

fn invalid(error: Error) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "MANIFEST_INVALID", error)
}
