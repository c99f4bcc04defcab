//! What an archive says of one file.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::FilePath;

/// What a file has beside its content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The permissions with set-user-id, set-group-id and sticky: at most `0o7777`.
    pub mode: u32,
    /// The number of the owner.
    pub uid: u64,
    /// The number of the group.
    pub gid: u64,
    /// The last change of the content, in seconds since 1970; fractions are cut off.
    pub mtime: i64,
    /// The extended attributes, such as `security.capability`.
    pub xattrs: BTreeMap<String, Bytes>,
}

impl Metadata {
    /// What a directory has that no archive speaks of: mode 755, owned by root, of 1970.
    #[must_use]
    pub fn implied() -> Self {
        Self { mode: 0o755, ..Self::default() }
    }
}

/// What kind of thing a name leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// A block device.
    BlockDevice {
        /// The driver.
        major: u32,
        /// The device of the driver.
        minor: u32,
    },
    /// A character device.
    CharDevice {
        /// The driver.
        major: u32,
        /// The device of the driver.
        minor: u32,
    },
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file.
    File {
        /// The length of the content in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to: any bytes but NUL, not empty.
        target: Bytes,
    },
}

/// What an entry of a layer says about its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// It is another name of a file that is there already.
    Hardlink {
        /// The other name.
        target: FilePath,
    },
    /// It is this.
    Node(NodeKind),
    /// It is a directory that shows nothing of the layers below (`.wh..wh..opq` in it).
    Opaque,
    /// What the layers below have here is gone (`.wh.` before the name).
    Whiteout,
}

/// One entry of a layer's archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The path. For a whiteout that of what is gone, for an opaque directory that of the directory.
    pub path: FilePath,
    /// What is there.
    pub kind: EntryKind,
    /// What it has beside its content; of no meaning for hard links, whiteouts and opaque directories.
    pub metadata: Metadata,
    /// The place among the entries of the layer, from 0.
    pub index: usize,
    /// Where the entry's header is in the uncompressed archive, in bytes.
    pub offset: u64,
}

impl Entry {
    /// The length of the content that follows; 0 for everything but regular files.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self.kind {
            EntryKind::Node(NodeKind::File { size }) => size,
            _ => 0,
        }
    }
}
