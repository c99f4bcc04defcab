//! Which symbols relocations speak of: a dynamic linker looks for these, and for no others.

use super::{
    Abi, Class,
    bytes::{Bytes, Fault},
    dynamic::{Dynamic, Tag},
};

/// `EM_MIPS`, where the table of addresses refers to symbols without relocations.
const MIPS: u16 = 8;
/// The value of `DT_PLTREL` that says that jump relocations have addends.
const WITH_ADDENDS: u64 = 7;
/// How long a symbol is at least.
const SHORTEST_SYMBOL: u64 = 16;

/// A set of symbols' indices.
#[derive(Debug)]
pub(super) struct Referenced {
    all: bool,
    bits: Vec<u64>,
}

impl Referenced {
    pub(super) fn contains(&self, index: u64) -> bool {
        let word = usize::try_from(index / 64).ok().and_then(|word| self.bits.get(word));
        self.all || word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }

    /// One more than the highest.
    pub(super) fn end(&self) -> u64 {
        let last = self.bits.last().map_or(0, |word| 64 - u64::from(word.leading_zeros()));
        (self.bits.len() as u64).saturating_sub(1) * 64 + last
    }

    /// The index of a symbol that is known to be no more than the file could have.
    fn insert(&mut self, index: u64) {
        let word = usize::try_from(index / 64).expect("a file has fewer symbols");
        if word >= self.bits.len() {
            self.bits.resize(word + 1, 0);
        }
        self.bits[word] |= 1 << (index % 64);
    }
}

/// The symbols that relocations speak of.
pub(super) fn symbols(bytes: &Bytes<'_>, dynamic: &Dynamic, abi: Abi) -> Result<Referenced, Fault> {
    let mut found = Referenced { all: abi.machine == MIPS, bits: Vec::new() };
    if found.all {
        return Ok(found);
    }
    let jumps_with_addends = dynamic.value(Tag::JumpRelocationsKind) == Some(WITH_ADDENDS);
    let tables = [
        (Tag::Rel, Tag::RelSize, false),
        (Tag::Rela, Tag::RelaSize, true),
        (Tag::JumpRelocations, Tag::JumpRelocationsSize, jumps_with_addends),
    ];
    for (table, size, addends) in tables {
        let (Some(address), Some(size)) = (dynamic.value(table), dynamic.value(size)) else { continue };
        if size > 0 {
            read_table(bytes, address, size, addends, &mut found)?;
        }
    }
    Ok(found)
}

fn read_table(bytes: &Bytes<'_>, address: u64, size: u64, addends: bool, found: &mut Referenced) -> Result<(), Fault> {
    let what = "a table of relocations";
    let start = bytes.offset(address, what)?;
    bytes.slice(start, size, what)?;
    let step = bytes.width() * if addends { 3 } else { 2 };
    let most = bytes.file.len() as u64 / SHORTEST_SYMBOL;
    for at in (0..size / step).map(|index| start + index * step) {
        let info = bytes.word(at + bytes.width())?;
        match if bytes.class == Class::Bits32 { info >> 8 } else { info >> 32 } {
            0 => {}
            symbol if symbol < most => found.insert(symbol),
            _ => return Err(Fault::Odd("the symbol of a relocation", at)),
        }
    }
    Ok(())
}
