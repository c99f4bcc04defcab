//! Zip archives: the names in the central directory, and the content of the few that matter.
//!
//! Source: PKWARE's APPNOTE.TXT, of which stored and deflated entries and the 64-bit fields are known. The directory is read
//! from front to back and only the entries that are asked for are remembered, so that an archive of a hundred thousand
//! classes costs no more memory than one of ten. Bytes before the archive (a shell script that starts it) are passed over.

use std::io::{self, BufReader, Read, Seek, SeekFrom};

use flate2::read::DeflateDecoder;
use thiserror::Error;

use crate::inventory::ReadSeek;

const END: &[u8; 4] = b"PK\x05\x06";
const END_64: &[u8; 4] = b"PK\x06\x06";
const LOCATOR_64: &[u8; 4] = b"PK\x06\x07";
const ENTRY: &[u8; 4] = b"PK\x01\x02";
const LOCAL: &[u8; 4] = b"PK\x03\x04";

const END_SIZE: u64 = 22;
const LOCATOR_SIZE: u64 = 20;
const ENTRY_SIZE: usize = 46;
const LOCAL_SIZE: usize = 30;

/// The most bytes of the comment at the end.
const MAX_COMMENT: u64 = 0xffff;

/// The most entries that are remembered of an archive.
const MAX_WANTED: usize = 1 << 16;

/// Why an archive cannot be read.
#[derive(Debug, Error)]
pub(super) enum ZipError {
    #[error("zip entry {0:?} is damaged")]
    Entry(String),
    #[error("zip directory is damaged at byte {0}")]
    Directory(u64),
    #[error("zip entry {0:?} is encrypted or of an unknown compression")]
    Method(String),
    #[error("no zip archive: it has no end record")]
    NoEnd,
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("zip archive that unpacks to more than is unpacked of one file")]
    TooLarge,
    #[error("zip archive with more than {MAX_WANTED} archives and descriptions in it")]
    TooMany,
}

/// An entry that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Its name in the archive: `META-INF/MANIFEST.MF`.
    pub(super) name: String,
    /// Its length when unpacked, as the directory says.
    pub(super) size: u64,
    method: Method,
    compressed: u64,
    /// Where its local header starts.
    header: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Deflated,
    Other,
    Stored,
}

/// The entries whose names `wanted` picks, in the order of the directory.
pub(super) fn entries(reader: &mut dyn ReadSeek, wanted: impl Fn(&str) -> bool) -> Result<Vec<Entry>, ZipError> {
    let directory = Directory::find(reader)?;
    reader.seek(SeekFrom::Start(directory.start))?;
    let mut rest = BufReader::with_capacity(64 << 10, reader.take(directory.size));
    let (mut found, mut at) = (Vec::new(), directory.start);
    while at < directory.start + directory.size {
        let record = Record::next(&mut rest).map_err(|_| ZipError::Directory(at))?;
        if let Ok(name) = std::str::from_utf8(record.name())
            && wanted(name)
        {
            found.push(record.entry(name, directory.before).ok_or(ZipError::Directory(at))?);
        }
        if found.len() > MAX_WANTED {
            return Err(ZipError::TooMany);
        }
        at += (ENTRY_SIZE + record.variable.len()) as u64;
    }
    Ok(found)
}

/// An entry of the directory as it is in the file.
struct Record {
    fixed: [u8; ENTRY_SIZE],
    /// The name, the extra fields and the comment.
    variable: Vec<u8>,
}

impl Record {
    fn next(rest: &mut impl Read) -> io::Result<Self> {
        let mut record = Self { fixed: [0; ENTRY_SIZE], variable: Vec::new() };
        rest.read_exact(&mut record.fixed)?;
        if !record.fixed.starts_with(ENTRY) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        record.variable.resize(record.half(28) + record.half(30) + record.half(32), 0);
        rest.read_exact(&mut record.variable)?;
        Ok(record)
    }

    fn half(&self, at: usize) -> usize {
        number(&self.fixed[at..at + 2]) as usize
    }

    fn name(&self) -> &[u8] {
        &self.variable[..self.half(28)]
    }

    /// With the sizes and the place that the field of 64-bit numbers has where they do not fit.
    fn entry(&self, name: &str, before: u64) -> Option<Entry> {
        let mut large = wide(&self.variable[self.half(28)..][..self.half(30)]);
        let mut field = |at: usize| match number(&self.fixed[at..at + 4]) {
            0xffff_ffff => {
                let (value, rest) = large.split_at_checked(8)?;
                large = rest;
                Some(number(value))
            }
            small => Some(small),
        };
        let (size, compressed, header) = (field(24)?, field(20)?, field(42)?);
        let is_encrypted = self.fixed[8] & 1 != 0;
        let method = match self.half(10) {
            0 if !is_encrypted => Method::Stored,
            8 if !is_encrypted => Method::Deflated,
            _ => Method::Other,
        };
        Some(Entry { name: name.into(), size, method, compressed, header: header.checked_add(before)? })
    }
}

/// The extra field of 64-bit numbers; empty where there is none.
fn wide(mut extras: &[u8]) -> &[u8] {
    while let Some((head, rest)) = extras.split_at_checked(4) {
        let size = number(&head[2..]) as usize;
        let Some((field, after)) = rest.split_at_checked(size) else { break };
        if head[..2] == [1, 0] {
            return field;
        }
        extras = after;
    }
    &[]
}

/// Where the central directory lies, and how many bytes are before the archive.
struct Directory {
    start: u64,
    size: u64,
    before: u64,
}

impl Directory {
    fn find(reader: &mut dyn ReadSeek) -> Result<Self, ZipError> {
        let length = reader.seek(SeekFrom::End(0))?;
        let tail = length.saturating_sub(END_SIZE + MAX_COMMENT);
        let bytes = read(reader, tail, (length - tail) as usize)?;
        let mut ends = memchr::memmem::rfind_iter(&bytes, END);
        let end = ends.find(|at| bytes.len() - at >= END_SIZE as usize).ok_or(ZipError::NoEnd)?;
        let record = &bytes[end..];
        let (size, offset) = (number(&record[12..16]), number(&record[16..20]));
        let end = tail + end as u64;
        if let Some(found) = Self::find_64(reader, end)? {
            return Ok(found);
        }
        Self::before(end, size, offset)
    }

    /// The 64-bit record that a locator just before the end record leads to.
    fn find_64(reader: &mut dyn ReadSeek, end: u64) -> Result<Option<Self>, ZipError> {
        let Some(at) = end.checked_sub(LOCATOR_SIZE) else { return Ok(None) };
        let locator = read(reader, at, LOCATOR_SIZE as usize)?;
        if !locator.starts_with(LOCATOR_64) {
            return Ok(None);
        }
        let said = number(&locator[8..16]);
        // What the locator says, or, where something was put before the archive, just before the locator.
        for place in [Some(said), at.checked_sub(56)].into_iter().flatten() {
            let record = read(reader, place, 56)?;
            if record.len() == 56 && record.starts_with(END_64) {
                return Self::before(place, number(&record[40..48]), number(&record[48..56])).map(Some);
            }
        }
        Err(ZipError::Directory(said))
    }

    /// The directory of this size that ends where the end record starts.
    fn before(end: u64, size: u64, offset: u64) -> Result<Self, ZipError> {
        let start = end.checked_sub(size).ok_or(ZipError::Directory(end))?;
        let before = start.checked_sub(offset).ok_or(ZipError::Directory(end))?;
        Ok(Self { start, size, before })
    }
}

impl Entry {
    /// How many bytes are read and made to unpack it, as the directory says.
    pub(super) fn cost(&self) -> u64 {
        self.size.saturating_add(self.compressed)
    }

    /// Shows the content to `use_content`: for a stored entry a window of the archive itself.
    pub(super) fn open<T>(
        &self,
        reader: &mut dyn ReadSeek,
        use_content: impl FnOnce(Opened<'_>) -> T,
    ) -> Result<T, ZipError> {
        let damaged = || ZipError::Entry(self.name.clone());
        let local = read(reader, self.header, LOCAL_SIZE)?;
        if local.len() < LOCAL_SIZE || !local.starts_with(LOCAL) {
            return Err(damaged());
        }
        let skipped = LOCAL_SIZE as u64 + number(&local[26..28]) + number(&local[28..30]);
        let start = self.header.checked_add(skipped).ok_or_else(damaged)?;
        let length = reader.seek(SeekFrom::End(0))?;
        if start.checked_add(self.compressed).is_none_or(|end| end > length) {
            return Err(damaged());
        }
        let mut window = Window { inner: reader, start, length: self.compressed, at: 0 };
        window.rewind()?;
        match self.method {
            Method::Deflated => Ok(use_content(Opened::Inflating(DeflateDecoder::new(window)))),
            Method::Other => Err(ZipError::Method(self.name.clone())),
            Method::Stored => Ok(use_content(Opened::Stored(window))),
        }
    }

    /// The whole content.
    ///
    /// # Errors
    /// Where it is damaged, or longer than `most`.
    pub(super) fn read(&self, reader: &mut dyn ReadSeek, most: u64) -> Result<Vec<u8>, ZipError> {
        let mut bytes = Vec::new();
        let read = self.open(reader, |mut opened| opened.reader().take(most + 1).read_to_end(&mut bytes))?;
        match read {
            Ok(length) if length as u64 <= most => Ok(bytes),
            _ => Err(ZipError::Entry(self.name.clone())),
        }
    }
}

/// The content of an entry.
pub(super) enum Opened<'a> {
    /// As it comes out of the decompressor, once.
    Inflating(DeflateDecoder<Window<'a>>),
    /// As it lies in the archive.
    Stored(Window<'a>),
}

impl Opened<'_> {
    fn reader(&mut self) -> &mut dyn Read {
        match self {
            Self::Inflating(decoder) => decoder,
            Self::Stored(window) => window,
        }
    }
}

/// A part of an archive, as a file of its own.
pub(super) struct Window<'a> {
    inner: &'a mut dyn ReadSeek,
    start: u64,
    length: u64,
    at: u64,
}

impl Read for Window<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.length.saturating_sub(self.at);
        let most = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let read = self.inner.read(&mut buffer[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(delta) => self.at.checked_add_signed(delta),
            SeekFrom::End(delta) => self.length.checked_add_signed(delta),
        };
        let place = at.and_then(|at| self.start.checked_add(at));
        let (at, place) = at.zip(place).ok_or(io::ErrorKind::InvalidInput)?;
        self.inner.seek(SeekFrom::Start(place))?;
        self.at = at;
        Ok(at)
    }
}

/// A number with its least byte first, of up to 8.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// The bytes at a place, fewer where the file ends before.
fn read(reader: &mut dyn ReadSeek, at: u64, most: usize) -> io::Result<Vec<u8>> {
    reader.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::with_capacity(most);
    reader.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
pub(super) mod tests;
