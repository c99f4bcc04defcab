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

    fn insert(&mut self, index: u64) {
        if let Some(word) = usize::try_from(index / 64).ok().and_then(|word| self.bits.get_mut(word)) {
            *word |= 1 << (index % 64);
        }
    }
}

/// The symbols, of `count`, that relocations speak of. `count` symbols are known to be in the file.
pub(super) fn symbols(bytes: &Bytes<'_>, dynamic: &Dynamic, abi: Abi, count: u64) -> Result<Referenced, Fault> {
    let words = usize::try_from(count.div_ceil(64)).map_err(|_| Fault::Odd("the number of symbols", 0))?;
    let mut found = Referenced { all: abi.machine == MIPS, bits: vec![0; words] };
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

fn read_table(
    bytes: &Bytes<'_>,
    address: u64,
    size: u64,
    addends: bool,
    found: &mut Referenced,
) -> Result<(), Fault> {
    let what = "a table of relocations";
    let start = bytes.offset(address, what)?;
    bytes.slice(start, size, what)?;
    let step = bytes.width() * if addends { 3 } else { 2 };
    for index in 0..size / step {
        let info = bytes.word(start + index * step + bytes.width())?;
        let symbol = if bytes.class == Class::Bits32 { info >> 8 } else { info >> 32 };
        if symbol != 0 {
            found.insert(symbol);
        }
    }
    Ok(())
}
