//! Blobs on their way in (distribution specification, "Pulling blobs"): ranges, resumed where a connection broke.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream;
use patchkit_core::{ByteRange, ByteStream, Context, Descriptor, Digest, Error, ErrorKind, Hasher, Repository, Result};
use reqwest::{
    Method, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, IF_RANGE, RANGE},
};

use super::{
    client::{Inner, told},
    exchange::{Ask, next_may_do},
    manifest::is_about,
    options::MirrorUse,
    retry::Attempts,
};

/// A connection that brought this many bytes was not in vain: the failures before it are forgotten.
const WORTH_IT: u64 = 64 << 10;

impl Inner {
    pub(super) async fn blob(
        self: Arc<Self>,
        repository: &Repository,
        digest: &Digest,
        range: ByteRange,
        cx: &Context,
    ) -> Result<ByteStream> {
        let ByteRange { start, end } = range;
        if end.is_some_and(|end| end < start) {
            return Err(Error::invalid(format!("the range ends at {} before its start at {start}", end.unwrap_or(0))));
        }
        if end == Some(start) {
            let size = self.blob_size(repository, digest, cx).await?;
            return if start <= size { Ok(ByteStream::of(Bytes::new())) } else { Err(outside(start, size)) };
        }
        let mut download = Download::new(self, repository, digest, range, cx);
        download.open().await?;
        Ok(ByteStream::new(stream::try_unfold(download, |mut download| async move {
            let piece = download.next().await;
            let repository = &download.repository;
            let piece = piece.map_err(|error| told("pull blob", repository.digest(download.digest))(error))?;
            Ok(piece.map(|piece| (piece, download)))
        })))
    }

    async fn blob_size(&self, repository: &Repository, digest: &Digest, cx: &Context) -> Result<u64> {
        let ask = Ask::pull(Method::HEAD, repository, format!("blobs/{digest}"));
        let reply = self.ask_anywhere(&ask, MirrorUse::Digests, cx).await?;
        let size = reply.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
        size.ok_or_else(|| Error::unsupported("the registry does not say how long the blob is"))
    }

    /// Whether a blob is there, as long as it should be; asked once.
    pub(super) async fn has_blob(&self, repository: &Repository, blob: &Descriptor, cx: &Context) -> Result<bool> {
        let ask = Ask::push(Method::HEAD, repository, format!("blobs/{}", blob.digest));
        let reply = match self.ask_once(&ask, &self.endpoints.origin(repository)?, cx).await {
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::Unsupported) => return Ok(false),
            reply => reply?,
        };
        match reply.header(CONTENT_LENGTH.as_str()).and_then(|text| text.parse::<u64>().ok()) {
            Some(size) if size != blob.size => {
                Err(Error::corrupt(format!("the registry has it with {size} bytes, not with {}", blob.size)))
            }
            _ => is_about(&reply.headers, &blob.digest).map(|()| true),
        }
    }
}

/// A blob that is being read, across as many connections as it takes.
struct Download {
    inner: Arc<Inner>,
    cx: Context,
    repository: Repository,
    digest: Digest,
    start: u64,
    /// The byte after the last that was asked for.
    end: Option<u64>,
    /// The next byte to give out.
    position: u64,
    /// The length of the whole blob, once the registry has said it.
    total: Option<u64>,
    /// The strong validator of what we are reading.
    etag: Option<String>,
    /// Hashes what is given out, if that is the whole.
    hasher: Option<Hasher>,
    connection: Option<Connection>,
    attempts: Attempts,
    /// How much this connection brought.
    brought: u64,
}

struct Connection {
    response: Response,
    /// How many bytes come before the position.
    skip: u64,
}

impl Download {
    fn new(inner: Arc<Inner>, repository: &Repository, digest: &Digest, range: ByteRange, cx: &Context) -> Self {
        Self {
            attempts: Attempts::new(inner.options.retry),
            inner,
            cx: cx.clone(),
            repository: repository.clone(),
            digest: *digest,
            start: range.start,
            end: range.end,
            position: range.start,
            total: None,
            etag: None,
            hasher: range.is_full().then(|| Hasher::new(digest.algorithm())),
            connection: None,
            brought: 0,
        }
    }

    /// The next piece; none when everything was given out and found right.
    async fn next(&mut self) -> Result<Option<Bytes>> {
        loop {
            let Some(connection) = &mut self.connection else { return self.finish().map(|()| None) };
            match self.inner.wire.piece(&mut connection.response, &self.cx).await {
                Ok(Some(piece)) => {
                    let piece = self.cut(piece);
                    if !piece.is_empty() {
                        self.give(&piece);
                        return Ok(Some(piece));
                    }
                }
                Ok(None) if self.stop().is_none_or(|stop| self.position >= stop) => self.connection = None,
                Ok(None) => self.resume(self.broke_off()).await?,
                Err(error) => self.resume(error).await?,
            }
        }
    }

    /// What of a piece was asked for and not given out yet. At the end of what was asked for, hangs up.
    fn cut(&mut self, mut piece: Bytes) -> Bytes {
        let Some(connection) = &mut self.connection else { return Bytes::new() };
        let skipped = connection.skip.min(piece.len() as u64);
        connection.skip -= skipped;
        drop(piece.split_to(usize::try_from(skipped).expect("it is at most the piece's length")));
        if let Some(left) = self.end.map(|end| end.saturating_sub(self.position))
            && left <= piece.len() as u64
        {
            piece.truncate(usize::try_from(left).expect("it is at most the piece's length"));
            // A server that gave the range ends here by itself, and its connection can be used again.
            if left == 0 {
                self.connection = None;
            }
        }
        piece
    }

    fn give(&mut self, piece: &Bytes) {
        self.position += piece.len() as u64;
        self.brought += piece.len() as u64;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(piece);
        }
    }

    /// The byte after the last that will come.
    fn stop(&self) -> Option<u64> {
        match (self.end, self.total) {
            (Some(end), Some(total)) => Some(end.min(total)),
            (end, total) => end.or(total),
        }
    }

    fn finish(&mut self) -> Result<()> {
        let Some(hasher) = self.hasher.take() else { return Ok(()) };
        match hasher.finish() {
            found if found == self.digest => Ok(()),
            found => Err(Error::corrupt(format!("the content has the digest {found}"))),
        }
    }

    fn broke_off(&self) -> Error {
        let stop = self.stop().unwrap_or_default();
        Error::unavailable(format!("the connection was closed after byte {} of {stop}", self.position))
    }

    async fn resume(&mut self, error: Error) -> Result<()> {
        self.connection = None;
        if self.brought >= WORTH_IT {
            self.attempts.progressed();
        }
        self.brought = 0;
        self.attempts.pause(error, &self.cx.clone()).await?;
        self.open().await
    }

    /// Connects, so that the next byte to come is the one at the position or before it.
    async fn open(&mut self) -> Result<()> {
        loop {
            match self.fetch().await {
                Ok(response) => return self.accept(response).await,
                Err(error) => self.attempts.pause(error, &self.cx.clone()).await?,
            }
        }
    }

    /// Asks the mirrors, then the repository itself, for what is left.
    async fn fetch(&self) -> Result<Response> {
        let ask = self.ask()?;
        for place in self.inner.endpoints.mirrors(&self.repository, MirrorUse::Digests)? {
            let opened = async { self.usable(self.inner.open(&ask, &place, &self.cx).await?).await };
            match opened.await {
                Err(error) if next_may_do(error.kind()) => tracing::debug!(mirror = place.host, %error, "passed over"),
                opened => return opened,
            }
        }
        let place = self.inner.endpoints.origin(&self.repository)?;
        self.usable(self.inner.open(&ask, &place, &self.cx).await?).await
    }

    async fn usable(&self, response: Response) -> Result<Response> {
        match response.status() {
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(response),
            _ => self.inner.successful(response, &self.cx).await,
        }
    }

    fn ask(&self) -> Result<Ask<'_>> {
        let ask = Ask::pull(Method::GET, &self.repository, format!("blobs/{}", self.digest));
        if self.position == 0 && self.end.is_none() {
            return Ok(ask);
        }
        let last = self.end.map(|end| (end - 1).to_string()).unwrap_or_default();
        let ask = ask.header(RANGE, &format!("bytes={}-{last}", self.position))?;
        match &self.etag {
            Some(etag) => ask.header(IF_RANGE, etag),
            None => Ok(ask),
        }
    }

    /// Takes an answer in, after checking that it is about what we are reading.
    async fn accept(&mut self, response: Response) -> Result<()> {
        if response.status() == StatusCode::RANGE_NOT_SATISFIABLE {
            return self.beyond(response.headers()).await;
        }
        is_about(response.headers(), &self.digest)?;
        let part = part_of(response.headers());
        let (from, total) = match response.status() {
            StatusCode::PARTIAL_CONTENT => part.ok_or_else(|| Error::corrupt("a part without a Content-Range"))?,
            _ => (0, response.content_length()),
        };
        if from > self.position {
            return Err(Error::corrupt(format!("asked for byte {}, the registry starts at {from}", self.position)));
        }
        self.learn_total(total)?;
        if let Some(total) = self.total.filter(|total| self.position > *total) {
            return Err(outside(self.position, total));
        }
        self.etag = strong_etag(response.headers());
        self.connection = Some(Connection { response, skip: self.position - from });
        Ok(())
    }

    fn learn_total(&mut self, total: Option<u64>) -> Result<()> {
        match (self.total, total) {
            (Some(before), Some(now)) if before != now => {
                Err(Error::corrupt(format!("the registry said {before} bytes, and then {now}")))
            }
            (before, now) => {
                self.total = before.or(now);
                Ok(())
            }
        }
    }

    /// There is nothing at the position. That is the end, if the position is where the blob ends.
    async fn beyond(&mut self, headers: &HeaderMap) -> Result<()> {
        let told =
            headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok()?.strip_prefix("bytes */")?.parse().ok());
        let total = match told {
            Some(total) => total,
            None if self.position > self.start => self.position,
            None => self.inner.blob_size(&self.repository, &self.digest, &self.cx).await?,
        };
        match self.position.cmp(&total) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Greater if self.position == self.start => Err(outside(self.position, total)),
            _ => Err(Error::corrupt(format!("nothing at byte {}, of {total}", self.position))),
        }
    }
}

fn outside(start: u64, total: u64) -> Error {
    Error::invalid(format!("the range starts at {start}, after the end at {total}"))
}

/// The first byte and the whole length of a `Content-Range`.
fn part_of(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let (range, total) = headers.get(CONTENT_RANGE)?.to_str().ok()?.strip_prefix("bytes ")?.split_once('/')?;
    let (first, _) = range.split_once('-')?;
    Some((first.trim().parse().ok()?, total.trim().parse().ok()))
}

fn strong_etag(headers: &HeaderMap) -> Option<String> {
    let text = headers.get(ETAG)?.to_str().ok()?;
    text.starts_with('"').then(|| text.to_owned())
}
