//! Reading the ELF files of layers, each layer once.

use std::{collections::HashMap, io::Read, sync::Arc};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{
    Context, Digest, Error, Image, Layer, Result,
    image::{Entry, LayerVisitor},
};

use super::elf::{self, Elf};

/// How many layers are read at once.
const PARALLEL_LAYERS: usize = 2;
/// The length of the shortest ELF header.
const SHORTEST: u64 = 52;

/// The ELF files of layers that were read, by the layers' diff ids: images that share layers are read together.
#[derive(Clone, Debug, Default)]
pub struct Layers(HashMap<Digest, Arc<Elves>>);

/// A file that begins as an ELF file does.
#[derive(Clone, Debug)]
pub(super) enum Found {
    /// Why it cannot be read.
    Damaged(String),
    Elf(Arc<Elf>),
}

/// The ELF files of a layer, by the index of their entry.
pub(super) type Elves = HashMap<usize, Found>;

impl Layers {
    /// Reads the layers of an image that were not read before; gives those of each layer, the lowest first.
    pub(super) async fn read(&mut self, image: &Image, cx: &Context) -> Result<Vec<Arc<Elves>>> {
        let new: Vec<Layer> =
            image.layers().iter().filter(|layer| !self.0.contains_key(layer.diff_id())).cloned().collect();
        let reads = new.into_iter().map(|layer| async move {
            let collector = layer.visit(Collector::default(), cx).await?;
            Ok::<_, Error>((*layer.diff_id(), Arc::new(collector.found)))
        });
        let read: Vec<_> = stream::iter(reads).buffered(PARALLEL_LAYERS).try_collect().await?;
        self.0.extend(read);
        Ok(image.layers().iter().map(|layer| self.0[layer.diff_id()].clone()).collect())
    }
}

#[derive(Default)]
struct Collector {
    found: Elves,
    /// Used again for every file.
    file: Vec<u8>,
}

impl LayerVisitor for Collector {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if entry.size() < SHORTEST {
            return Ok(());
        }
        let mut magic = [0; 4];
        content.read_exact(&mut magic).map_err(broken)?;
        if &magic != elf::MAGIC {
            return Ok(());
        }
        let found = match entry.size() {
            ..=elf::MAX_FILE => self.read(&magic, content)?,
            size => Found::Damaged(format!("{size} bytes are more than are read")),
        };
        self.found.insert(entry.index, found);
        Ok(())
    }
}

impl Collector {
    fn read(&mut self, magic: &[u8], content: &mut dyn Read) -> Result<Found> {
        self.file.clear();
        self.file.extend_from_slice(magic);
        content.read_to_end(&mut self.file).map_err(broken)?;
        Ok(match Elf::parse(&self.file) {
            Ok(elf) => Found::Elf(Arc::new(elf)),
            Err(error) => Found::Damaged(error.message().to_owned()),
        })
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::unexpected("the layer cannot be read").because(error)
}
