//! What changes a layout.

use std::{fs, io, path::Path, time::SystemTime};

use patchkit_core::{
    Blob, Context, Current, Descriptor, Digest, Error, ErrorKind, ManifestBytes, PutManifest, Reference, Result,
};

use super::{
    Document, Folder, Layout, disk,
    index::IndexFile,
    view::{self, agree, hash, name_of},
};
use crate::file::{Sink, blocking, on};

/// A blob that is there up to this size is hashed before it is believed: configurations and manifests.
const READ_TO_BELIEVE: u64 = 1 << 20;

impl Layout {
    /// Writes a blob unless it is there.
    pub(super) async fn store_blob(&self, blob: &Blob, cx: &Context) -> Result<()> {
        let (folder, wanted) = (self.0.folder.clone(), blob.descriptor().clone());
        if blocking(move || folder.touch(&wanted.digest, wanted.size)).await? {
            return Ok(());
        }
        let folder = self.0.folder.clone();
        let file = blocking(move || disk::hidden(&folder.0, &disk::Lock::shared(&folder.0)?)).await?;
        let sink = Sink::new(file);
        let copied = sink.copy(blob, cx).await;
        // In any case, so that a file which is not wanted is gone when this returns.
        let file = sink.finish().await;
        copied?;
        let file = file?;
        let to = disk::blob_path(self.folder(), &blob.descriptor().digest);
        blocking(move || disk::publish(file, &to)).await
    }

    /// Makes a blob of another layout one of this one too, without copying where the file system can. Says whether
    /// there is one.
    pub(super) async fn link_blob(&self, from: &Layout, digest: &Digest, size: u64) -> Result<bool> {
        let (to, from, digest) = (self.0.folder.clone(), from.0.folder.clone(), *digest);
        blocking(move || {
            if to.touch(&digest, size)? {
                return Ok(true);
            }
            let target = disk::blob_path(&to.0, &digest);
            let parent = target.parent().expect("a blob has a folder");
            fs::create_dir_all(parent).map_err(on(parent))?;
            let _lock = disk::Lock::shared(&to.0)?;
            let has_size = from.open_blob(&digest).is_ok_and(|part| part.len() == size);
            Ok(has_size && fs::hard_link(disk::blob_path(&from.0, &digest), target).is_ok())
        })
        .await
    }

    /// Writes a manifest, and points the reference's tag to it.
    pub(super) async fn store_manifest(
        &self,
        reference: &Reference,
        manifest: &ManifestBytes,
        options: &PutManifest,
    ) -> Result<Descriptor> {
        let (layout, reference, manifest) = (self.clone(), reference.clone(), manifest.clone());
        let if_current = options.if_current;
        blocking(move || {
            let name = name_of(&layout.0.own, &reference);
            let put = Put::new(&reference, &manifest)?;
            put.run(&layout.0.folder, name.as_deref(), if_current).map_err(|error| error.on(&reference))
        })
        .await
    }

    /// Removes a tag, or a manifest with all its tags.
    pub(super) async fn forget(&self, reference: &Reference) -> Result<()> {
        let (layout, reference) = (self.clone(), reference.clone());
        blocking(move || {
            let folder = &layout.0.folder;
            let lock = disk::Lock::exclusive(&folder.0)?;
            let mut index = folder.index()?;
            match name_of(&layout.0.own, &reference) {
                Some(name) => {
                    let found = index.find(&name).cloned();
                    let found = found.ok_or_else(|| Error::not_found("no such tag").on(&reference))?;
                    agree(&reference, &found.digest)?;
                    index.unname(&name);
                    folder.keep_referrer(&mut index, &found)?;
                    folder.write_index(&index, &lock)
                }
                None => {
                    let digest = reference.digest().expect("a reference has a tag or a digest");
                    view::manifest(folder, digest).map_err(|error| error.on(&reference))?;
                    index.remove(digest);
                    folder.write_index(&index, &lock)?;
                    folder.remove_blob(digest)
                }
            }
        })
        .await
    }
}

/// A manifest that is being put.
struct Put<'a> {
    bytes: &'a [u8],
    document: Document,
    descriptor: Descriptor,
}

impl<'a> Put<'a> {
    fn new(reference: &Reference, manifest: &'a ManifestBytes) -> Result<Self> {
        let document = Document::of(manifest).map_err(|error| error.on(reference))?;
        let digest = reference.digest().map_or_else(|| Digest::of(&manifest.bytes), |d| hash(d, &manifest.bytes));
        if reference.digest().is_some_and(|wanted| *wanted != digest) {
            return Err(Error::corrupt(format!("the content has the digest {digest}")).on(reference));
        }
        let descriptor = document.descriptor(digest, manifest.bytes.len() as u64)?;
        Ok(Self { bytes: &manifest.bytes, document, descriptor })
    }

    fn run(&self, folder: &Folder, name: Option<&str>, if_current: Option<Current>) -> Result<Descriptor> {
        let lock = disk::Lock::exclusive(&folder.0)?;
        let mut index = folder.index()?;
        let before = name.and_then(|name| index.find(name)).cloned();
        if name.is_some() {
            check_current(before.as_ref(), if_current)?;
        }
        self.check_parts(folder)?;
        let digest = &self.descriptor.digest;
        if !folder.touch_locked(digest, self.descriptor.size)? {
            disk::write(&folder.0, &disk::blob_path(&folder.0, digest), self.bytes, &lock)?;
        }
        if self.enter(folder, &mut index, name, before.as_ref())? {
            folder.write_index(&index, &lock)?;
        }
        Ok(self.descriptor.clone())
    }

    /// Everything that the manifest names must be there, in the size that it says.
    fn check_parts(&self, folder: &Folder) -> Result<()> {
        for part in self.document.blobs().chain(self.document.manifests()) {
            let there = folder.open_blob(&part.digest).map_err(|error| match error.kind() {
                ErrorKind::NotFound => Error::invalid(format!("it names {}, which is not there", part.digest)),
                _ => error,
            })?;
            if there.len() != part.size {
                let message = format!("it says {} has {} bytes, not {}", part.digest, part.size, there.len());
                return Err(Error::corrupt(message));
            }
        }
        Ok(())
    }

    /// Enters the manifest in the index. Says whether that changed it.
    fn enter(
        &self,
        folder: &Folder,
        index: &mut IndexFile,
        name: Option<&str>,
        before: Option<&Descriptor>,
    ) -> Result<bool> {
        let digest = &self.descriptor.digest;
        let refers = self.document.subject().is_some();
        match (name, before) {
            (Some(_), Some(before)) if before.digest == *digest => return Ok(false),
            (Some(name), before) => {
                index.point(name, &self.descriptor);
                if let Some(before) = before {
                    folder.keep_referrer(index, before)?;
                }
                if !refers {
                    index.unlist(|unnamed| unnamed == digest);
                }
            }
            (None, _) if index.has(digest) || (!refers && folder.is_named(index, digest)) => {
                return Ok(false);
            }
            (None, _) => index.list(&self.descriptor),
        }
        let parts: Vec<Digest> = self.document.manifests().map(|part| part.digest).collect();
        index.unlist(|unnamed| parts.contains(unnamed) && folder.subject(unnamed).is_none());
        Ok(true)
    }
}

fn check_current(before: Option<&Descriptor>, if_current: Option<Current>) -> Result<()> {
    match (if_current, before) {
        (None, _) | (Some(Current::Absent), None) => Ok(()),
        (Some(Current::Is(wanted)), Some(before)) if before.digest == wanted => Ok(()),
        (_, Some(before)) => Err(Error::conflict(format!("the tag points to {} by now", before.digest))),
        (Some(Current::Is(_)), None) => Err(Error::conflict("the tag is gone")),
    }
}

impl Folder {
    pub(super) fn write_index(&self, index: &IndexFile, lock: &disk::Lock) -> Result<()> {
        disk::write(&self.0, &self.path("index.json"), &index.render(), lock)
    }

    /// Whether a blob is there, whole as far as that is cheap to say. One that is counts as new again, so that it is no
    /// garbage before someone who found it here names it.
    fn touch(&self, digest: &Digest, size: u64) -> Result<bool> {
        let _lock = disk::Lock::shared(&self.0)?;
        self.touch_locked(digest, size)
    }

    fn touch_locked(&self, digest: &Digest, size: u64) -> Result<bool> {
        let path = disk::blob_path(&self.0, digest);
        let there = match fs::metadata(&path) {
            Ok(metadata) if metadata.len() != size => false,
            Ok(_) if size <= READ_TO_BELIEVE => hash(digest, &fs::read(&path).map_err(on(&path))?) == *digest,
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(on(&path)(error)),
        };
        if there {
            renew(&path);
        }
        Ok(there)
    }

    /// Enters a manifest that lost its tag without a name, where it would be lost as a referrer otherwise.
    fn keep_referrer(&self, index: &mut IndexFile, lost: &Descriptor) -> Result<()> {
        if !index.has(&lost.digest) && self.subject(&lost.digest).is_some() {
            index.list(&Descriptor { annotations: Default::default(), ..lost.clone() });
        }
        Ok(())
    }

    /// Whom a manifest refers to.
    pub(super) fn subject(&self, digest: &Digest) -> Option<Digest> {
        let manifest = view::manifest(self, digest).ok()?;
        Document::of(&manifest).ok()?.subject().copied()
    }

    /// Whether an index that is entered names a manifest.
    fn is_named(&self, index: &IndexFile, digest: &Digest) -> bool {
        let indexes = index.descriptors().filter(|entry| entry.media_type.is_index());
        indexes.filter_map(|entry| view::manifest(self, &entry.digest).ok()).any(|manifest| {
            Document::of(&manifest).is_ok_and(|document| document.manifests().any(|part| part.digest == *digest))
        })
    }

    pub(super) fn delete_blob(&self, digest: &Digest) -> Result<()> {
        let _lock = disk::Lock::exclusive(&self.0)?;
        self.remove_blob(digest)
    }

    pub(super) fn remove_blob(&self, digest: &Digest) -> Result<()> {
        let path = disk::blob_path(&self.0, digest);
        fs::remove_file(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::not_found("no such blob").on(digest),
            _ => on(&path)(error),
        })
    }
}

/// Makes a file new again. A file of someone else cannot be, but is not ours to collect either.
fn renew(path: &Path) {
    let _ = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
}
