//! Red Hat, Fedora, SUSE and their kin: the package databases of rpm.
//!
//! rpm keeps one header a package, in a container that depends on its version: an SQLite file (`rpmdb.sqlite`), its own
//! format called ndb (`Packages.db`), or a Berkeley DB hash table (`Packages`). All are read without trust: every length
//! and offset is checked, every page is used at most once, and what does not fit together is a [`DatabaseError`].

mod bdb;
pub(crate) mod catalog;
mod error;
pub(crate) mod header;
pub(crate) mod manifest;
mod ndb;
pub(crate) mod package;
mod pages;
mod sqlite;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub(crate) use error::DatabaseError;

/// The containers of rpm's headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Container {
    /// A Berkeley DB hash table: `Packages`.
    Bdb,
    /// rpm's own format: `Packages.db`.
    Ndb,
    /// An SQLite database: `rpmdb.sqlite`.
    Sqlite,
}

impl Container {
    /// Shows every header that the container has, with its number. `log` is SQLite's write-ahead log, empty where there
    /// is none.
    ///
    /// # Errors
    /// [`DatabaseError`] with the place of the damage; those of `visit`, with the number of the record.
    pub(crate) fn each(self, bytes: &[u8], log: &[u8], visit: Visit<'_>) -> Result<(), DatabaseError> {
        match self {
            Self::Bdb => bdb::each(bytes, visit),
            Self::Ndb => ndb::each(bytes, visit),
            Self::Sqlite => sqlite::each(bytes, log, visit),
        }
    }
}

/// Is shown a header's bytes.
pub(crate) type Visit<'a> = &'a mut dyn FnMut(&[u8]) -> Result<(), DatabaseError>;
