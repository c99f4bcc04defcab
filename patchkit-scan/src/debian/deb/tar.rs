//! A stream of tar headers and contents, with long names and PAX records bounded and never ambiguous.
//!
//! The crate tar gives the header's fields. Its own iterator is not used: it reads extension headers of any length
//! into memory, and where a GNU long name and a PAX path contradict each other it silently picks one.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::{DebError, DebErrorKind};

const BLOCK: usize = 512;
/// The most bytes of long names and PAX records before one entry.
const MAX_EXTENSION_LENGTH: u64 = 1 << 20;

/// A PAX record: a key and its value.
pub(super) struct PaxRecord {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// The headers of one entry, put together but not yet interpreted.
pub(super) struct RawHeader {
    pub(super) header: Header,
    pub(super) path: Vec<u8>,
    pub(super) link: Option<Vec<u8>>,
    pub(super) pax: Vec<PaxRecord>,
    pub(super) size: u64,
}

/// Reads a tar archive from a stream.
pub(super) struct TarReader<'a> {
    plain: Box<dyn Read + Send + 'a>,
    member: String,
    /// Bytes read so far.
    offset: u64,
    limit: u64,
    /// Bytes of the current entry that are not read yet, and the padding after them.
    content: u64,
    padding: u64,
    ended: bool,
}

/// What came before an entry's own header.
#[derive(Default)]
struct Extensions {
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    pax: Vec<PaxRecord>,
    length: u64,
}

impl<'a> TarReader<'a> {
    pub(super) fn new(plain: Box<dyn Read + Send + 'a>, member: String, limit: u64) -> Self {
        Self { plain, member, offset: 0, limit, content: 0, padding: 0, ended: false }
    }

    /// The next entry's header, after skipping what is left of the one before; `None` at the archive's end.
    pub(super) fn next_header(&mut self) -> Result<Option<RawHeader>, DebError> {
        let mut extensions = Extensions::default();
        while let Some(header) = self.next_block()? {
            let size = header.entry_size().map_err(|_| self.format("a size is no number"))?;
            self.content = if has_content(header.entry_type()) { size } else { 0 };
            self.padding = self.content.next_multiple_of(BLOCK as u64) - self.content;
            match header.entry_type() {
                EntryType::GNULongName => self.long_name(|e| &mut e.path, &mut extensions)?,
                EntryType::GNULongLink => self.long_name(|e| &mut e.link, &mut extensions)?,
                EntryType::XHeader => self.pax_records(&mut extensions)?,
                EntryType::XGlobalHeader => return Err(self.unsupported("a global PAX header")),
                _ => return self.combine(header, extensions).map(Some),
            }
        }
        if extensions.length > 0 {
            return Err(self.format("the archive ends after a long name or PAX record"));
        }
        Ok(None)
    }

    /// The next header block, its checksum verified; `None` once a block of zeros, or the end, is reached.
    fn next_block(&mut self) -> Result<Option<Header>, DebError> {
        if self.ended {
            return Ok(None);
        }
        self.skip_content()?;
        let mut header = Header::new_old();
        if !self.fill_block(header.as_mut_bytes())? || header.as_bytes().iter().all(|byte| *byte == 0) {
            self.drain()?;
            return Ok(None);
        }
        if header.cksum().ok() != Some(checksum(header.as_bytes())) {
            return Err(self.format("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    /// Reads to the end, so that the compressed stream proves whole, and nothing but zeros follows.
    fn drain(&mut self) -> Result<(), DebError> {
        self.ended = true;
        let mut block = [0; 8192];
        loop {
            let length = self.read_some(&mut block).map_err(|error| self.error(error.into()))?;
            self.check_limit()?;
            if block[..length].iter().any(|byte| *byte != 0) {
                return Err(self.format("bytes follow the end of the tar archive"));
            }
            if length == 0 {
                return Ok(());
            }
        }
    }

    fn skip_content(&mut self) -> Result<(), DebError> {
        let left = self.content + self.padding;
        (self.content, self.padding) = (0, 0);
        let skipped = io::copy(&mut (&mut self.plain).take(left), &mut io::sink());
        let skipped = skipped.map_err(|error| self.error(error.into()))?;
        self.offset += skipped;
        self.check_limit()?;
        if skipped < left { Err(self.format("the archive ends inside a file")) } else { Ok(()) }
    }

    /// Fills a block, or says that the archive ended before it.
    fn fill_block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool, DebError> {
        let mut filled = 0;
        while filled < BLOCK {
            let length = self.read_some(&mut block[filled..]).map_err(|error| self.error(error.into()))?;
            filled += length;
            if length == 0 && filled > 0 {
                return Err(self.format("the archive ends inside a header"));
            }
            if length == 0 {
                return Ok(false);
            }
        }
        self.check_limit()?;
        Ok(true)
    }

    fn long_name(
        &mut self,
        place: fn(&mut Extensions) -> &mut Option<Vec<u8>>,
        extensions: &mut Extensions,
    ) -> Result<(), DebError> {
        let mut name = self.extension(&mut extensions.length)?;
        if name.pop() != Some(0) || name.is_empty() || name.contains(&0) {
            return Err(self.format("a long name is not ended by its only NUL"));
        }
        match place(extensions).replace(name) {
            None => Ok(()),
            Some(_) => Err(self.format("two long names for one entry")),
        }
    }

    fn pax_records(&mut self, extensions: &mut Extensions) -> Result<(), DebError> {
        if !extensions.pax.is_empty() {
            return Err(self.format("two PAX headers before one entry"));
        }
        let bytes = self.extension(&mut extensions.length)?;
        let records = parse_pax(&bytes).ok_or_else(|| self.format("a PAX record is malformed or given twice"))?;
        if records.is_empty() {
            return Err(self.format("an empty PAX header"));
        }
        extensions.pax = records;
        Ok(())
    }

    /// The whole content of an extension header.
    fn extension(&mut self, total: &mut u64) -> Result<Vec<u8>, DebError> {
        *total += self.content + 1;
        if *total > MAX_EXTENSION_LENGTH {
            return Err(self.error(DebErrorKind::Limit(MAX_EXTENSION_LENGTH)));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes).map_err(|error| self.error(error.into()))?;
        Ok(bytes)
    }

    /// Puts an entry's header together with what came before it; two sources for one fact must agree.
    fn combine(&self, header: Header, extensions: Extensions) -> Result<RawHeader, DebError> {
        let Extensions { path, link, pax, length: _ } = extensions;
        let record = |key: &[u8]| pax.iter().find(|record| record.key == key).map(|record| record.value.clone());
        if path.is_some() && record(b"path").is_some() || link.is_some() && record(b"linkpath").is_some() {
            return Err(self.format("a long name in both the GNU and the PAX way"));
        }
        if record(b"size").is_some_and(|size| size != self.content.to_string().as_bytes()) {
            return Err(self.format("the PAX size differs from the header's"));
        }
        if pax.iter().any(|record| record.key.starts_with(b"GNU.sparse.")) {
            return Err(self.unsupported("a sparse file"));
        }
        let path = path.or_else(|| record(b"path")).unwrap_or_else(|| header.path_bytes().into_owned());
        let in_header = || header.link_name_bytes().map(Cow::into_owned);
        let link = link.or_else(|| record(b"linkpath")).or_else(in_header);
        Ok(RawHeader { path, link, pax, size: self.content, header })
    }

    fn read_some(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.plain.read(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => {
                    self.offset += *read.as_ref().unwrap_or(&0) as u64;
                    return read;
                }
            }
        }
    }

    fn check_limit(&self) -> Result<(), DebError> {
        if self.offset > self.limit { Err(self.error(DebErrorKind::Limit(self.limit))) } else { Ok(()) }
    }

    pub(super) fn error(&self, kind: DebErrorKind) -> DebError {
        DebError { member: self.member.clone(), offset: self.offset, kind }
    }

    pub(super) fn format(&self, what: &'static str) -> DebError {
        self.error(DebErrorKind::Format(what))
    }

    pub(super) fn unsupported(&self, what: &str) -> DebError {
        self.error(DebErrorKind::Unsupported(what.to_owned()))
    }
}

/// Reads the content of the current entry.
impl Read for TarReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let wanted = bytes.len().min(usize::try_from(self.content).unwrap_or(usize::MAX));
        if wanted == 0 {
            return Ok(0);
        }
        let length = self.read_some(&mut bytes[..wanted])?;
        if length == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the archive ends inside a file"));
        }
        if self.offset > self.limit {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the archive is longer than the limit"));
        }
        self.content -= length as u64;
        Ok(length)
    }
}

impl fmt::Debug for TarReader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TarReader").field("member", &self.member).field("offset", &self.offset).finish_non_exhaustive()
    }
}

/// Whether bytes follow the header. A link's size is not one: some writers put its target's there.
fn has_content(kind: EntryType) -> bool {
    !matches!(
        kind,
        EntryType::Link
            | EntryType::Symlink
            | EntryType::Char
            | EntryType::Block
            | EntryType::Directory
            | EntryType::Fifo
    )
}

/// The sum of a header's bytes, those of the checksum itself counted as spaces.
fn checksum(block: &[u8; BLOCK]) -> u32 {
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u32::from(*byte)).sum::<u32>();
    sum(&block[..148]) + 8 * u32::from(b' ') + sum(&block[156..])
}

/// The records of a PAX header, `LENGTH KEY=VALUE\n` each; `None` where one is malformed or a key comes twice.
fn parse_pax(mut bytes: &[u8]) -> Option<Vec<PaxRecord>> {
    let mut records: Vec<PaxRecord> = Vec::new();
    while !bytes.is_empty() {
        let space = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..space]).ok()?.parse().ok()?;
        let record = bytes.get(space + 1..length)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        let (key, value) = (&record[..equals], &record[equals + 1..]);
        if key.is_empty() || records.iter().any(|known| known.key == key) {
            return None;
        }
        records.push(PaxRecord { key: key.to_vec(), value: value.to_vec() });
        bytes = &bytes[length..];
    }
    Some(records)
}
