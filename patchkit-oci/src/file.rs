//! Parts of files, read without blocking the runtime, and what the system's errors mean.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use patchkit_core::{Blob, ByteRange, ByteStream, Context, Error, ErrorKind, Result};
use tokio::{sync::mpsc, task::JoinHandle};

/// How much is read at once: little enough for flat memory, much enough that switching threads does not matter.
const PIECE: u64 = 512 << 10;

/// How many pieces may wait to be written.
const WAITING: usize = 8;

/// A stretch of an open file: the whole of a blob, or a member of an archive.
#[derive(Clone, Debug)]
pub(crate) struct FilePart {
    file: Arc<File>,
    start: u64,
    len: u64,
}

impl FilePart {
    /// A stretch of a file.
    pub(crate) fn new(file: Arc<File>, start: u64, len: u64) -> Self {
        Self { file, start, len }
    }

    /// All of a file. Blocks.
    pub(crate) fn whole(file: File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        Ok(Self::new(Arc::new(file), 0, len))
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// The part that is asked for; `Invalid` where it starts after the end.
    pub(crate) fn range(&self, range: ByteRange) -> Result<Self> {
        let end = range.end.unwrap_or(self.len).min(self.len);
        if range.start > self.len || end < range.start {
            let wanted = range.end.map_or("the end".to_owned(), |end| end.to_string());
            return Err(Error::invalid(format!("bytes {} to {wanted} of {} bytes", range.start, self.len)));
        }
        Ok(Self { start: self.start + range.start, len: end - range.start, ..self.clone() })
    }

    /// Reads all of it into memory, up to a limit in bytes. Blocks.
    pub(crate) fn read(&self, limit: u64) -> Result<Bytes> {
        if self.len > limit {
            return Err(Error::unsupported(format!("{} bytes, more than {limit}", self.len)));
        }
        let mut bytes = vec![0; usize::try_from(self.len).map_err(|_| Error::unsupported("too large to read"))?];
        self.file.read_exact_at(&mut bytes, self.start).map_err(broken)?;
        Ok(bytes.into())
    }

    /// Fills a buffer from an offset into it. Blocks.
    pub(crate) fn fill(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inside = offset.checked_add(buffer.len() as u64).is_some_and(|end| end <= self.len);
        if !inside {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.file.read_exact_at(buffer, self.start + offset)
    }

    /// A stretch of it that is known to lie inside.
    pub(crate) fn part(&self, start: u64, len: u64) -> Self {
        debug_assert!(start + len <= self.len);
        Self { start: self.start + start, len, ..self.clone() }
    }

    /// Reads it piece by piece.
    pub(crate) fn stream(self, cx: &Context) -> ByteStream {
        let cx = cx.clone();
        ByteStream::new(stream::try_unfold(self, move |mut left| {
            let cx = cx.clone();
            async move {
                cx.check()?;
                if left.len == 0 {
                    return Ok(None);
                }
                let piece = Self { len: left.len.min(PIECE), ..left.clone() };
                left = Self { start: left.start + piece.len, len: left.len - piece.len, ..left };
                let bytes = blocking(move || piece.read(PIECE)).await?;
                Ok(Some((bytes, left)))
            }
        }))
    }
}

fn broken(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::corrupt("the file ends early"),
        _ => Error::unexpected(format!("cannot read: {error}")).because(error),
    }
}

/// Writes pieces on a thread of its own, so that reading the next piece goes on meanwhile.
#[derive(Debug)]
pub(crate) struct Sink<W> {
    pieces: mpsc::Sender<Bytes>,
    writer: JoinHandle<Result<W>>,
}

impl<W: Write + Send + 'static> Sink<W> {
    /// Starts writing. The writer is dropped unless [`finish`](Self::finish) gives it back.
    pub(crate) fn new(writer: W) -> Self {
        let (pieces, received) = mpsc::channel(WAITING);
        Self { pieces, writer: tokio::task::spawn_blocking(|| drain(received, writer)) }
    }

    /// Writes a piece. An error on the way is told by [`finish`](Self::finish): says whether to go on.
    pub(crate) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Writes a blob, checked. Nothing of what was written counts where this fails.
    pub(crate) async fn copy(&self, blob: &Blob, cx: &Context) -> Result<()> {
        let mut pieces = blob.open(cx).await?;
        while let Some(piece) = cx.guard(async { pieces.next().await.transpose() }).await? {
            if !self.write(piece).await {
                break;
            }
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> Result<W> {
        drop(self.pieces);
        self.writer.await.map_err(|error| Error::unexpected("the writer stopped").because(error))?
    }
}

fn drain<W: Write>(mut pieces: mpsc::Receiver<Bytes>, mut writer: W) -> Result<W> {
    while let Some(piece) = pieces.blocking_recv() {
        writer.write_all(&piece).map_err(|error| Error::unexpected(format!("cannot write: {error}")).because(error))?;
    }
    Ok(writer)
}

/// Runs what blocks on a thread where it may.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(Error::cancelled("the runtime is shutting down")),
    }
}

/// What an error of the system on a file means, for `map_err`.
pub(crate) fn on(path: &Path) -> impl Fn(io::Error) -> Error + '_ {
    move |error| {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Denied,
            _ => ErrorKind::Unexpected,
        };
        Error::new(kind, error.to_string()).on(path.display()).because(error)
    }
}
