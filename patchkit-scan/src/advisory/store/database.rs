//! The file that compiled advisories lie in: a sorted table of keys and values, read in place.
//!
//! ```text
//! magic (8 bytes) · format version (u32) · zero (u32)
//! blocks, one after the other, each compressed with zstd
//! index:   head · for each block its first key, lengths and SHA-256 · facts
//! trailer: where the index starts, its length, the length of head and blocks (u64 each) · SHA-256 of the index · magic
//! ```
//! Numbers of fixed width are little endian, those inside of blocks and index are LEB128; texts have their length in
//! front. A block has entries of key and value in the order of the keys, up to [`BLOCK`] bytes before compression. A
//! value that does not fit goes on in the next blocks, under the same key.
//!
//! The index holds the hash of every block, so its own hash speaks for the whole file: opening checks the index alone,
//! and each block is checked when it is read. Head and facts are the [store](super::AdvisoryStore)'s own: what belongs
//! to the content and counts for the [digest](Table::digest), and what was noted along with it and does not. The same
//! entries make the same bytes.
//!
//! Blocks are read by position and not mapped into memory, so that another process that cuts the file off causes an
//! error and not a signal. A file that is replaced while it is open stays readable.

mod blocks;
mod error;
mod index;
mod wire;
mod writer;

use std::{
    fs::File,
    io::{Read, Write},
    path::Path,
    sync::Arc,
};

use patchkit_core::{Digest, Error, Result};
use tempfile::NamedTempFile;

use blocks::Blocks;
use error::{DatabaseError, Fault};
use index::Index;

pub(super) use wire::{Decoder, Malformed, put_list, put_number, put_optional, put_text};
pub(super) use writer::Writer;

/// What such a file starts and ends with: no text, and damaged by whoever converts line ends.
const MAGIC: [u8; 8] = *b"\x89PKDB\r\n\x1a";

/// The version of the format that is written, and the only one that is read.
const VERSION: u32 = 1;

/// The bytes before the first block.
const HEADER: usize = 16;

/// The bytes after the index.
const TRAILER: usize = 64;

/// How many bytes of entries a block has before compression. Only a key that is longer makes a longer block.
const BLOCK: usize = 32 << 10;

/// The longest value that is read, in bytes. Of real ones, the longest are those of the Linux kernel, with some MB.
const MAX_VALUE: usize = 256 << 20;

/// A table in a file or in memory. Sharing it between threads is fine: none waits for another's reading.
#[derive(Debug)]
pub(super) struct Table {
    blocks: Blocks,
    index: Index,
}

/// Whether a file has the form of a table, by its first bytes. What cannot be read has not.
pub(super) fn is_table(path: &Path) -> bool {
    let mut start = [0; MAGIC.len()];
    path.is_file() && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == MAGIC
}

/// A file without blocks of the given index, hashed well; head and blocks are its first `content` bytes.
pub(super) fn sealed(index: &[u8], content: usize) -> Vec<u8> {
    let mut sealed = index.to_vec();
    index::seal(&mut sealed, HEADER as u64, content);
    [index::header(), sealed].concat()
}

impl Table {
    /// Opens a file and checks its index.
    ///
    /// # Errors
    /// `Corrupt` where it is cut off or altered, `Unsupported` for another version of the format; both name the file.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name: Arc<str> = path.display().to_string().into();
        let blocks = File::open(path).and_then(Blocks::of_file);
        let located = |fault: Fault| DatabaseError::new(&name, fault).into();
        Self::new(blocks.map_err(|error| located(error.into()))?.named(&name)).map_err(located)
    }

    /// The table that these bytes are.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(super) fn of_bytes(bytes: Vec<u8>) -> Result<Self> {
        let name: Arc<str> = "advisories in memory".into();
        Self::new(Blocks::of_bytes(bytes).named(&name)).map_err(|fault| DatabaseError::new(&name, fault).into())
    }

    fn new(blocks: Blocks) -> Result<Self, Fault> {
        let index = Index::read(&blocks)?;
        Ok(Self { blocks, index })
    }

    /// The identity of head and entries.
    pub(super) fn digest(&self) -> Digest {
        self.index.digest
    }

    pub(super) fn head(&self) -> &[u8] {
        &self.index.head
    }

    pub(super) fn facts(&self) -> &[u8] {
        &self.index.facts
    }

    /// How many bytes the whole file has.
    pub(super) fn len(&self) -> u64 {
        self.blocks.len()
    }

    /// That something in it is not what stands there by the format, as an error that names the file.
    pub(super) fn malformed(&self, what: &str, malformed: Malformed) -> Error {
        self.error(Fault::Record(what.into(), malformed))
    }

    /// That it has another number of claims than it says.
    pub(super) fn miscounted(&self, said: usize, found: usize) -> Error {
        self.error(Fault::Count { said, found })
    }

    /// That something in it has another name by now.
    pub(super) fn outdated(&self, what: &impl std::fmt::Display) -> Error {
        self.error(Fault::Outdated(what.to_string()))
    }

    fn error(&self, fault: Fault) -> Error {
        DatabaseError::new(self.blocks.name(), fault).into()
    }

    /// The value of a key.
    ///
    /// # Errors
    /// `Corrupt` naming file and block where a block is not what the index says.
    pub(super) fn find(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut found: Option<Vec<u8>> = None;
        for number in self.index.start(key)..self.index.blocks.len() {
            if *self.index.blocks[number].first > *key {
                break;
            }
            self.entries(number, |entry, piece| {
                if entry == key {
                    found.get_or_insert_default().extend(piece);
                }
                match &found {
                    Some(value) if value.len() > MAX_VALUE => Err(Fault::Long(number)),
                    _ => Ok(entry <= key),
                }
            })?;
        }
        Ok(found)
    }

    /// Gives out every entry, in the order of the keys.
    ///
    /// # Errors
    /// As [`find`](Self::find), and what `each` gives.
    pub(super) fn walk(&self, mut each: impl FnMut(&[u8], &[u8]) -> Result<()>) -> Result<()> {
        let mut last: Option<(Vec<u8>, Vec<u8>)> = None;
        let mut whole = Vec::new();
        for number in 0..self.index.blocks.len() {
            self.entries(number, |key, piece| {
                match &mut last {
                    Some((same, value)) if same == key => value.extend(piece),
                    _ => whole.extend(last.replace((key.to_vec(), piece.to_vec()))),
                }
                let long = last.as_ref().is_some_and(|(_, value)| value.len() > MAX_VALUE);
                if long { Err(Fault::Long(number)) } else { Ok(true) }
            })?;
            whole.drain(..).try_for_each(|(key, value)| each(&key, &value))?;
        }
        last.iter().try_for_each(|(key, value)| each(key, value))
    }

    /// Gives out the entries of a block, as long as the answer is yes.
    fn entries(&self, number: usize, mut each: impl FnMut(&[u8], &[u8]) -> Result<bool, Fault>) -> Result<()> {
        let block = &self.index.blocks[number];
        let located = |fault| self.error(fault);
        let bytes = self.blocks.load(number, block).map_err(located)?;
        let malformed = |malformed| located(Fault::Entry(number, malformed));
        let mut entries = Decoder::new(&bytes);
        while !entries.is_at_end() {
            let key = entries.bytes("a key").map_err(malformed)?;
            let piece = entries.bytes("a value").map_err(malformed)?;
            if !each(key, piece).map_err(located)? {
                break;
            }
        }
        Ok(())
    }

    /// Writes the table to a file, which is there as a whole or not at all.
    ///
    /// # Errors
    /// `Denied`, `NotFound` or `Unexpected` naming the file, and `Corrupt` where the table itself cannot be read.
    pub(super) fn write(&self, path: &Path) -> Result<()> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let located = |error: std::io::Error| DatabaseError::new(&path.display().to_string().into(), error.into());
        let mut file = NamedTempFile::new_in(parent).map_err(located)?;
        let mut at = 0;
        while at < self.len() {
            let piece = self.blocks.piece(at).map_err(|fault| self.error(fault))?;
            file.write_all(&piece).map_err(located)?;
            at += piece.len() as u64;
        }
        set_readable(file.as_file()).and_then(|()| file.as_file().sync_all()).map_err(located)?;
        file.persist(path).map_err(|error| located(error.error))?;
        Ok(File::open(parent).and_then(|folder| folder.sync_all()).map_err(located)?)
    }
}

/// Lets everyone read the file, as other programs' files are; a temporary file is its owner's alone.
fn set_readable(file: &File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests;
