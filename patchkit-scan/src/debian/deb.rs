//! The `.deb` archive: an `ar` file with `debian-binary`, `control.tar.*` and `data.tar.*`, in this order.
//!
//! Source: deb(5), and dpkg-deb where it is stricter. The archive is read in a stream: a package of any size takes no
//! more memory than its decompressor.

mod ar;
mod control;
mod entry;
mod tar;

use std::collections::BTreeMap;
use std::io::{BufReader, Read, Seek, SeekFrom};

pub use crate::compression::Compression;
pub use control::{ControlFile, MAX_CONTROL_LENGTH};
pub use entry::{DataEntry, EntryKind, Xattr};

use crate::debian::path::PathError;
use ar::Member;
use tar::TarReader;

/// The most bytes a decompressed `data.tar` may have: a guard against decompression bombs, in bytes.
pub const MAX_DATA_LENGTH: u64 = 64 << 30;

/// An opened `.deb` archive whose layout has been checked.
#[derive(Debug)]
pub struct Deb<R> {
    reader: R,
    control: Member,
    data: Member,
}

/// A damaged or unsupported `.deb` archive: in which member, where, and what is wrong there.
#[derive(Debug, thiserror::Error)]
#[error("{member} at byte {offset}: {kind}")]
pub struct DebError {
    /// The member of the archive, or `archive` for the archive itself.
    pub member: String,
    /// The byte offset in the archive, or in the member once decompressed.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub kind: DebErrorKind,
}

/// What is wrong with a `.deb` archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DebErrorKind {
    /// Bytes that break the rules of the `ar` or tar format, or of deb(5).
    #[error("{0}")]
    Format(&'static str),
    /// The bytes cannot be read or decompressed.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// More than so many bytes, a limit of this reader.
    #[error("more than {0} bytes")]
    Limit(u64),
    /// A path that leads out of the root, or cannot be written down.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A format, compression or kind of entry that is not known.
    #[error("{0} is not supported")]
    Unsupported(String),
}

impl<R: Read + Seek + Send> Deb<R> {
    /// Opens an archive: reads the headers of its members up to `data.tar`, and checks their order and sizes.
    ///
    /// # Errors
    /// Bad magic or header, a missing or misplaced member, one that runs past the end of the file, a format version
    /// other than 2, an unknown compression.
    pub fn open(mut reader: R) -> Result<Self, DebError> {
        let (control, data) = ar::read_layout(&mut reader)?;
        Ok(Self { reader, control, data })
    }

    /// Reads all files of `control.tar`, by name: `control`, `md5sums`, `conffiles`, `postinst` and so on.
    ///
    /// # Errors
    /// A damaged tar or compression, a file that is not at the top, given twice or no plain file, no `control`, more
    /// than [`MAX_CONTROL_LENGTH`] bytes.
    pub fn control_files(&mut self) -> Result<BTreeMap<String, ControlFile>, DebError> {
        let member = self.control.clone();
        control::read(DataArchive { tar: self.member_tar(&member, MAX_CONTROL_LENGTH)? })
    }

    /// Opens `data.tar` to stream its entries.
    ///
    /// # Errors
    /// The member cannot be reached, or its decompressor cannot start.
    pub fn data(&mut self) -> Result<DataArchive<'_>, DebError> {
        let member = self.data.clone();
        Ok(DataArchive { tar: self.member_tar(&member, MAX_DATA_LENGTH)? })
    }

    /// How `data.tar` is compressed.
    #[must_use]
    pub fn data_compression(&self) -> Compression {
        self.data.compression
    }

    fn member_tar(&mut self, member: &Member, limit: u64) -> Result<TarReader<'_>, DebError> {
        let failed = |kind: std::io::Error| DebError { member: member.name.clone(), offset: 0, kind: kind.into() };
        self.reader.seek(SeekFrom::Start(member.offset)).map_err(failed)?;
        let bytes = BufReader::with_capacity(1 << 16, (&mut self.reader).take(member.size));
        let plain = member.compression.decoder(bytes).map_err(failed)?;
        let plain = Box::new(BufReader::with_capacity(1 << 16, plain));
        Ok(TarReader::new(plain, member.name.clone(), limit))
    }
}

/// The entries of `data.tar`, one after the other.
#[derive(Debug)]
pub struct DataArchive<'a> {
    tar: TarReader<'a>,
}

impl DataArchive<'_> {
    /// The next entry, or `None` at the end, which is only reached when the compressed stream is whole as well. What
    /// is left unread of an entry is skipped.
    ///
    /// # Errors
    /// A damaged tar or compression, a path that leads out of the root, an ambiguous or unknown entry. No entry can
    /// be read after an error.
    pub fn next_entry(&mut self) -> Result<Option<DataEntry<'_>>, DebError> {
        let Some(header) = self.tar.next_header()? else {
            return Ok(None);
        };
        entry::interpret(header, &mut self.tar).map(Some)
    }
}

impl DebError {
    /// Whether the archive itself is at fault, rather than the way to its bytes.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use std::io::ErrorKind::{InvalidData, InvalidInput, Other, UnexpectedEof};
        match &self.kind {
            DebErrorKind::Io(error) => matches!(error.kind(), InvalidData | InvalidInput | Other | UnexpectedEof),
            DebErrorKind::Unsupported(_) => false,
            DebErrorKind::Format(_) | DebErrorKind::Limit(_) | DebErrorKind::Path(_) => true,
        }
    }
}

#[cfg(test)]
mod tests;
