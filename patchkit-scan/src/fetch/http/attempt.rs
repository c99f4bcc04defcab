//! One request, and how its answer fits what we have already.

use std::{error::Error as _, time::Duration};

use bytes::Bytes;
use jiff::{Timestamp, fmt::rfc2822};
use patchkit_core::{Context, Error, ErrorKind, Result, Retry};
use reqwest::{
    Client, Response, StatusCode,
    header::{
        CONTENT_RANGE, ETAG, HeaderMap, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED, RANGE,
        RETRY_AFTER,
    },
};
use url::Url;

use crate::fetch::{Partial, Validators};

/// How much of a body has come, and which file it is of.
#[derive(Debug, Default)]
pub(super) struct Progress {
    received: u64,
    length: Option<u64>,
    validators: Validators,
    /// The version that is held as a whole, and that is not asked for.
    known: Option<Validators>,
    /// Whether what has come was there before the first request, and may be given up.
    held: bool,
    /// Bytes that the present answer repeats and that are left out.
    repeated: u64,
}

impl Progress {
    /// Where reading goes on from a beginning, if it can be told what that is of.
    pub(super) fn of_partial(partial: &Partial) -> Option<Self> {
        let Partial { length, validators } = partial;
        validators.strong().filter(|_| *length > 0)?;
        Some(Self { received: *length, validators: validators.clone(), held: true, ..Self::default() })
    }

    /// Where reading begins that is in vain for a known version.
    pub(super) fn since(known: &Validators) -> Self {
        Self { known: Some(known.clone()).filter(|known| *known != Validators::default()), ..Self::default() }
    }

    pub(super) fn validators(&self) -> &Validators {
        &self.validators
    }

    pub(super) fn received(&self) -> u64 {
        self.received
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// Counts bytes that have come and returns those that are new.
    pub(super) fn take(&mut self, mut bytes: Bytes) -> Result<Bytes> {
        let repeated = self.repeated.min(bytes.len() as u64);
        self.repeated -= repeated;
        let fresh = bytes.split_off(usize::try_from(repeated).unwrap_or(usize::MAX));
        self.received += fresh.len() as u64;
        match self.length {
            Some(length) if self.received > length => {
                Err(Error::corrupt(format!("more than the {length} bytes promised")))
            }
            _ => Ok(fresh),
        }
    }

    /// Whether everything has come that was promised.
    pub(super) fn finish(&self) -> Result<()> {
        match self.length {
            Some(length) if self.received < length => {
                Err(Error::unavailable(format!("ends after {} of {length} bytes", self.received)))
            }
            _ => Ok(()),
        }
    }

    /// Takes in the head of an answer: the first one, or one that goes on.
    fn accept(&mut self, response: &Response) -> Result<()> {
        let validators = validators(response.headers());
        let is_part = response.status() == StatusCode::PARTIAL_CONTENT;
        if self.received == 0 || (self.held && !is_part) {
            let length = response.content_length();
            *self = Self { length, validators, known: self.known.take(), ..Self::default() };
            return Ok(());
        }
        if validators.strong() != self.validators.strong() {
            return Err(changed());
        }
        if std::mem::take(&mut self.held) {
            self.length = response.content_length().map(|rest| self.received + rest);
        }
        self.repeated = match response.status() {
            StatusCode::PARTIAL_CONTENT if range_start(response.headers()) == Some(self.received) => 0,
            StatusCode::PARTIAL_CONTENT => {
                return Err(Error::corrupt("another range than the one asked for"));
            }
            // The server does not do ranges: the same file again from the start.
            _ => self.received,
        };
        Ok(())
    }
}

/// Asks for the body, or for what is still missing of it.
///
/// # Errors
/// As `Fetch::open` says; retryable where another attempt may help.
pub(super) async fn ask(client: &Client, url: &Url, progress: &mut Progress, cx: &Context) -> Result<Response> {
    let mut request = client.get(url.clone());
    if progress.received > 0 {
        request = request.header(RANGE, format!("bytes={}-", progress.received));
        if let Some(validator) = progress.validators.strong() {
            request = request.header(IF_RANGE, validator);
        }
    } else if let Some(Validators { etag, last_modified }) = &progress.known {
        let conditions = [(IF_NONE_MATCH, etag), (IF_MODIFIED_SINCE, last_modified)];
        for (name, value) in conditions.into_iter().filter_map(|(name, value)| Some((name, value.as_ref()?))) {
            request = request.header(name, value);
        }
    }
    let sent = async { request.send().await.map_err(|error| transport(&error)) };
    let response = cx.guard(sent).await?;
    if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
        return Err(changed());
    }
    if response.status() == StatusCode::NOT_MODIFIED && progress.received == 0 && progress.known.is_some() {
        return Ok(response);
    }
    if !response.status().is_success() {
        return Err(refused(&response, cx.now()));
    }
    progress.accept(&response)?;
    Ok(response)
}

fn validators(headers: &HeaderMap) -> Validators {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    Validators { etag: text(ETAG), last_modified: text(LAST_MODIFIED) }
}

/// The start of `Content-Range: bytes 500-999/1000`.
fn range_start(headers: &HeaderMap) -> Option<u64> {
    let value = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    value.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

fn changed() -> Error {
    Error::conflict("the file changed while it was read")
}

fn refused(response: &Response, now: Timestamp) -> Error {
    let status = response.status();
    let kind = match status {
        StatusCode::NOT_FOUND | StatusCode::GONE => ErrorKind::NotFound,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            ErrorKind::Denied
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => ErrorKind::Unavailable,
        _ if status.is_server_error() => ErrorKind::Unavailable,
        _ => ErrorKind::Unexpected,
    };
    let error = Error::new(kind, format!("the server answers {status}"));
    if kind == ErrorKind::Unavailable {
        return error.retry(Retry::After(retry_after(response.headers(), now)));
    }
    error
}

/// `Retry-After` in seconds or as a date (RFC 9110 section 10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = value.strip_suffix("GMT").map(|date| format!("{date}+0000"))?;
    let at = rfc2822::parse(&date).ok()?.timestamp();
    Some(at.duration_since(now).try_into().unwrap_or_default())
}

/// What a connection can fail with. Certificates and addresses that do not fit stay what they are; the rest may pass.
pub(super) fn transport(error: &reqwest::Error) -> Error {
    let reasons = reasons(error);
    if error.is_redirect() || error.is_builder() {
        return Error::invalid(reasons);
    }
    if reasons.contains("certificate") {
        return Error::denied(reasons);
    }
    Error::unavailable(reasons)
}

/// The innermost cause in words. The outer ones repeat the address, which may hold a password.
fn reasons(error: &reqwest::Error) -> String {
    let what = match () {
        () if error.is_timeout() => "no answer in time",
        () if error.is_connect() => "no connection",
        () if error.is_redirect() => "redirect refused",
        () => "connection lost",
    };
    let mut cause = error.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"))
}
