//! What is answered, and how a refusal is worded (distribution specification, "Error Codes").

use bytes::Bytes;
use futures::TryStreamExt;
use http_body_util::{BodyExt, Empty, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::{
    Response, StatusCode,
    body::Frame,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};
use patchkit_core::{ByteStream, Digest, Error, ErrorKind};
use serde::Serialize;
use serde_json::json;

pub(super) const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// An answer that is being made.
#[derive(Debug)]
pub(super) struct Reply(Response<UnsyncBoxBody<Bytes, Error>>);

impl Reply {
    pub(super) fn new(status: StatusCode) -> Self {
        let mut response = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
        *response.status_mut() = status;
        Self(response)
    }

    pub(super) fn json(status: StatusCode, json: &impl Serialize) -> Self {
        let bytes = serde_json::to_vec(json).expect("an answer has only string keys");
        Self::new(status).header(CONTENT_TYPE, "application/json").bytes(bytes.into())
    }

    /// With one more header. A value that no header may have is left out.
    pub(super) fn header(mut self, name: HeaderName, value: impl ToString) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value.to_string()) {
            self.0.headers_mut().insert(name, value);
        }
        self
    }

    /// Of a digest's content, which never changes.
    pub(super) fn identified(self, digest: &Digest) -> Self {
        self.header(CONTENT_DIGEST, digest).header(hyper::header::ETAG, format!("\"{digest}\""))
    }

    pub(super) fn bytes(self, bytes: Bytes) -> Self {
        let mut sized = self.header(CONTENT_LENGTH, bytes.len());
        *sized.0.body_mut() = Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        sized
    }

    pub(super) fn stream(self, stream: ByteStream, len: u64) -> Self {
        let mut sized = self.header(CONTENT_LENGTH, len);
        *sized.0.body_mut() = StreamBody::new(stream.map_ok(Frame::data)).boxed_unsync();
        sized
    }

    /// The same without its body, as `HEAD` is answered.
    pub(super) fn head(mut self) -> Self {
        *self.0.body_mut() = Empty::new().map_err(|never| match never {}).boxed_unsync();
        self
    }

    pub(super) fn into_response(self) -> Response<UnsyncBoxBody<Bytes, Error>> {
        self.0
    }
}

/// Why a request is refused.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
    headers: Vec<(HeaderName, String)>,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string(), headers: Vec::new() }
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// The refusal that an error means, where `unknown` is the code for what does not exist and `invalid` the one for
    /// what is wrong in the request.
    pub(super) fn of(error: &Error, unknown: &'static str, invalid: &'static str) -> Self {
        let (status, code) = match error.kind() {
            ErrorKind::Cancel | ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            // Not one of the specification's, which has none for it.
            ErrorKind::Conflict => (StatusCode::PRECONDITION_FAILED, "CONFLICT"),
            ErrorKind::Corrupt => (StatusCode::BAD_REQUEST, "DIGEST_INVALID"),
            ErrorKind::Denied => (StatusCode::FORBIDDEN, "DENIED"),
            ErrorKind::Invalid => (StatusCode::BAD_REQUEST, invalid),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, unknown),
            ErrorKind::Unsupported => (StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
        };
        Self::new(status, code, error)
    }

    /// The refusal that an error of something stored means: what is damaged here is not the request's fault.
    pub(super) fn stored(error: &Error, unknown: &'static str) -> Self {
        match error.kind() {
            ErrorKind::Corrupt => Self::new(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN", error),
            _ => Self::of(error, unknown, "NAME_INVALID"),
        }
    }

    pub(super) fn into_reply(self) -> Reply {
        let body = json!({ "errors": [{ "code": self.code, "message": self.message }] });
        let reply = Reply::json(self.status, &body);
        self.headers.into_iter().fold(reply, |reply, (name, value)| reply.header(name, value))
    }
}
