//! Entries in, a table out.

use patchkit_core::Digest;
use zstd::bulk::Compressor;

use super::{
    BLOCK,
    index::{Block, Index, header},
    wire::put_bytes,
};

/// How hard zstd tries. More makes building slower, and reading no faster.
const LEVEL: i32 = 6;

/// The longest that the length of a piece is written.
const LENGTH: usize = 5;

/// Makes the bytes of a table out of entries, which come in the order of their keys.
pub(in crate::advisory::store) struct Writer {
    out: Vec<u8>,
    blocks: Vec<Block>,
    /// The first key of the open block, and whether its value began before.
    first: Option<(Box<[u8]>, bool)>,
    open: Vec<u8>,
    compressor: Compressor<'static>,
}

impl Writer {
    pub(in crate::advisory::store) fn new() -> Self {
        let compressor = Compressor::new(LEVEL).expect("the level exists");
        Self { out: header(), blocks: Vec::new(), first: None, open: Vec::with_capacity(BLOCK), compressor }
    }

    /// Adds an entry, whose key is greater than all before.
    pub(in crate::advisory::store) fn put(&mut self, key: &[u8], value: &[u8]) {
        let overhead = key.len() + 2 * LENGTH;
        if self.open.len() + overhead + value.len() > BLOCK {
            self.close();
        }
        let (mut rest, mut continues) = (value, false);
        loop {
            // A piece is never nothing, however long the key is.
            let room = BLOCK.saturating_sub(self.open.len() + overhead).max(BLOCK / 2);
            let (piece, more) = rest.split_at(room.min(rest.len()));
            self.first.get_or_insert_with(|| (key.into(), continues));
            put_bytes(&mut self.open, key);
            put_bytes(&mut self.open, piece);
            if more.is_empty() {
                return;
            }
            self.close();
            (rest, continues) = (more, true);
        }
    }

    fn close(&mut self) {
        let Some((first, continues)) = self.first.take() else { return };
        let stored = self.compressor.compress(&self.open).expect("the room suffices for any input");
        let digest = Digest::of(&stored);
        let hash = std::array::from_fn(|n| digest.bytes()[n]);
        let length = |bytes: &[u8]| u32::try_from(bytes.len()).expect("a key is no longer than a record");
        self.blocks.push(Block {
            first,
            continues,
            offset: self.out.len() as u64,
            stored: length(&stored),
            raw: length(&self.open),
            hash,
        });
        self.out.extend(stored);
        self.open.clear();
    }

    /// The bytes of the table.
    pub(in crate::advisory::store) fn finish(mut self, head: &[u8], facts: &[u8]) -> Vec<u8> {
        self.close();
        let end = self.out.len() as u64;
        self.out.extend(Index::encode(head, &self.blocks, facts, end));
        self.out
    }
}
