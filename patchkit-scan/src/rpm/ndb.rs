//! rpm's own container, ndb: `Packages.db`.
//!
//! Source: rpm's `lib/backend/ndb/rpmpkg.c`. Numbers are little-endian. A header of 32 bytes is followed by slots of 16
//! bytes up to the end of the slot pages; a slot names a package's number, and the offset and length of its blob in
//! blocks of 16 bytes. A blob has a head of 16 bytes, a tail of 12 with an Adler-32 sum of all before it, and zeros
//! between its content and its tail.

use std::collections::HashSet;

use super::{DatabaseError, Visit, pages::ByteOrder::Little};

const MAGIC: &[u8] = b"RpmP";
const VERSION: u32 = 0;
const HEADER: usize = 32;
const SLOT_MAGIC: &[u8] = b"Slot";
const SLOT: usize = 16;
const SLOT_PAGE: usize = 4096;
const BLOCK: usize = 16;
const HEAD_MAGIC: &[u8] = b"BlbS";
const HEAD: usize = 16;
const TAIL_MAGIC: &[u8] = b"BlbE";
const TAIL: usize = 12;

/// Shows every header, in the order of the slots.
///
/// # Errors
/// [`DatabaseError`] with the byte of the header, or the slot.
pub(super) fn each(bytes: &[u8], visit: Visit<'_>) -> Result<(), DatabaseError> {
    let slots = slots(bytes)?;
    // Blobs do not overlap, so all of them together are no longer than the file.
    let mut left = bytes.len();
    let mut numbers = HashSet::new();
    for (n, slot) in slots.chunks_exact(SLOT).enumerate() {
        let fail = |problem| DatabaseError::at("slot", n as u64, problem);
        if !slot.starts_with(SLOT_MAGIC) {
            return Err(fail("it does not begin with \"Slot\""));
        }
        let [number, offset, blocks] = [4, 8, 12].map(|at| Little.u32(slot, at).expect("a slot has 16 bytes"));
        if number == 0 {
            continue;
        }
        if !numbers.insert(number) {
            return Err(fail("an earlier slot has its package too"));
        }
        let blob = span(bytes, offset, blocks).ok_or_else(|| fail("its blob goes beyond the file's end"))?;
        left = left.checked_sub(blob.len()).ok_or_else(|| fail("its blob overlaps others"))?;
        let header = content(blob, number).map_err(fail)?;
        visit(header).map_err(|error| error.inside("package", number))?;
    }
    Ok(())
}

/// The slots, after the file's header.
fn slots(bytes: &[u8]) -> Result<&[u8], DatabaseError> {
    let fail = |at: u64, problem| Err(DatabaseError::at("byte", at, problem));
    if bytes.len() < HEADER {
        return fail(bytes.len() as u64, "the file is cut off in its header");
    }
    if !bytes.starts_with(MAGIC) {
        return fail(0, "no database of rpm's format ndb");
    }
    if Little.u32(bytes, 4) != Some(VERSION) {
        return fail(4, "a version of the format that is not known");
    }
    let pages = Little.u32(bytes, 12).expect("it was measured") as usize;
    let end = pages.checked_mul(SLOT_PAGE).filter(|end| *end > 0 && *end <= bytes.len());
    match end {
        Some(end) => Ok(&bytes[HEADER..end]),
        None => fail(12, "the slots go beyond the file's end, or there are none"),
    }
}

fn span(bytes: &[u8], offset: u32, blocks: u32) -> Option<&[u8]> {
    let start = (offset as usize).checked_mul(BLOCK)?;
    let end = (blocks as usize).checked_mul(BLOCK)?.checked_add(start)?;
    bytes.get(start..end)
}

/// The content of a package's blob.
fn content(blob: &[u8], number: u32) -> Result<&[u8], &'static str> {
    if !blob.starts_with(HEAD_MAGIC) || Little.u32(blob, 4) != Some(number) {
        return Err("its blob's head is another");
    }
    let length = Little.u32(blob, 12).ok_or("its blob has no head")?;
    let blocks = (HEAD as u64 + u64::from(length) + TAIL as u64).div_ceil(BLOCK as u64);
    if blocks * BLOCK as u64 != blob.len() as u64 {
        return Err("its blob's length is another");
    }
    let (body, tail) = blob.split_at(blob.len() - TAIL);
    if !tail.ends_with(TAIL_MAGIC) || Little.u32(tail, 4) != Some(length) {
        return Err("its blob's tail is another");
    }
    if Little.u32(tail, 0) != Some(adler32(body)) {
        return Err("its blob's checksum is another");
    }
    Ok(&body[HEAD..HEAD + length as usize])
}

/// The Adler-32 sum (RFC 1950).
fn adler32(bytes: &[u8]) -> u32 {
    /// The most bytes after which the sums still fit into 32 bits.
    const RUN: usize = 5552;
    const MODULUS: u32 = 65521;
    let (mut low, mut high) = (1, 0);
    for run in bytes.chunks(RUN) {
        for byte in run {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % MODULUS, high % MODULUS);
    }
    high << 16 | low
}
