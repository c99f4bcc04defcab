//! How a layout's folder is written: behind a lock, and every file whole or not at all.
//!
//! A file is written under a hidden name in the layout's folder, brought to disk, and renamed. While that goes on, its
//! writer holds a lock on it; so a hidden file without a lock is left over from a writer that was killed, and the next
//! one who opens the layout removes it. The lock of the layout is a lock on the folder itself: no file is added.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use patchkit_core::{Digest, Result};
use tempfile::NamedTempFile;

use crate::file::on;

/// How the hidden names begin.
const HIDDEN: &str = ".patchkit-";

/// A lock on a layout; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Waits until nobody else holds any lock. Blocks.
    pub(crate) fn exclusive(root: &Path) -> Result<Self> {
        let folder = File::open(root).map_err(on(root))?;
        folder.lock().map_err(on(root))?;
        Ok(Self(folder))
    }

    /// Waits until nobody else holds an exclusive lock. Blocks.
    pub(crate) fn shared(root: &Path) -> Result<Self> {
        let folder = File::open(root).map_err(on(root))?;
        folder.lock_shared().map_err(on(root))?;
        Ok(Self(folder))
    }

    /// The exclusive lock, where it is free now.
    fn now(root: &Path) -> Result<Option<Self>> {
        let folder = File::open(root).map_err(on(root))?;
        Ok(folder.try_lock().is_ok().then_some(Self(folder)))
    }
}

/// A new hidden file, locked. The layout's lock keeps it from being taken for left over before it is.
pub(crate) fn hidden(root: &Path, _lock: &Lock) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix(HIDDEN).tempfile_in(root).map_err(on(root))?;
    file.as_file().lock().map_err(on(root))?;
    Ok(file)
}

/// Gives a hidden file its name, after its bytes are on disk.
pub(crate) fn publish(file: NamedTempFile, to: &Path) -> Result<()> {
    let parent = to.parent().expect("a file in a layout has a folder");
    fs::create_dir_all(parent).map_err(on(parent))?;
    set_public(file.as_file()).and_then(|()| file.as_file().sync_all()).map_err(on(to))?;
    file.persist(to).map_err(|error| on(to)(error.error))?;
    File::open(parent).and_then(|folder| folder.sync_all()).map_err(on(parent))
}

/// Temporary files are made for their owner alone; a layout is for whoever may enter its folder.
fn set_public(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o644))
}

/// Writes a small file whole or not at all.
pub(super) fn write(root: &Path, to: &Path, bytes: &[u8], lock: &Lock) -> Result<()> {
    let mut file = hidden(root, lock)?;
    file.write_all(bytes).map_err(on(to))?;
    publish(file, to)
}

/// Removes what writers left that were killed, unless someone is writing right now.
pub(crate) fn clean(root: &Path) -> Result<()> {
    let Some(_lock) = Lock::now(root)? else {
        return Ok(());
    };
    for entry in fs::read_dir(root).map_err(on(root))? {
        let entry = entry.map_err(on(root))?;
        if entry.file_name().to_string_lossy().starts_with(HIDDEN) {
            remove_unlocked(&entry.path()).map_err(on(&entry.path()))?;
        }
    }
    Ok(())
}

fn remove_unlocked(path: &Path) -> io::Result<()> {
    let removed = File::open(path).and_then(|file| match file.try_lock() {
        Ok(()) => fs::remove_file(path),
        Err(_) => Ok(()),
    });
    // Its writer may have been done with it just now, or its reader may not have the right to remove it.
    match removed {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(()),
        other => other,
    }
}

/// Where a blob lies.
pub(super) fn blob_path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("blobs").join(digest.algorithm().as_str()).join(digest.hex())
}
