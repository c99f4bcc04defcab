//! How layers are compressed, and how compressed bytes from an asynchronous source become a blocking reader.
//!
//! Three things happen at once while a layer is read: the caller's task fetches and hashes the compressed bytes, a
//! thread decompresses, and another hashes what comes out and reads the archive. Each is at most a few buffers ahead
//! of the next, and all end when one of them does.

mod bridge;
mod encode;

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use flate2::bufread::MultiGzDecoder;

pub(super) use self::{bridge::read_layer_with, encode::Encoder};
use super::ReadLimits;
use crate::{Error, MediaType, Result};

/// How a new layer is compressed. The same content gives the same bytes on every machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// gzip of the given level, 0 to 9. Everything can read it.
    Gzip(u32),
    /// Not at all.
    None,
    /// zstd of the given level, 1 to 22. Five times as fast as gzip and smaller; a Docker manifest has no type for it.
    Zstd(i32),
}

impl Compression {
    /// The OCI media type of a layer that is compressed so.
    #[must_use]
    pub fn media_type(self) -> MediaType {
        match self {
            Self::Gzip(_) => MediaType::OCI_LAYER_GZIP,
            Self::None => MediaType::OCI_LAYER,
            Self::Zstd(_) => MediaType::OCI_LAYER_ZSTD,
        }
    }
}

/// gzip at level 6, as most builders have it.
impl Default for Compression {
    fn default() -> Self {
        Self::Gzip(6)
    }
}

/// How the bytes of a layer are to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Gzip,
    Plain,
    Zstd,
}

/// How many bytes tell the formats apart.
const MAGIC: usize = 4;

impl Format {
    /// The format that a layer's media type promises.
    pub(super) fn of(media_type: &MediaType) -> Result<Self> {
        Ok(match media_type.as_str() {
            "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => Self::Plain,
            "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
                Self::Gzip
            }
            // Docker has no zstd type, but BuildKit writes this one.
            "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
                Self::Zstd
            }
            foreign if foreign.contains(".foreign.") || foreign.contains(".nondistributable.") => {
                return Err(Error::unsupported(format!("{foreign}: layers that may not be distributed")));
            }
            other => return Err(Error::unsupported(format!("{other} is not a layer that can be read"))),
        })
    }

    /// What the first bytes look like.
    fn seen(start: &[u8]) -> Self {
        match start {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..] => Self::Zstd,
            _ => Self::Plain,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Plain => "not compressed",
            Self::Zstd => "zstd",
        }
    }

    /// Refuses bytes that start otherwise than the media type promises.
    fn check(self, start: &[u8]) -> Result<()> {
        let seen = Self::seen(start);
        if seen != self {
            let message = format!("the media type says {}, but the content is {}", self.name(), seen.name());
            return Err(Error::corrupt(message));
        }
        Ok(())
    }

    /// Decompresses up to the end of the input; what comes after the last gzip member or zstd frame is an error.
    fn decoder(self, input: impl BufRead + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
        Ok(match self {
            Self::Gzip => Box::new(MultiGzDecoder::new(input)),
            Self::Plain => Box::new(input),
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(input)?),
        })
    }

    /// What is wrong with the compressed bytes, or with their source.
    fn error(self, error: io::Error) -> Error {
        let name = self.name();
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::corrupt(format!("{name}: cut off")),
            Err(error) => Error::corrupt(format!("{name}: {error}")),
        }
    }
}

/// The error that was carried through a reader.
pub(super) fn error_of(error: io::Error) -> Error {
    error.downcast::<Error>().unwrap_or_else(|error| Error::unexpected(error.to_string()))
}

/// Counts what comes out of a layer and says when it is too much.
#[derive(Clone, Debug)]
struct Meter {
    most: u64,
    seen: u64,
}

impl Meter {
    fn new(compressed: u64, limits: &ReadLimits) -> Self {
        let most = compressed.saturating_mul(limits.ratio).max(limits.free_bytes).min(limits.layer_bytes);
        Self { most, seen: 0 }
    }

    fn add(&mut self, bytes: usize) -> Result<()> {
        self.seen += bytes as u64;
        if self.seen > self.most {
            return Err(Error::unsupported(format!("a layer of more than {} bytes, uncompressed", self.most)));
        }
        Ok(())
    }
}

/// Decompresses what lies in memory, into memory.
///
/// # Errors
/// As for a layer: [`Corrupt`](crate::ErrorKind::Corrupt) where the content is not what the media type says or is
/// damaged, [`Unsupported`](crate::ErrorKind::Unsupported) for other types and beyond the limits.
pub fn decompress(media_type: &MediaType, bytes: impl Into<Bytes>, limits: &ReadLimits) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    open(media_type, bytes.into(), limits)?.read_to_end(&mut all).map_err(error_of)?;
    Ok(all)
}

/// A reader of what lies in memory, decompressed and within the limits.
pub(super) fn open(media_type: &MediaType, bytes: Bytes, limits: &ReadLimits) -> Result<impl Read + use<>> {
    let format = Format::of(media_type)?;
    if !bytes.is_empty() || format != Format::Plain {
        format.check(&bytes[..bytes.len().min(MAGIC)])?;
    }
    let meter = Meter::new(bytes.len() as u64, limits);
    let decoder = format.decoder(io::Cursor::new(bytes)).map_err(|error| format.error(error))?;
    Ok(Metered { format, decoder, meter })
}

struct Metered {
    format: Format,
    decoder: Box<dyn Read + Send>,
    meter: Meter,
}

impl Read for Metered {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.decoder.read(buffer).map_err(|error| io::Error::other(self.format.error(error)))?;
        self.meter.add(read).map_err(io::Error::other)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests;
