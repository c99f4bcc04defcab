//! The `ar` container of a `.deb`: headers of 60 bytes, members padded to even offsets.

use std::io::{Read, Seek, SeekFrom};

use super::{Compression, DebError, DebErrorKind};

const MAGIC: &[u8; 8] = b"!<arch>\n";
const HEADER_LENGTH: u64 = 60;
/// The longest `debian-binary` that is read, in bytes; it is four in practice.
const MAX_VERSION_LENGTH: u64 = 64;
/// How many members may precede `data.tar`, those that are skipped included.
const MAX_MEMBERS: usize = 16;

/// Where a member's bytes are, and how they are compressed.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) name: String,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) compression: Compression,
}

/// Finds `control.tar` and `data.tar`, skipping members whose name starts with an underscore, as deb(5) has it.
pub(super) fn read_layout<R: Read + Seek>(reader: &mut R) -> Result<(Member, Member), DebError> {
    let mut ar = ArReader::open(reader)?;
    ar.check_version()?;
    let mut control = None;
    for _ in 0..MAX_MEMBERS {
        let Some(member) = ar.next()? else { break };
        if member.name.starts_with('_') {
            continue;
        }
        let Some(found) = control.take() else {
            control =
                Some(ar.expect(member, "control.tar", "control.tar is not the first member after debian-binary")?);
            continue;
        };
        let data = ar.expect(member, "data.tar", "data.tar does not follow control.tar")?;
        return Ok((found, data));
    }
    let missing = if control.is_none() { "control.tar is missing" } else { "data.tar is missing" };
    Err(ar.error(DebErrorKind::Format(missing)))
}

struct ArReader<'r, R> {
    reader: &'r mut R,
    length: u64,
    /// Where the next header starts.
    at: u64,
}

impl<'r, R: Read + Seek> ArReader<'r, R> {
    fn open(reader: &'r mut R) -> Result<Self, DebError> {
        let mut ar = Self { reader, length: 0, at: 0 };
        ar.length = ar.reader.seek(SeekFrom::End(0)).map_err(|e| ar.error(e.into()))?;
        let magic: [u8; 8] = ar.read_at(0)?;
        if magic != *MAGIC {
            return Err(ar.error(DebErrorKind::Format("not a Debian archive: the magic number is missing")));
        }
        ar.at = MAGIC.len() as u64;
        Ok(ar)
    }

    /// Reads `debian-binary`, which must be first and say version 2 of the format.
    fn check_version(&mut self) -> Result<(), DebError> {
        let Some(member) = self.next()?.filter(|member| member.name == "debian-binary") else {
            return Err(self.error(DebErrorKind::Format("debian-binary is not the first member")));
        };
        let mut text = vec![0; usize::try_from(member.size.min(MAX_VERSION_LENGTH)).expect("bounded")];
        self.read_exact_at(member.offset, &mut text)?;
        let line = text.split(|byte| *byte == b'\n').next().expect("split gives one part at least");
        let minor = line.strip_prefix(b"2.").filter(|minor| !minor.is_empty());
        if line.len() == text.len() || !minor.is_some_and(|minor| minor.iter().all(u8::is_ascii_digit)) {
            let shown = String::from_utf8_lossy(line);
            return Err(self.error(DebErrorKind::Unsupported(format!("format version {shown:?}"))));
        }
        Ok(())
    }

    /// The next member, or `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Member>, DebError> {
        if self.at == self.length {
            return Ok(None);
        }
        let header: [u8; HEADER_LENGTH as usize] = self.read_at(self.at)?;
        if header[58..] != *b"`\n" {
            return Err(self.error(DebErrorKind::Format("a member's header does not end in its magic number")));
        }
        let name = self.name(&header[..16])?;
        let size =
            number(&header[48..58]).ok_or_else(|| self.error(DebErrorKind::Format("a member's size is no number")))?;
        let offset = self.at + HEADER_LENGTH;
        if size > self.length - offset {
            return Err(self.error(DebErrorKind::Format("a member runs past the end of the file")));
        }
        // The padding of the last member may be missing.
        self.at = (offset + size + size % 2).min(self.length);
        Ok(Some(Member { name, offset, size, compression: Compression::None }))
    }

    /// A member's name without the padding and the slash that some writers of `ar` put after it.
    fn name(&self, field: &[u8]) -> Result<String, DebError> {
        let name = field.trim_ascii_end();
        let name = name.strip_suffix(b"/").unwrap_or(name);
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return Err(self.error(DebErrorKind::Format("a member's name is not printable ASCII")));
        }
        Ok(String::from_utf8_lossy(name).into_owned())
    }

    /// The member as the tar called `base`, with its compression; any other is misplaced.
    fn expect(&self, member: Member, base: &str, misplaced: &'static str) -> Result<Member, DebError> {
        let Some(extension) = member.name.strip_prefix(base) else {
            return Err(self.error(DebErrorKind::Format(misplaced)));
        };
        let Some(compression) = Compression::from_extension(extension) else {
            return Err(self.error(DebErrorKind::Unsupported(format!("member {:?}", member.name))));
        };
        Ok(Member { compression, ..member })
    }

    fn read_at<const N: usize>(&mut self, offset: u64) -> Result<[u8; N], DebError> {
        let mut bytes = [0; N];
        self.read_exact_at(offset, &mut bytes)?;
        Ok(bytes)
    }

    fn read_exact_at(&mut self, offset: u64, bytes: &mut [u8]) -> Result<(), DebError> {
        if offset + bytes.len() as u64 > self.length {
            return Err(self.error(DebErrorKind::Format("the file ends inside a header")));
        }
        let read = self.reader.seek(SeekFrom::Start(offset)).and_then(|_| self.reader.read_exact(bytes));
        read.map_err(|error| self.error(error.into()))
    }

    fn error(&self, kind: DebErrorKind) -> DebError {
        DebError { member: "archive".to_owned(), offset: self.at, kind }
    }
}

/// A decimal number padded with spaces.
fn number(field: &[u8]) -> Option<u64> {
    let digits = field.trim_ascii_end();
    if !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}
