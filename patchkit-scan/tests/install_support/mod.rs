//! A folder of the machine as the tree that packages are put into, and what to do where a tool is missing.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{Result, image::FilePath};
use patchkit_scan::debian::install::{
    elf::Elf,
    ldcache::Libraries,
    tree::{Base, Content, Entry, Kind},
};

/// Says why a test is skipped, or fails where everything must be there.
pub fn skip(why: &str) {
    assert!(
        std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(),
        "{why}"
    );
    println!("skipped: {why}");
}

/// Whether a tool can be run.
pub fn has(tool: &str) -> bool {
    Command::new(tool)
        .arg("--version")
        .output()
        .is_ok_and(|output| output.status.success())
}

/// A folder of the machine.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn at(&self, path: &FilePath) -> PathBuf {
        self.0.join(OsStr::from_bytes(path.as_bytes()))
    }
}

impl Base for Folder {
    fn entry(&self, path: &FilePath) -> Option<Entry> {
        let at = self.at(path);
        let metadata = fs::symlink_metadata(&at).ok()?;
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink(Bytes::copy_from_slice(
                fs::read_link(&at).ok()?.as_os_str().as_bytes(),
            ))
        } else if metadata.is_file() {
            Kind::File(Content::Base {
                path: path.clone(),
                size: metadata.len(),
            })
        } else {
            Kind::Fifo
        };
        Some(Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid().into(),
            gid: metadata.gid().into(),
            mtime: metadata.mtime(),
            xattrs: BTreeMap::new(),
        })
    }

    fn names(&self, folder: &FilePath) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.at(folder)).into_iter().flatten();
        let mut names: Vec<Vec<u8>> = entries
            .map(|entry| entry.unwrap().file_name().as_bytes().to_vec())
            .collect();
        names.sort();
        names
    }

    fn content(&self, path: &FilePath) -> Result<Bytes> {
        Ok(fs::read(self.at(path)).unwrap().into())
    }
}

impl Libraries for Folder {
    fn elf(&self, content: &Content) -> Result<Option<Arc<Elf>>> {
        Ok(match content {
            Content::Base { path, .. } => Elf::parse(&self.content(path)?).map(Arc::new),
            _ => None,
        })
    }
}

/// Copies a tree with `cp -a`.
pub fn copy(from: &Path, to: &Path) {
    assert!(
        Command::new("cp")
            .arg("-a")
            .args([from, to])
            .status()
            .unwrap()
            .success()
    );
}
