//! The dynamic linker's cache, `/etc/ld.so.cache`, and the links to libraries by their `SONAME`: what `ldconfig` does,
//! as data.
//!
//! Source: the behaviour of glibc's `ldconfig`, from 2.31 on; the tests compare with the real one byte for byte.

mod format;
mod search;

use std::{cell::RefCell, collections::BTreeSet, sync::Arc};

use patchkit_core::{Error, Result, image::FilePath};

use super::{
    elf::Elf,
    tree::{Content, Tree},
};

use format::Cache;
pub use format::{Dialect, Format};
pub(super) use search::looks_like_library;

/// The most bytes of an `ldconfig` program that are looked at: 16 MiB. Real ones have 1.
pub const MAX_LDCONFIG: u64 = 16 << 20;

/// The most bytes of a shared library that are looked at: 512 MiB.
pub const MAX_LIBRARY: u64 = 512 << 20;

/// Where the cache is.
const CACHE: &str = "etc/ld.so.cache";
/// Where `ldconfig` is; `/sbin/ldconfig` may be a shell script that calls the other.
const PROGRAMS: [&str; 3] = ["sbin/ldconfig.real", "sbin/ldconfig", "usr/sbin/ldconfig"];

/// What is known of the shared libraries in a tree.
pub trait Libraries {
    /// Reads the shared library in some content; `None` where it is none.
    ///
    /// # Errors
    /// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where the content was not looked at.
    fn elf(&self, content: &Content) -> Result<Option<Arc<Elf>>>;
}

/// Brings the cache and the links up to date, as `ldconfig` run in the tree would. `mtime` is the time that a new
/// cache bears.
///
/// Where the image has no cache there is none to bring up to date: nothing is done, and `false` returned.
///
/// # Errors
/// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) for a cache of a form that is not known; those of reading.
pub fn refresh(tree: &mut Tree, libraries: &dyn Libraries, architecture: &str, mtime: i64) -> Result<bool> {
    let cache = FilePath::new(CACHE).expect("a constant path");
    let Some(old) = tree.read(&cache)? else {
        return Ok(false);
    };
    let dialect = dialect(tree, &old)?;
    let mut found = Cache::new(dialect);
    search::search(tree, libraries, architecture, &mut found)?;
    let new = found.to_bytes(little_endian(architecture));
    if new != old {
        tree.write(&cache, new, (0o644, mtime))?;
    }
    Ok(true)
}

/// The files of the image that [`refresh`] has to know as libraries or as none.
///
/// # Errors
/// Those of reading the configuration.
pub fn libraries(tree: &mut Tree, architecture: &str) -> Result<BTreeSet<FilePath>> {
    let cache = FilePath::new(CACHE).expect("a constant path");
    let asked = Recorder::default();
    if tree.stat(&cache).is_some() {
        let dialect = Dialect::extended(String::new());
        search::search(tree, &asked, architecture, &mut Cache::new(dialect))?;
    }
    Ok(asked.0.into_inner())
}

/// Remembers which files of the image were asked for, and knows none of them.
#[derive(Debug, Default)]
struct Recorder(RefCell<BTreeSet<FilePath>>);

impl Libraries for Recorder {
    fn elf(&self, content: &Content) -> Result<Option<Arc<Elf>>> {
        if let Content::Base { path, .. } = content {
            self.0.borrow_mut().insert(path.clone());
        }
        Ok(None)
    }
}

/// Which form of cache the tree's `ldconfig` writes, from the program itself; from the old cache where there is none.
fn dialect(tree: &Tree, old: &[u8]) -> Result<Dialect> {
    for program in PROGRAMS.map(|path| FilePath::new(path).expect("a constant path")) {
        let place = tree.resolve(&program).and_then(|place| tree.entry(&place));
        let small = place.and_then(|entry| entry.content().map(Content::size)).is_some_and(|size| size <= MAX_LDCONFIG);
        let bytes = if small { tree.read(&program)? } else { None };
        if let Some(dialect) = bytes.as_deref().and_then(Dialect::of_program) {
            return Ok(dialect);
        }
    }
    Dialect::of_cache(old).ok_or_else(|| Error::unsupported("a cache of an unknown form").on(CACHE))
}

fn little_endian(architecture: &str) -> bool {
    !matches!(architecture, "s390x" | "s390" | "powerpc" | "ppc64" | "mips" | "sparc64" | "hppa" | "m68k")
}
