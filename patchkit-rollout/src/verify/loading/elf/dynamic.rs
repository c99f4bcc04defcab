//! The dynamic section and its table of strings.

use std::cell::Cell;

use super::bytes::{Bytes, Fault, printable};

/// The most entries of a dynamic section, of which real ones have some dozens.
const MAX_ENTRIES: u64 = 1 << 16;
/// The longest text of a dynamic section: 64 KiB, since it may be a list of folders.
const MAX_TEXT: usize = 64 << 10;
/// How many times as long as the table all texts together may be: they may share their ends, and be named repeatedly.
const MAX_SHARING: usize = 16;

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Flags1,
    GnuHash,
    Hash,
    JumpRelocations,
    JumpRelocationsKind,
    JumpRelocationsSize,
    MipsSymbols,
    Needed,
    RPath,
    Rel,
    RelSize,
    Rela,
    RelaSize,
    RunPath,
    SoName,
    Strings,
    StringsSize,
    Symbols,
    VersionDefinitions,
    VersionDefinitionsCount,
    VersionNeeds,
    VersionNeedsCount,
    VersionOfSymbols,
}

impl Tag {
    fn of(number: u64) -> Option<Self> {
        Some(match number {
            1 => Self::Needed,
            2 => Self::JumpRelocationsSize,
            4 => Self::Hash,
            5 => Self::Strings,
            6 => Self::Symbols,
            7 => Self::Rela,
            8 => Self::RelaSize,
            10 => Self::StringsSize,
            14 => Self::SoName,
            15 => Self::RPath,
            17 => Self::Rel,
            18 => Self::RelSize,
            20 => Self::JumpRelocationsKind,
            23 => Self::JumpRelocations,
            29 => Self::RunPath,
            0x6fff_fef5 => Self::GnuHash,
            0x6fff_fff0 => Self::VersionOfSymbols,
            0x6fff_fffb => Self::Flags1,
            0x6fff_fffc => Self::VersionDefinitions,
            0x6fff_fffd => Self::VersionDefinitionsCount,
            0x6fff_fffe => Self::VersionNeeds,
            0x6fff_ffff => Self::VersionNeedsCount,
            0x7000_0011 => Self::MipsSymbols,
            _ => return None,
        })
    }
}

/// The entries of a dynamic section that matter here.
#[derive(Debug)]
pub(super) struct Dynamic {
    entries: Vec<(Tag, u64)>,
    start: u64,
}

impl Dynamic {
    pub(super) fn read(bytes: &Bytes<'_>, start: u64, size: u64) -> Result<Self, Fault> {
        let step = 2 * bytes.width();
        let mut entries = Vec::new();
        for index in 0..(size / step).min(MAX_ENTRIES) {
            let at = start.saturating_add(index * step);
            let (number, value) = (bytes.word(at)?, bytes.word(at.saturating_add(bytes.width()))?);
            if number == 0 {
                break;
            }
            entries.extend(Tag::of(number).map(|tag| (tag, value)));
        }
        Ok(Self { entries, start })
    }

    /// The value of the last entry of the kind, which is the one that counts.
    pub(super) fn value(&self, tag: Tag) -> Option<u64> {
        self.values(tag).last()
    }

    pub(super) fn values(&self, tag: Tag) -> impl Iterator<Item = u64> {
        self.entries.iter().filter(move |(other, _)| *other == tag).map(|(_, value)| *value)
    }

    /// The table of strings; an empty one where there is none.
    pub(super) fn strings<'a>(&self, bytes: &Bytes<'a>) -> Result<Strings<'a>, Fault> {
        let what = "the table of strings";
        let Some(address) = self.value(Tag::Strings) else {
            return Ok(Strings::new(&[], self.start));
        };
        let size = self.value(Tag::StringsSize).ok_or(Fault::Odd("the length of the strings", self.start))?;
        if size == 0 {
            return Ok(Strings::new(&[], self.start));
        }
        let start = bytes.offset(address, what)?;
        Ok(Strings::new(bytes.slice(start, size, what)?, start))
    }
}

/// The table of strings.
#[derive(Clone, Debug)]
pub(super) struct Strings<'a> {
    bytes: &'a [u8],
    start: u64,
    /// How many bytes of text may still be made of it.
    left: Cell<usize>,
}

impl<'a> Strings<'a> {
    fn new(bytes: &'a [u8], start: u64) -> Self {
        Self { bytes, start, left: Cell::new(bytes.len().saturating_mul(MAX_SHARING).min(u32::MAX as usize / 4)) }
    }

    /// The bytes from a place to the next NUL.
    pub(super) fn raw(&self, at: u64) -> Result<&'a [u8], Fault> {
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
        let length = rest.and_then(|rest| memchr::memchr(0, rest));
        let (rest, length) = rest.zip(length).ok_or(self.outside(at))?;
        let left = self.left.get().checked_sub(length);
        self.left.set(left.ok_or(Fault::Odd("the length of all texts with the one", self.start.saturating_add(at)))?);
        Ok(&rest[..length])
    }

    pub(super) fn text(&self, at: u64) -> Result<String, Fault> {
        let raw = self.raw(at)?;
        if raw.len() > MAX_TEXT {
            return Err(Fault::Odd("the length of a text", self.start.saturating_add(at)));
        }
        Ok(printable(raw))
    }

    fn outside(&self, at: u64) -> Fault {
        Fault::Outside("a text", self.start.saturating_add(at))
    }
}
