//! Numbers and texts as bytes.

use std::sync::Arc;

use thiserror::Error;

/// Bytes that are not what stands there by the format.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("byte {at}: {what} was expected")]
pub(in crate::advisory::store) struct Malformed {
    /// Counted from 0.
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// Writes a number in LEB128, seven bits a byte.
pub(in crate::advisory::store) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    out.push(number.to_le_bytes()[0]);
}

/// Writes bytes with their length in front.
pub(in crate::advisory::store) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(in crate::advisory::store) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_bytes(out, text.as_bytes());
}

/// Writes a text with its length plus one in front, or a zero.
pub(in crate::advisory::store) fn put_optional(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        None => out.push(0),
        Some(text) => {
            put_number(out, text.len() as u64 + 1);
            out.extend_from_slice(text.as_bytes());
        }
    }
}

/// Writes texts with their number in front.
pub(in crate::advisory::store) fn put_list<'a>(out: &mut Vec<u8>, texts: impl ExactSizeIterator<Item = &'a Arc<str>>) {
    put_number(out, texts.len() as u64);
    texts.for_each(|text| put_text(out, text));
}

/// Reads what was written so; every method names what it is after, for the error.
#[derive(Debug)]
pub(in crate::advisory::store) struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

type Decoded<T> = Result<T, Malformed>;

impl<'a> Decoder<'a> {
    pub(in crate::advisory::store) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn at(&self) -> usize {
        self.at
    }

    pub(in crate::advisory::store) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    /// The end, and nothing more.
    pub(in crate::advisory::store) fn end(&self) -> Decoded<()> {
        if self.is_at_end() { Ok(()) } else { Err(self.malformed("the end")) }
    }

    pub(in crate::advisory::store) fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { at: self.at, what }
    }

    pub(super) fn take(&mut self, length: usize, what: &'static str) -> Decoded<&'a [u8]> {
        let taken = self.bytes[self.at..].get(..length).ok_or_else(|| self.malformed(what))?;
        self.at += length;
        Ok(taken)
    }

    pub(in crate::advisory::store) fn byte(&mut self, what: &'static str) -> Decoded<u8> {
        self.take(1, what).map(|byte| byte[0])
    }

    pub(in crate::advisory::store) fn number(&mut self, what: &'static str) -> Decoded<u64> {
        let mut number = 0_u64;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            number |= bits << shift;
            if number >> shift != bits {
                break;
            }
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(self.malformed(what))
    }

    /// A number of things that follow, each of at least one byte.
    pub(in crate::advisory::store) fn count(&mut self, what: &'static str) -> Decoded<usize> {
        let count = self.number(what)?;
        let count = usize::try_from(count).ok().filter(|count| *count <= self.bytes.len() - self.at);
        count.ok_or_else(|| self.malformed(what))
    }

    pub(in crate::advisory::store) fn bytes(&mut self, what: &'static str) -> Decoded<&'a [u8]> {
        let length = self.count(what)?;
        self.take(length, what)
    }

    pub(in crate::advisory::store) fn text(&mut self, what: &'static str) -> Decoded<&'a str> {
        let bytes = self.bytes(what)?;
        self.as_text(bytes, what)
    }

    pub(in crate::advisory::store) fn optional(&mut self, what: &'static str) -> Decoded<Option<&'a str>> {
        let length = self.number(what)?;
        let Some(length) = length.checked_sub(1) else { return Ok(None) };
        let length = usize::try_from(length).map_err(|_| self.malformed(what))?;
        let bytes = self.take(length, what)?;
        self.as_text(bytes, what).map(Some)
    }

    pub(in crate::advisory::store) fn list(&mut self, what: &'static str) -> Decoded<Vec<Arc<str>>> {
        let count = self.count(what)?;
        (0..count).map(|_| self.text(what).map(Arc::from)).collect()
    }

    fn as_text(&self, bytes: &'a [u8], what: &'static str) -> Decoded<&'a str> {
        std::str::from_utf8(bytes).map_err(|_| self.malformed(what))
    }
}
