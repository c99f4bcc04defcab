//! How much memory a large image takes, as the kernel counts it. Alone in its file, so that nothing else counts.
#![allow(clippy::unwrap_used)]

use std::{
    io::{self, Read},
    sync::Arc,
};

use patchkit_core::{
    BlobSource, ByteRange, ByteStream, Context, Image, Layer, Repository, Result, Scratch, ScratchWriter,
    image::{Compression, FilePath, LayerWriter, Metadata},
};

/// The most memory that this process had so far, in MiB.
fn peak() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib >> 10)
}

/// Scratch space on disk, as a tool has it.
#[derive(Debug)]
struct Folder(tempfile::TempDir);

struct Writer(std::fs::File);

#[derive(Debug)]
struct OnDisk(std::fs::File);

impl Scratch for Folder {
    fn create(&self) -> Result<Box<dyn ScratchWriter>> {
        Ok(Box::new(Writer(tempfile::tempfile_in(self.0.path()).unwrap())))
    }
}

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl ScratchWriter for Writer {
    fn finish(self: Box<Self>) -> Result<Arc<dyn BlobSource>> {
        Ok(Arc::new(OnDisk(self.0)))
    }
}

#[async_trait::async_trait]
impl BlobSource for OnDisk {
    async fn open(&self, _: ByteRange, _: &Context) -> Result<ByteStream> {
        let mut file = self.0.try_clone().unwrap();
        io::Seek::rewind(&mut file).unwrap();
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; 1 << 20];
            let read = file.read(&mut piece).unwrap();
            piece.truncate(read);
            (read > 0).then(|| Ok(piece.into()))
        });
        Ok(ByteStream::new(futures::stream::iter(pieces)))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}

fn image(layers: Vec<Layer>) -> Image {
    Image::of_layers(&"linux/amd64".parse().unwrap(), layers).unwrap()
}

/// How large the one large file is, in bytes.
const SIZE: u64 = 256 << 20;

/// 300,000 files and more content than that take less than 150 MB, and a layer is written in next to nothing.
#[tokio::test]
async fn large_images_fit_in_little_memory() {
    let Some(start) = peak() else { return eprintln!("skipped: this system does not tell") };
    let cx = Context::new().with_scratch(Arc::new(Folder(tempfile::tempdir().unwrap())));
    let none = Metadata { mode: 0o644, mtime: 1_700_000_000, ..Metadata::default() };
    let mut big = LayerWriter::new(Compression::Zstd(1), &cx).unwrap();
    big.file(&FilePath::new("huge").unwrap(), &none, SIZE, &mut io::repeat(7).take(SIZE)).unwrap();
    let big = big.finish().unwrap();
    let mut many = LayerWriter::new(Compression::Zstd(1), &cx).unwrap();
    for file in 0..300_000 {
        let name = format!("usr/share/package-{}/doc/some/folder/file-{file}.html", file / 300);
        many.file(&FilePath::new(name).unwrap(), &none, 0, &mut io::empty()).unwrap();
    }
    let many = many.finish().unwrap();
    let written = peak().unwrap() - start;
    assert!(written < 32, "{written} MiB to write");
    let tree = image(vec![many, big]).files(|_, _| false, &cx).await.unwrap();
    assert!(tree.len() > 300_000);
    let read = peak().unwrap() - start;
    println!("{written} MiB to write, {read} MiB to read");
    assert!(read < 150, "{read} MiB to read");
}
