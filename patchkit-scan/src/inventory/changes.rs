//! What a layer changes, as far as an inventory needs it, and its form in a [cache](super::cache).

use bytes::{Buf, BufMut, Bytes, BytesMut};
use patchkit_core::image::FilePath;

/// What a layer changes, in the order of its archive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) hides: Vec<(FilePath, Hide)>,
    pub(super) brings: Vec<(FilePath, Bring)>,
}

/// What of the layers below is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hide {
    /// What is in the directory.
    Below,
    /// The path, and what is in it.
    Whole,
}

/// What is at a path from this layer on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Bring {
    /// A file with what the detectors found in it, see [`Detected`](super::collector::Detected).
    Detected(Bytes),
    Directory,
    /// A wanted file.
    File(Bytes),
    Hardlink(FilePath),
    /// Something whose content is of no interest, but which replaces what was there.
    Other,
    Symlink(Bytes),
}

/// The kinds of records, which are a byte, the path and what belongs to the kind, each with its length in 4 bytes.
mod kind {
    pub(super) const BELOW: u8 = 0;
    pub(super) const WHOLE: u8 = 1;
    pub(super) const DETECTED: u8 = 2;
    pub(super) const DIRECTORY: u8 = 3;
    pub(super) const FILE: u8 = 4;
    pub(super) const HARDLINK: u8 = 5;
    pub(super) const OTHER: u8 = 6;
    pub(super) const SYMLINK: u8 = 7;
}

impl Changes {
    /// All of it as bytes.
    pub(super) fn encode(&self) -> Bytes {
        let mut bytes = BytesMut::new();
        for (path, hide) in &self.hides {
            let kind = if *hide == Hide::Below { kind::BELOW } else { kind::WHOLE };
            put(&mut bytes, kind, path, &[]);
        }
        for (path, bring) in &self.brings {
            let (kind, value) = match bring {
                Bring::Detected(found) => (kind::DETECTED, &found[..]),
                Bring::Directory => (kind::DIRECTORY, &[][..]),
                Bring::File(content) => (kind::FILE, &content[..]),
                Bring::Hardlink(target) => (kind::HARDLINK, target.as_bytes()),
                Bring::Other => (kind::OTHER, &[][..]),
                Bring::Symlink(target) => (kind::SYMLINK, &target[..]),
            };
            put(&mut bytes, kind, path, value);
        }
        bytes.freeze()
    }

    /// What [`encode`](Self::encode) made; `None` for anything else.
    pub(super) fn decode(mut bytes: Bytes) -> Option<Self> {
        let mut changes = Self::default();
        while !bytes.is_empty() {
            let kind = bytes.try_get_u8().ok()?;
            let (path, value) = (FilePath::new(take(&mut bytes)?).ok()?, take(&mut bytes)?);
            let bring = match kind {
                kind::BELOW | kind::WHOLE => {
                    changes.hides.push((path, if kind == kind::BELOW { Hide::Below } else { Hide::Whole }));
                    continue;
                }
                kind::DETECTED => Bring::Detected(value),
                kind::DIRECTORY => Bring::Directory,
                kind::FILE => Bring::File(value),
                kind::HARDLINK => Bring::Hardlink(FilePath::new(value).ok()?),
                kind::OTHER => Bring::Other,
                kind::SYMLINK => Bring::Symlink(value),
                _ => return None,
            };
            changes.brings.push((path, bring));
        }
        Some(changes)
    }
}

fn put(bytes: &mut BytesMut, kind: u8, path: &FilePath, value: &[u8]) {
    bytes.put_u8(kind);
    for part in [path.as_bytes(), value] {
        bytes.put_u32_le(u32::try_from(part.len()).expect("the collector keeps no more of a file"));
        bytes.put_slice(part);
    }
}

fn take(bytes: &mut Bytes) -> Option<Bytes> {
    let length = bytes.try_get_u32_le().ok()? as usize;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_come_back_as_they_were_or_not_at_all() {
        let path = |text: &str| FilePath::new(text).expect("it is a path");
        let changes = Changes {
            hides: vec![(path("a"), Hide::Below), (path("b"), Hide::Whole)],
            brings: vec![
                (path("c"), Bring::Detected("{}".into())),
                (path("d"), Bring::Directory),
                (path("e"), Bring::File("content".into())),
                (path("f"), Bring::Hardlink(path("e"))),
                (path("g"), Bring::Other),
                (path("h"), Bring::Symlink("../e".into())),
            ],
        };
        let bytes = changes.encode();
        assert_eq!(Changes::decode(bytes.clone()), Some(changes));
        for end in 1..bytes.len() {
            let cut = Changes::decode(bytes.slice(..end));
            assert!(cut.is_none_or(|cut| cut.brings.len() < 6), "{end}");
        }
        assert_eq!(Changes::decode(Bytes::from_static(&[9, 0, 0, 0, 0, 0, 0, 0, 0])), None);
    }
}
