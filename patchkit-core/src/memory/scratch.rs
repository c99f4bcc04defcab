use std::{
    io::{self, Write},
    sync::Arc,
};

use bytes::Bytes;

use crate::{
    Result,
    blob::BlobSource,
    scratch::{Scratch, ScratchWriter},
};

/// Scratch space in memory: as large as what is written to it.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryScratch;

impl Scratch for MemoryScratch {
    fn create(&self) -> Result<Box<dyn ScratchWriter>> {
        Ok(Box::new(MemoryWriter(Vec::new())))
    }
}

struct MemoryWriter(Vec<u8>);

impl Write for MemoryWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl ScratchWriter for MemoryWriter {
    fn finish(self: Box<Self>) -> Result<Arc<dyn BlobSource>> {
        Ok(Arc::new(Bytes::from(self.0)))
    }
}
