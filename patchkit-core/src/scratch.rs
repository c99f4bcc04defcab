//! Space for large intermediate results, such as a layer that is being written.

use std::{fmt, io::Write, sync::Arc};

use crate::{Result, blob::BlobSource};

/// Gives out space to write to once and read many times.
///
/// The memory implementation is [`MemoryScratch`](crate::memory::MemoryScratch); one that writes to a folder lets
/// layers of several gigabytes be made in little memory.
pub trait Scratch: fmt::Debug + Send + Sync {
    /// Opens a new, empty space.
    ///
    /// # Errors
    /// [`Unexpected`](crate::ErrorKind::Unexpected) where none can be made, such as a full disk.
    fn create(&self) -> Result<Box<dyn ScratchWriter>>;
}

/// A space that is being written. Dropped before it is finished, it is given back.
pub trait ScratchWriter: Write + Send {
    /// Ends writing. The space is given back when the source is dropped.
    ///
    /// # Errors
    /// [`Unexpected`](crate::ErrorKind::Unexpected) where what was written cannot be kept.
    fn finish(self: Box<Self>) -> Result<Arc<dyn BlobSource>>;
}
