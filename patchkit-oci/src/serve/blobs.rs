//! Blobs: pull, push in one or many pieces, mount, delete.

use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use http_body_util::BodyExt;
use hyper::{
    Method, StatusCode,
    body::Incoming,
    header::{
        ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, IF_NONE_MATCH, IF_RANGE, LOCATION,
        RANGE,
    },
    http::request::Parts,
};
use patchkit_core::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Descriptor, Digest, Error, ErrorKind, MediaType, Repository,
    Result,
};

use super::{
    Hosted, Service, digest_of, exists, has_tag, header,
    range::{Asked, parse_content_range, parse_range},
    reply::{CONTENT_DIGEST, Refusal, Reply},
    route::Query,
    upload::Upload,
};

const OCTETS: &str = "application/octet-stream";

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

impl Service {
    pub(super) async fn blob(
        &self,
        name: &str,
        digest: Result<Digest, String>,
        parts: &Parts,
    ) -> Result<Reply, Refusal> {
        let (repository, digest) = (self.repository(name)?, digest_of(digest)?);
        let unknown = |error: Error| Refusal::stored(&error, "BLOB_UNKNOWN");
        let size = self.registry.blob_size(&repository, &digest, &self.cx).await.map_err(unknown)?;
        if header(parts, IF_NONE_MATCH).is_some_and(|tags| has_tag(tags, &digest)) {
            return Ok(Reply::new(StatusCode::NOT_MODIFIED).identified(&digest));
        }
        let (status, range) = match asked(parts, &digest, size) {
            Asked::Everything => (StatusCode::OK, ByteRange::FULL),
            Asked::Part(start, end) => (StatusCode::PARTIAL_CONTENT, ByteRange { start, end: Some(end) }),
            Asked::Unsatisfiable => return Err(unsatisfiable(size)),
        };
        let end = range.end.unwrap_or(size);
        let reply = Reply::new(status).identified(&digest).header(ACCEPT_RANGES, "bytes").header(CONTENT_TYPE, OCTETS);
        let reply = match range.is_full() {
            true => reply,
            false => reply.header(CONTENT_RANGE, format!("bytes {}-{}/{size}", range.start, end - 1)),
        };
        if parts.method == Method::HEAD {
            return Ok(reply.header(CONTENT_LENGTH, end - range.start));
        }
        let stream = self.registry.blob(&repository, &digest, range, &self.cx).await.map_err(unknown)?;
        Ok(reply.stream(stream, end - range.start))
    }

    pub(super) async fn delete_blob(&self, name: &str, digest: Result<Digest, String>) -> Result<Reply, Refusal> {
        let (repository, digest) = (self.repository(name)?, digest_of(digest)?);
        let deleted = self.registry.delete_blob(&repository, &digest, &self.cx).await;
        deleted.map_err(|error| Refusal::stored(&error, "BLOB_UNKNOWN"))?;
        Ok(Reply::new(StatusCode::ACCEPTED))
    }

    /// Begins an upload, unless the blob comes at once or can be had from another repository.
    pub(super) async fn begin_upload(
        &self,
        name: &str,
        query: &Query,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        if let Some(mounted) = self.mount(name, &repository, query).await? {
            return Ok(mounted);
        }
        let wanted = query.get("digest").map(digest_in).transpose()?;
        let id = self.uploads.begin(name, &self.cx)?;
        match wanted {
            Some(_) => self.finish_upload(name, &id, query, parts, body).await,
            None => Ok(progress(StatusCode::ACCEPTED, name, &id, 0)),
        }
    }

    async fn mount(&self, name: &str, to: &Repository, query: &Query) -> Result<Option<Reply>, Refusal> {
        let (Some(digest), Some(from)) = (query.get("mount"), query.get("from")) else { return Ok(None) };
        let (digest, Ok(from)) = (digest_in(digest)?, self.repository(from)) else { return Ok(None) };
        let size = exists(self.registry.blob_size(&from, &digest, &self.cx).await);
        let Some(size) = size.map_err(|error| Refusal::stored(&error, "BLOB_UNKNOWN"))? else { return Ok(None) };
        let source = Elsewhere { registry: self.registry.clone(), repository: from, digest };
        let blob = Blob::new(Descriptor::new(MediaType::new(OCTETS), digest, size), Arc::new(source));
        let put = self.registry.put_blob(to, &blob, &self.cx).await;
        put.map_err(|error| Refusal::stored(&error, "BLOB_UNKNOWN"))?;
        Ok(Some(created(name, &digest)))
    }

    pub(super) async fn upload_status(&self, name: &str, id: &str) -> Result<Reply, Refusal> {
        let upload = self.uploads.find(name, id)?;
        let size = upload.lock().await.size();
        Ok(progress(StatusCode::NO_CONTENT, name, id, size))
    }

    pub(super) async fn append_upload(
        &self,
        name: &str,
        id: &str,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        let upload = self.uploads.find(name, id)?;
        let mut upload = upload.lock().await;
        append(&mut upload, name, id, parts, body).await?;
        Ok(progress(StatusCode::ACCEPTED, name, id, upload.size()))
    }

    pub(super) async fn finish_upload(
        &self,
        name: &str,
        id: &str,
        query: &Query,
        parts: &Parts,
        body: Incoming,
    ) -> Result<Reply, Refusal> {
        let repository = self.repository(name)?;
        let digest = digest_in(query.get("digest").unwrap_or_default())?;
        let upload = self.uploads.find(name, id)?;
        let mut upload = upload.lock().await;
        append(&mut upload, name, id, parts, body).await?;
        // From here on the upload is over, whether it is stored or not.
        self.uploads.end(id);
        let blob = upload.finish(&digest).await.map_err(|error| ended(&error))?;
        let put = self.registry.put_blob(&repository, &blob, &self.cx).await;
        put.map_err(|error| Refusal::of(&error, "NAME_UNKNOWN", "BLOB_UPLOAD_INVALID"))?;
        Ok(created(name, &digest))
    }

    pub(super) async fn cancel_upload(&self, name: &str, id: &str) -> Result<Reply, Refusal> {
        self.uploads.find(name, id)?;
        self.uploads.end(id);
        Ok(Reply::new(StatusCode::NO_CONTENT))
    }
}

/// The part that is asked for, if it is of the content that the other side has begun with.
fn asked(parts: &Parts, digest: &Digest, size: u64) -> Asked {
    let same = header(parts, IF_RANGE).is_none_or(|tag| has_tag(tag, digest));
    match header(parts, RANGE) {
        Some(range) if same => parse_range(range, size),
        _ => Asked::Everything,
    }
}

fn unsatisfiable(size: u64) -> Refusal {
    Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "SIZE_INVALID", format!("the blob has {size} bytes"))
        .with(CONTENT_RANGE, format!("bytes */{size}"))
}

fn digest_in(text: &str) -> Result<Digest, Refusal> {
    digest_of(text.parse().map_err(|_| text.to_owned()))
}

fn created(name: &str, digest: &Digest) -> Reply {
    Reply::new(StatusCode::CREATED)
        .header(LOCATION, format!("/v2/{name}/blobs/{digest}"))
        .header(CONTENT_DIGEST, digest)
}

fn location(name: &str, id: &str) -> String {
    format!("/v2/{name}/blobs/uploads/{id}")
}

/// What has come: `0-LAST`, and by custom `0-0` for nothing.
fn received(size: u64) -> String {
    format!("0-{}", size.saturating_sub(1))
}

fn progress(status: StatusCode, name: &str, id: &str, size: u64) -> Reply {
    Reply::new(status).header(LOCATION, location(name, id)).header(RANGE, received(size)).header(UPLOAD_ID, id)
}

/// Takes a request's body in as the upload's next bytes.
async fn append(upload: &mut Upload, name: &str, id: &str, parts: &Parts, body: Incoming) -> Result<(), Refusal> {
    if let Some(range) = header(parts, CONTENT_RANGE) {
        let length = header(parts, CONTENT_LENGTH).and_then(|length| length.parse().ok());
        let fits = parse_content_range(range).is_some_and(|(first, last)| {
            first == upload.size() && length.is_none_or(|length: u64| last - first == length.wrapping_sub(1))
        });
        if !fits {
            let message = format!("{range:?} is not what comes next: there are {} bytes", upload.size());
            let refusal = Refusal::new(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID", message);
            return Err(refusal.with(LOCATION, location(name, id)).with(RANGE, received(upload.size())));
        }
    }
    let broken = |error: hyper::Error| Error::unavailable(error.to_string()).because(error);
    let pieces = ByteStream::new(body.into_data_stream().map_err(broken));
    upload.append(pieces).await.map_err(|error| ended(&error))
}

fn ended(error: &Error) -> Refusal {
    match error.kind() {
        ErrorKind::Invalid | ErrorKind::Unavailable => {
            Refusal::new(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", error)
        }
        _ => Refusal::of(error, "BLOB_UPLOAD_UNKNOWN", "BLOB_UPLOAD_INVALID"),
    }
}

/// A blob of another repository of the same registry.
#[derive(Debug)]
struct Elsewhere {
    registry: Arc<dyn Hosted>,
    repository: Repository,
    digest: Digest,
}

#[async_trait]
impl BlobSource for Elsewhere {
    async fn open(&self, range: ByteRange, cx: &Context) -> Result<ByteStream> {
        self.registry.blob(&self.repository, &self.digest, range, cx).await
    }

    fn origin(&self) -> Option<&Repository> {
        Some(&self.repository)
    }
}
