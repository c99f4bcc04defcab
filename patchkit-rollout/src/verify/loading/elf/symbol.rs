//! The dynamic symbols.

use std::collections::BTreeMap;

use super::{
    Abi, Class,
    bytes::{Bytes, Fault, printable},
    dynamic::{Dynamic, Strings, Tag},
    relocation,
    version::{HIDDEN, Version},
};

/// `SHN_UNDEF`, and `SHN_ABS`, which is a value at no place.
const UNDEFINED: u16 = 0;
const ABSOLUTE: u16 = 0xfff1;
/// `STT_TLS`.
const THREAD_LOCAL: u8 = 6;
/// `STV_PROTECTED`.
const PROTECTED: u8 = 3;
/// The types of symbols that can be linked to: none, data, function, common, thread-local, indirect function.
const LINKABLE: [u8; 6] = [0, 1, 2, 5, THREAD_LOCAL, 10];
/// Machines whose 64-bit hash tables have 64-bit words.
const WIDE_HASH: [u16; 2] = [22, 0x9026];

/// How strongly a symbol binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// It must be found; it is found first.
    Global,
    /// One for the whole process.
    Unique,
    /// It need not be found.
    Weak,
}

/// A dynamic symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symbol<'a> {
    /// The name.
    pub name: &'a str,
    /// The version: its own, or that of the library it is needed of.
    pub version: Option<&'a Version>,
    /// How it binds.
    pub binding: Binding,
    /// Whether the file has it, or needs it of another.
    pub defined: bool,
    /// Whether only those who ask for its version find it.
    pub hidden: bool,
    /// Whether the file itself always uses its own (`STV_PROTECTED`).
    pub protected: bool,
    /// Whether a relocation speaks of it: what is needed but never used is not looked for.
    pub referenced: bool,
    /// The index of its version, 0 and 1 for none.
    pub(in super::super) index: u16,
    /// Its place among the symbols that were kept.
    pub(in super::super) place: u32,
    linkable: bool,
}

impl Symbol<'_> {
    pub(super) fn is_export(&self) -> bool {
        self.defined && self.linkable
    }

    /// `name@VERSION`.
    #[must_use]
    pub fn full_name(&self) -> String {
        match self.version.filter(|version| !version.base) {
            Some(version) => format!("{}@{}", self.name, version.name),
            None => self.name.to_owned(),
        }
    }
}

/// All symbols of a file that others could see.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Symbols {
    names: String,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// Where its name ends; it begins where the one before ends.
    end: u32,
    version: u16,
    binding: Binding,
    flags: u8,
}

const DEFINED: u8 = 1;
const IS_PROTECTED: u8 = 2;
const REFERENCED: u8 = 4;
const IS_LINKABLE: u8 = 8;

impl Symbols {
    pub(super) fn iter<'a>(&'a self, versions: &'a BTreeMap<u16, Version>) -> impl Iterator<Item = Symbol<'a>> {
        let mut start = 0;
        self.entries.iter().zip(0..).map(move |(entry, place)| {
            let name = &self.names[start..entry.end as usize];
            start = entry.end as usize;
            let (index, has) = (entry.version & !HIDDEN, |flag| entry.flags & flag != 0);
            Symbol {
                name,
                version: versions.get(&index).filter(|_| index > 1),
                binding: entry.binding,
                defined: has(DEFINED),
                hidden: entry.version & HIDDEN != 0,
                protected: has(IS_PROTECTED),
                referenced: has(REFERENCED),
                index,
                place,
                linkable: has(IS_LINKABLE),
            }
        })
    }

    fn push(&mut self, name: &[u8], entry: Entry) {
        match std::str::from_utf8(name) {
            Ok(name) => self.names.push_str(name),
            Err(_) => self.names.push_str(&printable(name)),
        }
        let end = u32::try_from(self.names.len()).expect("names are bounded by the table of strings");
        self.entries.push(Entry { end, ..entry });
    }
}

/// One record of the table.
struct Record {
    name: u64,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
}

pub(super) fn read(bytes: &Bytes<'_>, dynamic: &Dynamic, strings: &Strings<'_>, abi: Abi) -> Result<Symbols, Fault> {
    let mut symbols = Symbols::default();
    let Some(address) = dynamic.value(Tag::Symbols) else { return Ok(symbols) };
    // A GNU hash table of a file that defines nothing need not tell how many symbols are needed.
    let referenced = relocation::symbols(bytes, dynamic, abi)?;
    let count = count(bytes, dynamic, abi)?.max(referenced.end());
    if count == 0 {
        return Ok(symbols);
    }
    let step = if bytes.class == Class::Bits32 { 16 } else { 24 };
    let start = bytes.offset(address, "the table of symbols")?;
    bytes.slice(start, count.saturating_mul(step), "the table of symbols")?;
    let versions = dynamic.value(Tag::VersionOfSymbols).map(|at| bytes.offset(at, "the versions of symbols"));
    let versions = versions.transpose()?;
    for index in 1..count {
        let at = start + index * step;
        let Record { name, info, other, section, value } = record(bytes, at)?;
        let binding = match info >> 4 {
            1 => Binding::Global,
            2 => Binding::Weak,
            10 => Binding::Unique,
            _ => continue,
        };
        let (kind, visibility, defined) = (info & 15, other & 3, section != UNDEFINED);
        if matches!(visibility, 1 | 2) {
            continue;
        }
        let raw = strings.raw(name)?;
        let version = versions.map(|versions| bytes.u16(versions + 2 * index)).transpose()?.unwrap_or(1);
        let there = value != 0 || section == ABSOLUTE || kind == THREAD_LOCAL;
        let flags = [
            (DEFINED, defined),
            (IS_PROTECTED, visibility == PROTECTED),
            (REFERENCED, referenced.contains(index)),
            (IS_LINKABLE, there && LINKABLE.contains(&kind)),
        ];
        let flags = flags.iter().filter(|(_, is)| *is).map(|(flag, _)| flag).sum();
        symbols.push(raw, Entry { end: 0, version, binding, flags });
    }
    Ok(symbols)
}

fn record(bytes: &Bytes<'_>, at: u64) -> Result<Record, Fault> {
    let name = bytes.u32(at)?.into();
    Ok(match bytes.class {
        Class::Bits32 => Record {
            name,
            value: bytes.word(at + 4)?,
            info: bytes.u8(at + 12)?,
            other: bytes.u8(at + 13)?,
            section: bytes.u16(at + 14)?,
        },
        Class::Bits64 => Record {
            name,
            info: bytes.u8(at + 4)?,
            other: bytes.u8(at + 5)?,
            section: bytes.u16(at + 6)?,
            value: bytes.word(at + 8)?,
        },
    })
}

/// How many symbols there are, which only the hash tables tell.
fn count(bytes: &Bytes<'_>, dynamic: &Dynamic, abi: Abi) -> Result<u64, Fault> {
    if let Some(address) = dynamic.value(Tag::Hash) {
        let at = bytes.offset(address, "the hash table")?;
        let wide = abi.class == Class::Bits64 && WIDE_HASH.contains(&abi.machine);
        return if wide { bytes.u64(at + 8) } else { bytes.u32(at + 4).map(u64::from) };
    }
    if let Some(address) = dynamic.value(Tag::GnuHash) {
        return count_by_gnu_hash(bytes, bytes.offset(address, "the GNU hash table")?);
    }
    Ok(dynamic.value(Tag::MipsSymbols).unwrap_or(0))
}

/// One more than the last symbol of the last chain; what is not in the table stands before it.
fn count_by_gnu_hash(bytes: &Bytes<'_>, at: u64) -> Result<u64, Fault> {
    let number = |place: u64| bytes.u32(at + place).map(u64::from);
    let (buckets, first, blooms) = (number(0)?, number(4)?, number(8)?);
    let start = at + 16 + blooms * bytes.width();
    bytes.slice(start, buckets * 4, "the GNU hash table's buckets")?;
    let mut last = 0;
    for bucket in 0..buckets {
        last = last.max(u64::from(bytes.u32(start + 4 * bucket)?));
    }
    if last < first {
        return Ok(first);
    }
    let chains = start + 4 * buckets;
    while bytes.u32(chains + 4 * (last - first))? & 1 == 0 {
        last += 1;
    }
    Ok(last + 1)
}
