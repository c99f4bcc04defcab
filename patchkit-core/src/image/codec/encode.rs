//! Compressing reproducibly: no time, no name and no machine in the bytes.

use std::io::{self, Write};

use flate2::{GzBuilder, write::GzEncoder};

use super::Compression;

/// A writer that compresses.
pub(in crate::image) enum Encoder<W: Write> {
    Gzip(GzEncoder<W>),
    Plain(W),
    Zstd(zstd::stream::write::Encoder<'static, W>),
}

/// What the header of gzip says where the operating system is not to be told (RFC 1952, 2.3.1).
const UNKNOWN_SYSTEM: u8 = 255;

impl<W: Write> Encoder<W> {
    pub(in crate::image) fn new(compression: Compression, output: W) -> io::Result<Self> {
        Ok(match compression {
            Compression::Gzip(level) => {
                let header = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
                Self::Gzip(header.write(output, flate2::Compression::new(level.min(9))))
            }
            Compression::None => Self::Plain(output),
            Compression::Zstd(level) => {
                let mut encoder = zstd::stream::write::Encoder::new(output, level)?;
                encoder.include_checksum(true)?;
                Self::Zstd(encoder)
            }
        })
    }

    /// Writes what is left and gives the output back.
    pub(in crate::image) fn finish(self) -> io::Result<W> {
        match self {
            Self::Gzip(encoder) => encoder.finish(),
            Self::Plain(output) => Ok(output),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::Plain(output) => output.write(bytes),
            Self::Zstd(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Gzip(encoder) => encoder.flush(),
            Self::Plain(output) => output.flush(),
            Self::Zstd(encoder) => encoder.flush(),
        }
    }
}
