//! What an image has for its dynamic linkers: its files, the ELF files among them, and the linkers' configuration.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{
    Context, Image, Result,
    image::{FilePath, FileTree, NodeKind},
};

use super::{
    cache::LinkerCache,
    collect::{Elves, Found, Layers},
    elf::{Elf, ElfKind},
};

/// The most bytes of a linker's configuration file that are read: 16 MiB.
const MAX_CONFIGURATION: u64 = 16 << 20;

/// The number of an [`Object`].
pub(super) type Id = u32;

/// An ELF file of the image.
#[derive(Clone, Debug)]
pub(super) struct Object {
    pub(super) elf: Arc<Elf>,
    /// The first of its names.
    pub(super) path: FilePath,
    /// Whether it runs with other rights than who starts it has; then the environment does not say where to search.
    pub(super) is_privileged: bool,
}

/// An image's files, as dynamic linkers see them.
#[derive(Debug)]
pub(super) struct System {
    pub(super) tree: FileTree,
    /// Sorted by path.
    pub(super) objects: Vec<Object>,
    /// Objects by the layer and the entry that brought them.
    places: HashMap<(usize, usize), Id>,
    /// ELF files that cannot be read, and why.
    pub(super) damaged: BTreeMap<FilePath, String>,
    /// Folders that the image's environment names (`LD_LIBRARY_PATH`).
    pub(super) library_path: Vec<String>,
    /// What is loaded before everything else, by environment and `/etc/ld.so.preload`.
    pub(super) preload: Vec<String>,
    pub(super) cache: Option<LinkerCache>,
    /// The linkers' configuration files.
    pub(super) configuration: BTreeMap<FilePath, Bytes>,
    pub(super) notes: Vec<String>,
}

impl System {
    pub(super) async fn read(image: &Image, layers: &mut Layers, cx: &Context) -> Result<Self> {
        let keep = |path: &FilePath, size| size <= MAX_CONFIGURATION && is_configuration(path);
        let (tree, elves) = futures::try_join!(image.files(keep, cx), layers.read(image, cx))?;
        let configuration = tree.iter().map(|(path, _)| path).filter(|path| is_configuration(path));
        let small = |path: &&FilePath| {
            let end = tree.resolve(path).and_then(|end| tree.get(&end)?.size());
            end.is_some_and(|size| size <= MAX_CONFIGURATION)
        };
        let wanted: BTreeSet<_> = configuration.filter(small).cloned().collect();
        let configuration = tree.contents(&wanted, cx).await?;
        let mut system = Self {
            tree,
            objects: Vec::new(),
            places: HashMap::new(),
            damaged: BTreeMap::new(),
            library_path: Vec::new(),
            preload: Vec::new(),
            cache: None,
            configuration,
            notes: Vec::new(),
        };
        system.enter(&elves);
        system.configure(image);
        Ok(system)
    }

    fn enter(&mut self, elves: &[Arc<Elves>]) {
        for (path, node) in self.tree.iter() {
            let Some((place, NodeKind::File { .. })) = node.entry().map(|entry| ((node.layer, entry), &node.kind))
            else {
                continue;
            };
            match elves.get(place.0).and_then(|layer| layer.get(&place.1)) {
                Some(Found::Elf(elf)) if elf.kind != ElfKind::Static && !self.places.contains_key(&place) => {
                    let id = Id::try_from(self.objects.len()).expect("an image has fewer files");
                    let is_privileged = node.metadata.mode & 0o6000 != 0;
                    self.places.insert(place, id);
                    self.objects.push(Object { elf: elf.clone(), path: path.clone(), is_privileged });
                }
                Some(Found::Damaged(reason)) => drop(self.damaged.insert(path.clone(), reason.clone())),
                _ => {}
            }
        }
    }

    fn configure(&mut self, image: &Image) {
        for variable in image.config().env() {
            match variable.split_once('=') {
                Some(("LD_LIBRARY_PATH", folders)) => {
                    self.library_path = folders.split([':', ';']).filter(|it| !it.is_empty()).map(Into::into).collect();
                }
                Some(("LD_PRELOAD", names)) => self.preload.extend(listed(names)),
                _ => {}
            }
        }
        if let Some(names) = self.configuration.get(&path("etc/ld.so.preload")) {
            let text = String::from_utf8_lossy(names);
            let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
            self.preload.extend(lines.flat_map(listed));
        }
        match self.configuration.get(&path("etc/ld.so.cache")).map(|cache| LinkerCache::parse(cache)) {
            Some(Ok(cache)) => self.cache = Some(cache),
            Some(Err(error)) => self.notes.push(format!("etc/ld.so.cache is ignored: {}", error.message())),
            None => {}
        }
    }

    pub(super) fn object(&self, id: Id) -> &Object {
        &self.objects[id as usize]
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = Id> {
        (0..).take(self.objects.len())
    }

    /// The object that a path leads to, where it leads to one.
    pub(super) fn at(&self, path: &FilePath) -> Option<Id> {
        let end = self.tree.resolve(path)?;
        let node = self.tree.get(&end)?;
        self.places.get(&(node.layer, node.entry()?)).copied()
    }

    /// Where an absolute path of a program leads, with `..` as the kernel sees it: after links are followed.
    pub(super) fn locate(&self, text: &str) -> Option<FilePath> {
        let mut at = FilePath::ROOT;
        for step in text.split('/').filter(|step| !matches!(*step, "" | ".")) {
            at = match step {
                ".." => at.parent().unwrap_or_default(),
                _ => self.tree.resolve(&at.join(step).ok()?)?,
            };
        }
        Some(at)
    }
}

fn listed(names: &str) -> impl Iterator<Item = String> {
    names.split([' ', ':', '\t']).filter(|name| !name.is_empty()).map(Into::into)
}

fn is_configuration(path: &FilePath) -> bool {
    let Some(rest) = path.as_bytes().strip_prefix(b"etc/ld") else { return false };
    matches!(rest, b".so.cache" | b".so.conf" | b".so.preload")
        || rest.starts_with(b".so.conf.d/")
        || (rest.starts_with(b"-musl-") && rest.ends_with(b".path"))
}

/// A constant path.
pub(super) fn path(text: &str) -> FilePath {
    FilePath::new(text).expect("a constant path")
}
