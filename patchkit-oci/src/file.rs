//! Parts of files, read without blocking the runtime, and what the system's errors mean.

use std::{fs::File, io, os::unix::fs::FileExt, path::Path, sync::Arc};

use bytes::Bytes;
use futures::stream;
use patchkit_core::{ByteRange, ByteStream, Context, Error, ErrorKind, Result};

/// How much is read at once: little enough for flat memory, much enough that switching threads does not matter.
const PIECE: u64 = 512 << 10;

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

    /// Reads some bytes at an offset into it: fewer only at its end. Blocks.
    pub(crate) fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let left = self.len.saturating_sub(offset);
        let wanted = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        self.file.read_exact_at(&mut buffer[..wanted], self.start + offset)?;
        Ok(wanted)
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
