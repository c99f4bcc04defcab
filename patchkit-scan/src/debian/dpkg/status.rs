//! The file `/var/lib/dpkg/status`.

use std::collections::HashSet;

use crate::debian::control::{Stanza, Stanzas};

use super::package::{FieldReader, InstalledPackage, needs_version};
use super::stanza::InstalledStanza;
use super::{DatabaseError, DatabaseErrorKind};

/// The status file: every package that dpkg knows, in the order of the file.
#[derive(Clone, Debug, Default)]
pub struct StatusFile {
    records: Vec<Record>,
}

/// One stanza of the status file.
#[derive(Clone, Debug)]
enum Record {
    Package(Box<InstalledPackage>),
    /// A package without a version: one that was selected or removed, but is not there.
    Selection(Selection),
}

#[derive(Clone, Debug)]
struct Selection {
    name: Box<str>,
    architecture: Box<str>,
    stanza: Box<[u8]>,
}

impl StatusFile {
    /// Reads a whole status file. `file` is its path, for errors.
    ///
    /// # Errors
    /// Any damage, with file and line; a package that is there twice in one architecture. There is no partial answer.
    pub fn read(file: &str, bytes: &[u8]) -> Result<Self, DatabaseError> {
        let mut status = Self::default();
        let mut seen = HashSet::new();
        for stanza in Stanzas::strict(bytes) {
            let stanza = stanza.map_err(|error| DatabaseError::control(file, error))?;
            let record = Record::read(file, &stanza)?;
            if !seen.insert((record.name().to_owned(), record.architecture().to_owned())) {
                let kind = DatabaseErrorKind::DuplicatePackage(record.name().to_owned());
                return Err(DatabaseError::new(file, stanza.position().line, kind));
            }
            status.records.push(record);
        }
        Ok(status)
    }

    /// Applies a file of `/var/lib/dpkg/updates`, where dpkg keeps changes until it writes the whole status. A killed
    /// dpkg leaves some; they count, in the order of their names.
    ///
    /// # Errors
    /// As [`StatusFile::read`].
    pub fn apply_update(&mut self, file: &str, bytes: &[u8]) -> Result<(), DatabaseError> {
        for stanza in Stanzas::strict(bytes) {
            let stanza = stanza.map_err(|error| DatabaseError::control(file, error))?;
            self.put(Record::read(file, &stanza)?);
        }
        Ok(())
    }

    /// The packages that are installed, or removed with their configuration left.
    pub fn packages(&self) -> impl Iterator<Item = &InstalledPackage> {
        self.records.iter().filter_map(|record| match record {
            Record::Package(package) => Some(&**package),
            Record::Selection(_) => None,
        })
    }

    /// Puts the stanza of a package that is now installed in the place of its old one, or adds it.
    ///
    /// # Errors
    /// The stanza is no sound one; [`InstalledStanza::new`] makes none such.
    pub fn install(&mut self, stanza: &InstalledStanza) -> Result<(), DatabaseError> {
        let bytes = stanza.to_bytes();
        self.apply_update(stanza.name(), &bytes)
    }

    /// Forgets a package: what dpkg does when it is purged.
    pub fn remove(&mut self, name: &str, architecture: &str) {
        self.records.retain(|record| record.name() != name || record.architecture() != architecture);
    }

    /// The whole file as dpkg writes it: sorted by name, each stanza followed by a blank line. Stanzas that nothing
    /// has changed keep their bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut sorted: Vec<&Record> = self.records.iter().collect();
        sorted.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
        let mut bytes = Vec::new();
        for record in sorted {
            bytes.extend_from_slice(record.stanza());
            bytes.push(b'\n');
        }
        bytes
    }

    /// Replaces the record of the same package, or appends. A package that can only be installed once replaces any
    /// other architecture of it, as dpkg's cross-grade does.
    fn put(&mut self, record: Record) {
        let position = self.records.iter().position(|old| old.is_slot_of(&record));
        match position {
            Some(at) => self.records[at] = record,
            None => self.records.push(record),
        }
    }
}

impl Record {
    fn read(file: &str, stanza: &Stanza<'_>) -> Result<Self, DatabaseError> {
        let reader = FieldReader { file, stanza };
        let status = match reader.text("Status")? {
            Some(_) => reader.status()?,
            None => return Err(reader.missing("Status")),
        };
        if needs_version(status.state) || reader.text("Version")?.is_some() {
            return Ok(Self::Package(Box::new(InstalledPackage::read(file, stanza)?)));
        }
        let (name, architecture) = (reader.package_name()?, reader.architecture()?);
        Ok(Self::Selection(Selection { name, architecture, stanza: stanza.bytes().into() }))
    }

    fn name(&self) -> &str {
        match self {
            Self::Package(package) => &package.name,
            Self::Selection(selection) => &selection.name,
        }
    }

    fn architecture(&self) -> &str {
        match self {
            Self::Package(package) => &package.architecture,
            Self::Selection(selection) => &selection.architecture,
        }
    }

    fn stanza(&self) -> &[u8] {
        match self {
            Self::Package(package) => package.stanza(),
            Self::Selection(selection) => &selection.stanza,
        }
    }

    /// By name; of one name, first the one that dpkg writes without its architecture.
    fn sort_key(&self) -> (&str, bool, &str) {
        let same = matches!(self, Self::Package(package) if package.multi_arch == super::state::MultiArch::Same);
        (self.name(), same, self.architecture())
    }

    /// Whether `new` takes the place of this record.
    fn is_slot_of(&self, new: &Self) -> bool {
        let several = |record: &Self| matches!(record, Self::Package(package) if package.multi_arch == super::state::MultiArch::Same);
        let coinstallable = several(self) && several(new);
        self.name() == new.name() && (self.architecture() == new.architecture() || !coinstallable)
    }
}
