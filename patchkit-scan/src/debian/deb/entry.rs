//! The entries of `data.tar`, interpreted.

use std::fmt;
use std::io::{self, Read};

use tar::{EntryType, Header};

use super::tar::{PaxRecord, RawHeader, TarReader};
use super::{DebError, DebErrorKind};
use crate::debian::path::PackagePath;

/// The prefix of a PAX key that carries an extended attribute.
const XATTR_PREFIX: &[u8] = b"SCHILY.xattr.";

/// One entry of `data.tar`; reading it gives the content of a plain file.
pub struct DataEntry<'r> {
    /// Where it goes, below the root.
    pub path: PackagePath,
    /// What it is.
    pub kind: EntryKind,
    /// The permission bits with set-user-id, set-group-id and sticky: 12 bits.
    pub mode: u32,
    /// The owner's number.
    pub uid: u64,
    /// The group's number.
    pub gid: u64,
    /// The owner's name, which dpkg prefers to the number where it is known; empty where none is given.
    pub user: Vec<u8>,
    /// The group's name, as `user`.
    pub group: Vec<u8>,
    /// The modification time in whole seconds since 1970.
    pub mtime: i64,
    /// Extended attributes, in the order given. dpkg-deb writes none; other tools may.
    pub xattrs: Vec<Xattr>,
    content: &'r mut (dyn Read + Send),
}

/// An extended attribute of a file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Xattr {
    /// Its name with the name space, `security.capability` say.
    pub name: Vec<u8>,
    /// Its value.
    pub value: Vec<u8>,
}

/// What an entry is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum EntryKind {
    /// A block device.
    BlockDevice {
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
    },
    /// A character device.
    CharacterDevice {
        /// The device's major number.
        major: u32,
        /// The device's minor number.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A plain file.
    File {
        /// Its length in bytes.
        size: u64,
    },
    /// Another name for a file that came before.
    HardLink {
        /// The file's path, below the root.
        target: PackagePath,
    },
    /// A symbolic link.
    Symlink {
        /// Where it leads, as written; may be relative, absolute or dangling.
        target: Vec<u8>,
    },
}

impl fmt::Debug for DataEntry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entry = f.debug_struct("DataEntry");
        entry.field("path", &self.path).field("kind", &self.kind).field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl Read for DataEntry<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.content.read(bytes)
    }
}

pub(super) fn interpret<'r>(raw: RawHeader, tar: &'r mut TarReader<'_>) -> Result<DataEntry<'r>, DebError> {
    let path = PackagePath::from_archive(&raw.path).map_err(|error| tar.error(error.into()))?;
    let kind = kind(&raw, tar)?;
    let number = |value: io::Result<u64>| value.map_err(|_| tar.format("a number in a header is malformed"));
    let mode = raw.header.mode().map_err(|_| tar.format("a mode is malformed"))? & 0o7777;
    let uid = number(pax_number(&raw.pax, b"uid").unwrap_or_else(|| raw.header.uid()))?;
    let gid = number(pax_number(&raw.pax, b"gid").unwrap_or_else(|| raw.header.gid()))?;
    let user = pax_value(&raw.pax, b"uname").or(raw.header.username_bytes()).unwrap_or_default().to_vec();
    let group = pax_value(&raw.pax, b"gname").or(raw.header.groupname_bytes()).unwrap_or_default().to_vec();
    let mtime = mtime(&raw).ok_or_else(|| tar.format("a modification time is malformed"))?;
    let xattrs = xattrs(&raw.pax);
    Ok(DataEntry { path, kind, mode, uid, gid, user, group, mtime, xattrs, content: tar })
}

fn kind(raw: &RawHeader, tar: &TarReader<'_>) -> Result<EntryKind, DebError> {
    Ok(match raw.header.entry_type() {
        EntryType::Block => device(&raw.header, tar, |major, minor| EntryKind::BlockDevice { major, minor })?,
        EntryType::Char => device(&raw.header, tar, |major, minor| EntryKind::CharacterDevice { major, minor })?,
        EntryType::Directory => EntryKind::Directory,
        EntryType::Fifo => EntryKind::Fifo,
        // Archives older than POSIX mark a directory by a trailing slash.
        EntryType::Regular if raw.path.ends_with(b"/") => EntryKind::Directory,
        EntryType::Regular => EntryKind::File { size: raw.size },
        EntryType::Link => {
            let target = PackagePath::from_archive(target(raw, tar)?).map_err(|error| tar.error(error.into()))?;
            EntryKind::HardLink { target }
        }
        EntryType::Symlink => EntryKind::Symlink { target: target(raw, tar)?.to_vec() },
        other => {
            return Err(tar.unsupported(&format!("an entry of type {:?}", other.as_byte().escape_ascii().to_string())));
        }
    })
}

fn device(
    header: &Header,
    tar: &TarReader<'_>,
    kind: impl FnOnce(u32, u32) -> EntryKind,
) -> Result<EntryKind, DebError> {
    match (header.device_major(), header.device_minor()) {
        (Ok(Some(major)), Ok(Some(minor))) => Ok(kind(major, minor)),
        _ => Err(tar.format("a device without its numbers")),
    }
}

fn target<'h>(raw: &'h RawHeader, tar: &TarReader<'_>) -> Result<&'h [u8], DebError> {
    match raw.link.as_deref() {
        None | Some(b"") => Err(tar.format("a link without a target")),
        Some(target) if target.contains(&0) => Err(tar.format("a link's target has a NUL in it")),
        Some(target) if target.len() > crate::debian::path::MAX_PATH_LENGTH => {
            Err(tar.error(DebErrorKind::Path(crate::debian::path::PathError::TooLong)))
        }
        Some(target) => Ok(target),
    }
}

fn pax_value<'p>(pax: &'p [PaxRecord], key: &[u8]) -> Option<&'p [u8]> {
    pax.iter().find(|record| record.key == key).map(|record| &record.value[..])
}

fn pax_number(pax: &[PaxRecord], key: &[u8]) -> Option<io::Result<u64>> {
    let value = pax_value(pax, key)?;
    let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
    Some(number.ok_or_else(|| io::ErrorKind::InvalidData.into()))
}

/// The modification time; the fraction that a PAX record may have is dropped, as dpkg's tar reader has none.
fn mtime(raw: &RawHeader) -> Option<i64> {
    let Some(value) = pax_value(&raw.pax, b"mtime") else {
        return i64::try_from(raw.header.mtime().ok()?).ok();
    };
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let below = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    Some(seconds - i64::from(below))
}

fn xattrs(pax: &[PaxRecord]) -> Vec<Xattr> {
    let named = pax.iter().filter_map(|record| Some((record.key.strip_prefix(XATTR_PREFIX)?, &record.value)));
    named.map(|(name, value)| Xattr { name: name.to_vec(), value: value.clone() }).collect()
}
