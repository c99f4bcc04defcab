//! What finds packages in single files.

use std::{
    fs::File,
    io::{self, BufReader, Cursor, Read, Seek, SeekFrom},
};

use bytes::Bytes;
use patchkit_core::{Package, image::FilePath};

/// Finds packages in single files, wherever they lie: a lock file, a jar, a program.
///
/// What it finds in a file depends on nothing but the file, so that it is remembered with the layer.
pub(crate) trait Detector: Send + Sync {
    /// Its name, for warnings: `npm`.
    fn name(&self) -> &'static str;

    /// Whether it wants to see a file. Asked of every regular file of an image, so it must be quick.
    fn wants(&self, file: &Candidate<'_>) -> bool;

    /// The packages that the file speaks of. Their layer and owner are filled in afterwards, and the file's path where
    /// there is no location.
    ///
    /// # Errors
    /// What is wrong with the file, and where in it. It becomes a warning: a broken lock file in an image is often
    /// part of some test data.
    fn detect(&self, file: &Candidate<'_>, content: &Content) -> Result<Vec<Package>, Problem>;
}

/// What is wrong with a file.
pub(crate) type Problem = Box<dyn std::error::Error + Send + Sync>;

/// A regular file of a layer, and how it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate<'a> {
    /// Its path, relative to the root.
    pub(crate) path: &'a FilePath,
    /// Its length in bytes.
    pub(crate) size: u64,
    /// Its first bytes, [`HEAD`] of them where it has as many.
    pub(crate) head: &'a [u8],
}

/// How many bytes of a file tell what it is.
pub(crate) const HEAD: usize = 512;

/// What is held in memory of one file; what is longer lies in a temporary file.
const IN_MEMORY: u64 = 32 << 20;

/// The content of a file, which can be read as often as needed.
#[derive(Debug)]
pub(crate) enum Content {
    /// In memory.
    Memory(Bytes),
    /// In a temporary file of this length.
    Spooled(File, u64),
}

impl Content {
    /// Takes the content of a file of the given length.
    pub(crate) fn read(mut content: impl Read, size: u64) -> io::Result<Self> {
        if size <= IN_MEMORY {
            let mut bytes = Vec::with_capacity(size as usize);
            content.read_to_end(&mut bytes)?;
            return Ok(Self::Memory(bytes.into()));
        }
        let mut file = tempfile::tempfile()?;
        let length = io::copy(&mut content, &mut file)?;
        Ok(Self::Spooled(file, length))
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Spooled(_, length) => *length,
        }
    }

    /// The whole of it in memory, for kinds of files that are never large.
    ///
    /// # Errors
    /// A message where it is larger than 32 MiB.
    pub(crate) fn bytes(&self) -> Result<&[u8], Problem> {
        match self {
            Self::Memory(bytes) => Ok(bytes),
            Self::Spooled(_, length) => Err(format!("{length} bytes, more than is read of such a file").into()),
        }
    }

    /// The whole of it as text, without a byte order mark.
    ///
    /// # Errors
    /// As [`bytes`](Self::bytes); a message where it is not UTF-8.
    pub(crate) fn text(&self) -> Result<&str, Problem> {
        let text = std::str::from_utf8(self.bytes()?)?;
        Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
    }

    /// A reader from its start. Only one at a time may be used.
    pub(crate) fn reader(&self) -> io::Result<Box<dyn ReadSeek + '_>> {
        Ok(match self {
            Self::Memory(bytes) => Box::new(Cursor::new(&bytes[..])),
            Self::Spooled(file, _) => {
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                Box::new(BufReader::new(file))
            }
        })
    }
}

/// What [`Content::reader`] gives.
pub(crate) trait ReadSeek: Read + Seek {}
impl<T: Read + Seek> ReadSeek for T {}
