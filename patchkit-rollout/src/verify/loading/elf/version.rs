//! Versions of symbols: what a file defines and what it needs.

use std::collections::BTreeMap;

use super::{
    bytes::{Bytes, Fault},
    dynamic::{Dynamic, Strings, Tag},
};

/// The version that the definition of a file has which is the file's own name; a need that can go unmet.
const BASE: u16 = 1;
const WEAK: u16 = 2;
/// The bit that hides a version from those who ask for none.
pub(super) const HIDDEN: u16 = 0x8000;

/// A version of symbols that a file defines or needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// The name: `GLIBC_2.34`.
    pub name: String,
    /// The library it is needed of, as `DT_NEEDED` names it; `None` for a version of the file's own.
    pub library: Option<String>,
    /// Whether the file can do without.
    pub weak: bool,
    /// Whether it is only the name of the file, which no symbol has.
    pub(in super::super) base: bool,
    /// Whether nothing but exactly this version will do.
    pub(in super::super) exact: bool,
}

/// The versions by their index, defined and needed.
pub(super) fn read(
    bytes: &Bytes<'_>,
    dynamic: &Dynamic,
    strings: &Strings<'_>,
) -> Result<BTreeMap<u16, Version>, Fault> {
    let mut versions = BTreeMap::new();
    read_definitions(bytes, dynamic, strings, &mut versions)?;
    read_needs(bytes, dynamic, strings, &mut versions)?;
    Ok(versions)
}

/// The start of a chain of records and how many there are.
fn chain(bytes: &Bytes<'_>, dynamic: &Dynamic, tags: (Tag, Tag)) -> Result<Option<(u64, u64)>, Fault> {
    let Some(address) = dynamic.value(tags.0) else { return Ok(None) };
    let start = bytes.offset(address, "the versions")?;
    Ok(Some((start, dynamic.value(tags.1).unwrap_or(0).min(u64::from(HIDDEN)))))
}

fn read_definitions(
    bytes: &Bytes<'_>,
    dynamic: &Dynamic,
    strings: &Strings<'_>,
    versions: &mut BTreeMap<u16, Version>,
) -> Result<(), Fault> {
    let tags = (Tag::VersionDefinitions, Tag::VersionDefinitionsCount);
    let Some((mut at, count)) = chain(bytes, dynamic, tags)? else { return Ok(()) };
    for _ in 0..count {
        let (flags, index) = (bytes.u16(at + 2)?, bytes.u16(at + 4)? & !HIDDEN);
        let name = after(at, bytes.u32(at + 12)?)?;
        let name = strings.text(bytes.u32(name)?.into())?;
        let base = flags & BASE != 0;
        versions.insert(index, Version { name, library: None, weak: flags & WEAK != 0, base, exact: false });
        match bytes.u32(at + 16)? {
            0 => break,
            next => at = after(at, next)?,
        }
    }
    Ok(())
}

fn read_needs(
    bytes: &Bytes<'_>,
    dynamic: &Dynamic,
    strings: &Strings<'_>,
    versions: &mut BTreeMap<u16, Version>,
) -> Result<(), Fault> {
    let Some((mut at, count)) = chain(bytes, dynamic, (Tag::VersionNeeds, Tag::VersionNeedsCount))? else {
        return Ok(());
    };
    for _ in 0..count {
        let library = bytes.u32(at + 4)?;
        let first = after(at, bytes.u32(at + 8)?)?;
        read_needs_of(bytes, strings, (first, bytes.u16(at + 2)?), library, versions)?;
        match bytes.u32(at + 12)? {
            0 => break,
            next => at = after(at, next)?,
        }
    }
    Ok(())
}

fn read_needs_of(
    bytes: &Bytes<'_>,
    strings: &Strings<'_>,
    (mut at, count): (u64, u16),
    library: u32,
    versions: &mut BTreeMap<u16, Version>,
) -> Result<(), Fault> {
    for _ in 0..count {
        let (flags, index) = (bytes.u16(at + 4)?, bytes.u16(at + 6)?);
        let name = strings.text(bytes.u32(at + 8)?.into())?;
        let (weak, exact) = (flags & WEAK != 0, index & HIDDEN != 0);
        let library = Some(strings.text(library.into())?);
        let version = Version { name, library, weak, base: false, exact };
        if versions.insert(index & !HIDDEN, version).is_some() {
            return Err(Fault::Odd("the index of a version, which is there twice,", at));
        }
        match bytes.u32(at + 12)? {
            0 => break,
            next => at = after(at, next)?,
        }
    }
    Ok(())
}

/// The next record of a chain, which only leads onwards.
fn after(at: u64, distance: u32) -> Result<u64, Fault> {
    // Reads go up to 16 bytes beyond.
    at.checked_add(distance.into()).filter(|next| *next < u64::MAX - 16).ok_or(Fault::Outside("a version", at))
}
