//! What a dynamic linker reads of an ELF file: through program headers alone, as section headers may be gone.
//!
//! Source: the System V gABI (chapters 4 and 5), the LSB for symbol versions, and glibc's `elf.h` for what came later.

mod bytes;
mod dynamic;
mod linker;
mod relocation;
mod symbol;
mod version;

use std::collections::BTreeMap;

use patchkit_core::{Digest, Error, Result};

pub(super) use bytes::printable;
use bytes::{Bytes, Fault};
use dynamic::{Dynamic, Tag};
use symbol::Symbols;
pub use symbol::{Binding, Symbol};
pub use version::Version;

/// What a file that this reads starts with.
pub(super) const MAGIC: &[u8; 4] = b"\x7fELF";

/// The most bytes of a file that are read: 1 GiB.
pub(super) const MAX_FILE: u64 = 1 << 30;

/// `e_type` of a program at a fixed address, and of what can be anywhere.
const EXECUTABLE: u16 = 2;
const SHARED: u16 = 3;
/// Of `DT_FLAGS_1`: default folders are not searched; it is a program.
const NODEFLIB: u64 = 0x800;
const PIE: u64 = 0x0800_0000;

/// Which machine code a file has: only files of the same ABI are linked with each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Abi {
    /// `e_machine`: 62 for x86-64, 183 for AArch64.
    pub machine: u16,
    /// The width of addresses.
    pub class: Class,
    /// The byte order.
    pub order: Order,
}

/// The width of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Class {
    /// 32 bits.
    Bits32,
    /// 64 bits.
    Bits64,
}

/// The byte order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Order {
    /// The most significant byte first.
    Big,
    /// The least significant byte first.
    Little,
}

/// What a file is to the dynamic linker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ElfKind {
    /// A shared object, needed or opened by something else.
    Library,
    /// A program that is started with its interpreter.
    Program,
    /// What no dynamic linker ever sees: a static program, an object file, a core dump.
    Static,
}

/// What a dynamic linker reads of an ELF file. Text that is no UTF-8 has its odd bytes escaped.
#[derive(Clone, Debug)]
pub struct Elf {
    /// The machine code.
    pub abi: Abi,
    /// What it is.
    pub kind: ElfKind,
    /// The digest of the whole file.
    pub digest: Digest,
    /// The dynamic linker it is started with (`PT_INTERP`).
    pub interpreter: Option<String>,
    /// The libraries it needs (`DT_NEEDED`), in order.
    pub needed: Vec<String>,
    /// The name others need it by (`DT_SONAME`).
    pub soname: Option<String>,
    /// Folders to search for what it, and what it loads, needs (`DT_RPATH`); `None` where there is a `runpath`.
    pub rpath: Option<String>,
    /// Folders to search for what it needs (`DT_RUNPATH`).
    pub runpath: Option<String>,
    /// Whether default folders are not searched for what it needs (`DF_1_NODEFLIB`).
    pub without_defaults: bool,
    /// The versions of symbols it speaks of, by index: of others' symbols where they name a library.
    pub(super) versions: BTreeMap<u16, Version>,
    pub(super) symbols: Symbols,
    /// The folders that this dynamic linker searches by default, where it is one.
    pub(super) default_folders: Vec<String>,
}

impl Elf {
    /// Reads a file.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for what no dynamic linker could load, with the position.
    pub fn parse(file: &[u8]) -> Result<Self> {
        parse(file).map_err(|fault| Error::corrupt(fault.to_string()).during("read ELF file"))
    }

    /// The versions of symbols that it needs of others: the library's name, the version, and whether it can do without.
    pub fn needed_versions(&self) -> impl Iterator<Item = (&str, &Version)> {
        self.versions.values().filter_map(|version| Some((version.library.as_deref()?, version)))
    }

    /// The names of the versions that it defines, without the one of the file itself.
    pub fn defined_versions(&self) -> impl Iterator<Item = &str> {
        let own = self.versions.values().filter(|version| version.library.is_none() && !version.base);
        own.map(|version| &*version.name)
    }

    /// Whether its symbols have versions.
    #[must_use]
    pub fn is_versioned(&self) -> bool {
        self.versions.values().any(|version| version.library.is_none())
    }

    /// Whether it defines a version of that name.
    pub(super) fn defines_version(&self, name: &str) -> bool {
        self.versions.values().any(|version| version.library.is_none() && version.name == name)
    }

    /// The symbols that others can link to.
    pub fn exports(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.symbols.iter(&self.versions).filter(Symbol::is_export)
    }

    /// The symbols of others that are needed where it runs.
    pub fn imports(&self) -> impl Iterator<Item = Symbol<'_>> {
        self.symbols.iter(&self.versions).filter(|symbol| !symbol.defined && symbol.referenced)
    }
}

fn parse(file: &[u8]) -> Result<Elf, Fault> {
    let (bytes, header) = header(file)?;
    let segments = if matches!(header.kind, EXECUTABLE | SHARED) { segments(&bytes, &header)? } else { Vec::new() };
    let bytes = bytes.mapped(segments.iter().filter(|segment| segment.kind == LOAD).map(Segment::load).collect());
    let mut elf = Elf {
        abi: Abi { machine: header.machine, class: bytes.class, order: bytes.order },
        kind: ElfKind::Static,
        digest: Digest::of(file),
        interpreter: segments.iter().find(|segment| segment.kind == INTERP).map(|it| it.text(&bytes)).transpose()?,
        needed: Vec::new(),
        soname: None,
        rpath: None,
        runpath: None,
        without_defaults: false,
        versions: BTreeMap::new(),
        symbols: Symbols::default(),
        default_folders: Vec::new(),
    };
    if let Some(segment) = segments.iter().find(|segment| segment.kind == DYNAMIC && segment.size > 0) {
        let dynamic = Dynamic::read(&bytes, segment.offset, segment.size)?;
        fill(&mut elf, &bytes, &dynamic, header.kind)?;
        if elf.soname.as_deref().is_some_and(|name| name.starts_with("ld")) {
            elf.default_folders = linker::default_folders(file);
        }
    }
    Ok(elf)
}

fn fill(elf: &mut Elf, bytes: &Bytes<'_>, dynamic: &Dynamic, kind: u16) -> Result<(), Fault> {
    let strings = dynamic.strings(bytes)?;
    let text = |tag| dynamic.value(tag).map(|at| strings.text(at)).transpose();
    for at in dynamic.values(Tag::Needed) {
        elf.needed.push(strings.text(at)?);
    }
    elf.soname = text(Tag::SoName)?;
    elf.runpath = text(Tag::RunPath)?;
    elf.rpath = if elf.runpath.is_none() { text(Tag::RPath)? } else { None };
    let flags = dynamic.value(Tag::Flags1).unwrap_or(0);
    elf.without_defaults = flags & NODEFLIB != 0;
    elf.kind = match (&elf.interpreter, flags & PIE != 0) {
        (None, true) => ElfKind::Static,
        (None, false) if kind == EXECUTABLE => ElfKind::Static,
        (None, false) => ElfKind::Library,
        (Some(_), false) if kind == SHARED && elf.soname.is_some() => ElfKind::Library,
        (Some(_), _) => ElfKind::Program,
    };
    elf.versions = version::read(bytes, dynamic, &strings)?;
    elf.symbols = symbol::read(bytes, dynamic, &strings, elf.abi)?;
    Ok(())
}

struct Header {
    kind: u16,
    machine: u16,
    /// Where the program headers are, how many, and how long each is.
    table: (u64, u16, u16),
}

fn header(file: &[u8]) -> Result<(Bytes<'_>, Header), Fault> {
    if !file.starts_with(MAGIC) {
        return Err(Fault::Odd("the magic", 0));
    }
    let class = match file.get(4) {
        Some(1) => Class::Bits32,
        Some(2) => Class::Bits64,
        _ => return Err(Fault::Odd("the class", 4)),
    };
    let order = match file.get(5) {
        Some(1) => Order::Little,
        Some(2) => Order::Big,
        _ => return Err(Fault::Odd("the byte order", 5)),
    };
    let bytes = Bytes::new(file, class, order);
    let (start, count) = if class == Class::Bits32 { (28, 42) } else { (32, 54) };
    let table = (bytes.word(start)?, bytes.u16(count + 2)?, bytes.u16(count)?);
    let header = Header { kind: bytes.u16(16)?, machine: bytes.u16(18)?, table };
    Ok((bytes, header))
}

/// The kinds of segments.
const LOAD: u32 = 1;
const DYNAMIC: u32 = 2;
const INTERP: u32 = 3;

struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    size: u64,
}

impl Segment {
    fn load(&self) -> bytes::Load {
        bytes::Load { address: self.address, offset: self.offset, size: self.size }
    }

    fn text(&self, bytes: &Bytes<'_>) -> Result<String, Fault> {
        bytes.slice(self.offset, self.size, "the interpreter's name").map(bytes::printable_until_nul)
    }
}

fn segments(bytes: &Bytes<'_>, header: &Header) -> Result<Vec<Segment>, Fault> {
    let (start, count, length) = header.table;
    let least = if bytes.class == Class::Bits32 { 32 } else { 56 };
    if count > 0 && length < least {
        return Err(Fault::Odd("the length of a program header", start));
    }
    (0..u64::from(count)).map(|index| segment(bytes, start.saturating_add(index * u64::from(length)))).collect()
}

fn segment(bytes: &Bytes<'_>, at: u64) -> Result<Segment, Fault> {
    let places = if bytes.class == Class::Bits32 { [4, 8, 16] } else { [8, 16, 32] };
    let [offset, address, size] = places.map(|place| bytes.word(at.saturating_add(place)));
    Ok(Segment { kind: bytes.u32(at)?, offset: offset?, address: address?, size: size? })
}

#[cfg(test)]
mod tests;
