//! Python byte code: what was made from a source that is replaced or gone, is removed. Python makes it anew.
//!
//! Source: PEP 3147, and the `prerm` of Debian's Python packages, which removes `__pycache__/NAME.*.py[co]` of each
//! source of the package, and the folder when that empties it.

use std::collections::BTreeSet;

use patchkit_core::image::FilePath;

use super::tree::{Tree, child};

/// Removes the byte code of the given changed paths; others than Python sources are passed over.
pub fn remove_stale(tree: &mut Tree, changed: &BTreeSet<FilePath>) {
    for source in changed {
        let (Some(folder), Some(name)) = (source.parent(), source.file_name()) else { continue };
        let Some(stem) = name.strip_suffix(b".py") else { continue };
        let cache = child(&folder, b"__pycache__");
        for file in tree.names(&cache).into_iter().filter(|file| is_byte_code_of(file, stem)) {
            tree.remove(&child(&cache, &file));
        }
        if tree.entry(&cache).is_some_and(|entry| entry.is_directory()) && tree.names(&cache).is_empty() {
            tree.remove(&cache);
        }
    }
}

/// Whether a file is `STEM.TAG.pyc`, or the same with an optimisation level.
fn is_byte_code_of(file: &[u8], stem: &[u8]) -> bool {
    let tag = file.strip_prefix(stem).and_then(|rest| rest.strip_prefix(b"."));
    let tag = tag.and_then(|rest| rest.strip_suffix(b".pyc").or_else(|| rest.strip_suffix(b".pyo")));
    tag.is_some_and(|tag| !tag.is_empty() && tag.split(|byte| *byte == b'.').count() <= 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::debian::install::tree::tests::{MemoryBase, path};

    #[test]
    fn byte_code_goes_with_its_source() {
        let base = MemoryBase::default()
            .file("p/a.py", "")
            .file("p/__pycache__/a.cpython-311.pyc", "")
            .file("p/__pycache__/a.cpython-311.opt-1.pyc", "")
            .file("p/__pycache__/ab.cpython-311.pyc", "")
            .file("q/__pycache__/b.cpython-311.pyc", "");
        let mut tree = base.tree();
        remove_stale(&mut tree, &[path("p/a.py"), path("q/b.py"), path("q/c.txt")].into());
        assert_eq!(tree.names(&path("p/__pycache__")), [b"ab.cpython-311.pyc".to_vec()].into());
        assert!(tree.entry(&path("q/__pycache__")).is_none());
    }
}
