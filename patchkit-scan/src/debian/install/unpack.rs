//! Unpacking a package over its old version, as dpkg does.
//!
//! Source: dpkg's `src/main/archives.c` (`tarobject`) and `unpack.c` (`pkg_remove_old_files`), whose order of questions
//! this keeps; the tests compare with `dpkg --root`.

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Error, Result, image::FilePath};

use super::{
    Installation, Pending,
    archive::{Archive, ArchiveEntry, ArchiveKind, file_path},
    database::{Layout, Package, damaged},
    scripts::Scripts,
    tree::{Content, Entry, Kind, child},
};
use crate::debian::{
    dpkg::{
        conffile::{Conffile, NEW_CONFFILE, ShippedConffile, obsolete_conffiles},
        diversion,
        package::InstalledPackage,
    },
    path::PackagePath,
};

/// A package while its files are put into the tree.
struct Unpacking<'a> {
    archive: &'a Archive,
    new: InstalledPackage,
    shipped: Vec<ShippedConffile>,
    slot: Option<usize>,
    old: Option<Package>,
    /// The archive's paths that end up as the package's.
    list: Vec<PackagePath>,
    /// Those that are neither left out nor another package's.
    in_archive: BTreeSet<PackagePath>,
    /// Where they are on disk.
    places: BTreeSet<FilePath>,
    /// The conffiles of the archive, waiting to be configured.
    conffiles: BTreeMap<PackagePath, Entry>,
    /// Paths taken over from other packages.
    taken: BTreeSet<(usize, PackagePath)>,
}

/// What is to become of an entry.
enum Verdict {
    /// It is put into the tree.
    Put,
    /// Another package's stays in its place.
    KeepOther,
}

impl Installation {
    /// Unpacks a package over its old version, or as a new one. Its conffiles wait for
    /// [`configure`](Self::configure).
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a package that is not sound;
    /// [`Conflict`](patchkit_core::ErrorKind::Conflict) where it would overwrite what another package has, or a
    /// folder.
    pub fn unpack(&mut self, archive: &Archive) -> Result<()> {
        let new = archive.package()?;
        let name = new.name.to_string();
        self.unpack_package(archive, new).map_err(|error| error.during(format!("unpack {name}")))
    }

    fn unpack_package(&mut self, archive: &Archive, new: InstalledPackage) -> Result<()> {
        let shipped = archive.control.get("conffiles").map(|file| &file.bytes[..]).unwrap_or_default();
        let shipped = ShippedConffile::read_all("conffiles", shipped).map_err(damaged)?;
        let slot = self.database.find(&new.name, &new.architecture);
        let old = slot.and_then(|slot| self.database.package(slot).cloned());
        self.check_diversions(archive, &new)?;
        self.note_triggers(archive)?;
        self.before_unpack(&Scripts { new: &new, old: old.as_ref(), control: &archive.control })?;
        let mut unpacking = Unpacking {
            archive,
            new,
            shipped,
            slot,
            old,
            list: Vec::new(),
            in_archive: BTreeSet::new(),
            places: BTreeSet::new(),
            conffiles: BTreeMap::new(),
            taken: BTreeSet::new(),
        };
        for entry in &archive.entries {
            self.unpack_entry(entry, &mut unpacking).map_err(|error| error.on(&entry.path))?;
        }
        self.remove_old_files(&unpacking);
        self.give_up_taken(&unpacking)?;
        self.register(unpacking)
    }

    /// A package must not bring the very file that a diversion moves another's to.
    fn check_diversions(&self, archive: &Archive, new: &InstalledPackage) -> Result<()> {
        let target = |path: &PackagePath| self.database.diversions.iter().any(|diversion| diversion.to == *path);
        match archive.entries.iter().find(|entry| entry.stored().is_some() && target(&entry.path)) {
            Some(entry) => {
                Err(Error::conflict(format!("{} brings a file that others are diverted to", new.name)).on(&entry.path))
            }
            None => Ok(()),
        }
    }

    fn unpack_entry(&mut self, entry: &ArchiveEntry, unpacking: &mut Unpacking<'_>) -> Result<()> {
        let destination = diversion::destination(&self.database.diversions, &entry.path, &unpacking.new.name);
        let destination = file_path(destination);
        let place = self.tree.place(&destination).ok_or_else(|| Error::conflict("a parent of it is no folder"))?;
        let here =
            if destination.is_root() { Some(Entry::new(Kind::Directory, 0o755, 0)) } else { self.tree.entry(&place) };
        let is_conffile = unpacking.shipped.iter().any(|conffile| conffile.path == entry.path);
        let exists = self.is_there_already(entry, &destination, &place, here.as_ref());
        let verdict = if exists { Verdict::Put } else { self.judge(entry, here.as_ref(), unpacking)? };
        if let Verdict::KeepOther = verdict {
            return Ok(());
        }
        unpacking.list.push(entry.path.clone());
        let may_be_folder = matches!(entry.kind, ArchiveKind::Directory | ArchiveKind::Symlink(_));
        if self.filter.excludes(&entry.path, may_be_folder) || self.was_left_out(entry, &place, unpacking) {
            return Ok(());
        }
        unpacking.in_archive.insert(entry.path.clone());
        unpacking.places.insert(place.clone());
        if exists {
            return Ok(());
        }
        let new = self.entry_of(entry, here.as_ref(), unpacking);
        if is_conffile && entry.stored().is_some() {
            unpacking.conffiles.insert(entry.path.clone(), new);
            return Ok(());
        }
        self.put_in_place(place, here.as_ref(), new);
        Ok(())
    }

    /// Whether nothing is to be done: a folder where there is one, a link where there is a folder or another link to
    /// the same folder.
    fn is_there_already(&self, entry: &ArchiveEntry, path: &FilePath, place: &FilePath, here: Option<&Entry>) -> bool {
        let is_folder = |path: &FilePath| self.tree.entry(path).is_some_and(|entry| entry.is_directory());
        match (&entry.kind, here.map(|here| &here.kind)) {
            (ArchiveKind::Directory, _) => {
                path.is_root() || self.tree.stat(path).is_some_and(|found| found.is_directory())
            }
            (ArchiveKind::Symlink(_), Some(Kind::Directory)) => true,
            (ArchiveKind::Symlink(target), Some(Kind::Symlink(_))) => {
                let new = self.tree.resolve_link(place, target);
                new.is_some() && new == self.tree.resolve(place) && new.as_ref().is_some_and(is_folder)
            }
            _ => false,
        }
    }

    /// What is to become of an entry that other packages may have.
    fn judge(&self, entry: &ArchiveEntry, here: Option<&Entry>, unpacking: &mut Unpacking<'_>) -> Result<Verdict> {
        let mut verdict = Verdict::Put;
        let others: Vec<usize> = self.database.others(&entry.path, unpacking.slot.unwrap_or(usize::MAX)).collect();
        for slot in others {
            let Some(other) = self.database.package(slot) else {
                continue;
            };
            if matches!((&entry.kind, here), (ArchiveKind::Directory, None | Some(Entry { kind: Kind::Directory, .. })))
                || self.may_share(entry, other, unpacking)
            {
                continue;
            }
            let leaving =
                self.leaving.contains(&(other.installed.name.to_string(), other.installed.architecture.to_string()));
            if replaces(&unpacking.new, &other.installed)
                || leaving
                || self.takes_over_conffile(entry, other, unpacking)
            {
                unpacking.taken.insert((slot, entry.path.clone()));
            } else if replaces(&other.installed, &unpacking.new) {
                verdict = Verdict::KeepOther;
            } else {
                let message = format!("{} would overwrite what {} has", unpacking.new.name, other.installed.name);
                return Err(Error::conflict(message));
            }
        }
        Ok(verdict)
    }

    /// Whether a file may belong to both packages: the same package in two architectures, or a diversion between them.
    fn may_share(&self, entry: &ArchiveEntry, other: &Package, unpacking: &Unpacking<'_>) -> bool {
        let same =
            other.installed.name == unpacking.new.name && other.installed.architecture != unpacking.new.architecture;
        let diverted = self.database.diversions.iter().find(|diversion| diversion.from == entry.path);
        let diverts =
            |name: &str| diverted.is_some_and(|diversion| diversion.package.as_deref().is_none_or(|p| p == name));
        same || !other.installed.is_present() || diverts(&unpacking.new.name) || diverts(&other.installed.name)
    }

    fn takes_over_conffile(&self, entry: &ArchiveEntry, other: &Package, unpacking: &Unpacking<'_>) -> bool {
        let shipped = unpacking.shipped.iter().any(|conffile| conffile.path == entry.path);
        shipped && other.installed.conffiles.iter().any(|conffile| conffile.path == entry.path && conffile.obsolete)
    }

    /// Whether the builder of a distroless image left a path out: the old version had it, or all of its folder, but the
    /// image has not.
    fn was_left_out(&self, entry: &ArchiveEntry, place: &FilePath, unpacking: &Unpacking<'_>) -> bool {
        let (Layout::StatusD, Some(old)) = (&self.database.layout, &unpacking.old) else {
            return false;
        };
        if self.tree.entry(place).is_some() || place.is_root() {
            return false;
        }
        let path = file_path(&entry.path);
        let folder =
            if matches!(entry.kind, ArchiveKind::Directory) { path.clone() } else { path.parent().unwrap_or_default() };
        let gone = self.tree.stat(&folder).is_none();
        old.list.iter().any(|known| *known == entry.path || (gone && file_path(known).starts_with(&folder)))
    }

    /// The entry with the owner that the image knows by name, and the owner and mode that an override asks for.
    fn entry_of(&self, entry: &ArchiveEntry, here: Option<&Entry>, unpacking: &Unpacking<'_>) -> Entry {
        let kind = match &entry.kind {
            ArchiveKind::BlockDevice(major, minor) => Kind::BlockDevice(*major, *minor),
            ArchiveKind::CharDevice(major, minor) => Kind::CharDevice(*major, *minor),
            ArchiveKind::Directory => Kind::Directory,
            ArchiveKind::Fifo => Kind::Fifo,
            ArchiveKind::File(stored) => Kind::File(Content::Stored(stored.clone())),
            ArchiveKind::Symlink(target) => Kind::Symlink(target.clone()),
        };
        let mode = if matches!(kind, Kind::Symlink(_)) { 0o777 } else { entry.mode };
        let (uid, gid) = (self.accounts.user(&entry.user), self.accounts.group(&entry.group));
        let mut new = Entry { kind, mode, uid, gid, mtime: entry.mtime, xattrs: entry.xattrs.clone() };
        if let Some(known) = self.database.overrides.iter().find(|known| known.path == entry.path)
            && let Some((uid, gid)) = self.accounts.overridden(&known.user, &known.group)
        {
            new = Entry { uid, gid, mode: known.mode, ..new };
        }
        self.keep_capabilities(&mut new, here, unpacking);
        new
    }

    /// File capabilities are given by `setcap` in a script that is not run: the new file gets those of the old one.
    fn keep_capabilities(&self, new: &mut Entry, here: Option<&Entry>, unpacking: &Unpacking<'_>) {
        const CAPABILITY: &str = "security.capability";
        let script = unpacking.archive.control.get("postinst");
        let sets = script.is_some_and(|script| memchr::memmem::find(&script.bytes, b"setcap").is_some());
        if let Some(old) = here.and_then(|here| here.xattrs.get(CAPABILITY)).filter(|_| sets && new.is_file()) {
            new.xattrs.entry(CAPABILITY.into()).or_insert_with(|| old.clone());
        }
    }

    fn put_in_place(&mut self, place: FilePath, here: Option<&Entry>, new: Entry) {
        self.make_parents(&place);
        if here.is_some_and(|here| here.is_directory()) && !new.is_directory() {
            self.tree.remove_all(&place);
        }
        self.tree.put(place, new);
    }

    pub(super) fn make_parents(&mut self, place: &FilePath) {
        let mut missing = Vec::new();
        let mut parent = place.parent();
        while let Some(folder) = parent.filter(|folder| !folder.is_root() && self.tree.entry(folder).is_none()) {
            parent = folder.parent();
            missing.push(folder);
        }
        for folder in missing {
            self.tree.put(folder, Entry::new(Kind::Directory, 0o755, self.timestamp));
        }
    }

    /// Removes what the old version had and the new one has not.
    fn remove_old_files(&mut self, unpacking: &Unpacking<'_>) {
        let Some((slot, old)) = unpacking.slot.zip(unpacking.old.as_ref()) else {
            return;
        };
        for path in old.list.iter().rev() {
            let listed = unpacking.shipped.iter().any(|conffile| conffile.path == *path);
            let was_conffile = old.installed.conffiles.iter().any(|conffile| conffile.path == *path);
            if listed || was_conffile || unpacking.in_archive.contains(path) || path.is_root() {
                continue;
            }
            self.remove_old_file(path, (slot, &unpacking.new.name), &unpacking.places);
        }
        if matches!(self.database.layout, Layout::StatusD) {
            self.remove_emptied_folders(old, slot);
        }
    }

    /// Strikes paths that were taken over from the lists of the packages that had them.
    fn give_up_taken(&mut self, unpacking: &Unpacking<'_>) -> Result<()> {
        let slots: BTreeSet<usize> = unpacking.taken.iter().map(|(slot, _)| *slot).collect();
        for slot in slots {
            let Some(mut other) = self.database.package(slot).cloned() else {
                continue;
            };
            let is_folder =
                |path: &PackagePath| self.tree.lstat(&file_path(path)).is_some_and(|entry| entry.is_directory());
            other.list.retain(|path| is_folder(path) || !unpacking.taken.contains(&(slot, path.clone())));
            if other.list.iter().all(is_folder) && !self.is_leaving(&other) {
                let message = format!("all files of {} would be taken over: it would disappear", other.installed.name);
                return Err(Error::conflict(message));
            }
            self.changed_lists.insert(slot);
            self.database.set(slot, Some(other));
        }
        Ok(())
    }

    fn is_leaving(&self, package: &Package) -> bool {
        self.leaving.contains(&(package.installed.name.to_string(), package.installed.architecture.to_string()))
    }

    /// Enters the package into the database in memory.
    fn register(&mut self, unpacking: Unpacking<'_>) -> Result<()> {
        let Unpacking { archive, mut new, shipped, slot, old, mut list, in_archive: unpacked, conffiles, .. } =
            unpacking;
        let old_conffiles = old.as_ref().map(|old| old.installed.conffiles.clone()).unwrap_or_default();
        let old_list = old.as_ref().map(|old| old.list.clone()).unwrap_or_default();
        let in_archive: BTreeSet<&PackagePath> = archive.entries.iter().map(|entry| &entry.path).collect();
        let exists = |path: &PackagePath| self.tree.lstat(&file_path(path)).is_some_and(|entry| !entry.is_directory());
        let obsolete =
            obsolete_conffiles(&old_conffiles, &old_list, &shipped, |path| in_archive.contains(path), exists);
        list.retain(|path| !shipped.iter().any(|conffile| conffile.remove_on_upgrade && conffile.path == *path));
        list.extend(obsolete.iter().cloned());
        let md5 = |path: &PackagePath| {
            archive.entries.iter().find(|entry| entry.path == *path)?.stored().map(|s| hex::encode(s.md5))
        };
        let hashes = Conffile::after_upgrade(&old_conffiles, &shipped, &obsolete, md5);
        let old_hashes =
            shipped.iter().map(|conffile| (conffile.path.clone(), self.old_hash(&conffile.path, &old_conffiles, &new)));
        let old_hashes = old_hashes.collect();
        new.conffiles.clone_from(&hashes);
        let pending = Pending {
            control: archive.control.clone(),
            md5sums: sums(archive, &unpacked),
            old_hashes,
            shipped,
            new_conffiles: conffiles,
            conffiles: hashes,
            old: old.clone(),
        };
        let base = match (&self.database.layout, &old) {
            (Layout::Dpkg(_), _) | (_, None) => new.info_name(),
            (Layout::StatusD, Some(old)) => old.base.clone(),
        };
        let package = Package { installed: new, list, base };
        self.leaving.remove(&(package.installed.name.to_string(), package.installed.architecture.to_string()));
        let slot = match slot {
            Some(slot) => {
                self.database.set(slot, Some(package));
                slot
            }
            None => self.database.add(package),
        };
        self.pending.push((slot, pending));
        Ok(())
    }

    /// The hash of a conffile as the image's version shipped it: of this package, or of one that it replaces.
    fn old_hash(&self, path: &PackagePath, own: &[Conffile], new: &InstalledPackage) -> Option<Box<str>> {
        let own_hash = own.iter().find(|conffile| conffile.path == *path);
        let others = self.database.packages.iter().flatten().flat_map(|other| {
            let replaced = replaces(new, &other.installed);
            other.installed.conffiles.iter().filter(move |conffile| replaced || conffile.obsolete)
        });
        let known = own_hash.or_else(|| others.into_iter().find(|conffile| conffile.path == *path));
        let found = known.map(|conffile| conffile.hash.clone());
        found.filter(|hash| &**hash != NEW_CONFFILE)
    }
}

/// Whether a package may overwrite the files of another.
fn replaces(package: &InstalledPackage, other: &InstalledPackage) -> bool {
    let mut relations = package.relationships.replaces.relations();
    relations.any(|relation| relation.name == other.name && relation.admits(&other.version))
}

/// The checksums of a package's plain files that are unpacked, in its order.
fn sums(archive: &Archive, unpacked: &BTreeSet<PackagePath>) -> Vec<crate::debian::dpkg::info::FileHash> {
    let entries = archive.entries.iter().filter(|entry| unpacked.contains(&entry.path));
    let files = entries.filter_map(|entry| Some((entry.path.clone(), entry.stored()?)));
    files
        .map(|(path, stored)| crate::debian::dpkg::info::FileHash { md5: hex::encode(stored.md5).into(), path })
        .collect()
}

/// The path beside a file, such as `PATH.dpkg-dist`.
pub(super) fn beside(path: &FilePath, suffix: &str) -> FilePath {
    let name = [path.file_name().unwrap_or_default(), suffix.as_bytes()].concat();
    child(&path.parent().unwrap_or_default(), &name)
}
