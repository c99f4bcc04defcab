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

use bytes::Bytes;
use futures::StreamExt;
use patchkit_core::{Blob, Context, Digest, Error, Result};
use tempfile::NamedTempFile;
use tokio::{sync::mpsc, task::JoinHandle};

use crate::file::{self, on};

/// How the hidden names begin.
const HIDDEN: &str = ".patchkit-";

/// How many pieces may wait to be written.
const WAITING: usize = 8;

/// A lock on a layout; given back when dropped.
#[derive(Debug)]
pub(super) struct Lock(#[allow(dead_code, reason = "held, not read")] File);

impl Lock {
    /// Waits until nobody else holds any lock. Blocks.
    pub(super) fn exclusive(root: &Path) -> Result<Self> {
        let folder = File::open(root).map_err(on(root))?;
        folder.lock().map_err(on(root))?;
        Ok(Self(folder))
    }

    /// Waits until nobody else holds an exclusive lock. Blocks.
    pub(super) fn shared(root: &Path) -> Result<Self> {
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
pub(super) fn hidden(root: &Path, _lock: &Lock) -> Result<NamedTempFile> {
    let file = tempfile::Builder::new().prefix(HIDDEN).tempfile_in(root).map_err(on(root))?;
    file.as_file().lock().map_err(on(root))?;
    Ok(file)
}

/// Gives a hidden file its name, after its bytes are on disk.
pub(super) fn publish(file: NamedTempFile, to: &Path) -> Result<()> {
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
pub(super) fn clean(root: &Path) -> Result<()> {
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

/// Writes pieces to a file on a thread of its own, so that reading the next piece goes on meanwhile.
#[derive(Debug)]
pub(crate) struct Sink {
    pieces: mpsc::Sender<Bytes>,
    file: JoinHandle<Result<NamedTempFile>>,
}

impl Sink {
    /// Starts writing to a file, which is removed unless [`finish`](Self::finish) gives it back.
    pub(crate) fn new(file: NamedTempFile) -> Self {
        let (pieces, received) = mpsc::channel(WAITING);
        Self { pieces, file: tokio::task::spawn_blocking(|| drain(received, file)) }
    }

    /// Writes a piece. An error on the way is told by [`finish`](Self::finish): says whether to go on.
    pub(crate) async fn write(&self, piece: Bytes) -> bool {
        self.pieces.send(piece).await.is_ok()
    }

    /// Writes a blob, checked. Nothing of what was written counts where this fails.
    pub(crate) async fn copy(&self, blob: &Blob, cx: &Context) -> Result<()> {
        let mut pieces = blob.open(cx).await?;
        while let Some(piece) = cx.guard(async { pieces.next().await.transpose() }).await? {
            if !self.write(piece).await {
                break;
            }
        }
        Ok(())
    }

    /// Waits until everything is written.
    pub(crate) async fn finish(self) -> Result<NamedTempFile> {
        drop(self.pieces);
        self.file.await.map_err(|error| Error::unexpected("the writer stopped").because(error))?
    }
}

fn drain(mut pieces: mpsc::Receiver<Bytes>, mut file: NamedTempFile) -> Result<NamedTempFile> {
    while let Some(piece) = pieces.blocking_recv() {
        file.write_all(&piece).map_err(|error| file::on(file.path())(error))?;
    }
    Ok(file)
}
