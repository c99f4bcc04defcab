//! The compressions of a `.deb` member.

use std::fmt;
use std::io::{self, BufRead, Read};

/// How much memory an xz or lzma stream may ask for, in bytes: that of `xz -9`, the largest preset, and half again.
const XZ_MEMORY_LIMIT: u64 = 96 << 20;

/// A compression that deb(5) names.
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

    /// A reader of the decompressed bytes. All streams or frames of `compressed` are read, one after the other.
    ///
    /// # Errors
    /// The decompressor cannot be set up.
    pub fn decoder<'a>(self, compressed: impl BufRead + Send + 'a) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(compressed)),
            Self::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(compressed)),
            Self::Lzma => Box::new(lzma(compressed, liblzma::stream::Stream::new_lzma_decoder(XZ_MEMORY_LIMIT))?),
            Self::None => Box::new(compressed),
            Self::Xz => {
                let flags = liblzma::stream::CONCATENATED;
                Box::new(lzma(compressed, liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_LIMIT, flags))?)
            }
            Self::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(compressed)?),
        })
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
