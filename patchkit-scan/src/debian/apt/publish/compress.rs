//! The compressions an archive is written in.

use std::io::{self, Write};

use crate::debian::deb::Compression;

/// Compresses bytes; the same bytes give the same result.
///
/// # Errors
/// `InvalidInput` for lzma and bzip2, which nobody needs to write any more.
pub(super) fn compressed(compression: Compression, bytes: &[u8]) -> io::Result<Vec<u8>> {
    match compression {
        Compression::None => Ok(bytes.to_vec()),
        Compression::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Compression::Xz => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
            encoder.write_all(bytes)?;
            encoder.finish()
        }
        Compression::Zstd => zstd::stream::encode_all(bytes, 3),
        Compression::Bzip2 | Compression::Lzma => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{compression} is only read, not written")))
        }
    }
}

impl Compression {
    /// The file name's extension with its dot, empty for no compression.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Bzip2 => ".bz2",
            Self::Gzip => ".gz",
            Self::Lzma => ".lzma",
            Self::None => "",
            Self::Xz => ".xz",
            Self::Zstd => ".zst",
        }
    }
}
