//! Blobs on their way out (distribution specification, "Pushing blobs"): not at all where they are there already or can
//! be mounted, in one request where they are small, and else as a stream that goes on where it broke.

use patchkit_core::{Blob, ByteRange, Context, Digest, Error, ErrorKind, Repository, Result, Retry};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_RANGE, CONTENT_TYPE, HeaderMap, RANGE},
};
use url::Url;

use super::{
    client::Inner,
    endpoint::Place,
    exchange::{Access, Ask, Reply},
    manifest::is_about,
    progress::Progress,
    retry::Attempts,
    wire::location,
};

const LEAST_CHUNK: &str = "oci-chunk-min-length";
const OCTETS: &str = "application/octet-stream";

impl Inner {
    pub(super) async fn put_blob(&self, repository: &Repository, blob: &Blob, cx: &Context) -> Result<()> {
        let place = self.endpoints.origin(repository)?;
        let attempts = Attempts::new(self.options.retry);
        let upload = Upload { inner: self, cx, repository, place, blob, attempts, session: None, mountable: true };
        upload.run().await
    }
}

/// A blob that is being written, across as many connections as it takes.
struct Upload<'a> {
    inner: &'a Inner,
    cx: &'a Context,
    repository: &'a Repository,
    place: Place,
    blob: &'a Blob,
    attempts: Attempts,
    session: Option<Session>,
    /// Whether mounting has not failed yet.
    mountable: bool,
}

/// What the registry knows as an upload.
#[derive(Clone, Debug)]
struct Session {
    url: Url,
    /// How many bytes the registry has.
    offset: u64,
    /// The least a piece may have, but the last.
    least: u64,
}

/// How a step ended that did not fail.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Done,
    More,
}

impl Upload<'_> {
    async fn run(mut self) -> Result<()> {
        loop {
            match self.step().await {
                Ok(Step::Done) => return Ok(()),
                Ok(Step::More) => {}
                Err(error) => self.recover(error).await?,
            }
        }
    }

    async fn step(&mut self) -> Result<Step> {
        let Some(session) = self.session.clone() else { return self.begin().await };
        if self.is_small() {
            return self.send_whole(session).await;
        }
        match session.offset < self.size() {
            true => self.send_piece(session).await,
            false => self.close(session).await,
        }
    }

    /// Looks whether the blob is there, tries to mount it, and else opens an upload.
    async fn begin(&mut self) -> Result<Step> {
        if self.inner.has_blob(self.repository, self.blob.descriptor(), self.cx).await? {
            return Ok(Step::Done);
        }
        if let Some(from) = self.mount_source()? {
            match self.mount(&from).await {
                Err(error) if !matches!(error.kind(), ErrorKind::Cancel | ErrorKind::Unavailable) => {
                    tracing::debug!(%error, %from, "not mounted");
                    self.mountable = false;
                }
                mounted => return mounted,
            }
        }
        let ask = Ask::push(Method::POST, self.repository, "blobs/uploads/");
        let reply = self.inner.ask_once(&ask, &self.place, self.cx).await?;
        self.session = Some(opened(&reply)?);
        Ok(Step::More)
    }

    /// The path on the same host where the blob lives already.
    fn mount_source(&self) -> Result<Option<String>> {
        let Some(origin) = self.blob.origin().filter(|_| self.mountable) else { return Ok(None) };
        let origin = self.inner.endpoints.origin(origin)?;
        Ok((origin.host == self.place.host && origin.path != self.place.path).then_some(origin.path))
    }

    /// Asks for the blob of another repository. A 202 says no, and opens an upload, which we go on with.
    async fn mount(&mut self, from: &str) -> Result<Step> {
        let ask = Ask::new(Method::POST, self.repository, "blobs/uploads/", Access::Mount(from))
            .query("mount", self.digest().to_string())
            .query("from", from);
        let reply = self.inner.ask_once(&ask, &self.place, self.cx).await?;
        if reply.status == StatusCode::CREATED {
            return self.stored(&reply);
        }
        self.session = Some(opened(&reply)?);
        Ok(Step::More)
    }

    async fn send_whole(&mut self, session: Session) -> Result<Step> {
        let bytes = self.blob.read(self.cx).await.map_err(of_source)?;
        let ask = self.closing(session).body(bytes).header(CONTENT_TYPE, OCTETS)?;
        let reply = self.inner.ask_once(&ask, &self.place, self.cx).await?;
        self.stored(&reply)
    }

    async fn send_piece(&mut self, session: Session) -> Result<Step> {
        let range = self.next_range(&session);
        let response = self.stream(&session, range).await?;
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            self.session = None;
            return Err(Error::unavailable("the registry lost count of the upload"));
        }
        let response = self.inner.successful(response, self.cx).await?;
        let end = range.end.unwrap_or_default();
        let offset = received(response.headers()).unwrap_or(end);
        if offset > end || offset <= session.offset {
            self.session = None;
            return Err(Error::unavailable(format!(
                "the registry says that it has {offset} bytes, after {end} were sent"
            )));
        }
        self.attempts.progressed();
        let url = location(response.headers(), response.url()).unwrap_or(session.url);
        self.session = Some(Session { url, offset, ..session });
        Ok(Step::More)
    }

    fn next_range(&self, session: &Session) -> ByteRange {
        let (start, size) = (session.offset, self.size());
        let end = match self.inner.options.chunk {
            Some(chunk) => size.min(start.saturating_add(chunk.max(session.least).max(1))),
            None => size,
        };
        ByteRange { start, end: Some(end) }
    }

    /// Sends a part of the blob. The whole in one piece is checked while it passes, and never arrives whole if wrong;
    /// of several pieces only the registry sees the whole, and it has to check.
    async fn stream(&self, session: &Session, range: ByteRange) -> Result<Response> {
        let ByteRange { start, end } = range;
        let end = end.unwrap_or_else(|| self.size());
        let is_whole = start == 0 && end == self.size();
        let source = match is_whole {
            true => self.blob.open(self.cx).await,
            false => self.blob.open_range(range, self.cx).await,
        };
        let ask = self.ask(Method::PATCH).at(session.url.clone()).header(CONTENT_TYPE, OCTETS)?;
        let ask = if is_whole { ask } else { ask.header(CONTENT_RANGE, &format!("{start}-{}", end - 1))? };
        let request = self.inner.authorised(&ask, &self.place, self.cx).await?;
        let progress = Progress::new(end - start);
        let body = progress.watch(source.map_err(of_source)?);
        let sent = self.inner.wire.send_stream(&request, end - start, body, &progress, self.cx).await;
        match (progress.failure(), sent) {
            (Some(error), _) => Err(of_source(error)),
            (None, Ok(response)) if response.status() == StatusCode::UNAUTHORIZED => Err(expired()),
            (None, sent) => sent,
        }
    }

    async fn close(&mut self, session: Session) -> Result<Step> {
        let ask = self.closing(session);
        let reply = self.inner.ask_once(&ask, &self.place, self.cx).await?;
        self.stored(&reply)
    }

    fn stored(&self, reply: &Reply) -> Result<Step> {
        is_about(&reply.headers, &self.digest()).map(|()| Step::Done)
    }

    /// Waits after a failure and finds out how far we got; gives the error back where there is nothing to be done.
    async fn recover(&mut self, error: Error) -> Result<()> {
        let is_gone = error.kind() == ErrorKind::NotFound && self.session.is_some();
        let error = if is_gone { Error::unavailable("the registry forgot the upload").because(error) } else { error };
        if let Err(error) = self.attempts.pause(error, self.cx).await {
            self.abandon(&error).await;
            return Err(error);
        }
        match self.session.take() {
            Some(session) if !is_gone && !self.is_small() => self.session = self.look(session).await?,
            _ => {}
        }
        Ok(())
    }

    /// What the registry has of an upload by now; none if it has nothing, then we begin anew.
    async fn look(&self, session: Session) -> Result<Option<Session>> {
        let ask = self.ask(Method::GET).at(session.url.clone());
        let reply = match self.inner.ask(&ask, self.cx).await {
            Err(error) if error.kind() == ErrorKind::Cancel => return Err(error),
            Err(error) => {
                tracing::debug!(%error, "the upload begins anew");
                return Ok(None);
            }
            Ok(reply) => reply,
        };
        let Some(offset) = received(&reply.headers).filter(|offset| *offset <= self.size()) else { return Ok(None) };
        let url = location(&reply.headers, &reply.url).unwrap_or(session.url);
        Ok(Some(Session { url, offset, ..session }))
    }

    /// Tells the registry that nothing more will come. It finds out by itself too.
    async fn abandon(&mut self, because: &Error) {
        let Some(session) = self.session.take().filter(|_| because.kind() != ErrorKind::Cancel) else { return };
        let ask = self.ask(Method::DELETE).at(session.url);
        if let Err(error) = self.inner.ask_once(&ask, &self.place, self.cx).await {
            tracing::debug!(%error, "the upload could not be taken back");
        }
    }

    fn closing(&self, session: Session) -> Ask<'_> {
        self.ask(Method::PUT).at(session.url).query("digest", self.digest().to_string())
    }

    fn ask(&self, method: Method) -> Ask<'_> {
        Ask::push(method, self.repository, "")
    }

    fn is_small(&self) -> bool {
        self.size() <= self.inner.options.monolithic
    }

    fn size(&self) -> u64 {
        self.blob.descriptor().size
    }

    fn digest(&self) -> Digest {
        self.blob.descriptor().digest
    }
}

fn opened(reply: &Reply) -> Result<Session> {
    let url = location(&reply.headers, &reply.url)?;
    let least = reply.header(LEAST_CHUNK).and_then(|text| text.parse().ok()).unwrap_or(0);
    Ok(Session { url, offset: 0, least })
}

/// How many bytes the registry has: `Range: 0-<last>`. `0-0` is what it says of none.
fn received(headers: &HeaderMap) -> Option<u64> {
    let text = headers.get(RANGE)?.to_str().ok()?;
    let last: u64 = text.strip_prefix("bytes=").unwrap_or(text).strip_prefix("0-")?.parse().ok()?;
    Some(if last == 0 { 0 } else { last.checked_add(1)? })
}

/// The source's error, which sending again cannot cure: the source has tried again by itself.
fn of_source(error: Error) -> Error {
    error.retry(Retry::Never)
}

/// The token expired while the stream was on its way. Looking how far it got brings a new one.
fn expired() -> Error {
    Error::denied("the registry asked for credentials in the middle of an upload").retry(Retry::After(None))
}
