//! Watches the bytes of a request's body on their way out.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use patchkit_core::{ByteStream, Error, Result};

/// How far a body has got, and why it broke off if its source failed.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<State>);

#[derive(Debug, Default)]
struct State {
    expected: u64,
    sent: AtomicU64,
    failed: Mutex<Option<Error>>,
}

impl Progress {
    /// Of a body of so many bytes.
    pub(super) fn new(expected: u64) -> Self {
        Self(Arc::new(State { expected, ..State::default() }))
    }

    /// The bytes handed to the connection.
    pub(super) fn sent(&self) -> u64 {
        self.0.sent.load(Ordering::Relaxed)
    }

    /// The error of the source, once.
    pub(super) fn failure(&self) -> Option<Error> {
        self.0.failed.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The same bytes, watched. The last piece passes only when the source has ended well, with as many bytes as it
    /// should have: so that nothing whose check fails at its end arrives whole.
    pub(super) fn watch(&self, source: ByteStream) -> impl Stream<Item = Result<Bytes, Interrupted>> + Send + 'static {
        let watched = Watched { source, held: None, ended: false, read: 0, state: Arc::clone(&self.0) };
        stream::try_unfold(watched, |mut watched| async move {
            match watched.next().await {
                Ok(piece) => Ok(piece.map(|piece| (piece, watched))),
                Err(error) => {
                    *watched.state.failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(Interrupted)
                }
            }
        })
    }
}

struct Watched {
    source: ByteStream,
    held: Option<Bytes>,
    ended: bool,
    read: u64,
    state: Arc<State>,
}

impl Watched {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ended {
            return Ok(None);
        }
        while let Some(piece) = self.source.next().await.transpose()? {
            self.read += piece.len() as u64;
            if self.read > self.state.expected {
                return Err(self.wrong_length("more than"));
            }
            if let Some(before) = self.held.replace(piece) {
                return Ok(Some(self.count(before)));
            }
        }
        self.ended = true;
        if self.read != self.state.expected {
            return Err(self.wrong_length("not"));
        }
        Ok(self.held.take().map(|last| self.count(last)))
    }

    fn count(&self, piece: Bytes) -> Bytes {
        self.state.sent.fetch_add(piece.len() as u64, Ordering::Relaxed);
        piece
    }

    fn wrong_length(&self, how: &str) -> Error {
        Error::corrupt(format!("the source has {} bytes, {how} {}", self.read, self.state.expected))
    }
}

/// The source of a body failed; [`Progress::failure`] says why.
#[derive(Debug, thiserror::Error)]
#[error("the source of the body failed")]
pub(super) struct Interrupted;

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;
    use patchkit_core::{Descriptor, ErrorKind, MediaType};

    use super::*;

    #[tokio::test]
    async fn the_last_piece_waits_for_the_check() {
        let honest = Descriptor::of(MediaType::OCI_LAYER, b"abcd");
        for (last, passes) in [("cd", true), ("cX", false)] {
            let pieces = [Ok(Bytes::from("ab")), Ok(Bytes::from(last))];
            let source = ByteStream::new(stream::iter(pieces)).verified(&honest);
            let progress = Progress::new(4);
            let seen: Result<Vec<Bytes>, _> = progress.watch(source).try_collect().await;
            assert_eq!(seen.is_ok(), passes);
            assert_eq!(progress.sent(), if passes { 4 } else { 2 });
            assert_eq!(progress.failure().map(|error| error.kind()), (!passes).then_some(ErrorKind::Corrupt));
        }
    }
}
