//! Removing the blobs that nobody names any more.

use std::{
    collections::HashSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use patchkit_core::{Context, Descriptor, Digest, Error, Result};

use super::{
    Document, Folder, Layout, disk,
    index::IndexFile,
    view::{self, is_document},
};
use crate::file::{blocking, on};

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// How many blobs.
    pub blobs: usize,
    /// How many bytes they had.
    pub bytes: u64,
}

impl Layout {
    /// Removes the blobs that no entry of the index leads to, with the entries of referrers whose subject is gone.
    ///
    /// What was written within the `grace` stays, since it may be about to be named: it should be longer than any
    /// upload takes. Nobody can put a manifest meanwhile.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where a manifest cannot be read; then nothing is removed.
    pub async fn collect_garbage(&self, grace: Duration, cx: &Context) -> Result<Collected> {
        cx.check()?;
        let folder = self.0.folder.clone();
        blocking(move || folder.collect(grace)).await.map_err(|error| error.during("collect garbage"))
    }
}

impl Folder {
    fn collect(&self, grace: Duration) -> Result<Collected> {
        let lock = disk::Lock::exclusive(&self.0)?;
        let mut index = self.index()?;
        let until = SystemTime::now().checked_sub(grace).unwrap_or(SystemTime::UNIX_EPOCH);
        let live = self.mark(&index, until)?;
        let entries = index.unnamed().count();
        index.unlist(|digest| !live.contains(digest));
        if index.unnamed().count() != entries {
            self.write_index(&index, &lock)?;
        }
        self.sweep(&live, until)
    }

    /// Everything that is reached from a name, from an entry that refers to nobody, or from a referrer of those.
    fn mark(&self, index: &IndexFile, until: SystemTime) -> Result<HashSet<Digest>> {
        let mut live = HashSet::new();
        let mut waiting = Vec::new();
        for (_, named) in index.names() {
            self.reach(named, &mut live)?;
        }
        for entry in index.unnamed() {
            match self.subject(&entry.digest).filter(|_| self.is_old(&entry.digest, until)) {
                Some(subject) => waiting.push((subject, entry)),
                None => self.reach(entry, &mut live)?,
            }
        }
        while let Some(place) = waiting.iter().position(|(subject, _)| live.contains(subject)) {
            let (_, referrer) = waiting.swap_remove(place);
            self.reach(referrer, &mut live)?;
        }
        Ok(live)
    }

    /// Adds what an entry leads to. A manifest that is kept elsewhere leads nowhere; a damaged one is an error, since
    /// nobody can say then what is still needed.
    fn reach(&self, from: &Descriptor, live: &mut HashSet<Digest>) -> Result<()> {
        let mut open = vec![from.clone()];
        while let Some(entry) = open.pop() {
            if !live.insert(entry.digest) || !is_document(&entry) || !disk::blob_path(&self.0, &entry.digest).exists() {
                continue;
            }
            let document = view::manifest(self, &entry.digest).and_then(|manifest| Document::of(&manifest));
            let document = document.map_err(|error| Error::corrupt(error.to_string()).because(error))?;
            live.extend(document.blobs().map(|blob| blob.digest));
            open.extend(document.manifests().cloned());
        }
        Ok(())
    }

    fn is_old(&self, digest: &Digest, until: SystemTime) -> bool {
        fs::metadata(disk::blob_path(&self.0, digest)).and_then(|m| m.modified()).is_ok_and(|time| time < until)
    }

    fn sweep(&self, live: &HashSet<Digest>, until: SystemTime) -> Result<Collected> {
        let mut collected = Collected::default();
        for (path, digest) in self.blob_files()? {
            if !live.contains(&digest) && self.is_old(&digest, until) {
                collected.bytes += fs::metadata(&path).map_err(on(&path))?.len();
                collected.blobs += 1;
                fs::remove_file(&path).map_err(on(&path))?;
            }
        }
        Ok(collected)
    }

    /// The files of all blobs. What is no blob is not ours.
    fn blob_files(&self) -> Result<Vec<(PathBuf, Digest)>> {
        let mut files = Vec::new();
        for algorithm in ["sha256", "sha512"] {
            let folder = self.path("blobs").join(algorithm);
            if folder.is_dir() {
                files.extend(names(&folder)?.into_iter().filter_map(|name| {
                    let digest = format!("{algorithm}:{name}").parse().ok()?;
                    Some((folder.join(name), digest))
                }));
            }
        }
        Ok(files)
    }
}

fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = fs::read_dir(folder).map_err(on(folder))?;
    let names = entries.map(|entry| Ok(entry.map_err(on(folder))?.file_name().to_string_lossy().into_owned()));
    names.collect()
}
