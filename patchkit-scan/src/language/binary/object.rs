//! Executable formats: where their sections and segments lie in the file, and no more of them than that.
//!
//! Sources: the System V ABI (ELF, 32 and 64 bits, both byte orders), Microsoft's PE format, Apple's `mach-o/loader.h`
//! and `mach-o/fat.h`. A header that makes no sense gives an object without regions, never an error.

mod elf;
mod macho;
mod pe;

use std::io;

use super::source::Source;

/// The most sections or segments of an object that are looked at. Kernels and programs with a section for each function
/// have some tens of thousands.
const MAX_REGIONS: usize = 1 << 16;

/// The most objects of a universal binary that are looked at. There are no more than a handful of architectures.
const MAX_OBJECTS: u32 = 16;

/// The format of a program or library, as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::language) enum Format {
    Elf,
    MachO,
    Pe,
    /// Several Mach-O objects, one an architecture.
    Universal,
}

impl Format {
    /// The format of a file that begins with these bytes; `None` for all that is neither program nor shared library.
    pub(in crate::language) fn of(head: &[u8]) -> Option<Self> {
        match head.get(..4)? {
            b"\x7fELF" => elf::is_linked(head).then_some(Self::Elf),
            [0xfe, 0xed, 0xfa, 0xce | 0xcf] | [0xce | 0xcf, 0xfa, 0xed, 0xfe] => Some(Self::MachO),
            // A Java class has the same magic number and then its version, which is at least 45.
            [0xca, 0xfe, 0xba, 0xbe | 0xbf] => {
                (head.len() >= 8 && head[4..7] == [0; 3] && (1..=MAX_OBJECTS).contains(&head[7].into()))
                    .then_some(Self::Universal)
            }
            [b'M', b'Z', ..] => (head.len() >= 64).then_some(Self::Pe),
            _ => None,
        }
    }
}

/// One object: a whole ELF or PE file, a Mach-O file or one of a universal binary's.
#[derive(Debug, Default)]
pub(in crate::language) struct Object {
    /// Its sections, with their names.
    pub(in crate::language) sections: Vec<Region>,
    /// What is loaded into memory; for PE the same as the sections.
    pub(in crate::language) segments: Vec<Region>,
}

/// A section or segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::language) struct Region {
    /// The name, for Mach-O without the segment's; empty for a segment.
    pub(in crate::language) name: String,
    /// Where it is in memory.
    pub(in crate::language) address: u64,
    /// Where it is in the file, and how many bytes of it are there.
    pub(in crate::language) offset: u64,
    pub(in crate::language) size: u64,
    /// Whether it may be written and not run: data.
    pub(in crate::language) is_data: bool,
}

impl Object {
    /// The section of a name.
    pub(in crate::language) fn section(&self, name: &str) -> Option<&Region> {
        self.sections.iter().find(|section| section.name == name)
    }

    /// The place in the file of what is at an address when loaded.
    pub(in crate::language) fn offset_of(&self, address: u64) -> Option<u64> {
        let inside = |region: &&Region| address.checked_sub(region.address).is_some_and(|delta| delta < region.size);
        let region = self.segments.iter().find(inside)?;
        region.offset.checked_add(address - region.address)
    }
}

/// The objects of a file, none where it is of no such format.
pub(super) fn read(source: &mut Source<'_>) -> io::Result<Vec<Object>> {
    let head = source.read(0, 64)?;
    Ok(match Format::of(&head) {
        Some(Format::Elf) => elf::read(source, &head)?.into_iter().collect(),
        Some(Format::MachO) => macho::read(source, 0)?.into_iter().collect(),
        Some(Format::Pe) => pe::read(source, &head)?.into_iter().collect(),
        Some(Format::Universal) => macho::read_universal(source)?,
        None => Vec::new(),
    })
}

/// Numbers in a header.
#[derive(Clone, Copy)]
struct Numbers<'a> {
    bytes: &'a [u8],
    little_endian: bool,
}

impl Numbers<'_> {
    /// The number of the given size in bytes, up to 8, at a place.
    fn at(&self, at: usize, size: usize) -> Option<u64> {
        let bytes = self.bytes.get(at..at.checked_add(size)?)?;
        let push = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(match self.little_endian {
            true => bytes.iter().rev().fold(0, push),
            false => bytes.iter().fold(0, push),
        })
    }
}

/// The text up to the first NUL byte.
fn text(bytes: &[u8]) -> String {
    let end = memchr::memchr(0, bytes).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}
