//! What a header and the extensions before it mean together.

use bytes::Bytes;

use super::{
    Reason,
    header::{Header, MAX_OCTAL},
    pax::{self, Pax},
    printable,
};
use crate::image::{Entry, EntryKind, FilePath, Metadata, NodeKind};

/// The longest path and link target that Linux takes.
pub(super) const MAX_PATH: usize = 4095;

/// The longest name of a file that Linux takes.
pub(super) const MAX_NAME: usize = 255;

/// What precedes a header and changes what it says.
#[derive(Debug, Default)]
pub(super) struct Extensions {
    pax: Option<Pax>,
    long_name: Option<Bytes>,
    long_link: Option<Bytes>,
}

impl Extensions {
    pub(super) fn is_empty(&self) -> bool {
        self.pax.is_none() && self.long_name.is_none() && self.long_link.is_none()
    }

    pub(super) fn add(&mut self, flag: u8, content: Bytes) -> Result<(), Reason> {
        let twice = |what: &str| Reason::corrupt(format!("two {what} for one entry"));
        match flag {
            b'x' if self.pax.is_some() => return Err(twice("extended headers")),
            b'x' => self.pax = Some(Pax::parse(&content)?),
            b'L' if self.long_name.is_some() => return Err(twice("long names")),
            b'L' => self.long_name = Some(terminated(&content)?),
            b'K' if self.long_link.is_some() => return Err(twice("long link targets")),
            b'K' => self.long_link = Some(terminated(&content)?),
            _ if !self.is_empty() => return Err(Reason::corrupt("a global header between an entry and its own")),
            _ => pax::check_global(&content)?,
        }
        Ok(())
    }

    /// The name as it stands there, to show.
    pub(super) fn name<'a>(&'a self, header: &'a Header) -> &'a [u8] {
        let pax = self.pax.as_ref().and_then(|pax| pax.path.as_ref());
        pax.or(self.long_name.as_ref()).map_or(&header.name, |name| name)
    }

    pub(super) fn entry(self, header: Header, index: usize, offset: u64) -> Result<Entry, Reason> {
        let pax = self.pax.unwrap_or_default();
        let name = agreed("name", pax.path, self.long_name, &header.name)?;
        let link = agreed("link target", pax.link, self.long_link, &header.link)?;
        let size = agreed_size(pax.size, header.size)?;
        let directory = is_directory(header.flag, &name, size)?;
        let path = path_of(&name, directory)?;
        let kind = if directory { EntryKind::Node(NodeKind::Directory) } else { kind(&header, size, link)? };
        let metadata = Metadata {
            mode: header.mode,
            uid: pax.uid.unwrap_or(header.uid),
            gid: pax.gid.unwrap_or(header.gid),
            mtime: pax.mtime.unwrap_or(header.mtime),
            xattrs: pax.xattrs,
        };
        let (path, kind) = unmask(path, kind)?;
        Ok(Entry { path, kind, metadata, index, offset })
    }
}

/// The text before the NUL that ends it, after which nothing may come.
fn terminated(content: &Bytes) -> Result<Bytes, Reason> {
    let end = content.iter().position(|byte| *byte == 0).unwrap_or(content.len());
    if content[end..].iter().any(|byte| *byte != 0) {
        return Err(Reason::corrupt("a long name with a NUL byte in it"));
    }
    Ok(content.slice(..end))
}

/// What the extended header says, or GNU's, or the plain one; the first two must not disagree.
fn agreed(what: &str, pax: Option<Bytes>, gnu: Option<Bytes>, plain: &[u8]) -> Result<Bytes, Reason> {
    match (pax, gnu) {
        (Some(pax), Some(gnu)) if pax != gnu => {
            let (pax, gnu) = (printable(&pax), printable(&gnu));
            Err(Reason::corrupt(format!("two different {what}s, {pax:?} and {gnu:?}")))
        }
        (Some(long), _) | (None, Some(long)) => Ok(long),
        (None, None) => Ok(Bytes::copy_from_slice(plain)),
    }
}

/// The size of the content. Where the plain header can say it, it must; where it cannot, writers put 0 or the most.
fn agreed_size(pax: Option<u64>, plain: u64) -> Result<u64, Reason> {
    match pax {
        None => Ok(plain),
        Some(size) if size == plain => Ok(size),
        Some(size) if size > MAX_OCTAL && (plain == 0 || plain == MAX_OCTAL) && i64::try_from(size).is_ok() => Ok(size),
        Some(size) => Err(Reason::corrupt(format!("two different sizes, {size} and {plain}"))),
    }
}

/// Whether it is a directory. In V7 a slash at the end of the name made one; some readers still say so.
fn is_directory(flag: u8, name: &[u8], size: u64) -> Result<bool, Reason> {
    let slash = name.ends_with(b"/");
    let directory = flag == b'5' || flag == 0 && slash;
    if slash && !directory {
        return Err(Reason::corrupt("a name that ends in a slash, but is no directory's"));
    }
    let has_content = !directory && matches!(flag, 0 | b'0' | b'7');
    if size != 0 && !has_content {
        return Err(Reason::corrupt(format!("content of {size} bytes for what has none")));
    }
    Ok(directory)
}

fn path_of(name: &[u8], directory: bool) -> Result<FilePath, Reason> {
    if name.is_empty() {
        return Err(Reason::corrupt("it has no name"));
    }
    let path = FilePath::new(name).map_err(|error| Reason::corrupt(error.to_string()))?;
    if name[0] == b'/' && !path.is_root() {
        return Err(Reason::corrupt("its name is absolute"));
    }
    if path.is_root() && !directory {
        return Err(Reason::corrupt("the root is no directory"));
    }
    if path.as_bytes().len() > MAX_PATH || path.components().any(|name| name.len() > MAX_NAME) {
        return Err(Reason::unsupported(format!("its name is longer than Linux allows, {} bytes", name.len())));
    }
    Ok(path)
}

fn kind(header: &Header, size: u64, link: Bytes) -> Result<EntryKind, Reason> {
    let (major, minor) = (header.major, header.minor);
    Ok(EntryKind::Node(match header.flag {
        0 | b'0' | b'7' => NodeKind::File { size },
        b'1' => return hardlink(&link),
        b'2' => symlink(link)?,
        // To overlayfs it is a whiteout, to everyone else it is not.
        b'3' if (major, minor) == (0, 0) => return Err(Reason::unsupported("a character device 0:0")),
        b'3' => NodeKind::CharDevice { major, minor },
        b'4' => NodeKind::BlockDevice { major, minor },
        b'6' => NodeKind::Fifo,
        b'S' => return Err(Reason::unsupported("it is a sparse file")),
        flag => {
            let flag = char::from(flag);
            return Err(Reason::unsupported(format!("an entry of the type {flag:?}")));
        }
    }))
}

fn hardlink(link: &[u8]) -> Result<EntryKind, Reason> {
    let target = FilePath::new(link).map_err(|error| Reason::corrupt(format!("hard link: {error}")))?;
    if target.is_root() {
        return Err(Reason::corrupt("a hard link without a target"));
    }
    Ok(EntryKind::Hardlink { target })
}

fn symlink(target: Bytes) -> Result<NodeKind, Reason> {
    if target.is_empty() || target.contains(&0) {
        return Err(Reason::corrupt("a symbolic link with an empty target or a NUL byte in it"));
    }
    if target.len() > MAX_PATH {
        return Err(Reason::unsupported(format!("a symbolic link's target of {} bytes", target.len())));
    }
    Ok(NodeKind::Symlink { target })
}

pub(super) const WHITEOUT: &[u8] = b".wh.";
pub(super) const OPAQUE: &[u8] = b".wh..wh..opq";
const AUFS: &[u8] = b".wh..wh.";

/// Tells whiteouts from files (OCI image specification, "Whiteouts").
fn unmask(path: FilePath, kind: EntryKind) -> Result<(FilePath, EntryKind), Reason> {
    let Some((parent, name)) = path.split() else { return Ok((path, kind)) };
    let odd = |why: &str| Err(Reason::corrupt(format!("an odd whiteout: {why}")));
    if parent.split(|byte| *byte == b'/').any(|name| name.starts_with(WHITEOUT)) {
        return odd("something in it");
    }
    let Some(hidden) = name.strip_prefix(WHITEOUT) else { return Ok((path, kind)) };
    if name != OPAQUE && name.starts_with(AUFS) {
        return Err(Reason::unsupported("a file of AUFS"));
    }
    if kind != EntryKind::Node(NodeKind::File { size: 0 }) {
        return odd("it is no empty file");
    }
    let parent = path.parent().unwrap_or_default();
    match hidden {
        b"" | b"." | b".." => odd("it hides no name"),
        _ if name == OPAQUE => Ok((parent, EntryKind::Opaque)),
        _ => Ok((parent.child(hidden), EntryKind::Whiteout)),
    }
}
