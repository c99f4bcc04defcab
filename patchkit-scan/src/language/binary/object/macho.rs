use std::io;

use super::{MAX_OBJECTS, MAX_REGIONS, Numbers, Object, Region, Source, text};

const LC_SEGMENT: u64 = 0x1;
const LC_SEGMENT_64: u64 = 0x19;
const WRITE: u64 = 2;
const EXECUTE: u64 = 4;

/// The most bytes of load commands that are read. Real ones have some KiB.
const MAX_COMMANDS: u64 = 4 << 20;

/// Reads the objects of a universal binary.
pub(super) fn read_universal(source: &mut Source<'_>) -> io::Result<Vec<Object>> {
    let head = source.read(0, 8 + MAX_OBJECTS as usize * 32)?;
    let numbers = Numbers { bytes: &head, little_endian: false };
    let (size, word) = if head.get(3) == Some(&0xbf) { (32, 8) } else { (20, 4) };
    let count = numbers.at(4, 4).unwrap_or_default().min(MAX_OBJECTS.into()) as usize;
    let mut objects = Vec::new();
    for index in 0..count {
        if let Some(offset) = numbers.at(8 + index * size + 8, word) {
            objects.extend(read(source, offset)?);
        }
    }
    Ok(objects)
}

/// Reads the load commands of the object that starts at a place of the file.
pub(super) fn read(source: &mut Source<'_>, start: u64) -> io::Result<Option<Object>> {
    let head = source.read(start, 32)?;
    let Some(layout) = Layout::of(&head) else { return Ok(None) };
    let numbers = Numbers { bytes: &head, little_endian: layout.little_endian };
    let Some((count, size)) = numbers.at(16, 4).zip(numbers.at(20, 4)) else { return Ok(None) };
    let commands = source.read(start.saturating_add(layout.header()), size.min(MAX_COMMANDS) as usize)?;
    let mut object = Object::default();
    let mut rest = &commands[..];
    for _ in 0..count {
        let numbers = layout.numbers(rest);
        let Some((kind, size)) = numbers.at(0, 4).zip(numbers.at(4, 4)) else { break };
        let Some((command, tail)) = rest.split_at_checked(size as usize).filter(|_| size >= 8) else { break };
        if kind == layout.segment_command() {
            layout.segment(command, start, &mut object);
        }
        rest = tail;
    }
    Ok(Some(object))
}

#[derive(Clone, Copy)]
struct Layout {
    is_64: bool,
    little_endian: bool,
}

impl Layout {
    fn of(head: &[u8]) -> Option<Self> {
        let (is_64, little_endian) = match head.get(..4)? {
            [0xfe, 0xed, 0xfa, 0xce] => (false, false),
            [0xfe, 0xed, 0xfa, 0xcf] => (true, false),
            [0xce, 0xfa, 0xed, 0xfe] => (false, true),
            [0xcf, 0xfa, 0xed, 0xfe] => (true, true),
            _ => return None,
        };
        Some(Self { is_64, little_endian })
    }

    fn numbers(self, bytes: &[u8]) -> Numbers<'_> {
        Numbers { bytes, little_endian: self.little_endian }
    }

    fn header(self) -> u64 {
        if self.is_64 { 32 } else { 28 }
    }

    fn segment_command(self) -> u64 {
        if self.is_64 { LC_SEGMENT_64 } else { LC_SEGMENT }
    }

    fn word(self) -> usize {
        if self.is_64 { 8 } else { 4 }
    }

    /// Adds a segment and its sections, whose places are counted from the object's start.
    fn segment(self, command: &[u8], start: u64, object: &mut Object) -> Option<()> {
        let (numbers, word) = (self.numbers(command), self.word());
        let after = 24 + 4 * word;
        let protection = numbers.at(after + 4, 4)?;
        let segment = Region {
            name: String::new(),
            address: numbers.at(24, word)?,
            offset: start.checked_add(numbers.at(24 + 2 * word, word)?)?,
            size: numbers.at(24 + 3 * word, word)?,
            is_data: protection & WRITE != 0 && protection & EXECUTE == 0,
        };
        object.segments.push(segment);
        let size = if self.is_64 { 80 } else { 68 };
        let sections = command.get(after + 16..)?.chunks_exact(size).take(numbers.at(after + 8, 4)? as usize);
        let room = MAX_REGIONS.saturating_sub(object.sections.len());
        object.sections.extend(sections.filter_map(|entry| self.section(entry, start)).take(room));
        Some(())
    }

    fn section(self, entry: &[u8], start: u64) -> Option<Region> {
        let (numbers, word) = (self.numbers(entry), self.word());
        Some(Region {
            name: text(&entry[..16]),
            address: numbers.at(32, word)?,
            offset: start.checked_add(numbers.at(32 + 2 * word, 4)?)?,
            size: numbers.at(32 + word, word)?,
            is_data: false,
        })
    }
}
