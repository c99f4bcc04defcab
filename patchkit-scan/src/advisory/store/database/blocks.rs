//! Blocks as they are read: by position, checked, decompressed, and kept as long as there is room.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io,
    os::unix::fs::FileExt,
    sync::{Arc, Mutex, PoisonError},
};

use patchkit_core::Digest;
use zstd::bulk::Decompressor;

use super::{error::Fault, index::Block};

/// How many bytes of decompressed blocks are kept.
const KEPT: usize = 8 << 20;

/// How many bytes are copied at once.
const PIECE: u64 = 1 << 20;

/// A table's bytes, and the blocks that were read last.
pub(super) struct Blocks {
    name: Arc<str>,
    bytes: Bytes,
    length: u64,
    kept: Mutex<Kept>,
    idle: Mutex<Vec<Decompressor<'static>>>,
}

enum Bytes {
    File(File),
    Memory(Vec<u8>),
}

impl Blocks {
    pub(super) fn of_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok(Self::new(Bytes::File(file), metadata.len()))
    }

    pub(super) fn of_bytes(bytes: Vec<u8>) -> Self {
        let length = bytes.len() as u64;
        Self::new(Bytes::Memory(bytes), length)
    }

    fn new(bytes: Bytes, length: u64) -> Self {
        Self { name: "".into(), bytes, length, kept: Mutex::default(), idle: Mutex::default() }
    }

    pub(super) fn named(self, name: &Arc<str>) -> Self {
        Self { name: name.clone(), ..self }
    }

    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// A stretch of the bytes, which must lie inside of them.
    pub(super) fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        match &self.bytes {
            Bytes::File(file) => {
                let mut buffer = vec![0; length];
                file.read_exact_at(&mut buffer, offset)?;
                Ok(buffer)
            }
            Bytes::Memory(bytes) => {
                let start = usize::try_from(offset).ok().and_then(|start| bytes.get(start..)?.get(..length));
                start.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
            }
        }
    }

    /// Some of the bytes from an offset on, at most up to the end.
    pub(super) fn piece(&self, offset: u64) -> Result<Vec<u8>, Fault> {
        let length = (self.length - offset).min(PIECE);
        Ok(self.read(offset, usize::try_from(length).expect("a piece is small"))?)
    }

    /// The entries of a block, checked.
    pub(super) fn load(&self, number: usize, block: &Block) -> Result<Arc<[u8]>, Fault> {
        if let Some(bytes) = lock(&self.kept).find(number) {
            return Ok(bytes);
        }
        let stored = self.read(block.offset, block.stored as usize)?;
        if Digest::of(&stored).bytes() != block.hash {
            return Err(Fault::Block(number));
        }
        let idle = lock(&self.idle).pop();
        let mut decompressor = idle.map_or_else(Decompressor::new, Ok)?;
        let raw = decompressor.decompress(&stored, block.raw as usize);
        lock(&self.idle).push(decompressor);
        let raw = raw.map_err(|error| Fault::Compression(number, error))?;
        if raw.len() != block.raw as usize {
            return Err(Fault::Block(number));
        }
        let raw: Arc<[u8]> = raw.into();
        lock(&self.kept).keep(number, &raw);
        Ok(raw)
    }
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").field("name", &self.name).field("length", &self.length).finish_non_exhaustive()
    }
}

/// What is behind these locks is whole after every step, so a panic of another thread does no harm to it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The blocks that were used last.
#[derive(Default)]
struct Kept {
    blocks: BTreeMap<usize, (u64, Arc<[u8]>)>,
    /// The numbers of blocks by when they were used.
    order: BTreeMap<u64, usize>,
    bytes: usize,
    time: u64,
}

impl Kept {
    fn find(&mut self, number: usize) -> Option<Arc<[u8]>> {
        let (used, bytes) = self.blocks.get_mut(&number)?;
        self.time += 1;
        self.order.remove(used);
        self.order.insert(self.time, number);
        *used = self.time;
        Some(bytes.clone())
    }

    fn keep(&mut self, number: usize, bytes: &Arc<[u8]>) {
        if bytes.len() > KEPT || self.blocks.contains_key(&number) {
            return;
        }
        while self.bytes + bytes.len() > KEPT {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            let freed = self.blocks.remove(&oldest);
            self.bytes -= freed.map_or(0, |(_, bytes)| bytes.len());
        }
        self.time += 1;
        self.bytes += bytes.len();
        self.order.insert(self.time, number);
        self.blocks.insert(number, (self.time, bytes.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept_and_no_more_than_there_is_room_for() {
        let mut kept = Kept::default();
        let block: Arc<[u8]> = vec![0; KEPT / 4].into();
        for number in 0..4 {
            kept.keep(number, &block);
        }
        assert!(kept.find(0).is_some());
        kept.keep(4, &block);
        let held: Vec<_> = kept.blocks.keys().copied().collect();
        assert_eq!((held, kept.bytes, kept.order.len()), (vec![0, 2, 3, 4], KEPT, 4));
        kept.keep(5, &vec![0; KEPT + 1].into());
        assert!(kept.find(5).is_none());
    }
}
