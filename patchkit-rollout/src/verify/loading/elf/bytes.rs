//! Bounded reads, by file offset and by address.

use thiserror::Error;

use super::{Class, Order};

/// What is wrong with a file, and where.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub(super) enum Fault {
    /// It does not make sense.
    #[error("{0} at {1:#x} makes no sense")]
    Odd(&'static str, u64),
    /// It is not in the file.
    #[error("{0} at {1:#x} is not in the file")]
    Outside(&'static str, u64),
}

/// Bytes of the file that are somewhere else in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load {
    pub(super) address: u64,
    pub(super) offset: u64,
    pub(super) size: u64,
}

/// A file's bytes.
#[derive(Clone, Debug)]
pub(super) struct Bytes<'a> {
    pub(super) file: &'a [u8],
    pub(super) class: Class,
    pub(super) order: Order,
    loads: Vec<Load>,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(file: &'a [u8], class: Class, order: Order) -> Self {
        Self { file, class, order, loads: Vec::new() }
    }

    pub(super) fn mapped(self, loads: Vec<Load>) -> Self {
        Self { loads, ..self }
    }

    /// Where in the file an address is: no more than its length, so that sums of it and a few numbers do not overflow.
    pub(super) fn offset(&self, address: u64, what: &'static str) -> Result<u64, Fault> {
        let place = |load: &Load| {
            let inside = address.checked_sub(load.address).filter(|inside| *inside < load.size)?;
            load.offset.checked_add(inside).filter(|at| *at <= self.file.len() as u64)
        };
        self.loads.iter().find_map(place).ok_or(Fault::Outside(what, address))
    }

    pub(super) fn slice(&self, at: u64, length: u64, what: &'static str) -> Result<&'a [u8], Fault> {
        let range = usize::try_from(at).ok().zip(at.checked_add(length).and_then(|end| usize::try_from(end).ok()));
        range.and_then(|(start, end)| self.file.get(start..end)).ok_or(Fault::Outside(what, at))
    }

    fn array<const N: usize>(&self, at: u64) -> Result<[u8; N], Fault> {
        let slice = self.slice(at, N as u64, "a number")?;
        let mut array = [0; N];
        array.copy_from_slice(slice);
        if self.order == Order::Big {
            array.reverse();
        }
        Ok(array)
    }

    pub(super) fn u8(&self, at: u64) -> Result<u8, Fault> {
        self.array(at).map(u8::from_le_bytes)
    }

    pub(super) fn u16(&self, at: u64) -> Result<u16, Fault> {
        self.array(at).map(u16::from_le_bytes)
    }

    pub(super) fn u32(&self, at: u64) -> Result<u32, Fault> {
        self.array(at).map(u32::from_le_bytes)
    }

    pub(super) fn u64(&self, at: u64) -> Result<u64, Fault> {
        self.array(at).map(u64::from_le_bytes)
    }

    /// A number as wide as an address.
    pub(super) fn word(&self, at: u64) -> Result<u64, Fault> {
        match self.class {
            Class::Bits32 => self.u32(at).map(u64::from),
            Class::Bits64 => self.u64(at),
        }
    }

    /// How long an address is.
    pub(super) fn width(&self) -> u64 {
        if self.class == Class::Bits32 { 4 } else { 8 }
    }
}

/// The text before the first NUL.
pub(super) fn printable_until_nul(bytes: &[u8]) -> String {
    printable(bytes.split(|byte| *byte == 0).next().unwrap_or_default())
}

/// The text, with control characters and what is no UTF-8 escaped.
pub(in super::super) fn printable(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}
