//! Feeds that come as an archive of documents: zip and tar.
//!
//! Each file in it is read as one of its own, in whatever format it is. Lists, keys and checksums that come along are
//! passed over, as is sound JSON of other kinds; damaged JSON is an error, and so is an archive in which nothing is known.

use std::io::{Read, Seek, SeekFrom, copy};

use super::{
    AdvisoryError, AdvisoryErrorKind,
    input::{Reading, broken},
};

/// How much of a zip archive is held in memory before it goes to a temporary file, in bytes.
const IN_MEMORY: usize = 16 << 20;

/// How an archive starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Archive {
    Tar,
    Zip,
}

impl Archive {
    /// The archive that starts with these bytes.
    pub(super) fn of_start(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [b'P', b'K', 3, 4, ..] => Some(Self::Zip),
            _ if bytes.get(257..262) == Some(b"ustar") => Some(Self::Tar),
            _ => None,
        }
    }

    pub(super) fn read(self, input: &mut dyn Read, reading: &mut Reading<'_>) -> Result<(), AdvisoryError> {
        match self {
            Self::Tar => read_tar(input, reading),
            Self::Zip => read_zip(input, reading),
        }
    }
}

fn read_tar(input: &mut dyn Read, reading: &mut Reading<'_>) -> Result<(), AdvisoryError> {
    for entry in tar::Archive::new(input).entries().map_err(broken)? {
        let mut entry = entry.map_err(broken)?;
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            reading.entry(&name, &mut entry)?;
        }
    }
    Ok(())
}

/// A zip archive's directory is at its end, so it is put aside first.
fn read_zip(input: &mut dyn Read, reading: &mut Reading<'_>) -> Result<(), AdvisoryError> {
    let mut aside = tempfile::spooled_tempfile(IN_MEMORY);
    copy(input, &mut aside).map_err(broken)?;
    aside.seek(SeekFrom::Start(0)).map_err(broken)?;
    let damaged = |error: zip::result::ZipError| AdvisoryError::new(None, AdvisoryErrorKind::Io(error.into()));
    let mut archive = zip::ZipArchive::new(aside).map_err(damaged)?;
    for index in 0..archive.len() {
        let mut entry = archive.by_index(index).map_err(damaged)?;
        if entry.is_file() {
            let name = entry.name().map_err(damaged)?.into_owned();
            reading.entry(&name, &mut entry)?;
        }
    }
    Ok(())
}
