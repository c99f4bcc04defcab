//! The write-ahead log: pages that are newer than those in the file.
//!
//! The log is as long as it is sound, as SQLite has it: what follows the first frame with another salt or checksum, or
//! the last frame that ends a transaction, was not written whole and does not count.

use std::collections::HashMap;

use super::super::pages::ByteOrder::{self, Big, Little};

const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;
const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The pages that count.
#[derive(Default)]
pub(super) struct Log<'a> {
    pages: HashMap<u32, &'a [u8]>,
    /// How many pages the database has after the last transaction.
    length: Option<u32>,
}

impl<'a> Log<'a> {
    /// Reads a log; one whose header is not sound, or that is for pages of another size, has no pages.
    pub(super) fn read(bytes: &'a [u8], page_size: usize) -> Self {
        let mut log = Self::default();
        let Some((header, frames)) = bytes.split_at_checked(HEADER) else { return log };
        let Some(mut sum) = checked(header, page_size) else { return log };
        let mut open = Vec::new();
        for frame in frames.chunks_exact(FRAME_HEADER + page_size) {
            let (head, page) = frame.split_at(FRAME_HEADER);
            sum = sum.add(&head[..8]).add(page);
            if head[8..16] != header[16..24] || !sum.is(&head[16..]) {
                break;
            }
            let [number, length] = [0, 4].map(|at| Big.u32(head, at).expect("it was measured"));
            open.push((number, page));
            if length > 0 {
                log.pages.extend(open.drain(..));
                log.length = Some(length);
            }
        }
        log
    }

    /// How many pages the database has, if the log says so.
    pub(super) fn pages(&self) -> Option<u32> {
        self.length
    }

    /// How many pages the log has.
    pub(super) fn frames(&self) -> usize {
        self.pages.len()
    }

    /// The newest content of a page.
    pub(super) fn page(&self, number: u32) -> Option<&'a [u8]> {
        self.pages.get(&number).copied()
    }
}

/// The checksum of a sound header.
fn checked(header: &[u8], page_size: usize) -> Option<Checksum> {
    let magic = Big.u32(header, 0)?;
    let order = if magic & 1 == 0 { Little } else { Big };
    let sum = Checksum { order, first: 0, second: 0 }.add(&header[..24]);
    let is_sound = magic & !1 == MAGIC
        && Big.u32(header, 4) == Some(VERSION)
        && Big.u32(header, 8).is_some_and(|size| size as usize == page_size)
        && sum.is(&header[24..]);
    is_sound.then_some(sum)
}

#[derive(Clone, Copy)]
struct Checksum {
    order: ByteOrder,
    first: u32,
    second: u32,
}

impl Checksum {
    fn add(mut self, bytes: &[u8]) -> Self {
        for pair in bytes.chunks_exact(8) {
            let [first, second] = [0, 4].map(|at| self.order.u32(pair, at).expect("a pair has eight bytes"));
            self.first = self.first.wrapping_add(first).wrapping_add(self.second);
            self.second = self.second.wrapping_add(second).wrapping_add(self.first);
        }
        self
    }

    fn is(self, stored: &[u8]) -> bool {
        [self.first, self.second].map(Some) == [0, 4].map(|at| Big.u32(stored, at))
    }
}
