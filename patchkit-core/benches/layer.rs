//! How long it takes to read a layer, against `gzip -dc | sha256sum` of the same file in the same run.
//!
//! `cargo bench -p patchkit-core --bench layer`. The layer is made here, unless `PATCHKIT_BENCH_LAYER` names a
//! `.tar.gz`.
#![allow(clippy::unwrap_used)]

use std::{
    fs::File,
    io::{Read, Write},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::stream;
use patchkit_core::{
    Blob, BlobSource, ByteRange, ByteStream, Context, Descriptor, Digest, Error, Hasher, Image, Layer, MediaType,
    Repository, Result,
    image::{Compression, Entry, FilePath, LayerVisitor, LayerWriter, Metadata},
};

const RUNS: usize = 5;

fn main() -> Result<()> {
    // `cargo test --benches` only wants to know that it starts.
    if std::env::args().any(|arg| arg == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime starts");
    let (path, cleanup) = match std::env::var_os("PATCHKIT_BENCH_LAYER") {
        Some(path) => (PathBuf::from(path), false),
        None => (make(), true),
    };
    let diff_id = gunzip(&path);
    let layer = open(&path, diff_id);
    println!("layer of {} MB, compressed", layer.blob().descriptor().size >> 20);
    let cx = Context::new();
    let baseline = best(|| assert_eq!(gunzip(&path), diff_id));
    let visit = best(|| assert!(runtime.block_on(layer.visit(Nothing, &cx)).is_ok(), "the layer is good"));
    let image = Image::of_layers(&"linux/amd64".parse().expect("a platform"), vec![layer.clone()])?;
    let files = best(|| drop(runtime.block_on(image.files(|_, _| false, &cx)).expect("the layer is good")));
    let ratio = |time: Duration| time.as_secs_f64() / baseline.as_secs_f64();
    println!("gzip -dc | sha256sum  {baseline:.2?}");
    println!("Layer::visit          {visit:.2?}  {:.2} x", ratio(visit));
    println!("Image::files          {files:.2?}  {:.2} x", ratio(files));
    if cleanup {
        std::fs::remove_file(&path).expect("the layer was written here");
    }
    Ok(())
}

fn best(mut run: impl FnMut()) -> Duration {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed()
    };
    (0..RUNS).map(time).min().expect("there are runs")
}

struct Nothing;

impl LayerVisitor for Nothing {
    fn entry(&mut self, _: &Entry, _: &mut dyn Read) -> Result<()> {
        Ok(())
    }
}

/// The digest of the uncompressed file, by the tools that every machine has.
fn gunzip(path: &Path) -> Digest {
    let command = r#"gzip -dc "$0" | sha256sum"#;
    let output = Command::new("sh").arg("-c").arg(command).arg(path).output().expect("sh runs");
    let text = String::from_utf8(output.stdout).expect("sha256sum writes hexadecimal");
    format!("sha256:{}", &text[..64]).parse().expect("sha256sum writes a digest")
}

/// A layer of about 250 MB of words and noise in 20,000 files.
fn make() -> PathBuf {
    let path = std::env::temp_dir().join(format!("patchkit-bench-{}.tar.gz", std::process::id()));
    let mut layer = LayerWriter::new(Compression::default(), &Context::new()).expect("memory suffices");
    let mut state = 1_u64;
    for file in 0..20_000 {
        let mut content = Vec::new();
        while content.len() < 12_500 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let noise = state >> 40;
            if noise.is_multiple_of(4) {
                content.extend(noise.to_le_bytes())
            } else {
                write!(content, "word{} ", noise % 900).unwrap()
            }
        }
        let name = FilePath::new(format!("usr/share/{}/file-{file}", file % 200)).expect("a good path");
        layer.file(&name, &Metadata::default(), content.len() as u64, &mut &content[..]).expect("memory suffices");
    }
    let layer = layer.finish().expect("memory suffices");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
    let bytes = runtime.block_on(layer.blob().read(&Context::new())).expect("it was just written");
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    path
}

fn open(path: &Path, diff_id: Digest) -> Layer {
    let mut file = File::open(path).expect("the layer can be read");
    let (mut hasher, mut size, mut buffer) = (Hasher::default(), 0, vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer).expect("the layer can be read") {
            0 => break,
            read => {
                hasher.update(&buffer[..read]);
                size += read as u64;
            }
        }
    }
    let descriptor = Descriptor::new(MediaType::OCI_LAYER_GZIP, hasher.finish(), size);
    Layer::new(Blob::new(descriptor, Arc::new(OnDisk(path.into()))), diff_id)
}

#[derive(Debug)]
struct OnDisk(PathBuf);

#[async_trait::async_trait]
impl BlobSource for OnDisk {
    async fn open(&self, _: ByteRange, _: &Context) -> Result<ByteStream> {
        let file = File::open(&self.0).map_err(|error| Error::unexpected(error.to_string()))?;
        Ok(ByteStream::new(stream::try_unfold(file, |mut file| async {
            let mut buffer = vec![0; 64 << 10];
            let read = file.read(&mut buffer).map_err(|error| Error::unexpected(error.to_string()))?;
            buffer.truncate(read);
            Ok((read > 0).then(|| (Bytes::from(buffer), file)))
        })))
    }

    fn origin(&self) -> Option<&Repository> {
        None
    }
}
