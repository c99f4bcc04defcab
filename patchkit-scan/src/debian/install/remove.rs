//! Removing what an old version leaves, and whole packages with their configuration: what `dpkg --purge` does without
//! running scripts.

use std::collections::BTreeSet;

use patchkit_core::{Error, Note, NoteClass, Result, image::FilePath};

use super::{
    Installation,
    archive::file_path,
    database::{Database, Layout, Package},
    path,
    tree::child,
};
use crate::debian::{
    dpkg::{diversion, info},
    path::PackagePath,
};

impl Installation {
    /// Removes a package, its conffiles and its place in the database.
    ///
    /// # Errors
    /// [`NotFound`](patchkit_core::ErrorKind::NotFound) where it is not installed.
    pub fn remove(&mut self, name: &str, architecture: &str) -> Result<()> {
        let slot = self.database.find(name, architecture);
        let found = slot.and_then(|slot| Some((slot, self.database.package(slot)?.clone())));
        let (slot, package) = found.ok_or_else(|| Error::not_found("the package is not installed").on(name))?;
        for kind in ["prerm", "postrm"] {
            self.note_unrun_removal(&package, kind)?;
        }
        for path in package.list.iter().rev().filter(|path| !path.is_root()) {
            self.remove_old_file(path, (slot, name), &BTreeSet::new());
        }
        for conffile in &package.installed.conffiles {
            let destination = file_path(diversion::destination(&self.database.diversions, &conffile.path, name));
            if let Some(place) = self.tree.place(&destination).filter(|place| self.tree.entry(place).is_some()) {
                self.tree.remove(&place);
            }
        }
        self.forget(slot, &package);
        self.needs_ldconfig = true;
        Ok(())
    }

    /// Removes a path that a package had: a file that is none of the `kept`, an empty folder that no other has.
    pub(super) fn remove_old_file(
        &mut self,
        path: &PackagePath,
        (slot, name): (usize, &str),
        kept: &BTreeSet<FilePath>,
    ) {
        let destination = file_path(diversion::destination(&self.database.diversions, path, name));
        let Some(place) = self.tree.place(&destination) else {
            return;
        };
        let Some(here) = self.tree.entry(&place) else {
            return;
        };
        let others = self.database.others(path, slot).next().is_some();
        if here.is_directory() {
            if !others && self.tree.names(&place).is_empty() {
                self.tree.remove(&place);
            }
        } else if !others && !kept.contains(&place) {
            self.tree.remove(&place);
        }
    }

    /// In a distroless image folders are in no list: those that the removal of files has emptied go.
    pub(super) fn remove_emptied_folders(&mut self, old: &Package, slot: usize) {
        for path in &old.list {
            if self.database.others(path, slot).next().is_some() || self.tree.lstat(&file_path(path)).is_some() {
                continue;
            }
            let mut parent = file_path(path).parent();
            while let Some(folder) = parent.filter(|folder| folder.components().count() > 2) {
                match self.tree.entry(&folder) {
                    Some(entry) if entry.is_directory() && self.tree.names(&folder).is_empty() => {
                        self.tree.remove(&folder)
                    }
                    _ => break,
                }
                parent = folder.parent();
            }
        }
    }

    fn note_unrun_removal(&mut self, package: &Package, kind: &str) -> Result<()> {
        let script = child(&path("var/lib/dpkg/info"), format!("{}.{kind}", package.base).as_bytes());
        if self.tree.read(&script)?.is_some() {
            self.notes.push(Note {
                class: NoteClass::Review,
                subject: format!("{} {kind}", package.installed.name),
                message: "the script of a removed package was not run".into(),
            });
        }
        Ok(())
    }

    fn forget(&mut self, slot: usize, package: &Package) {
        self.database.set(slot, None);
        self.leaving.remove(&(package.installed.name.to_string(), package.installed.architecture.to_string()));
        match &mut self.database.layout {
            Layout::Dpkg(status) => {
                status.remove(&package.installed.name, &package.installed.architecture);
                let names = Database::names(&self.tree, "var/lib/dpkg/info");
                for name in names.iter().filter_map(|name| std::str::from_utf8(name).ok()) {
                    if info::split_name(name).is_some_and(|(base, _)| base == package.base) {
                        self.remove_info(name);
                    }
                }
            }
            Layout::StatusD => {
                for name in [package.base.clone(), format!("{}.md5sums", package.base)] {
                    let file = child(&path("var/lib/dpkg/status.d"), name.as_bytes());
                    if let Some(place) = self.tree.place(&file).filter(|place| self.tree.entry(place).is_some()) {
                        self.tree.remove(&place);
                    }
                }
            }
        }
    }
}
