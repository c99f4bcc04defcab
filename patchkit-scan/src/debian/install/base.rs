//! An image's files as what packages are put over, and the second look at them: content that decides what is new.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{
    Algorithm, Context, Digest, Error, Hasher, Image, Result,
    image::{Entry as LayerEntry, FilePath, FileTree, LayerVisitor, NodeKind},
};

use super::{
    elf::Elf,
    ldcache::Libraries,
    tree::{Base, Content, Entry, Kind},
};

/// The files of an image, read with [`keeps`](super::keeps).
#[derive(Debug)]
pub struct ImageFiles(pub FileTree);

impl Base for ImageFiles {
    fn entry(&self, path: &FilePath) -> Option<Entry> {
        let node = self.0.get(path)?;
        let kind = match &node.kind {
            NodeKind::BlockDevice { major, minor } => Kind::BlockDevice(*major, *minor),
            NodeKind::CharDevice { major, minor } => Kind::CharDevice(*major, *minor),
            NodeKind::Directory => Kind::Directory,
            NodeKind::Fifo => Kind::Fifo,
            NodeKind::File { size } => Kind::File(Content::Base { path: path.clone(), size: *size }),
            NodeKind::Symlink { target } => Kind::Symlink(target.clone()),
        };
        let metadata = node.metadata.clone();
        Some(Entry {
            kind,
            mode: metadata.mode,
            uid: metadata.uid,
            gid: metadata.gid,
            mtime: metadata.mtime,
            xattrs: metadata.xattrs,
        })
    }

    fn names(&self, folder: &FilePath) -> Vec<Vec<u8>> {
        self.0.children(folder).filter_map(|(path, _)| path.file_name().map(<[u8]>::to_vec)).collect()
    }

    fn content(&self, path: &FilePath) -> Result<Bytes> {
        self.0.read(path)?.ok_or_else(|| Error::not_found("there is no such file").on(path))
    }
}

/// What is to be found out about files of an image that are not kept in memory.
#[derive(Clone, Debug, Default)]
pub struct Questions {
    /// Files whose digest is wanted.
    pub digests: BTreeSet<FilePath>,
    /// Files that may be shared libraries.
    pub libraries: BTreeSet<FilePath>,
}

/// The answers, by path.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// The SHA-256 digests of the files.
    pub digests: BTreeMap<FilePath, Digest>,
    libraries: HashMap<FilePath, Option<Arc<Elf>>>,
}

impl Questions {
    /// Reads the layers that have the answers, each once.
    ///
    /// # Errors
    /// Those of reading layers.
    pub async fn ask(&self, image: &Image, files: &FileTree, cx: &Context) -> Result<Answers> {
        let mut layers: BTreeMap<usize, Visitor> = BTreeMap::new();
        for path in self.digests.union(&self.libraries) {
            let Some((node, index)) = files.get(path).and_then(|node| Some((node, node.entry()?))) else { continue };
            let wanted = Wanted { digest: self.digests.contains(path), library: self.libraries.contains(path) };
            layers.entry(node.layer).or_default().wanted.entry(index).or_default().push((path.clone(), wanted));
        }
        let mut answers = Answers::default();
        for (layer, visitor) in layers {
            let found = image.layers()[layer].visit(visitor, cx).await?.answers;
            answers.digests.extend(found.digests);
            answers.libraries.extend(found.libraries);
        }
        Ok(answers)
    }
}

impl Libraries for Answers {
    fn elf(&self, content: &Content) -> Result<Option<Arc<Elf>>> {
        match content {
            Content::Base { path, .. } => Ok(self.libraries.get(path).cloned().flatten()),
            Content::Memory(bytes) => Ok(Elf::parse(bytes).map(Arc::new)),
            Content::Stored(stored) => Ok(stored.elf.clone()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    digest: bool,
    library: bool,
}

#[derive(Debug, Default)]
struct Visitor {
    /// By the place of the entry in its layer.
    wanted: HashMap<usize, Vec<(FilePath, Wanted)>>,
    answers: Answers,
}

impl LayerVisitor for Visitor {
    fn entry(&mut self, entry: &LayerEntry, content: &mut dyn Read) -> Result<()> {
        let Some(asked) = self.wanted.get(&entry.index) else { return Ok(()) };
        let library = asked.iter().any(|(_, wanted)| wanted.library);
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut whole = Vec::new();
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = content.read(&mut buffer).map_err(|error| Error::unexpected(error.to_string()))?;
            if read == 0 {
                break;
            }
            hasher.update(&buffer[..read]);
            if library {
                whole.extend_from_slice(&buffer[..read]);
            }
        }
        let digest = hasher.finish();
        let elf = if library { Elf::parse(&whole).map(Arc::new) } else { None };
        for (path, wanted) in asked {
            if wanted.digest {
                self.answers.digests.insert(path.clone(), digest);
            }
            if wanted.library {
                self.answers.libraries.insert(path.clone(), elf.clone());
            }
        }
        Ok(())
    }
}
