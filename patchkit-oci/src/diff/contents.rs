//! Digests of files' contents, many in one pass over a layer.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::Read,
};

use futures::{StreamExt, TryStreamExt, stream};
use patchkit_core::{
    Context, Digest, Error, Hasher, Layer, Result,
    image::{Entry, LayerVisitor},
};

/// How many layers are read at once.
const PARALLEL_LAYERS: usize = 2;

/// Entries of layers, by the layer's diff id.
#[derive(Default)]
pub(super) struct Wanted(BTreeMap<Digest, (Option<Layer>, HashSet<usize>)>);

/// The digests of the entries' contents.
pub(super) struct Digests(HashMap<(Digest, usize), Digest>);

impl Wanted {
    pub(super) fn add(&mut self, layer: &Layer, entry: usize) {
        let (of, entries) = self.0.entry(*layer.diff_id()).or_default();
        of.get_or_insert_with(|| layer.clone());
        entries.insert(entry);
    }

    /// Reads the layers, each once.
    pub(super) async fn read(self, cx: &Context) -> Result<Digests> {
        let passes = self.0.into_iter().filter_map(|(diff_id, (layer, wanted))| {
            let (layer, visitor) = (layer?, Hashes { wanted, found: Vec::new() });
            Some(async move { Ok::<_, Error>((diff_id, layer.visit(visitor, cx).await?.found)) })
        });
        let found: Vec<_> = stream::iter(passes).buffer_unordered(PARALLEL_LAYERS).try_collect().await?;
        let keyed = found
            .into_iter()
            .flat_map(|(diff_id, digests)| digests.into_iter().map(move |(entry, digest)| ((diff_id, entry), digest)));
        Ok(Digests(keyed.collect()))
    }
}

impl Digests {
    pub(super) fn of(&self, layer: &Layer, entry: usize) -> Option<Digest> {
        self.0.get(&(*layer.diff_id(), entry)).copied()
    }
}

struct Hashes {
    wanted: HashSet<usize>,
    found: Vec<(usize, Digest)>,
}

impl LayerVisitor for Hashes {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        if !self.wanted.contains(&entry.index) {
            return Ok(());
        }
        let (mut hasher, mut buffer) = (Hasher::default(), vec![0; 64 << 10]);
        loop {
            let read = content.read(&mut buffer);
            match read.map_err(|error| Error::unexpected(format!("cannot read the layer: {error}")).because(error))? {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        self.found.push((entry.index, hasher.finish()));
        Ok(())
    }
}
