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
mod pax;
mod write;

use std::io::{self, BufRead, Read};

use bytes::Bytes;
use thiserror::Error as ThisError;

pub use self::write::LayerWriter;
use self::{
    header::{BLOCK, Header, MAX_OCTAL},
    pax::Pax,
};
use super::{Entry, EntryKind, FilePath, Metadata, NodeKind, ReadLimits, path::printable};
use crate::{Error, ErrorKind};

/// The most bytes of an extended header or a long name.
const MAX_EXTENSION: u64 = 1 << 20;

/// The longest path and link target that Linux takes.
const MAX_PATH: usize = 4095;

/// The longest name of a file that Linux takes.
const MAX_NAME: usize = 255;

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

/// What precedes a header and changes what it says.
#[derive(Debug, Default)]
struct Extensions {
    pax: Option<Pax>,
    long_name: Option<Bytes>,
    long_link: Option<Bytes>,
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
        self.skip(self.left + self.padding)?;
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

impl Extensions {
    fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }

    fn add(&mut self, flag: u8, content: Bytes) -> Result<(), Reason> {
        let twice = |what: &str| Reason::corrupt(format!("two {what} for one entry"));
        match flag {
            b'x' if self.pax.is_some() => return Err(twice("extended headers")),
            b'x' => self.pax = Some(Pax::parse(&content)?),
            b'L' if self.long_name.is_some() => return Err(twice("long names")),
            b'L' => self.long_name = Some(terminated(&content)?),
            b'K' if self.long_link.is_some() => return Err(twice("long link targets")),
            b'K' => self.long_link = Some(terminated(&content)?),
            _ if !self.is_empty() => return Err(Reason::corrupt("a global header between an entry and its own")),
            _ => pax::check_global(&content)?,
        }
        Ok(())
    }

    /// The name as it stands there, to show.
    fn name<'a>(&'a self, header: &'a Header) -> &'a [u8] {
        let pax = self.pax.as_ref().and_then(|pax| pax.path.as_ref());
        pax.or(self.long_name.as_ref()).map_or(&header.name, |name| name)
    }

    fn entry(self, header: Header, index: usize, offset: u64) -> Result<Entry, Reason> {
        let pax = self.pax.unwrap_or_default();
        let name = agreed("name", pax.path, self.long_name, &header.name)?;
        let link = agreed("link target", pax.link, self.long_link, &header.link)?;
        let size = agreed_size(pax.size, header.size)?;
        let directory = is_directory(header.flag, &name, size)?;
        let path = path_of(&name, directory)?;
        let kind = if directory { EntryKind::Node(NodeKind::Directory) } else { kind(&header, size, link)? };
        let metadata = Metadata {
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            mtime: pax.mtime.unwrap_or(header.mtime),
            xattrs: pax.xattrs,
        };
        let (path, kind) = unmask(path, kind)?;
        Ok(Entry { path, kind, metadata, index, offset })
    }
}

/// The text before the NUL that ends it, after which nothing may come.
fn terminated(content: &Bytes) -> Result<Bytes, Reason> {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    if content[end..].iter().any(|byte| *byte != 0) {
        return Err(Reason::corrupt("a long name with a NUL byte in it"));
    }
    Ok(content.slice(..end))
}

/// What the extended header says, or GNU's, or the plain one; the first two must not disagree.
fn agreed(what: &str, pax: Option<Bytes>, gnu: Option<Bytes>, plain: &[u8]) -> Result<Bytes, Reason> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => {
            let (pax, gnu) = (printable(&pax), printable(&gnu));
            Err(Reason::corrupt(format!("two different {what}s, {pax:?} and {gnu:?}")))
        }
        (Some(long), _) | (None, Some(long)) => Ok(long),
        (None, None) => Ok(Bytes::copy_from_slice(plain)),
    }
}

/// The size of the content. Where the plain header can say it, it must; where it cannot, writers put 0 or the most.
fn agreed_size(pax: Option<u64>, plain: u64) -> Result<u64, Reason> {
    match pax {
        None => Ok(plain),
        Some(size) if size == plain => Ok(size),
        Some(size) if size > MAX_OCTAL && (plain == 0 || plain == MAX_OCTAL) && i64::try_from(size).is_ok() => Ok(size),
        Some(size) => Err(Reason::corrupt(format!("two different sizes, {size} and {plain}"))),
    }
}

/// Whether it is a directory. In V7 a slash at the end of the name made one; some readers still say so.
fn is_directory(flag: u8, name: &[u8], size: u64) -> Result<bool, Reason> {
    let slash = name.ends_with(b"/");
    let directory = flag == b'5' || flag == 0 && slash;
    if slash && !directory {
        return Err(Reason::corrupt("a name that ends in a slash, but is no directory's"));
    }
    let has_content = !directory && matches!(flag, 0 | b'0' | b'7');
    if size != 0 && !has_content {
        return Err(Reason::corrupt(format!("content of {size} bytes for what has none")));
    }
    Ok(directory)
}

fn path_of(name: &[u8], directory: bool) -> Result<FilePath, Reason> {
    if name.is_empty() {
        return Err(Reason::corrupt("it has no name"));
    }
    let path = FilePath::new(name).map_err(|error| Reason::corrupt(error.to_string()))?;
    if name[0] == b'/' && !path.is_root() {
        return Err(Reason::corrupt("its name is absolute"));
    }
    if path.is_root() && !directory {
        return Err(Reason::corrupt("the root is no directory"));
    }
    if path.as_bytes().len() > MAX_PATH || path.components().any(|name| name.len() > MAX_NAME) {
        return Err(Reason::unsupported(format!("its name is longer than Linux allows, {} bytes", name.len())));
    }
    Ok(path)
}

fn kind(header: &Header, size: u64, link: Bytes) -> Result<EntryKind, Reason> {
    let (major, minor) = (header.major, header.minor);
    Ok(EntryKind::Node(match header.flag {
        0 | b'0' | b'7' => NodeKind::File { size },
        b'1' => return hardlink(&link),
        b'2' => symlink(link)?,
        // To overlayfs it is a whiteout, to everyone else it is not.
        b'3' if (major, minor) == (0, 0) => return Err(Reason::unsupported("a character device 0:0")),
        b'3' => NodeKind::CharDevice { major, minor },
        b'4' => NodeKind::BlockDevice { major, minor },
        b'6' => NodeKind::Fifo,
        b'S' => return Err(Reason::unsupported("it is a sparse file")),
        flag => {
            let flag = char::from(flag);
            return Err(Reason::unsupported(format!("an entry of the type {flag:?}")));
        }
    }))
}

fn hardlink(link: &[u8]) -> Result<EntryKind, Reason> {
    let target = FilePath::new(link).map_err(|error| Reason::corrupt(format!("hard link: {error}")))?;
    if target.is_root() {
        return Err(Reason::corrupt("a hard link without a target"));
    }
    Ok(EntryKind::Hardlink { target })
}

fn symlink(target: Bytes) -> Result<NodeKind, Reason> {
    if target.is_empty() || target.contains(&0) {
        return Err(Reason::corrupt("a symbolic link with an empty target or a NUL byte in it"));
    }
    if target.len() > MAX_PATH {
        return Err(Reason::unsupported(format!("a symbolic link's target of {} bytes", target.len())));
    }
    Ok(NodeKind::Symlink { target })
}

const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// Tells whiteouts from files (OCI image specification, "Whiteouts").
fn unmask(path: FilePath, kind: EntryKind) -> Result<(FilePath, EntryKind), Reason> {
    let Some((parent, name)) = path.split() else { return Ok((path, kind)) };
    let odd = |why: &str| Err(Reason::corrupt(format!("an odd whiteout: {why}")));
    if parent.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT)) {
        return odd("something in it");
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok((path, kind)) };
    if name != OPAQUE && name.starts_with(AUFS) {
        return Err(Reason::unsupported("a file of AUFS"));
    }
    if kind != EntryKind::Node(NodeKind::File { size: 0 }) {
        return odd("it is no empty file");
    }
    let parent = path.parent().unwrap_or_default();
    match hidden {
        b"" | b"." | b".." => odd("it hides no name"),
        _ if name == OPAQUE => Ok((parent, EntryKind::Opaque)),
        _ => Ok((parent.child(hidden), EntryKind::Whiteout)),
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
