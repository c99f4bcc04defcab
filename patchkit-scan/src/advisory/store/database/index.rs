//! The end of the file: where everything is, and what it hashes to.

use patchkit_core::Digest;

use super::{
    HEADER, MAGIC, TRAILER, VERSION,
    blocks::Blocks,
    error::Fault,
    wire::{Decoder, Malformed, put_bytes, put_number},
};

/// The longest block before compression, in bytes: a key may be as long as a record of an advisory source.
const MAX_BLOCK: u32 = 32 << 20;

/// The bytes of a hash.
const HASH: usize = 32;

#[derive(Debug)]
pub(super) struct Index {
    pub(super) head: Vec<u8>,
    pub(super) blocks: Vec<Block>,
    pub(super) facts: Vec<u8>,
    /// Of head and blocks.
    pub(super) digest: Digest,
}

/// Where a block is and what is in it.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) first: Box<[u8]>,
    /// Whether the value of the first key began in the block before.
    pub(super) continues: bool,
    pub(super) offset: u64,
    /// The length as it is stored, in bytes.
    pub(super) stored: u32,
    /// The length before compression, in bytes.
    pub(super) raw: u32,
    pub(super) hash: [u8; HASH],
}

impl Index {
    pub(super) fn read(blocks: &Blocks) -> Result<Self, Fault> {
        let length = blocks.len();
        check_header(&blocks.read(0, HEADER.min(usize::try_from(length).unwrap_or(HEADER)))?)?;
        let start = length.checked_sub(TRAILER as u64).filter(|start| *start >= HEADER as u64);
        let start = start.ok_or(Fault::CutOff(length))?;
        let trailer = blocks.read(start, TRAILER)?;
        let (numbers, rest) = trailer.split_at(24);
        let (hash, magic) = rest.split_at(HASH);
        if magic != MAGIC {
            return Err(Fault::CutOff(length));
        }
        let number = |n: usize| u64::from_le_bytes(std::array::from_fn(|byte| numbers[n * 8 + byte]));
        let (at, size, content) = (number(0), number(1), number(2));
        if at < HEADER as u64 || at.checked_add(size) != Some(start) || content > size {
            return Err(Fault::Hash);
        }
        let bytes = blocks.read(at, usize::try_from(size).map_err(|_| Fault::Hash)?)?;
        if Digest::of(&bytes).bytes() != hash {
            return Err(Fault::Hash);
        }
        Self::parse(&bytes, at, usize::try_from(content).map_err(|_| Fault::Hash)?).map_err(Fault::Index)
    }

    fn parse(bytes: &[u8], end: u64, content: usize) -> Result<Self, Malformed> {
        let mut decoder = Decoder::new(bytes);
        let head = decoder.bytes("the head")?.to_vec();
        let mut blocks: Vec<Block> = Vec::new();
        let mut offset = HEADER as u64;
        for _ in 0..decoder.count("the number of blocks")? {
            let block = Block::parse(&mut decoder, offset)?;
            if blocks
                .last()
                .is_some_and(|last| last.first > block.first || (last.first == block.first && !block.continues))
            {
                return Err(decoder.malformed("a later key"));
            }
            offset += u64::from(block.stored);
            blocks.push(block);
        }
        if offset != end || decoder.at() != content {
            return Err(decoder.malformed("the place of the index"));
        }
        let facts = decoder.bytes("the facts")?.to_vec();
        decoder.end()?;
        Ok(Self { head, blocks, facts, digest: Digest::of(&bytes[..content]) })
    }

    /// The first block that may have a piece of the key's value.
    pub(super) fn start(&self, key: &[u8]) -> usize {
        let at = self.blocks.partition_point(|block| *block.first < *key);
        let begins = self.blocks.get(at).is_some_and(|block| *block.first == *key && !block.continues);
        if begins { at } else { at.saturating_sub(1) }
    }

    /// The index and the trailer of a file whose blocks end at `end`.
    pub(super) fn encode(head: &[u8], blocks: &[Block], facts: &[u8], end: u64) -> Vec<u8> {
        let mut out = Vec::new();
        put_bytes(&mut out, head);
        put_number(&mut out, blocks.len() as u64);
        blocks.iter().for_each(|block| block.encode(&mut out));
        let content = out.len();
        put_bytes(&mut out, facts);
        seal(&mut out, end, content);
        out
    }
}

impl Block {
    fn parse(decoder: &mut Decoder<'_>, offset: u64) -> Result<Self, Malformed> {
        let first = decoder.bytes("a key")?.into();
        let continues = match decoder.byte("a mark")? {
            0 => false,
            1 => true,
            _ => return Err(decoder.malformed("a mark")),
        };
        let mut length = || {
            let length = decoder.number("a length")?;
            u32::try_from(length)
                .ok()
                .filter(|length| *length <= MAX_BLOCK)
                .ok_or_else(|| decoder.malformed("a length"))
        };
        let (stored, raw) = (length()?, length()?);
        let hash = decoder.take(HASH, "a hash")?;
        Ok(Self { first, continues, offset, stored, raw, hash: std::array::from_fn(|n| hash[n]) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Self { first, continues, offset: _, stored, raw, hash } = self;
        put_bytes(out, first);
        out.push(u8::from(*continues));
        put_number(out, u64::from(*stored));
        put_number(out, u64::from(*raw));
        out.extend(hash);
    }
}

/// Writes the trailer of an index that starts at `at`, whose head and blocks have `content` bytes.
pub(super) fn seal(index: &mut Vec<u8>, at: u64, content: usize) {
    let hash = Digest::of(&*index);
    let numbers = [at, index.len() as u64, content as u64];
    numbers.iter().for_each(|number| index.extend(number.to_le_bytes()));
    index.extend(hash.bytes());
    index.extend(MAGIC);
}

/// The bytes that the file starts with.
pub(super) fn header() -> Vec<u8> {
    [&MAGIC[..], &VERSION.to_le_bytes(), &[0; 4]].concat()
}

fn check_header(bytes: &[u8]) -> Result<(), Fault> {
    let Some(rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(Fault::Magic);
    };
    let Ok(numbers) = <[u8; 8]>::try_from(rest) else {
        return Err(Fault::CutOff(bytes.len() as u64));
    };
    // The second number is of no use yet: what sets it must be newer.
    match u64::from_le_bytes(numbers) {
        version if version == u64::from(VERSION) => Ok(()),
        other => Err(Fault::Version(other)),
    }
}
