//! Scratch space on disk.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

use async_trait::async_trait;
use patchkit_core::{BlobSource, ByteRange, ByteStream, Context, Error, Repository, Result, Scratch, ScratchWriter};

use crate::file::{self, FilePart};

/// How much is collected before it is written to disk.
const BUFFER: usize = 256 << 10;

/// Scratch space in files of a folder that have no name: the system takes them back when they are dropped and when the
/// process is killed, so that nothing is ever left behind.
///
/// ```
/// use std::sync::Arc;
/// use patchkit_core::Context;
/// use patchkit_oci::FolderScratch;
///
/// let cx = Context::new().with_scratch(Arc::new(FolderScratch::temporary()));
/// ```
#[derive(Clone, Debug)]
pub struct FolderScratch(PathBuf);

impl FolderScratch {
    /// Scratch space in a folder, which should have room for the largest layers and not be in memory.
    ///
    /// # Errors
    /// Those of making the folder where it does not exist.
    pub fn new(folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        std::fs::create_dir_all(&folder).map_err(file::on(&folder))?;
        Ok(Self(folder))
    }

    /// Scratch space in the system's folder for temporary files: `TMPDIR` or `/tmp`.
    #[must_use]
    pub fn temporary() -> Self {
        Self(std::env::temp_dir())
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0
    }
}

impl Scratch for FolderScratch {
    fn create(&self) -> Result<Box<dyn ScratchWriter>> {
        let file =
            tempfile::tempfile_in(&self.0).map_err(|error| file::on(&self.0)(error).during("open scratch space"))?;
        Ok(Box::new(FolderWriter(BufWriter::with_capacity(BUFFER, file))))
    }
}

struct FolderWriter(BufWriter<File>);

impl Write for FolderWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ScratchWriter for FolderWriter {
    fn finish(self: Box<Self>) -> Result<Arc<dyn BlobSource>> {
        let file = self.0.into_inner().map_err(|error| unwritten(error.into_error()))?;
        Ok(Arc::new(ScratchFile(FilePart::whole(file).map_err(unwritten)?)))
    }
}

fn unwritten(error: io::Error) -> Error {
    Error::unexpected(format!("cannot keep what was written: {error}")).during("write scratch space").because(error)
}

#[derive(Debug)]
struct ScratchFile(FilePart);

#[async_trait]
impl BlobSource for ScratchFile {
    async fn open(&self, range: ByteRange, cx: &Context) -> Result<ByteStream> {
        Ok(self.0.range(range)?.stream(cx))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}

#[cfg(test)]
mod tests {
    use patchkit_core::ErrorKind;

    use super::*;

    fn written(folder: &Path, bytes: &[u8]) -> Arc<dyn BlobSource> {
        let mut writer = FolderScratch::new(folder).unwrap().create().unwrap();
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    #[tokio::test]
    async fn gives_back_what_was_written_and_parts_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..2_000_003_u32).map(|i| (i % 251) as u8).collect();
        let source = written(folder.path(), &bytes);
        let cx = Context::new();
        assert_eq!(source.open(ByteRange::FULL, &cx).await.unwrap().collect(1 << 30).await.unwrap(), bytes);
        for (start, end) in
            [(0, Some(1)), (1_999_999, None), (524_287, Some(1_048_577)), (7, Some(u64::MAX)), (2_000_003, None)]
        {
            let range = ByteRange { start, end };
            let part = source.open(range, &cx).await.unwrap().collect(1 << 30).await.unwrap();
            let end = end.map_or(bytes.len(), |end| bytes.len().min(usize::try_from(end).unwrap()));
            assert_eq!(part, bytes[usize::try_from(start).unwrap()..end]);
        }
    }

    #[tokio::test]
    async fn a_range_after_the_end_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = written(folder.path(), b"hello");
        let range = ByteRange { start: 6, end: None };
        assert_eq!(source.open(range, &Context::new()).await.unwrap_err().kind(), ErrorKind::Invalid);
    }

    #[test]
    fn the_folder_never_shows_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = FolderScratch::new(folder.path()).unwrap().create().unwrap();
        writer.write_all(&vec![1; 1 << 20]).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let source = writer.finish().unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        drop(source);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let below = file.path().join("scratch");
        let error = FolderScratch::new(&below).unwrap_err();
        assert!(error.to_string().contains("scratch"), "{error}");
    }
}
