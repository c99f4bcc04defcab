//! The linker's configuration in a tree, and a library (after the first NUL): a cache comes out that can be read.

use std::sync::Arc;

use bytes::Bytes;
use patchkit_core::{Error, Result, image::FilePath};
use patchkit_scan::debian::install::{
    base::Answers,
    ldcache::{Dialect, refresh},
    tree::{Base, Entry, Kind, Tree},
};

const CACHE: &str = "etc/ld.so.cache";

struct Empty;

impl Base for Empty {
    fn entry(&self, _: &FilePath) -> Option<Entry> {
        None
    }

    fn names(&self, _: &FilePath) -> Vec<Vec<u8>> {
        Vec::new()
    }

    fn content(&self, path: &FilePath) -> Result<Bytes> {
        Err(Error::not_found("there is nothing").on(path))
    }
}

fuzz_target!(|data: &[u8]| {
    let nul = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (configuration, library) = data.split_at(nul);
    let path = |text: &str| FilePath::new(text).expect("a constant path");
    let mut tree = Tree::new(Arc::new(Empty));
    for folder in ["etc", "etc/ld.so.conf.d", "usr", "usr/lib"] {
        tree.put(path(folder), Entry::new(Kind::Directory, 0o755, 0));
    }
    let plain = [&b"glibc-ld.so.cache1.1"[..], &[0; 28]].concat();
    for (file, bytes) in [
        (CACHE, &plain[..]),
        ("etc/ld.so.conf", configuration),
        ("etc/ld.so.conf.d/a.conf", configuration),
        ("usr/lib/liba.so.1.0", library.get(1..).unwrap_or_default()),
    ] {
        tree.write(&path(file), bytes.to_vec(), (0o644, 0)).expect("it leads somewhere");
    }
    refresh(&mut tree, &Answers::default(), "amd64", 0).expect("everything is in memory");
    let cache = tree.read(&path(CACHE)).ok().flatten().expect("it was there before");
    assert!(Dialect::of_cache(&cache).is_some());
});
