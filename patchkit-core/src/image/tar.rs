//! A strict reader of tar archives: what two readers could see differently is refused.
//!
//! Understood are V7, ustar and star headers, GNU's long names and binary numbers, and POSIX extended headers. Refused
//! as corrupt: wrong checksums, absolute names and names with `..`, sizes that an extended header says otherwise
//! (CVE-2025-62518, CVE-2026-33055), names that are said twice and differently, content after the end. Refused as
//! unsupported: sparse files, multi-volume archives, AUFS's own files.
//!
//! Names must be relative, as the OCI specification has them: a leading `./` goes, `/` alone is the root. The target
//! of a hard link may be absolute, since Kaniko writes it so and every runtime takes it as below the image's root.

mod header;
mod meaning;
mod pax;
mod write;

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use thiserror::Error as ThisError;

pub use self::write::LayerWriter;
use self::{
    header::{BLOCK, Header},
    meaning::Extensions,
};
use super::{Entry, EntryKind, NodeKind, ReadLimits, path::printable};
use crate::{Error, ErrorKind};

/// The most bytes of an extended header or a long name.
const MAX_EXTENSION: u64 = 1 << 20;

/// Why an archive is not read further, with the place.
#[derive(Debug, ThisError)]
#[error("entry {index}{} at byte {offset}: {reason}", .name.as_ref().map(|name| format!(" {name:?}")).unwrap_or_default())]
pub(crate) struct TarError {
    index: usize,
    offset: u64,
    name: Option<String>,
    reason: Reason,
}

/// Why an archive is not read further.
#[derive(Debug, ThisError)]
enum Reason {
    #[error("{0}")]
    Corrupt(String),
    #[error("{0}")]
    Read(io::Error),
    #[error("{0}")]
    Unsupported(String),
}

impl Reason {
    fn corrupt(message: impl Into<String>) -> Self {
        Self::Corrupt(message.into())
    }

    fn unsupported(message: impl Into<String>) -> Self {
        Self::Unsupported(message.into())
    }
}

impl From<TarError> for Error {
    fn from(error: TarError) -> Self {
        let kind = match error.reason {
            Reason::Corrupt(_) => ErrorKind::Corrupt,
            Reason::Unsupported(_) => ErrorKind::Unsupported,
            Reason::Read(source) => return super::codec::error_of(source),
        };
        Self::new(kind, error.to_string())
    }
}

/// Reads an archive from its start to its end, entry by entry.
#[derive(Debug)]
pub(crate) struct TarReader<R> {
    input: R,
    limits: ReadLimits,
    /// How many bytes of the input have been read.
    offset: u64,
    /// How many entries have been found.
    entries: usize,
    /// How many bytes of names and the like have been found.
    metadata: u64,
    /// What is left of the current entry's content.
    left: u64,
    /// What follows the content up to a full block.
    padding: u64,
    /// Why the content of the current entry cannot be read.
    failure: Option<TarError>,
}

impl<R: BufRead> TarReader<R> {
    pub(crate) fn new(input: R, limits: ReadLimits) -> Self {
        Self { input, limits, offset: 0, entries: 0, metadata: 0, left: 0, padding: 0, failure: None }
    }

    /// Calls for each entry and reads up to the end of the input; gives the input back.
    pub(crate) fn visit<E: From<TarError>>(
        mut self,
        mut each: impl FnMut(&Entry, &mut dyn Read) -> Result<(), E>,
    ) -> Result<R, E> {
        while let Some(entry) = self.next()? {
            let result = each(&entry, &mut Content(&mut self));
            match self.failure.take() {
                Some(failure) => return Err(failure.into()),
                None => result?,
            }
        }
        Ok(self.input)
    }

    /// The next entry; `None` after the end of the archive, when the input is at its end as well.
    pub(crate) fn next(&mut self) -> Result<Option<Entry>, TarError> {
        let mut extensions = Extensions::default();
        self.skip(self.left)?;
        self.skip_padding(self.padding)?;
        (self.left, self.padding) = (0, 0);
        loop {
            let offset = self.offset;
            let Some(block) = self.block(&extensions)? else { return Ok(None) };
            let header = Header::parse(&block).map_err(|reason| self.error(offset, None, reason))?;
            if header.is_extension() {
                self.extend(&mut extensions, &header, offset)?;
                continue;
            }
            let shown = printable(extensions.name(&header));
            let entry = self.entry(header, extensions, offset).map_err(|r| self.error(offset, Some(shown), r))?;
            self.entries += 1;
            self.left = entry.size();
            self.padding = self.left.next_multiple_of(BLOCK as u64) - self.left;
            return Ok(Some(entry));
        }
    }

    fn entry(&mut self, header: Header, extensions: Extensions, offset: u64) -> Result<Entry, Reason> {
        if self.entries >= self.limits.entries {
            return Err(Reason::unsupported(format!("more than {} entries", self.limits.entries)));
        }
        let entry = extensions.entry(header, self.entries, offset)?;
        self.metadata += weight(&entry);
        if self.metadata > self.limits.metadata_bytes {
            let most = self.limits.metadata_bytes;
            return Err(Reason::unsupported(format!("names and attributes of more than {most} bytes")));
        }
        Ok(entry)
    }

    /// The next block that is a header; `None` at the end of the archive.
    fn block(&mut self, extensions: &Extensions) -> Result<Option<[u8; BLOCK]>, TarError> {
        let offset = self.offset;
        let mut block = [0; BLOCK];
        let mut filled = 0;
        while filled < BLOCK {
            let read = self.read(&mut block[filled..])?;
            if read == 0 {
                break;
            }
            filled += read;
        }
        if filled != 0 && filled != BLOCK {
            return Err(self.error(offset, None, Reason::corrupt("the archive ends within a header")));
        }
        if filled == BLOCK && block != [0; BLOCK] {
            return Ok(Some(block));
        }
        if !extensions.is_empty() {
            return Err(self.error(offset, None, Reason::corrupt("the archive ends after an extended header")));
        }
        self.only_zeros(offset).map(|()| None)
    }

    /// Reads up to the end of the input, where nothing else may come: other readers would go on and see more.
    fn only_zeros(&mut self, end: u64) -> Result<(), TarError> {
        loop {
            let piece = self.fill()?;
            if piece.is_empty() {
                return Ok(());
            }
            let (length, zeros) = (piece.len(), piece.iter().all(|byte| *byte == 0));
            if !zeros {
                return Err(self.error(end, None, Reason::corrupt("there is more after the end of the archive")));
            }
            self.consume(length);
        }
    }

    fn extend(&mut self, extensions: &mut Extensions, header: &Header, offset: u64) -> Result<(), TarError> {
        let content = self.extension(header.size, offset)?;
        self.metadata += content.len() as u64;
        extensions.add(header.flag, content).map_err(|reason| self.error(offset, None, reason))
    }

    /// The content of an extended header or a long name.
    fn extension(&mut self, size: u64, offset: u64) -> Result<Bytes, TarError> {
        if size > MAX_EXTENSION {
            let reason = Reason::unsupported(format!("an extended header of {size} bytes, more than {MAX_EXTENSION}"));
            return Err(self.error(offset, None, reason));
        }
        self.left = size;
        let mut content = Vec::with_capacity(size as usize);
        if Content(self).read_to_end(&mut content).is_err()
            && let Some(failure) = self.failure.take()
        {
            return Err(failure);
        }
        self.skip(size.next_multiple_of(BLOCK as u64) - size)?;
        Ok(content.into())
    }

    fn skip(&mut self, mut bytes: u64) -> Result<(), TarError> {
        while bytes > 0 {
            let piece = self.fill()?.len() as u64;
            if piece == 0 {
                return Err(self.cut_off(bytes));
            }
            let step = piece.min(bytes);
            self.consume(step as usize);
            bytes -= step;
        }
        Ok(())
    }

    /// Passes over what fills the last block of a content. The archive may end in it, since some writers (umoci 0.4 for
    /// one) end with the content, and the readers of container engines take that for the end.
    fn skip_padding(&mut self, mut bytes: u64) -> Result<(), TarError> {
        while bytes > 0 {
            let piece = self.fill()?.len() as u64;
            if piece == 0 {
                return Ok(());
            }
            let step = piece.min(bytes);
            self.consume(step as usize);
            bytes -= step;
        }
        Ok(())
    }

    fn fill(&mut self) -> Result<&[u8], TarError> {
        let place = (self.entries, self.offset);
        self.input.fill_buf().map_err(|error| TarError {
            index: place.0,
            offset: place.1,
            name: None,
            reason: Reason::Read(error),
        })
    }

    fn consume(&mut self, bytes: usize) {
        self.input.consume(bytes);
        self.offset += bytes as u64;
    }

    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, TarError> {
        let piece = self.fill()?;
        let step = piece.len().min(buffer.len());
        buffer[..step].copy_from_slice(&piece[..step]);
        self.consume(step);
        Ok(step)
    }

    fn cut_off(&self, missing: u64) -> TarError {
        let reason = Reason::corrupt(format!("the archive ends {missing} bytes before the content does"));
        TarError { index: self.entries.saturating_sub(1), ..self.error(self.offset, None, reason) }
    }

    fn error(&self, offset: u64, name: Option<String>, reason: Reason) -> TarError {
        TarError { index: self.entries, offset, name, reason }
    }
}

/// The content of the current entry.
struct Content<'a, R>(&'a mut TarReader<R>);

impl<R: BufRead> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.0.left).unwrap_or(usize::MAX).min(buffer.len());
        if most == 0 {
            return Ok(0);
        }
        let read = match self.0.read(&mut buffer[..most]) {
            Ok(0) => Err(self.0.cut_off(self.0.left)),
            result => result,
        };
        let read = read.map_err(|error| {
            let shown = io::Error::other(error.to_string());
            self.0.failure = Some(error);
            shown
        })?;
        self.0.left -= read as u64;
        Ok(read)
    }
}

/// How many bytes of names and the like an entry has.
fn weight(entry: &Entry) -> u64 {
    let target = match &entry.kind {
        EntryKind::Hardlink { target } => target.as_bytes().len(),
        EntryKind::Node(NodeKind::Symlink { target }) => target.len(),
        _ => 0,
    };
    let xattrs: usize = entry.metadata.xattrs.iter().map(|(key, value)| key.len() + value.len()).sum();
    (entry.path.as_bytes().len() + target + xattrs) as u64
}

/// Reads an archive that lies in memory, with its content: what a fuzz target calls.
///
/// # Errors
/// [`Corrupt`](ErrorKind::Corrupt) and [`Unsupported`](ErrorKind::Unsupported), as for a layer.
pub fn read_tar(archive: &[u8]) -> Result<Vec<Entry>, Error> {
    let mut entries = Vec::new();
    TarReader::new(archive, ReadLimits::default()).visit(|entry, content| {
        let read = io::copy(content, &mut io::sink()).map_err(|error| Error::corrupt(error.to_string()))?;
        debug_assert_eq!(read, entry.size());
        entries.push(entry.clone());
        Ok::<_, Error>(())
    })?;
    Ok(entries)
}

#[cfg(test)]
mod tests;
