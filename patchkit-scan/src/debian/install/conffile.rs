//! Configuration files: what the administrator changed stays, and the new version is laid beside it.
//!
//! Source: dpkg's `src/main/configure.c` with `--force-confdef --force-confold`, measured with dpkg 1.20 and 1.21.

use md5::{Digest as _, Md5};
use patchkit_core::{Error, Result, image::FilePath};

use super::{
    Installation, Pending,
    archive::file_path,
    tree::{Content, Entry, Kind},
    unpack::beside,
};
use crate::debian::{
    dpkg::{conffile::ShippedConffile, diversion},
    path::PackagePath,
};

/// What becomes of a conffile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The file on disk stays.
    Keep,
    /// The file on disk, or its absence, stays; the new one is laid beside it.
    LayBeside,
    /// The new one is put in its place.
    Replace,
}

/// What becomes of a conffile with the given hashes: as shipped before, on disk, as shipped now.
fn fate(shipped: Option<&str>, on_disk: Option<&str>, new: &str) -> Fate {
    match (shipped, on_disk) {
        (_, Some(disk)) if disk == new => Fate::Keep,
        (None, None) => Fate::Replace,
        (Some(shipped), Some(disk)) if shipped == disk => Fate::Replace,
        (Some(shipped), _) if shipped == new => Fate::Keep,
        _ => Fate::LayBeside,
    }
}

impl Installation {
    /// Decides on the conffiles of an unpacked package.
    pub(super) fn configure_conffiles(&mut self, name: &str, pending: &Pending) -> Result<()> {
        for conffile in &pending.shipped {
            let old = pending.old_hashes.get(&conffile.path).and_then(Option::as_deref);
            let done = match pending.new_conffiles.get(&conffile.path) {
                _ if conffile.remove_on_upgrade => self.remove_on_upgrade(name, conffile, old),
                Some(new) => self.configure_conffile(name, &conffile.path, old, new),
                None => Ok(()),
            };
            done.map_err(|error| error.on(&conffile.path))?;
        }
        Ok(())
    }

    fn configure_conffile(&mut self, name: &str, path: &PackagePath, old: Option<&str>, new: &Entry) -> Result<()> {
        let place = self.conffile_place(name, path)?;
        let disk = self.tree.entry(&place);
        let hash = self.hash_on_disk(disk.as_ref())?;
        let new_hash = self.hash_on_disk(Some(new))?.expect("a conffile is a plain file");
        let mut fresh = new.clone();
        if let Some(disk) = disk.as_ref().filter(|disk| disk.is_file()) {
            fresh = Entry { mode: disk.mode, uid: disk.uid, gid: disk.gid, ..fresh };
        }
        match fate(old, hash.as_deref(), &new_hash) {
            Fate::Keep => {}
            Fate::LayBeside => self.put_conffile(beside(&place, ".dpkg-dist"), fresh),
            Fate::Replace => {
                let dist = beside(&place, ".dpkg-dist");
                if self.tree.entry(&dist).is_some() {
                    self.tree.remove(&dist);
                }
                self.put_conffile(place, fresh);
            }
        }
        Ok(())
    }

    fn put_conffile(&mut self, place: FilePath, entry: Entry) {
        self.make_parents(&place);
        self.tree.put(place, entry);
    }

    fn remove_on_upgrade(&mut self, name: &str, conffile: &ShippedConffile, old: Option<&str>) -> Result<()> {
        let place = self.conffile_place(name, &conffile.path)?;
        let disk = self.tree.entry(&place);
        match self.hash_on_disk(disk.as_ref())? {
            None => {}
            hash if hash.as_deref() == old => self.tree.remove(&place),
            Some(_) => self.tree.rename(&place, &beside(&place, ".dpkg-old")),
        }
        Ok(())
    }

    /// Where a conffile is: through diversions and symbolic links, also its own.
    fn conffile_place(&self, name: &str, path: &PackagePath) -> Result<FilePath> {
        let destination = file_path(diversion::destination(&self.database.diversions, path, name));
        let found = self.tree.resolve(&destination).or_else(|| self.tree.follow(&destination));
        found.ok_or_else(|| Error::conflict("the links of a conffile lead nowhere"))
    }

    /// The MD5 of what is on disk; one that nothing has for what is no plain file.
    pub(super) fn hash_on_disk(&self, entry: Option<&Entry>) -> Result<Option<String>> {
        Ok(match entry.map(|entry| &entry.kind) {
            None => None,
            Some(Kind::File(Content::Stored(stored))) => Some(hex::encode(stored.md5)),
            Some(Kind::File(content)) => Some(hex::encode(Md5::digest(self.tree.content(content)?))),
            Some(_) => Some("-".into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_dpkg() {
        let table = [
            (Some("h"), Some("n"), Fate::Keep),
            (Some("h"), Some("h"), Fate::Replace),
            (Some("n"), Some("d"), Fate::Keep),
            (Some("h"), Some("d"), Fate::LayBeside),
            (Some("n"), None, Fate::Keep),
            (Some("h"), None, Fate::LayBeside),
            (None, None, Fate::Replace),
            (None, Some("d"), Fate::LayBeside),
            (None, Some("n"), Fate::Keep),
        ];
        for (shipped, disk, expected) in table {
            assert_eq!(fate(shipped, disk, "n"), expected, "{shipped:?} {disk:?}");
        }
    }
}
