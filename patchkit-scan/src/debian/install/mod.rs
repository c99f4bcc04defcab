//! Putting packages into an image as data: nothing of the image or the packages is executed.
//!
//! An [`Installation`] is an image's tree and package database in memory. Packages are [unpacked](Installation::unpack)
//! into it and [configured](Installation::configure) as dpkg would, then the known triggers are done as data. What has
//! changed in the end is the new layer.

pub mod accounts;
mod alternatives;
pub mod apply;
pub mod archive;
pub mod base;
pub mod bytecode;
pub mod ca_certificates;
mod conffile;
mod database;
pub mod elf;
pub mod filter;
mod glob;
pub mod layer;
pub mod ldcache;
mod record;
mod remove;
mod scripts;
pub mod tree;
mod unpack;

use std::collections::{BTreeMap, BTreeSet};

use patchkit_core::{Note, Result, image::FilePath};

use accounts::Accounts;
use database::{Database, Package};
use filter::PathFilter;
use scripts::Scripts;
use tree::{Entry, Tree};

use super::{
    deb::ControlFile,
    dpkg::{
        conffile::{Conffile, ShippedConffile},
        info::FileHash,
        package::InstalledPackage,
    },
    path::PackagePath,
};

/// An image while packages are put into it.
#[derive(Debug)]
pub struct Installation {
    tree: Tree,
    database: Database,
    filter: PathFilter,
    accounts: Accounts,
    /// The time that everything bears that is written anew, in seconds since 1970.
    timestamp: i64,
    /// Packages (name, architecture) that will be replaced or removed, so that what they have is free to be taken.
    leaving: BTreeSet<(String, String)>,
    /// Unpacked packages that wait to be configured.
    pending: Vec<(usize, Pending)>,
    /// Packages whose `.list` has changed because another took something over.
    changed_lists: BTreeSet<usize>,
    /// The image's own architecture in Debian's words.
    architecture: String,
    /// Whether something asked for the dynamic linker's cache to be brought up to date.
    needs_ldconfig: bool,
    /// Whether something asked for the bundle of certificates to be brought up to date.
    needs_certificates: bool,
    /// Whether ca-certificates itself is new, so that its list is configured.
    configure_certificates: bool,
    notes: Vec<Note>,
}

/// What is left to do for an unpacked package.
#[derive(Debug)]
struct Pending {
    control: BTreeMap<String, ControlFile>,
    md5sums: Vec<FileHash>,
    shipped: Vec<ShippedConffile>,
    old_hashes: BTreeMap<PackagePath, Option<Box<str>>>,
    new_conffiles: BTreeMap<PackagePath, Entry>,
    conffiles: Vec<Conffile>,
    old: Option<Package>,
}

impl Installation {
    /// Opens the tree of an image, whose package database is read.
    ///
    /// # Errors
    /// [`Unsupported`](patchkit_core::ErrorKind::Unsupported) where it has none of dpkg's;
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for a damaged one.
    pub fn open(tree: Tree, timestamp: i64) -> Result<Self> {
        let database = Database::of(&tree)?;
        Ok(Self {
            architecture: database.architecture(),
            needs_ldconfig: false,
            needs_certificates: false,
            configure_certificates: false,
            database,
            filter: PathFilter::of(&tree)?,
            accounts: Accounts::of(&tree)?,
            tree,
            timestamp,
            leaving: BTreeSet::new(),
            pending: Vec::new(),
            changed_lists: BTreeSet::new(),
            notes: Vec::new(),
        })
    }

    /// The image's own architecture in Debian's words, such as `amd64`.
    #[must_use]
    pub fn architecture(&self) -> &str {
        &self.architecture
    }

    /// The packages that are known, installed or removed with their configuration left.
    #[must_use]
    pub fn packages(&self) -> Vec<InstalledPackage> {
        self.database.packages.iter().flatten().map(|package| package.installed.clone()).collect()
    }

    /// Says which packages (name, architecture) will be unpacked or removed, before the first is.
    pub fn expect(&mut self, packages: impl IntoIterator<Item = (String, String)>) {
        self.leaving.extend(packages);
    }

    /// Configures everything that was unpacked, and enters it into the package database of the tree.
    ///
    /// # Errors
    /// Those of reading conffiles; [`Corrupt`](patchkit_core::ErrorKind::Corrupt) for control data that dpkg refuses.
    pub fn configure(&mut self) -> Result<()> {
        for (slot, pending) in std::mem::take(&mut self.pending) {
            let name = self.database.package(slot).map(|package| package.installed.name.to_string());
            let name = name.unwrap_or_default();
            self.configure_package(slot, &name, &pending).map_err(|error| error.during(format!("configure {name}")))?;
        }
        self.record_lists();
        self.write_status()
    }

    fn configure_package(&mut self, slot: usize, name: &str, pending: &Pending) -> Result<()> {
        let Some(new) = self.database.package(slot).map(|package| package.installed.clone()) else { return Ok(()) };
        self.configure_conffiles(name, pending)?;
        self.after_unpack(&Scripts { new: &new, old: pending.old.as_ref(), control: &pending.control })?;
        self.record(slot, pending)
    }

    /// The tree as it is now.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Ends the installation: the tree, and what a person should know, sorted.
    #[must_use]
    pub fn finish(self) -> (Tree, Vec<Note>) {
        let mut notes = self.notes;
        notes.sort();
        notes.dedup();
        (self.tree, notes)
    }
}

/// The most bytes of one file that are read whole: 4 MiB.
const MAX_READ: u64 = 4 << 20;

/// Whether the content of a file of the image is read while packages are put into it: what a tree's
/// [`Base`](tree::Base) must have kept.
#[must_use]
pub fn keeps(path: &FilePath, size: u64) -> bool {
    const PROGRAMS: [&str; 4] = ["sbin/ldconfig", "usr/sbin/ldconfig", "sbin/ldconfig.real", "usr/sbin/ldconfig.real"];
    const FOLDERS: [&[u8]; 7] = [
        b"etc/",
        b"usr/share/keyrings/",
        b"var/lib/dpkg/",
        b"usr/share/ca-certificates/",
        b"usr/local/share/ca-certificates/",
        b"var/cache/debconf/",
        b"usr/share/pam-configs/",
    ];
    let bytes = path.as_bytes();
    match PROGRAMS.iter().any(|program| program.as_bytes() == bytes) {
        true => size <= ldcache::MAX_LDCONFIG,
        false if bytes == b"var/lib/dpkg/status" => size <= MAX_DATABASE,
        false => size <= MAX_READ && FOLDERS.iter().any(|folder| bytes.starts_with(folder)),
    }
}

/// The most bytes of a status file that are read: 64 MiB.
const MAX_DATABASE: u64 = 64 << 20;

/// A path that the code names.
fn path(constant: &str) -> FilePath {
    FilePath::new(constant).expect("a constant path")
}
