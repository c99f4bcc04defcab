//! From a stream of compressed bytes to a blocking reader of the archive.

use std::{
    io::{self, BufRead, Read},
    sync::mpsc as blocking,
    thread,
};

use bytes::{Buf, Bytes};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::sync::mpsc;

use super::{Format, MAGIC, Meter};
use crate::{
    Blob, ByteRange, ByteStream, Context, Digest, Error, Hasher, Result,
    image::{Layer, ReadLimits},
};

/// The largest piece that is hashed and handed over at once.
const PIECE: usize = 256 << 10;

/// How many pieces may wait before each of the threads.
const AHEAD: usize = 4;

/// Lets a function read the uncompressed archive of a layer in a blocking thread, and checks the layer's digest, size
/// and diff id meanwhile: only where they are right is the function's result given.
///
/// The function must read to the end.
pub(in crate::image) async fn read_layer_with<T: Send + 'static>(
    layer: &Layer,
    limits: &ReadLimits,
    cx: &Context,
    consume: impl FnOnce(Archive) -> Result<(T, Archive)> + Send + 'static,
) -> Result<T> {
    let descriptor = layer.blob().descriptor();
    let format = Format::of(&descriptor.media_type).map_err(|error| error.on(layer.digest()))?;
    let (sender, receiver) = mpsc::channel(AHEAD);
    let archive = Ingredients {
        format,
        input: Pieces { receiver, piece: Bytes::new(), ended: false },
        meter: Meter::new(descriptor.size, limits),
        hasher: Hasher::new(layer.diff_id().algorithm()),
        cx: cx.clone(),
    };
    let consumer = tokio::task::spawn_blocking(move || {
        let (result, mut archive) = consume(archive.open()?)?;
        archive.end()?;
        Ok((result, archive.hasher.finish()))
    });
    let reading = async {
        let (fed, consumed) = futures::join!(feed(layer.blob(), sender, cx), consumer);
        let consumed = consumed.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()));
        judge(fed, consumed)
    };
    let checked = cx.guard(reading).await.and_then(|(result, found)| compare(layer.diff_id(), found).map(|()| result));
    checked.map_err(|error| error.on(layer.digest()).during("read layer"))
}

/// A source that failed is why the reader failed; a reader that failed is why the source was not read to its end.
fn judge<T>(fed: Result<bool>, consumed: Result<T>) -> Result<T> {
    let complete = fed?;
    let result = consumed?;
    if !complete {
        return Err(Error::unexpected("the reader stopped before the end"));
    }
    Ok(result)
}

fn compare(diff_id: &Digest, found: Digest) -> Result<()> {
    if *diff_id != found {
        return Err(Error::corrupt(format!(
            "the uncompressed content has the digest {found}, not its diff id {diff_id}"
        )));
    }
    Ok(())
}

/// Sends the blob's bytes, checked, and an empty piece for their end. False where nobody wants them any more.
async fn feed(blob: &Blob, sender: mpsc::Sender<Bytes>, cx: &Context) -> Result<bool> {
    let pieces = blob.open_range(ByteRange::FULL, cx).await?;
    let mut pieces = in_pieces(pieces).verified(blob.descriptor());
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        if !piece.is_empty() && sender.send(piece).await.is_err() {
            return Ok(false);
        }
    }
    Ok(sender.send(Bytes::new()).await.is_ok())
}

/// The same bytes in pieces of bounded size, so that hashing one does not hold up the reader for long.
fn in_pieces(stream: ByteStream) -> ByteStream {
    let cut = |piece: Bytes| {
        let starts = (0..piece.len()).step_by(PIECE);
        let pieces: Vec<_> = starts.map(|at| Ok(piece.slice(at..piece.len().min(at + PIECE)))).collect();
        stream::iter(pieces)
    };
    ByteStream::new(stream.map_ok(cut).try_flatten())
}

/// The pieces of a stream as a blocking reader.
struct Pieces {
    receiver: mpsc::Receiver<Bytes>,
    piece: Bytes,
    ended: bool,
}

impl Pieces {
    /// The first bytes, at least [`MAGIC`] where there are so many.
    fn start(&mut self) -> io::Result<&[u8]> {
        let mut start = Bytes::copy_from_slice(self.fill_buf()?);
        while start.len() < MAGIC && !self.ended {
            self.piece.clear();
            start = [&*start, self.fill_buf()?].concat().into();
        }
        self.piece = start;
        Ok(&self.piece)
    }
}

impl BufRead for Pieces {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && !self.ended {
            let piece = self.receiver.blocking_recv();
            self.piece = piece.ok_or_else(|| io::Error::other(Error::cancelled("nobody reads any more")))?;
            self.ended = self.piece.is_empty();
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, bytes: usize) {
        self.piece.advance(bytes);
    }
}

impl Read for Pieces {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy_out(self, buffer)
    }
}

fn copy_out(input: &mut impl BufRead, buffer: &mut [u8]) -> io::Result<usize> {
    let piece = input.fill_buf()?;
    let step = piece.len().min(buffer.len());
    buffer[..step].copy_from_slice(&piece[..step]);
    input.consume(step);
    Ok(step)
}

/// Everything that an [`Archive`] is made of, once there is a thread to make it in.
struct Ingredients {
    format: Format,
    input: Pieces,
    meter: Meter,
    hasher: Hasher,
    cx: Context,
}

impl Ingredients {
    fn open(mut self) -> Result<Archive> {
        let start = self.input.start().map_err(|error| self.format.error(error))?;
        if !start.is_empty() || self.format != Format::Plain {
            self.format.check(start)?;
        }
        let next = match self.format {
            Format::Plain => as_it_is(self.input),
            format => inflated(format, self.input)?,
        };
        let Self { meter, hasher, cx, .. } = self;
        Ok(Archive { next, piece: Bytes::new(), ended: false, meter, hasher, cx })
    }
}

/// Gives the next piece of an archive, an empty one at the end.
type Next = Box<dyn FnMut() -> Result<Bytes> + Send>;

fn as_it_is(mut input: Pieces) -> Next {
    Box::new(move || {
        input.fill_buf().map_err(|error| Format::Plain.error(error))?;
        Ok(std::mem::take(&mut input.piece))
    })
}

/// Decompresses in a thread of its own, since that takes as long as everything else together.
fn inflated(format: Format, input: Pieces) -> Result<Next> {
    let (sender, receiver) = blocking::sync_channel(AHEAD);
    let inflate = move || {
        let result = inflate(format, input, &sender);
        // Nobody may be listening any more; then nobody cares.
        let _ = sender.send(result.map(|()| Bytes::new()));
    };
    let thread = thread::Builder::new().name("inflate".into()).spawn(inflate);
    thread.map_err(|error| Error::unexpected("cannot start a thread").because(error))?;
    let gone = || Err(Error::unexpected("the decompressing thread is gone"));
    Ok(Box::new(move || receiver.recv().unwrap_or_else(|_| gone())))
}

fn inflate(format: Format, input: Pieces, sender: &blocking::SyncSender<Result<Bytes>>) -> Result<()> {
    let mut decoder = format.decoder(input).map_err(|error| format.error(error))?;
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        decoder.by_ref().take(PIECE as u64).read_to_end(&mut piece).map_err(|error| format.error(error))?;
        if piece.is_empty() || sender.send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// The uncompressed bytes of a layer, counted and hashed while they are read.
pub(in crate::image) struct Archive {
    next: Next,
    piece: Bytes,
    ended: bool,
    meter: Meter,
    hasher: Hasher,
    cx: Context,
}

impl Archive {
    fn advance(&mut self) -> Result<()> {
        self.cx.check()?;
        self.piece = (self.next)()?;
        self.ended = self.piece.is_empty();
        self.meter.add(self.piece.len())?;
        self.hasher.update(&self.piece);
        Ok(())
    }

    /// Reads and hashes whatever is left.
    fn end(&mut self) -> Result<()> {
        loop {
            let length = self.fill_buf().map_err(super::error_of)?.len();
            if length == 0 {
                return Ok(());
            }
            self.consume(length);
        }
    }
}

impl BufRead for Archive {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.piece.is_empty() && !self.ended {
            self.advance().map_err(io::Error::other)?;
        }
        Ok(&self.piece)
    }

    fn consume(&mut self, bytes: usize) {
        self.piece.advance(bytes);
    }
}

impl Read for Archive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        copy_out(self, buffer)
    }
}
