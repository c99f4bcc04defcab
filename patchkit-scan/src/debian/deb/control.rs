//! The files of `control.tar`.

use std::collections::BTreeMap;
use std::io::Read;

use super::{DataArchive, DebError, DebErrorKind, EntryKind};

/// The most bytes `control.tar` may have once decompressed. The largest in Debian's archive have a few MB.
pub const MAX_CONTROL_LENGTH: u64 = 64 << 20;

/// One file of `control.tar`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ControlFile {
    /// Its content.
    pub bytes: Vec<u8>,
    /// The permission bits; dpkg copies them to `/var/lib/dpkg/info`.
    pub mode: u32,
    /// The modification time in seconds since 1970; dpkg copies it as well.
    pub mtime: i64,
}

pub(super) fn read(mut archive: DataArchive<'_>) -> Result<BTreeMap<String, ControlFile>, DebError> {
    let mut files = BTreeMap::new();
    while let Some(mut entry) = archive.next_entry()? {
        if entry.path.is_root() && entry.kind == EntryKind::Directory {
            continue;
        }
        let name = file_name(entry.path.as_bytes(), &entry.kind);
        let mut bytes = Vec::new();
        let read = entry.read_to_end(&mut bytes);
        let (mode, mtime) = (entry.mode, entry.mtime);
        read.map_err(|error| archive.tar.error(error.into()))?;
        let name = name.ok_or_else(|| archive.tar.format("an entry of control.tar is not a plain file at the top"))?;
        if files.insert(name, ControlFile { bytes, mode, mtime }).is_some() {
            return Err(archive.tar.format("a file of control.tar is given twice"));
        }
    }
    if files.contains_key("control") {
        Ok(files)
    } else {
        Err(archive.tar.error(DebErrorKind::Format("control.tar has no file named control")))
    }
}

/// The name of a plain file at the top of the archive.
fn file_name(path: &[u8], kind: &EntryKind) -> Option<String> {
    let plain =
        matches!(kind, EntryKind::File { .. }) && path.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'/');
    plain.then(|| String::from_utf8_lossy(path).into_owned())
}
