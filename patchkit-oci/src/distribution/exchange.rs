//! Asks a registry something: at the right place, authorised, and again where that may help.

use bytes::Bytes;
use patchkit_core::{Context, ErrorKind, Repository, Result};
use reqwest::{
    Method, Response, StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use url::Url;

use super::{
    auth::Party,
    client::Inner,
    endpoint::Place,
    errors,
    options::MirrorUse,
    retry::{Attempts, retry_after},
    wire::Outgoing,
};

/// The largest manifest, referrers index or list of tags that is read, in bytes (the specification's limit).
pub(super) const DOCUMENT_LIMIT: u64 = 4 << 20;

/// What is asked, before it is known where.
#[derive(Clone, Debug)]
pub(super) struct Ask<'a> {
    method: Method,
    repository: &'a Repository,
    target: Target,
    headers: HeaderMap,
    body: Bytes,
    access: Access<'a>,
}

#[derive(Clone, Debug)]
enum Target {
    /// Below the repository.
    Below { what: String, query: Vec<(&'static str, String)> },
    /// Where the registry sent us.
    Url(Url),
}

/// What the asker must be allowed to do.
#[derive(Clone, Copy, Debug)]
pub(super) enum Access<'a> {
    /// To delete.
    Delete,
    /// To push, and to pull from another repository on the same host.
    Mount(&'a str),
    /// To pull.
    Pull,
    /// To push, and to see what is there.
    Push,
}

impl Access<'_> {
    /// The scopes to ask a token server for.
    pub(super) fn scopes(self, path: &str) -> Vec<String> {
        match self {
            Self::Delete => vec![format!("repository:{path}:delete,pull,push")],
            Self::Mount(from) => vec![format!("repository:{from}:pull"), format!("repository:{path}:pull,push")],
            Self::Pull => vec![format!("repository:{path}:pull")],
            Self::Push => vec![format!("repository:{path}:pull,push")],
        }
    }
}

impl<'a> Ask<'a> {
    pub(super) fn new(method: Method, repository: &'a Repository, what: impl Into<String>, access: Access<'a>) -> Self {
        let target = Target::Below { what: what.into(), query: Vec::new() };
        Self { method, repository, target, headers: HeaderMap::new(), body: Bytes::new(), access }
    }

    pub(super) fn pull(method: Method, repository: &'a Repository, what: impl Into<String>) -> Self {
        Self::new(method, repository, what, Access::Pull)
    }

    pub(super) fn push(method: Method, repository: &'a Repository, what: impl Into<String>) -> Self {
        Self::new(method, repository, what, Access::Push)
    }

    /// The same, at a URL that the registry gave.
    pub(super) fn at(self, url: Url) -> Self {
        Self { target: Target::Url(url), ..self }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        match &mut self.target {
            Target::Below { query, .. } => query.push((name, value.into())),
            Target::Url(url) => drop(url.query_pairs_mut().append_pair(name, &value.into())),
        }
        self
    }

    /// The same, with a header whose text has no control characters.
    pub(super) fn header(mut self, name: HeaderName, value: &str) -> Result<Self> {
        let value = HeaderValue::from_str(value).map_err(|error| {
            patchkit_core::Error::invalid(format!("{value:?} cannot be sent as {name}")).because(error)
        })?;
        self.headers.append(name, value);
        Ok(self)
    }

    pub(super) fn body(self, body: Bytes) -> Self {
        Self { body, ..self }
    }

    fn outgoing(&self, place: &Place) -> Outgoing {
        let url = match &self.target {
            Target::Below { what, query } => place.url(what, query),
            Target::Url(url) => url.clone(),
        };
        let Self { method, headers, body, .. } = self.clone();
        Outgoing { method, url, headers, authorization: None, body }
    }
}

/// An answer that is a success, whole.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) url: Url,
    pub(super) body: Bytes,
}

impl Reply {
    /// The text of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Inner {
    /// Asks the repository itself, again and again where that may help: so only what may be done twice.
    pub(super) async fn ask(&self, ask: &Ask<'_>, cx: &Context) -> Result<Reply> {
        let place = self.endpoints.origin(ask.repository)?;
        let mut attempts = Attempts::new(self.options.retry);
        loop {
            match self.ask_once(ask, &place, cx).await {
                Err(error) => attempts.pause(error, cx).await?,
                reply => return reply,
            }
        }
    }

    /// Asks the mirrors once each, then the repository itself.
    pub(super) async fn ask_anywhere(&self, ask: &Ask<'_>, what: MirrorUse, cx: &Context) -> Result<Reply> {
        for place in self.endpoints.mirrors(ask.repository, what)? {
            match self.ask_once(ask, &place, cx).await {
                Err(error) if next_may_do(error.kind()) => tracing::debug!(mirror = place.host, %error, "passed over"),
                reply => return reply,
            }
        }
        self.ask(ask, cx).await
    }

    pub(super) async fn ask_once(&self, ask: &Ask<'_>, place: &Place, cx: &Context) -> Result<Reply> {
        let response = self.open(ask, place, cx).await?;
        let response = self.successful(response, cx).await?;
        let (status, headers, url) = (response.status(), response.headers().clone(), response.url().clone());
        let body = self.wire.collect(response, DOCUMENT_LIMIT, cx).await?;
        Ok(Reply { status, headers, url, body })
    }

    /// Sends what is asked, authorised if need be, and gives the answer's head, whatever its status.
    pub(super) async fn open(&self, ask: &Ask<'_>, place: &Place, cx: &Context) -> Result<Response> {
        let mut request = ask.outgoing(place);
        let party = Party::new(place, ask.access);
        if place.owns(&request.url) {
            request.authorization = self.auth.known(&party, cx).await?;
        }
        let used = request.authorization.clone();
        let response = self.wire.send(request.clone(), cx).await?;
        if response.status() != StatusCode::UNAUTHORIZED || !place.owns(response.url()) {
            return Ok(response);
        }
        let headers = response.headers().clone();
        // Read to its end, the connection can be used again.
        let _ = self.wire.collect(response, errors::LIMIT, cx).await;
        request.authorization = Some(self.auth.answer(&party, used.as_ref(), &headers, cx).await?);
        self.wire.send(request, cx).await
    }

    /// The request that [`open`](Self::open) would send, authorised as far as is known, for a body that is a stream.
    pub(super) async fn authorised(&self, ask: &Ask<'_>, place: &Place, cx: &Context) -> Result<Outgoing> {
        let mut request = ask.outgoing(place);
        if place.owns(&request.url) {
            request.authorization = self.auth.known(&Party::new(place, ask.access), cx).await?;
        }
        Ok(request)
    }

    /// The answer where it is a success; otherwise the error that it means.
    pub(super) async fn successful(&self, response: Response, cx: &Context) -> Result<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let delay = retry_after(response.headers(), cx.now());
        // What is wrong is known already; a body that cannot be read changes nothing.
        let body = self.wire.collect(response, errors::LIMIT, cx).await.unwrap_or_default();
        cx.check()?;
        Err(errors::refused(status, &body, delay))
    }
}

/// Whether another place may answer what this one did not. What is corrupt is not passed over in silence.
pub(super) fn next_may_do(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::Cancel | ErrorKind::Corrupt)
}
