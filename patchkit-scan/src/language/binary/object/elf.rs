use std::io;

use super::{MAX_REGIONS, Numbers, Object, Region, Source, text};

/// `ET_EXEC` and `ET_DYN`: an object file and a core dump are no programs.
const LINKED: std::ops::RangeInclusive<u64> = 2..=3;
const PT_LOAD: u64 = 1;
const PF_X: u64 = 1;
const PF_W: u64 = 2;
const SHT_NOBITS: u64 = 8;

/// The most bytes of a section's name, and of the table of names, that are read.
const MAX_NAME: usize = 64;
const MAX_NAMES: u64 = 4 << 20;

/// The most bytes of an entry of a table: the format's own have up to 64.
const MAX_ENTRY: usize = 256;

/// Whether a file that begins with ELF's magic number is a program or a shared library.
pub(super) fn is_linked(head: &[u8]) -> bool {
    numbers(head).and_then(|numbers| numbers.at(16, 2)).is_some_and(|kind| LINKED.contains(&kind))
}

fn numbers(head: &[u8]) -> Option<Numbers<'_>> {
    let order = *head.get(5)?;
    matches!(order, 1 | 2).then_some(Numbers { bytes: head, little_endian: order == 1 })
}

/// Reads the tables of sections and segments.
pub(super) fn read(source: &mut Source<'_>, head: &[u8]) -> io::Result<Option<Object>> {
    let Some(header) = numbers(head).and_then(Header::of) else { return Ok(None) };
    let segments = header.segments(source)?;
    let sections = header.sections(source)?;
    Ok(Some(Object { sections, segments }))
}

struct Header {
    is_64: bool,
    little_endian: bool,
    /// Place in the file, size of an entry and number of entries.
    segments: (u64, usize, usize),
    sections: (u64, usize, usize),
    /// The section that has the sections' names.
    names: usize,
}

impl Header {
    fn of(numbers: Numbers<'_>) -> Option<Self> {
        let is_64 = match numbers.bytes.get(4)? {
            1 => false,
            2 => true,
            _ => return None,
        };
        let (tables, word) = if is_64 { (32, 8) } else { (28, 4) };
        let half = |at| numbers.at(at, 2).map(|number| number as usize);
        let counts = if is_64 { 54 } else { 42 };
        Some(Self {
            is_64,
            little_endian: numbers.little_endian,
            segments: (numbers.at(tables, word)?, half(counts)?, half(counts + 2)?),
            sections: (numbers.at(tables + word, word)?, half(counts + 4)?, half(counts + 6)?),
            names: half(counts + 8)?,
        })
    }

    fn segments(&self, source: &mut Source<'_>) -> io::Result<Vec<Region>> {
        let (offset, size, count) = self.segments;
        if !(1..=MAX_ENTRY).contains(&size) {
            return Ok(Vec::new());
        }
        let table = source.read(offset, size * count)?;
        let entries = table.chunks_exact(size);
        Ok(entries.filter_map(|entry| self.segment(entry)).collect())
    }

    fn segment(&self, entry: &[u8]) -> Option<Region> {
        let numbers = Numbers { bytes: entry, little_endian: self.little_endian };
        let (flags, offset, address, size) = match self.is_64 {
            true => (numbers.at(4, 4)?, numbers.at(8, 8)?, numbers.at(16, 8)?, numbers.at(32, 8)?),
            false => (numbers.at(24, 4)?, numbers.at(4, 4)?, numbers.at(8, 4)?, numbers.at(16, 4)?),
        };
        let is_data = flags & (PF_X | PF_W) == PF_W;
        let region = Region { name: String::new(), address, offset, size, is_data };
        (numbers.at(0, 4)? == PT_LOAD).then_some(region)
    }

    fn sections(&self, source: &mut Source<'_>) -> io::Result<Vec<Region>> {
        let (offset, size, count) = self.sections;
        let entry = if self.is_64 { 64 } else { 40 };
        if offset == 0 || !(entry..=MAX_ENTRY).contains(&size) {
            return Ok(Vec::new());
        }
        // Where there are too many to be counted in two bytes, the first entry has the numbers.
        let first = source.read(offset, entry)?;
        let count = if count == 0 { self.field(&first, 20, 32) } else { Some(count as u64) };
        let names = if self.names == 0xffff { self.link(&first) } else { Some(self.names as u64) };
        let count = count.unwrap_or_default().min(MAX_REGIONS as u64) as usize;
        let table = source.read(offset, size * count)?;
        let entries: Vec<&[u8]> = table.chunks_exact(size).collect();
        let names = names.and_then(|index| entries.get(usize::try_from(index).ok()?).copied());
        let names = self.names(source, names)?;
        Ok(entries.into_iter().filter_map(|entry| self.section(entry, &names)).collect())
    }

    fn names(&self, source: &mut Source<'_>, entry: Option<&[u8]>) -> io::Result<Vec<u8>> {
        let place = entry.and_then(|entry| Some((self.field(entry, 16, 24)?, self.field(entry, 20, 32)?)));
        let Some((offset, size)) = place else { return Ok(Vec::new()) };
        source.read(offset, size.min(MAX_NAMES) as usize)
    }

    fn section(&self, entry: &[u8], names: &[u8]) -> Option<Region> {
        let numbers = Numbers { bytes: entry, little_endian: self.little_endian };
        let name = names.get(usize::try_from(numbers.at(0, 4)?).ok()?..).unwrap_or_default();
        let region = Region {
            name: text(&name[..name.len().min(MAX_NAME)]),
            address: self.field(entry, 12, 16)?,
            offset: self.field(entry, 16, 24)?,
            size: self.field(entry, 20, 32)?,
            is_data: false,
        };
        (numbers.at(4, 4)? != SHT_NOBITS).then_some(region)
    }

    /// A word of a section's header, at its place in 32 and in 64 bits.
    fn field(&self, entry: &[u8], at_32: usize, at_64: usize) -> Option<u64> {
        let numbers = Numbers { bytes: entry, little_endian: self.little_endian };
        if self.is_64 { numbers.at(at_64, 8) } else { numbers.at(at_32, 4) }
    }

    fn link(&self, entry: &[u8]) -> Option<u64> {
        let numbers = Numbers { bytes: entry, little_endian: self.little_endian };
        numbers.at(if self.is_64 { 40 } else { 24 }, 4)
    }
}
