use std::{io, sync::Arc};

use patchkit_core::Error;

use super::{VERSION, wire::Malformed};

/// Why a table cannot be read: which, and what is wrong.
#[derive(Debug, thiserror::Error)]
#[error("{fault}")]
pub(super) struct DatabaseError {
    name: Arc<str>,
    #[source]
    fault: Fault,
}

/// What is wrong with a table.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("block {0} is not what was written: its hash differs")]
    Block(usize),
    #[error("block {0} cannot be decompressed: {1}")]
    Compression(usize, #[source] io::Error),
    #[error("it has {found} claims and says that it has {said}")]
    Count { said: usize, found: usize },
    #[error("it is cut off: {0} bytes, and what every advisory database ends with is missing")]
    CutOff(u64),
    #[error("block {0}: {1}")]
    Entry(usize, #[source] Malformed),
    #[error("the index is not what was written: its hash differs")]
    Hash,
    #[error("index: {0}")]
    Index(#[source] Malformed),
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    #[error("block {0}: a value is longer than any honest one")]
    Long(usize),
    #[error("it is no advisory database")]
    Magic,
    #[error("this program has another name for {0}: build it again")]
    Outdated(String),
    #[error("{0}: {1}")]
    Record(String, #[source] Malformed),
    #[error("it has version {0} of the format, and this program reads version {VERSION}: build it again")]
    Version(u64),
}

impl DatabaseError {
    pub(super) fn new(name: &Arc<str>, fault: Fault) -> Self {
        Self { name: name.clone(), fault }
    }
}

impl From<DatabaseError> for Error {
    fn from(error: DatabaseError) -> Self {
        use Fault::{
            Block, Compression, Count, CutOff, Entry, Hash, Index, Io, Long, Magic, Outdated, Record, Version,
        };
        let make = match &error.fault {
            Io(io) if io.kind() == io::ErrorKind::NotFound => Error::not_found,
            Io(io) if io.kind() == io::ErrorKind::PermissionDenied => Error::denied,
            Io(io) if io.kind() != io::ErrorKind::UnexpectedEof => Error::unexpected,
            Magic | Outdated(_) | Version(_) => Error::unsupported,
            Block(_) | Compression(..) | Count { .. } | CutOff(_) => Error::corrupt,
            Entry(..) | Hash | Index(_) | Io(_) | Long(_) | Record(..) => Error::corrupt,
        };
        make(error.to_string()).during("read advisory database").on(&error.name).because(error)
    }
}
