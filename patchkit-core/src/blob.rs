//! Bytes with a known identity that are opened only when someone reads them.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, stream::BoxStream};

use crate::{Context, Descriptor, Error, MediaType, Repository, Result, digest::Hasher};

/// A stream of bytes that may fail on the way.
pub struct ByteStream(BoxStream<'static, Result<Bytes>>);

impl ByteStream {
    /// Wraps a stream.
    pub fn new(stream: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self(stream.boxed())
    }

    /// A stream of one piece.
    pub fn of(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(futures::stream::once(async { Ok(bytes) }))
    }

    /// Collects everything, up to a limit in bytes.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where there are more bytes than the limit; the stream's own.
    pub async fn collect(mut self, limit: u64) -> Result<Bytes> {
        let mut all = BytesMut::new();
        while let Some(piece) = self.next().await {
            let piece = piece?;
            if all.len() as u64 + piece.len() as u64 > limit {
                return Err(Error::corrupt(format!("more than {limit} bytes")));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all.freeze())
    }

    /// The same bytes, checked while they pass: the end is reached only where length and digest are the descriptor's.
    ///
    /// The stream fails with [`Corrupt`](crate::ErrorKind::Corrupt) as soon as more bytes come than promised.
    #[must_use]
    pub fn verified(self, descriptor: &Descriptor) -> Self {
        let check =
            Check { descriptor: descriptor.clone(), hasher: Hasher::new(descriptor.digest.algorithm()), seen: 0 };
        Self::new(futures::stream::try_unfold((self, Some(check)), |(mut stream, check)| async move {
            let Some(mut check) = check else {
                return Ok(None);
            };
            match stream.next().await {
                Some(piece) => {
                    let piece = piece?;
                    check.update(&piece)?;
                    Ok(Some((piece, (stream, Some(check)))))
                }
                None => check.finish().map(|()| None),
            }
        }))
    }
}

/// Compares what passes with what a descriptor promises.
struct Check {
    descriptor: Descriptor,
    hasher: Hasher,
    seen: u64,
}

impl Check {
    fn update(&mut self, piece: &[u8]) -> Result<()> {
        self.hasher.update(piece);
        self.seen += piece.len() as u64;
        if self.seen > self.descriptor.size {
            return Err(self.corrupt(format!("longer than its {} bytes", self.descriptor.size)));
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        if self.seen != self.descriptor.size {
            return Err(self.corrupt(format!("{} bytes, not its {}", self.seen, self.descriptor.size)));
        }
        let found = self.hasher.clone().finish();
        if found != self.descriptor.digest {
            return Err(self.corrupt(format!("the content has the digest {found}")));
        }
        Ok(())
    }

    fn corrupt(&self, message: String) -> Error {
        Error::corrupt(message).on(self.descriptor.digest)
    }
}

impl Stream for ByteStream {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_next_unpin(cx)
    }
}

impl fmt::Debug for ByteStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByteStream").finish_non_exhaustive()
    }
}

/// Which part of some content is asked for: from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ByteRange {
    /// The first byte.
    pub start: u64,
    /// The byte after the last; the end of the content where none is given.
    pub end: Option<u64>,
}

impl ByteRange {
    /// Everything.
    pub const FULL: Self = Self { start: 0, end: None };

    /// Whether it is everything.
    #[must_use]
    pub fn is_full(self) -> bool {
        self == Self::FULL
    }

    /// The part of some bytes that is asked for; `None` where it starts after, or ends before its start.
    #[must_use]
    pub fn of(self, bytes: &Bytes) -> Option<Bytes> {
        let end = self.end.map_or(bytes.len() as u64, |end| end.min(bytes.len() as u64));
        let (start, end) = (usize::try_from(self.start).ok()?, usize::try_from(end).ok()?);
        (start <= end).then(|| bytes.slice(start..end))
    }
}

/// Where the bytes of a [`Blob`] come from.
#[async_trait]
pub trait BlobSource: fmt::Debug + Send + Sync {
    /// Opens the bytes, or a part of them. May be called many times. The bytes need not be checked: [`Blob`] does.
    ///
    /// # Errors
    /// Those of the place; [`Invalid`](crate::ErrorKind::Invalid) for a range outside.
    async fn open(&self, range: ByteRange, cx: &Context) -> Result<ByteStream>;

    /// The repository it lives in already, so that a registry may link instead of copy.
    fn origin(&self) -> Option<&Repository>;
}

#[async_trait]
impl BlobSource for Bytes {
    async fn open(&self, range: ByteRange, _cx: &Context) -> Result<ByteStream> {
        let part = range.of(self).ok_or_else(|| Error::invalid(format!("range {range:?} of {} bytes", self.len())))?;
        Ok(ByteStream::of(part))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}

/// Content of a known digest that is opened when it is read, and checked while it is read.
#[derive(Clone, Debug)]
pub struct Blob {
    descriptor: Descriptor,
    source: Arc<dyn BlobSource>,
}

impl Blob {
    /// The blob of a descriptor whose bytes come from the source.
    pub fn new(descriptor: Descriptor, source: Arc<dyn BlobSource>) -> Self {
        Self { descriptor, source }
    }

    /// A blob in memory.
    pub fn of(media_type: MediaType, bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        Self::new(Descriptor::of(media_type, &bytes), Arc::new(bytes))
    }

    /// What the content is.
    #[must_use]
    pub fn descriptor(&self) -> &Descriptor {
        &self.descriptor
    }

    /// The same bytes under another descriptor of the same digest, such as one with another media type.
    #[must_use]
    pub fn described(self, descriptor: Descriptor) -> Self {
        debug_assert_eq!(self.descriptor.digest, descriptor.digest);
        Self { descriptor, ..self }
    }

    /// The repository it lives in already.
    #[must_use]
    pub fn origin(&self) -> Option<&Repository> {
        self.source.origin()
    }

    /// Opens the whole content, checked while it is read: the stream ends well only where length and digest are right.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn open(&self, cx: &Context) -> Result<ByteStream> {
        Ok(self.source.open(ByteRange::FULL, cx).await?.verified(&self.descriptor))
    }

    /// Opens a part of the content, which cannot be checked.
    ///
    /// # Errors
    /// Those of the source.
    pub async fn open_range(&self, range: ByteRange, cx: &Context) -> Result<ByteStream> {
        self.source.open(range, cx).await
    }

    /// Reads the whole content into memory, checked.
    ///
    /// # Errors
    /// [`Corrupt`](crate::ErrorKind::Corrupt) where it is not what the descriptor says; those of the source.
    pub async fn read(&self, cx: &Context) -> Result<Bytes> {
        self.open(cx).await?.collect(self.descriptor.size).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[tokio::test]
    async fn lies_about_length_and_content_are_found() {
        let cx = Context::new();
        let honest = Descriptor::of(MediaType::OCI_LAYER, b"hello");
        for (bytes, lie) in [
            ("hell", honest.clone()),
            ("hello!", honest.clone()),
            ("hellO", honest.clone()),
            ("hello", Descriptor { size: 4, ..honest.clone() }),
        ] {
            let blob = Blob::new(lie, Arc::new(Bytes::from(bytes)));
            assert_eq!(blob.read(&cx).await.unwrap_err().kind(), ErrorKind::Corrupt, "{bytes}");
        }
        assert_eq!(Blob::of(MediaType::OCI_LAYER, "hello").read(&cx).await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn a_range_is_cut() {
        let blob = Blob::of(MediaType::OCI_LAYER, "hello");
        let range = ByteRange { start: 1, end: Some(3) };
        let stream = blob.open_range(range, &Context::new()).await.unwrap();
        assert_eq!(stream.collect(10).await.unwrap(), "el");
    }
}
