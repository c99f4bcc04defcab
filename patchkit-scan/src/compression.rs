//! The compressions that packages and feeds come in: named by a file's extension, or by their first bytes.

use std::fmt;
use std::io::{self, BufRead, Read};

/// How much memory an xz or lzma stream may ask for, in bytes: that of `xz -9`, the largest preset, and half again.
const XZ_MEMORY_LIMIT: u64 = 96 << 20;

/// A compression, one of those that deb(5) names.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Compression {
    /// `.bz2`
    Bzip2,
    /// `.gz`
    Gzip,
    /// `.lzma`
    Lzma,
    /// No extension.
    None,
    /// `.xz`
    Xz,
    /// `.zst`
    Zstd,
}

impl Compression {
    /// The compression that a file name's extension stands for, given with its dot.
    #[must_use]
    pub fn from_extension(extension: &str) -> Option<Self> {
        match extension {
            "" => Some(Self::None),
            ".bz2" => Some(Self::Bzip2),
            ".gz" => Some(Self::Gzip),
            ".lzma" => Some(Self::Lzma),
            ".xz" => Some(Self::Xz),
            ".zst" => Some(Self::Zstd),
            _ => None,
        }
    }

    /// The compression whose streams start with these bytes; [`None`](Self::None) where they are of no known one. The
    /// `.lzma` format has no magic number: what tells it are its usual properties.
    #[must_use]
    pub(crate) fn of_start(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Self::Bzip2,
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Self::Xz,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            [0x5d, 0, 0, ..] => Self::Lzma,
            _ => Self::None,
        }
    }

    /// A reader of the decompressed bytes, as `decompress`.
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub fn decoder<'a>(self, compressed: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(Box::new(self.decompress(compressed)?))
    }

    /// A reader of the decompressed bytes. All streams or frames of `compressed` are read, one after the other.
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub(crate) fn decompress<R: BufRead>(self, compressed: R) -> io::Result<Decompressor<R>> {
        use liblzma::stream::{CONCATENATED, Stream};
        Ok(match self {
            Self::Bzip2 => Decompressor::Bzip2(bzip2::bufread::MultiBzDecoder::new(compressed)),
            Self::Gzip => Decompressor::Gzip(flate2::bufread::MultiGzDecoder::new(compressed)),
            Self::Lzma => Decompressor::Lzma(lzma(compressed, Stream::new_lzma_decoder(XZ_MEMORY_LIMIT))?),
            Self::None => Decompressor::None(compressed),
            Self::Xz => {
                Decompressor::Lzma(lzma(compressed, Stream::new_stream_decoder(XZ_MEMORY_LIMIT, CONCATENATED))?)
            }
            Self::Zstd => Decompressor::Zstd(zstd::stream::read::Decoder::with_buffer(compressed)?),
        })
    }
}

/// A reader of what a compressed stream holds.
pub(crate) enum Decompressor<R: BufRead> {
    Bzip2(bzip2::bufread::MultiBzDecoder<R>),
    Gzip(flate2::bufread::MultiGzDecoder<R>),
    Lzma(liblzma::bufread::XzDecoder<R>),
    None(R),
    Zstd(zstd::stream::read::Decoder<'static, R>),
}

impl<R: BufRead> Read for Decompressor<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Bzip2(decoder) => decoder.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
            Self::Lzma(decoder) => decoder.read(buffer),
            Self::None(plain) => plain.read(buffer),
            Self::Zstd(decoder) => decoder.read(buffer),
        }
    }
}

fn lzma<R: BufRead>(
    compressed: R,
    stream: Result<liblzma::stream::Stream, liblzma::stream::Error>,
) -> io::Result<liblzma::bufread::XzDecoder<R>> {
    Ok(liblzma::bufread::XzDecoder::new_stream(compressed, stream?))
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bzip2 => "bzip2",
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::None => "none",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
        })
    }
}
