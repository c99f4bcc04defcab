use std::io;

use super::{MAX_REGIONS, Numbers, Object, Region, Source, text};

const SECTION: usize = 40;
const EXECUTE: u64 = 0x2000_0000;
const WRITE: u64 = 0x8000_0000;

/// Reads the table of sections of a PE file.
pub(super) fn read(source: &mut Source<'_>, head: &[u8]) -> io::Result<Option<Object>> {
    let Some(start) = numbers(head).at(60, 4) else { return Ok(None) };
    let header = source.read(start, 24 + 32)?;
    let Some((optional, count, base)) = counts(&header) else { return Ok(None) };
    let table = source.read(start + 24 + optional, SECTION * count.min(MAX_REGIONS))?;
    let sections: Vec<_> = table.chunks_exact(SECTION).filter_map(|entry| section(entry, base)).collect();
    Ok(Some(Object { segments: sections.clone(), sections }))
}

fn numbers(bytes: &[u8]) -> Numbers<'_> {
    Numbers { bytes, little_endian: true }
}

/// The size of the optional header, the number of sections, and where the image is loaded.
fn counts(header: &[u8]) -> Option<(u64, usize, u64)> {
    if !header.starts_with(b"PE\0\0") {
        return None;
    }
    let numbers = numbers(header);
    let base = match numbers.at(24, 2)? {
        0x10b => numbers.at(24 + 28, 4)?,
        0x20b => numbers.at(24 + 24, 8)?,
        _ => return None,
    };
    Some((numbers.at(20, 2)?, numbers.at(6, 2)? as usize, base))
}

fn section(entry: &[u8], base: u64) -> Option<Region> {
    let numbers = numbers(entry);
    let (memory, file) = (numbers.at(8, 4)?, numbers.at(16, 4)?);
    let flags = numbers.at(36, 4)?;
    Some(Region {
        name: text(&entry[..8]),
        address: base.checked_add(numbers.at(12, 4)?)?,
        offset: numbers.at(20, 4)?,
        // The file's part is padded; some linkers leave the size in memory out.
        size: if memory == 0 { file } else { memory.min(file) },
        is_data: flags & WRITE != 0 && flags & EXECUTE == 0,
    })
}
