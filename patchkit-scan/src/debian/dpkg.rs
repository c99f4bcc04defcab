//! The database of dpkg, as bytes: what is installed, read and written back as dpkg would.
//!
//! Nothing here touches a file system: the caller finds the bytes of `/var/lib/dpkg/…` in an image and places what is
//! written. Source: dpkg(1), deb-conffiles(5), deb-triggers(5), and the behaviour of dpkg 1.20 and 1.21, which the
//! tests run as an oracle.

pub mod alternative;
pub mod conffile;
pub mod diversion;
pub mod info;
mod lines;
pub mod package;
#[cfg(feature = "patch")]
pub mod script;
pub mod stanza;
pub mod stat_override;
pub mod state;
pub mod status;
pub mod status_d;
pub mod trigger;

use super::control::dependency::DependencyErrorKind;
use super::control::{ControlError, ControlErrorKind};
use super::path::PathError;
use super::version::VersionError;

/// A damaged file of the package database: which file, which line, what is wrong there.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}, line {line}: {kind}")]
pub struct DatabaseError {
    /// The file's path, as the caller named it.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: DatabaseErrorKind,
}

/// What is wrong with a file of the package database.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseErrorKind {
    /// The file is not sound control data.
    #[error(transparent)]
    Control(#[from] ControlErrorKind),
    /// A relationship field cannot be read.
    #[error("field {field}: {kind}")]
    Dependency {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        kind: DependencyErrorKind,
    },
    /// Two stanzas for one package and architecture.
    #[error("package {0} is there twice")]
    DuplicatePackage(String),
    /// A field has a value that it may not have.
    #[error("field {field} may not be {value:?}")]
    Field {
        /// The field.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A line does not have the form that the file asks for.
    #[error("{0}")]
    Line(&'static str),
    /// A field that must be there is absent or empty.
    #[error("field {0} is missing")]
    MissingField(&'static str),
    /// A path that is not absolute, or cannot be one.
    #[error(transparent)]
    Path(#[from] PathError),
    /// A version is none.
    #[error("field {field}: {error}")]
    Version {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        error: VersionError,
    },
}

impl DatabaseError {
    pub(crate) fn new(file: &str, line: usize, kind: impl Into<DatabaseErrorKind>) -> Self {
        Self { file: file.to_owned(), line, kind: kind.into() }
    }

    fn control(file: &str, error: ControlError) -> Self {
        Self::new(file, error.position.line, error.kind)
    }
}
