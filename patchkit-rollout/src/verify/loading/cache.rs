//! The cache of glibc's dynamic linker, `/etc/ld.so.cache`.
//!
//! Source: `sysdeps/generic/dl-cache.h` of glibc 2.41, whose form 1.1 stands alone or after the older one.

use std::{cell::Cell, collections::HashMap};

use patchkit_core::{Error, Result};
use thiserror::Error as ThisError;

use super::elf::printable;

const MAGIC: &[u8] = b"glibc-ld.so.cache1.1";
const OLD_MAGIC: &[u8] = b"ld.so-1.7.0";
/// How long the old form's header and its entries are.
const OLD_HEADER: usize = 16;
const OLD_ENTRY: usize = 12;
const HEADER: usize = 48;
const ENTRY: usize = 24;
/// Starts the directory of extensions, of which the one with this tag lists the names below `glibc-hwcaps`.
const EXTENSION_MAGIC: u32 = 0xeaa4_2174;
const TAG_HWCAPS: u32 = 1;
/// The bit of an entry's hardware field that says that the rest is the index of such a name.
const NAMED: u64 = 1 << 62;
/// The longest name or path.
const MAX_TEXT: usize = 4096;
/// How many times as long as the file all texts together may be: they may share their ends.
const MAX_SHARING: usize = 16;

/// What is wrong with a cache, and where.
#[derive(Clone, Debug, ThisError, PartialEq, Eq)]
enum Fault {
    #[error("neither the form 1.1 nor the older one before it")]
    Form,
    #[error("all texts with the one at {0:#x} are too long for the file")]
    Long(usize),
    #[error("{0} at {1:#x} is not in the file")]
    Outside(&'static str, usize),
}

/// Which library the linker finds by a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkerCache {
    entries: HashMap<String, Vec<CacheEntry>>,
}

/// A library in the cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheEntry {
    /// The absolute path.
    pub path: String,
    /// What the processor must have for it.
    pub hardware: Hardware,
}

/// What the processor must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Hardware {
    /// What every processor of the machine has.
    Any,
    /// Bits, as glibc before 2.33 has them.
    Bits(u64),
    /// A level, by the name of its folder below `glibc-hwcaps`.
    Level(String),
}

impl LinkerCache {
    /// Reads a cache.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for what is none, with the position.
    pub fn parse(file: &[u8]) -> Result<Self> {
        parse(file).map_err(|fault| Error::corrupt(fault.to_string()).during("read the linker's cache"))
    }

    /// The libraries of that name, in the order of the file.
    pub fn named(&self, name: &str) -> impl Iterator<Item = &CacheEntry> {
        self.entries.get(name).into_iter().flatten()
    }

    /// All names and libraries, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CacheEntry)> {
        self.entries.iter().flat_map(|(name, entries)| entries.iter().map(|entry| (&**name, entry)))
    }
}

/// The new form, in which all offsets count from its own start.
struct Cache<'a> {
    bytes: &'a [u8],
    big: bool,
    /// How many bytes of text may still be made of it.
    left: Cell<usize>,
}

fn parse(file: &[u8]) -> Result<LinkerCache, Fault> {
    let cache = Cache::find(file)?;
    let count = cache.word(20)? as usize;
    let levels = cache.levels()?;
    let mut entries: HashMap<String, Vec<CacheEntry>> = HashMap::new();
    for index in 0..count {
        let at = HEADER + index * ENTRY;
        let (name, path) = (cache.text(at + 4)?, cache.text(at + 8)?);
        let (low, high) =
            (cache.word(at + if cache.big { 20 } else { 16 })?, cache.word(at + if cache.big { 16 } else { 20 })?);
        let hardware = match u64::from(high) << 32 | u64::from(low) {
            0 => Hardware::Any,
            named if named & NAMED != 0 => {
                Hardware::Level(levels.get(low as usize).cloned().ok_or(Fault::Outside("a level", at))?)
            }
            bits => Hardware::Bits(bits),
        };
        entries.entry(name).or_default().push(CacheEntry { path, hardware });
    }
    Ok(LinkerCache { entries })
}

impl<'a> Cache<'a> {
    fn find(file: &'a [u8]) -> Result<Self, Fault> {
        let start = if file.starts_with(OLD_MAGIC) { Self::after_old(file)? } else { 0 };
        let bytes = file.get(start..).filter(|bytes| bytes.starts_with(MAGIC)).ok_or(Fault::Form)?;
        let told = bytes.get(28).copied().unwrap_or(0) & 3;
        // Where the order is not told, the number of entries makes sense in one only.
        let fits = |cache: &Self| cache.word(20).is_ok_and(|count| (count as usize) < bytes.len() / ENTRY);
        let left = || Cell::new(bytes.len().saturating_mul(MAX_SHARING));
        let little = Self { bytes, big: false, left: left() };
        Ok(if told == 3 || (told == 0 && !fits(&little)) { Self { bytes, big: true, left: left() } } else { little })
    }

    fn after_old(file: &[u8]) -> Result<usize, Fault> {
        let count = file.get(12..16).ok_or(Fault::Outside("the number of entries", 12))?;
        let counts = [u32::from_le_bytes, u32::from_be_bytes].map(|read| read(count.try_into().expect("four bytes")));
        let ends = counts.map(|count| (OLD_HEADER + count as usize * OLD_ENTRY).next_multiple_of(8));
        let is_new = |at: &usize| file.get(*at..).is_some_and(|rest| rest.starts_with(MAGIC));
        ends.into_iter().find(is_new).ok_or(Fault::Form)
    }

    fn word(&self, at: usize) -> Result<u32, Fault> {
        let bytes = at.checked_add(4).and_then(|end| self.bytes.get(at..end)).ok_or(Fault::Outside("a number", at))?;
        let bytes = bytes.try_into().expect("four bytes");
        Ok(if self.big { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    /// The text that the number at this place leads to.
    fn text(&self, at: usize) -> Result<String, Fault> {
        let start = self.word(at)? as usize;
        let rest = self.bytes.get(start..).ok_or(Fault::Outside("a text", start))?;
        let rest = &rest[..rest.len().min(MAX_TEXT)];
        let end = memchr::memchr(0, rest).ok_or(Fault::Outside("the end of a text", start))?;
        let left = self.left.get().checked_sub(end).ok_or(Fault::Long(start))?;
        self.left.set(left);
        Ok(printable(&rest[..end]))
    }

    /// The names below `glibc-hwcaps`.
    fn levels(&self) -> Result<Vec<String>, Fault> {
        let directory = self.word(32)? as usize;
        if directory == 0 || self.word(directory) != Ok(EXTENSION_MAGIC) {
            return Ok(Vec::new());
        }
        let count = self.word(directory + 4)? as usize;
        for index in 0..count.min(self.bytes.len() / 16) {
            let section = directory + 8 + index * 16;
            if self.word(section)? == TAG_HWCAPS {
                let (start, size) = (self.word(section + 8)? as usize, self.word(section + 12)? as usize);
                return (0..(size / 4).min(self.bytes.len() / 4)).map(|index| self.text(start + index * 4)).collect();
            }
        }
        Ok(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    /// A cache with one library, `liba.so` at `/l/liba.so`, with this hardware field.
    fn cache(big: bool, hardware: u64) -> Vec<u8> {
        let word = |word: u32| if big { word.to_be_bytes() } else { word.to_le_bytes() };
        let strings = b"liba.so\0/l/liba.so\0v3\0\0\0";
        let directory = HEADER + ENTRY + strings.len();
        let mut file = MAGIC.to_vec();
        file.extend([1, strings.len() as u32].map(word).concat());
        file.extend([if big { 3 } else { 2 }, 0, 0, 0]);
        file.extend([directory as u32, 0, 0, 0].map(word).concat());
        let start = (HEADER + ENTRY) as u32;
        file.extend([0x303, start, start + 8, 0].map(word).concat());
        file.extend(if big { hardware.to_be_bytes() } else { hardware.to_le_bytes() });
        file.extend(strings);
        let sections = [EXTENSION_MAGIC, 1, TAG_HWCAPS, 0, directory as u32 + 24, 4, start + 19];
        file.extend(sections.map(word).concat());
        file
    }

    #[test]
    fn names_lead_to_paths() {
        for (big, before) in [(false, false), (true, false), (false, true), (true, true)] {
            let mut file = Vec::new();
            if before {
                file.extend(b"ld.so-1.7.0\0");
                file.extend(if big { 1_u32.to_be_bytes() } else { 1_u32.to_le_bytes() });
                file.extend([0; 16]);
            }
            file.extend(cache(big, 0));
            let read = LinkerCache::parse(&file).unwrap();
            let expected = CacheEntry { path: "/l/liba.so".into(), hardware: Hardware::Any };
            assert_eq!(read.named("liba.so").collect::<Vec<_>>(), [&expected], "{big} {before}");
            assert_eq!(read.named("libb.so").count(), 0);
        }
        for (field, hardware) in [(NAMED | 5 << 32, Hardware::Level("v3".into())), (1 << 40, Hardware::Bits(1 << 40))] {
            for big in [false, true] {
                let read = LinkerCache::parse(&cache(big, field)).unwrap();
                assert_eq!(read.named("liba.so").next().unwrap().hardware, hardware);
            }
        }
    }

    #[test]
    fn a_fault_has_its_place() {
        let file = cache(false, 0);
        for length in 0..file.len() - 8 {
            let _ = LinkerCache::parse(&file[..length]);
        }
        let error = LinkerCache::parse(&file[..60]).unwrap_err();
        assert_eq!((error.kind(), error.message()), (ErrorKind::Corrupt, "a text at 0x48 is not in the file"));
        let error = LinkerCache::parse(b"something else").unwrap_err();
        assert_eq!(error.message(), "neither the form 1.1 nor the older one before it");
    }
}
