//! What `ldconfig` reads of a shared library: its ABI, its name, what it needs. No other tool's view of ELF.
//!
//! Source: the System V ABI (ELF), and glibc's `readelflib.c` for what is looked at and what is passed over.

/// The facts of a shared library that the dynamic linker's cache is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// Whether it is a 64-bit object.
    pub is_64: bool,
    /// `e_machine`: 62 is x86-64, 183 is AArch64.
    pub machine: u16,
    /// `e_flags`: the float ABI of ARM and RISC-V.
    pub flags: u32,
    /// `DT_SONAME`.
    pub soname: Option<Vec<u8>>,
    /// Whether `DT_NEEDED` or `PT_INTERP` names glibc 2, which tells an i386 library of it from older ones.
    pub needs_libc6: bool,
    /// The kernel that `.note.ABI-tag` asks for, as the cache has it: 0 where there is none.
    pub os_version: u32,
    /// The x86 ISA level that `.note.gnu.property` asks for: 0 to 4.
    pub isa_level: u32,
}

/// The most program headers of a library, entries of its dynamic section, and bytes of one note segment that are looked
/// at: many times what real ones have, and little enough that no file takes long.
const MAX_SEGMENTS: u64 = 1024;
const MAX_DYNAMIC: usize = 4096;
const MAX_NOTES: u64 = 64 << 10;

/// The most bytes of a name: `PATH_MAX` of Linux.
const MAX_NAME: usize = 4096;

/// `ET_DYN`.
const SHARED_OBJECT: u64 = 3;
const PT_DYNAMIC: u64 = 2;
const PT_INTERP: u64 = 3;
const PT_LOAD: u64 = 1;
const PT_NOTE: u64 = 4;
const PT_GNU_PROPERTY: u64 = 0x6474_e553;
const DT_NULL: u64 = 0;
const DT_NEEDED: u64 = 1;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
/// `GNU_PROPERTY_X86_ISA_1_NEEDED`.
const X86_ISA_1_NEEDED: u64 = 0xc000_8002;

impl Elf {
    /// Reads a shared library; `None` where it is none, or damaged.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        Reader::new(bytes)?.elf()
    }
}

/// A file with its byte order and word size.
#[derive(Clone, Copy)]
struct Reader<'a> {
    bytes: &'a [u8],
    is_64: bool,
    little: bool,
}

/// A program header.
#[derive(Clone, Copy)]
struct Segment {
    kind: u64,
    offset: u64,
    address: u64,
    size: u64,
    align: u64,
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8]) -> Option<Self> {
        let ident = bytes.get(..16)?;
        let is_64 = match ident[4] {
            1 => false,
            2 => true,
            _ => return None,
        };
        let little = ident[5] == 1;
        (ident.starts_with(b"\x7fELF") && (little || ident[5] == 2)).then_some(Self { bytes, is_64, little })
    }

    fn elf(&self) -> Option<Elf> {
        if self.number(16, 2)? != SHARED_OBJECT {
            return None;
        }
        let segments = self.segments()?;
        let load = segments.iter().find(|segment| segment.kind == PT_LOAD);
        let load = load.map_or(0, |segment| segment.address.wrapping_sub(segment.offset));
        let dynamic = segments.iter().find(|segment| segment.kind == PT_DYNAMIC && segment.size > 0)?;
        let (soname, needed) = self.names(dynamic, load)?;
        let interpreter = segments.iter().find(|segment| segment.kind == PT_INTERP);
        let interpreter = interpreter.and_then(|segment| self.text(segment.offset));
        let machine = u16::try_from(self.number(18, 2)?).ok()?;
        let flags = u32::try_from(self.number(if self.is_64 { 48 } else { 36 }, 4)?).ok()?;
        let needs_libc6 = interpreter == Some(b"/lib/ld-linux.so.2") || needed;
        let os_version = self.os_version(&segments);
        let isa_level = self.isa_level(&segments);
        Some(Elf { is_64: self.is_64, machine, flags, soname, needs_libc6, os_version, isa_level })
    }

    fn segments(&self) -> Option<Vec<Segment>> {
        let (table, size, count) = match self.is_64 {
            true => (self.number(32, 8)?, 56, self.number(56, 2)?),
            false => (self.number(28, 4)?, 32, self.number(44, 2)?),
        };
        if count > MAX_SEGMENTS {
            return None;
        }
        (0..count).map(|index| self.segment(table.checked_add(index * size)?)).collect()
    }

    fn segment(&self, at: u64) -> Option<Segment> {
        let field = |narrow: u64, wide: u64| match self.is_64 {
            true => self.number(at.checked_add(wide)?, 8),
            false => self.number(at.checked_add(narrow)?, 4),
        };
        Some(Segment {
            kind: self.number(at, 4)?,
            offset: field(4, 8)?,
            address: field(8, 16)?,
            size: field(16, 32)?,
            align: field(28, 48)?,
        })
    }

    /// The `DT_SONAME`, and whether a `DT_NEEDED` names glibc 2.
    fn names(&self, dynamic: &Segment, load: u64) -> Option<(Option<Vec<u8>>, bool)> {
        let entries = self.dynamic(dynamic);
        let (_, strings) = entries.iter().find(|(tag, _)| *tag == DT_STRTAB)?;
        let strings = strings.wrapping_sub(load);
        let name = |offset: u64| self.text(strings.checked_add(offset)?);
        let (mut soname, mut needed) = (None, false);
        for (tag, value) in &entries {
            match *tag {
                DT_NEEDED => needed |= matches!(name(*value)?, b"libc.so.6" | b"libm.so.6"),
                DT_SONAME => soname = Some(name(*value)?.to_vec()),
                _ => {}
            }
        }
        Some((soname, needed))
    }

    fn dynamic(&self, segment: &Segment) -> Vec<(u64, u64)> {
        let word = if self.is_64 { 8 } else { 4 };
        let entry = |index: u64| {
            let at = segment.offset.checked_add(index * 2 * u64::from(word))?;
            Some((self.number(at, word)?, self.number(at.checked_add(u64::from(word))?, word)?))
        };
        (0..).map_while(entry).take_while(|(tag, _)| *tag != DT_NULL).take(MAX_DYNAMIC).collect()
    }

    /// `.note.ABI-tag` as `ldconfig` packs it: system, major, minor, patch, a byte each.
    fn os_version(&self, segments: &[Segment]) -> u32 {
        let notes = segments.iter().filter(|s| s.kind == PT_NOTE && s.size >= 32 && matches!(s.align, 4 | 8));
        let tags = notes.flat_map(|segment| self.notes(segment)).filter_map(|(kind, content)| {
            let words = Reader { bytes: content, ..*self };
            let word = |index: u64| words.number(index * 4, 4).and_then(|word| u32::try_from(word).ok());
            (kind == 1 && content.len() == 16).then_some(())?;
            Some(word(0)? << 24 | (word(1)? & 0xff) << 16 | (word(2)? & 0xff) << 8 | word(3)? & 0xff)
        });
        tags.into_iter().find(|version| *version != 0).unwrap_or_default()
    }

    /// The highest x86 ISA level that a property note asks for.
    fn isa_level(&self, segments: &[Segment]) -> u32 {
        let property = segments.iter().filter(|segment| segment.kind == PT_GNU_PROPERTY);
        let notes = property.flat_map(|segment| self.notes(segment)).filter(|(kind, _)| *kind == 5);
        let needed = notes.filter_map(|(_, content)| Reader { bytes: content, ..*self }.property(X86_ISA_1_NEEDED));
        needed.map(|bits| u64::BITS - bits.leading_zeros()).max().unwrap_or_default()
    }

    fn property(&self, wanted: u64) -> Option<u64> {
        let mut at = 0;
        loop {
            let (kind, size) = (self.number(at, 4)?, self.number(at + 4, 4)?);
            if kind == wanted && size == 4 {
                return self.number(at + 8, 4);
            }
            at = (at + 8).checked_add(size)?.checked_next_multiple_of(if self.is_64 { 8 } else { 4 })?;
        }
    }

    /// The notes named `GNU` of a segment: kind and content.
    fn notes(&self, segment: &Segment) -> Vec<(u64, &'a [u8])> {
        let mut found = Vec::new();
        let Some(bytes) = self.slice(segment.offset, segment.size.min(MAX_NOTES)) else {
            return found;
        };
        let notes = Reader { bytes, ..*self };
        let mut at = 0;
        while let Some((next, kind, name, content)) = notes.note(at, segment.align.max(4)) {
            if name == b"GNU\0" {
                found.push((kind, content));
            }
            at = next;
        }
        found
    }

    fn note(&self, at: u64, align: u64) -> Option<(u64, u64, &'a [u8], &'a [u8])> {
        let name_size = self.number(at, 4)?;
        let content_size = self.number(at.checked_add(4)?, 4)?;
        let kind = self.number(at.checked_add(8)?, 4)?;
        let name = self.slice(at + 12, name_size)?;
        let content_at = (at + 12).checked_add(name_size)?.checked_next_multiple_of(align)?;
        let content = self.slice(content_at, content_size)?;
        Some((content_at.checked_add(content_size)?.checked_next_multiple_of(align)?, kind, name, content))
    }

    fn number(&self, at: u64, size: u8) -> Option<u64> {
        let bytes = self.slice(at, size.into())?;
        let digits = |sum: u64, byte: &u8| sum << 8 | u64::from(*byte);
        Some(match self.little {
            true => bytes.iter().rev().fold(0, digits),
            false => bytes.iter().fold(0, digits),
        })
    }

    /// The bytes up to the next NUL, at most [`MAX_NAME`].
    fn text(&self, at: u64) -> Option<&'a [u8]> {
        let rest = self.bytes.get(usize::try_from(at).ok()?..)?;
        rest[..rest.len().min(MAX_NAME)].split(|byte| *byte == 0).next()
    }

    fn slice(&self, at: u64, size: u64) -> Option<&'a [u8]> {
        let end = at.checked_add(size)?;
        self.bytes.get(usize::try_from(at).ok()?..usize::try_from(end).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A 64-bit little-endian library: one segment to load, a dynamic segment, and its strings.
    fn library(machine: u16) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 2 * 56 + 4 * 16];
        let mut put =
            |at: usize, value: u64, size: usize| bytes[at..at + size].copy_from_slice(&value.to_le_bytes()[..size]);
        put(0, u64::from_le_bytes(*b"\x7fELF\x02\x01\x01\0"), 8);
        put(16, SHARED_OBJECT, 2);
        put(18, machine.into(), 2);
        put(32, 64, 8);
        put(56, 2, 2);
        for (header, kind, offset, size) in [(64, PT_LOAD, 0, 300), (120, PT_DYNAMIC, 176, 64)] {
            put(header, kind, 4);
            put(header + 8, offset, 8);
            put(header + 16, offset, 8);
            put(header + 32, size, 8);
        }
        for (at, tag, value) in [(176, DT_STRTAB, 240), (192, DT_NEEDED, 1), (208, DT_SONAME, 11)] {
            put(at, tag, 8);
            put(at + 8, value, 8);
        }
        bytes.extend_from_slice(b"\0libc.so.6\0libx.so.1\0");
        bytes
    }

    #[test]
    fn a_library_of_another_architecture() {
        let elf = Elf::parse(&library(183)).unwrap();
        assert_eq!((elf.machine, elf.is_64, elf.needs_libc6), (183, true, true));
        assert_eq!(elf.soname.as_deref(), Some(&b"libx.so.1"[..]));
        assert_eq!(Elf::parse(b"#!/bin/sh"), None);
    }

    proptest! {
        #[test]
        fn damage_does_no_harm(at in 0_usize..260, byte: u8, end in 0_usize..270) {
            let mut bytes = library(62);
            let length = bytes.len();
            bytes[at % length] = byte;
            bytes.truncate(end);
            let _ = Elf::parse(&bytes);
        }
    }
}
