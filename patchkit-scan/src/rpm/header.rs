//! The header of a package, as rpm keeps it in its database.
//!
//! Source: rpm's `lib/header.c` and its manual's chapter on the package format, version 3 and later. Numbers are
//! big-endian. Two numbers, how many entries the index has and how long the data are, are followed by the index and the
//! data. An entry has a tag, a type, the offset of its first value in the data, and how many values there are. The
//! entries that rpm adds when it installs a package come last, and count where a tag stands twice.

use memchr::memchr;

use super::{DatabaseError, pages::ByteOrder::Big};

/// The most entries that rpm takes.
const MAX_ENTRIES: u32 = 0xffff;
const ENTRY: usize = 16;

const INT32: u32 = 4;
const STRING: u32 = 6;
const STRING_ARRAY: u32 = 8;
const I18N_STRING: u32 = 9;

/// What a header can say of a package, with rpm's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Tag {
    Name = 1000,
    Version = 1001,
    Release = 1002,
    Epoch = 1003,
    Arch = 1022,
    /// Whole paths, in packages of rpm 3.
    OldFileNames = 1027,
    SourceRpm = 1044,
    /// For each file, which of the folders it is in.
    DirIndexes = 1116,
    BaseNames = 1117,
    DirNames = 1118,
    ModularityLabel = 5096,
}

/// The header of a package.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header<'a> {
    index: &'a [u8],
    data: &'a [u8],
}

struct Entry<'a> {
    tag: Tag,
    kind: u32,
    count: u32,
    /// The data from the first value on.
    data: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header that some bytes are, all of them.
    ///
    /// # Errors
    /// [`DatabaseError`] where the lengths do not fit together, or an entry lies outside the data.
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, DatabaseError> {
        let fail = |at: usize, problem: &'static str| DatabaseError::at("header byte", at as u64, problem);
        let entries = Big.u32(bytes, 0).ok_or_else(|| fail(bytes.len(), "it is cut off"))?;
        let length = Big.u32(bytes, 4).ok_or_else(|| fail(bytes.len(), "it is cut off"))?;
        if entries == 0 || entries > MAX_ENTRIES {
            return Err(fail(0, "no number of entries"));
        }
        let rest = &bytes[8..];
        let index = entries as usize * ENTRY;
        if index as u64 + u64::from(length) != rest.len() as u64 {
            return Err(fail(4, "the lengths of index and data are not that of the header"));
        }
        let (index, data) = rest.split_at(index);
        let out = index.chunks_exact(ENTRY).position(|entry| number(entry, 8) > length);
        match out {
            Some(n) => Err(fail(8 + n * ENTRY, "an entry lies outside the data")),
            None => Ok(Self { index, data }),
        }
    }

    /// The first text of a tag; `None` where the header does not have it, or it is empty.
    ///
    /// # Errors
    /// [`DatabaseError`] with the tag, where that is no text or no UTF-8.
    pub(crate) fn text(&self, tag: Tag) -> Result<Option<&'a str>, DatabaseError> {
        let Some(entry) = self.entry(tag) else { return Ok(None) };
        let first = entry.texts()?.next();
        let text = first.ok_or_else(|| entry.fail("it has no value"))??;
        let text = std::str::from_utf8(text).map_err(|_| entry.fail("it is not UTF-8"))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// All texts of a tag, none where the header does not have it.
    ///
    /// # Errors
    /// [`DatabaseError`] with the tag, where these are no texts.
    pub(crate) fn texts(&self, tag: Tag) -> Result<Vec<&'a [u8]>, DatabaseError> {
        self.entry(tag).map_or(Ok(Vec::new()), |entry| entry.texts()?.collect())
    }

    /// All numbers of a tag, none where the header does not have it.
    ///
    /// # Errors
    /// [`DatabaseError`] with the tag, where these are no numbers of 32 bits.
    pub(crate) fn numbers(&self, tag: Tag) -> Result<Vec<u32>, DatabaseError> {
        let Some(entry) = self.entry(tag) else { return Ok(Vec::new()) };
        let length = u64::from(entry.count) * 4;
        match entry.kind == INT32 && length <= entry.data.len() as u64 {
            true => Ok(entry.data[..length as usize].chunks_exact(4).map(|value| number(value, 0)).collect()),
            false => Err(entry.fail("it has no such numbers")),
        }
    }

    fn entry(&self, tag: Tag) -> Option<Entry<'a>> {
        let mut entries = self.index.chunks_exact(ENTRY).rev();
        let entry = entries.find(|entry| number(entry, 0) == tag as u32)?;
        let data = &self.data[number(entry, 8) as usize..];
        Some(Entry { tag, kind: number(entry, 4), count: number(entry, 12), data })
    }
}

impl<'a> Entry<'a> {
    fn fail(&self, problem: &'static str) -> DatabaseError {
        DatabaseError::at("tag", self.tag as u32, problem)
    }

    fn texts(&self) -> Result<impl Iterator<Item = Result<&'a [u8], DatabaseError>> + use<'a>, DatabaseError> {
        let is_text = matches!(self.kind, STRING | STRING_ARRAY | I18N_STRING);
        if !is_text || self.kind == STRING && self.count != 1 {
            return Err(self.fail("it is no text"));
        }
        let (cut, mut rest) = (self.fail("its text has no end"), self.data);
        let next = move || match memchr(0, rest) {
            Some(end) => {
                let text = &rest[..end];
                rest = &rest[end + 1..];
                Some(Ok(text))
            }
            None => Some(Err(cut.clone())),
        };
        Ok(std::iter::from_fn(next).take(self.count as usize))
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    Big.u32(bytes, at).expect("within an entry or value, which were measured")
}
