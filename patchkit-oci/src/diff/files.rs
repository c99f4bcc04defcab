use std::{cmp::Ordering, collections::BTreeMap};

use bytes::Bytes;
use patchkit_core::{
    Context, Digest, Image, Result,
    image::{FilePath, FileTree, Metadata, Node, NodeKind},
};
use serde::{Serialize, Serializer};

use super::{
    contents::{Digests, Wanted},
    layers,
};

/// A file that is not the same in both images.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct FileDifference {
    /// Its path. As text, what is not UTF-8 is escaped.
    #[serde(serialize_with = "shown")]
    pub path: FilePath,
    /// What is different.
    #[serde(flatten)]
    pub change: Change,
}

fn shown<S: Serializer>(path: &FilePath, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(path)
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "change")]
pub enum Change {
    /// It is only in the new image.
    Added(FileKind),
    /// It is in both, but not the same.
    Changed {
        /// What of it is not the same; at least one.
        differences: Vec<Difference>,
    },
    /// It is only in the old image.
    Removed(FileKind),
}

/// What kind of file it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum FileKind {
    /// A block device.
    BlockDevice,
    /// A character device.
    CharDevice,
    /// A directory.
    Directory,
    /// A named pipe.
    Fifo,
    /// A regular file.
    File {
        /// The length in bytes.
        size: u64,
    },
    /// A symbolic link.
    Symlink {
        /// What it points to; what is not UTF-8 is escaped.
        target: String,
    },
}

/// One thing about a file that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// What it is.
    pub aspect: Aspect,
    /// What it was, in words.
    pub old: String,
    /// What it is now, in words.
    pub new: String,
}

/// What can be different about a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aspect {
    /// The bytes: shown by their length, and by their digest where that is the same.
    Content,
    /// The numbers of a device.
    Device,
    /// The permissions, in octal.
    Mode,
    /// Owner and group.
    Owner,
    /// What a symbolic link points to.
    Target,
    /// File, directory, link or something else.
    Type,
    /// An extended attribute.
    Xattrs,
}

impl Difference {
    fn new(aspect: Aspect, old: impl ToString, new: impl ToString) -> Self {
        Self { aspect, old: old.to_string(), new: new.to_string() }
    }
}

impl FileKind {
    fn of(kind: &NodeKind) -> Self {
        match kind {
            NodeKind::BlockDevice { .. } => Self::BlockDevice,
            NodeKind::CharDevice { .. } => Self::CharDevice,
            NodeKind::Directory => Self::Directory,
            NodeKind::Fifo => Self::Fifo,
            NodeKind::File { size } => Self::File { size: *size },
            NodeKind::Symlink { target } => Self::Symlink { target: escaped(target) },
        }
    }

    /// Its name: `file`, `symbolic link`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::BlockDevice => "block device",
            Self::CharDevice => "character device",
            Self::Directory => "directory",
            Self::Fifo => "named pipe",
            Self::File { .. } => "file",
            Self::Symlink { .. } => "symbolic link",
        }
    }
}

fn escaped(bytes: &[u8]) -> String {
    let text =
        |chunk: std::str::Utf8Chunk<'_>| format!("{}{}", chunk.valid().escape_debug(), chunk.invalid().escape_ascii());
    bytes.utf8_chunks().map(text).collect()
}

/// Two images, one beside the other.
struct Both<'a> {
    old: (&'a Image, FileTree),
    new: (&'a Image, FileTree),
    /// How many layers both begin with.
    shared: usize,
}

pub(super) async fn compare(old: &Image, new: &Image, cx: &Context) -> Result<Vec<FileDifference>> {
    let shared = layers::shared(old.layers(), new.layers());
    if shared == old.layers().len() && shared == new.layers().len() {
        return Ok(Vec::new());
    }
    let nothing = |_: &FilePath, _: u64| false;
    let (old_tree, new_tree) = futures::try_join!(old.files(nothing, cx), new.files(nothing, cx))?;
    let both = Both { old: (old, old_tree), new: (new, new_tree), shared };
    let pairs = both.pairs();
    let digests = both.unclear(&pairs).read(cx).await?;
    Ok(pairs.into_iter().filter_map(|(path, old, new)| both.difference(path, old, new, &digests)).collect())
}

type Pair<'a> = (&'a FilePath, Option<&'a Node>, Option<&'a Node>);

impl Both<'_> {
    /// All paths of both, with what is there. What the same entry of a shared layer brought is left out.
    fn pairs(&self) -> Vec<Pair<'_>> {
        let (mut olds, mut news) = (self.old.1.iter().peekable(), self.new.1.iter().peekable());
        let mut pairs = Vec::new();
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return pairs,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some((old, _)), Some((new, _))) => old.cmp(new),
            };
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            let path = old.or(new).expect("one of them was there").0;
            let (old, new) = (old.map(|(_, node)| node), new.map(|(_, node)| node));
            if !old.zip(new).is_some_and(|(old, new)| self.is_one(old, new)) {
                pairs.push((path, old, new));
            }
        }
    }

    /// Whether both were brought by the same entry.
    fn is_one(&self, old: &Node, new: &Node) -> bool {
        old.layer == new.layer && old.layer < self.shared && old.entry().is_some() && old.entry() == new.entry()
    }

    /// The contents that may or may not be equal.
    fn unclear(&self, pairs: &[Pair<'_>]) -> Wanted {
        let mut wanted = Wanted::default();
        for (_, old, new) in pairs {
            let (Some(old), Some(new)) = (old, new) else { continue };
            let same_size = old.size().is_some_and(|size| size > 0 && new.size() == Some(size));
            for (node, image) in [(old, self.old.0), (new, self.new.0)] {
                if let Some(entry) = node.entry().filter(|_| same_size) {
                    wanted.add(&image.layers()[node.layer], entry);
                }
            }
        }
        wanted
    }

    fn difference(
        &self,
        path: &FilePath,
        old: Option<&Node>,
        new: Option<&Node>,
        digests: &Digests,
    ) -> Option<FileDifference> {
        let change = match (old, new) {
            (Some(old), Some(new)) => {
                let digest = |node: &Node, image: &Image| digests.of(&image.layers()[node.layer], node.entry()?);
                let contents = (digest(old, self.old.0), digest(new, self.new.0));
                let differences = differences(old, new, contents);
                if differences.is_empty() {
                    return None;
                }
                Change::Changed { differences }
            }
            (None, Some(new)) => Change::Added(FileKind::of(&new.kind)),
            (Some(old), None) => Change::Removed(FileKind::of(&old.kind)),
            (None, None) => return None,
        };
        Some(FileDifference { path: path.clone(), change })
    }
}

fn differences(old: &Node, new: &Node, contents: (Option<Digest>, Option<Digest>)) -> Vec<Difference> {
    let mut found: Vec<_> = kind_difference(&old.kind, &new.kind, contents).into_iter().collect();
    let Metadata { mode, uid, gid, mtime: _, xattrs } = &old.metadata;
    let new = &new.metadata;
    if *mode != new.mode {
        found.push(Difference::new(Aspect::Mode, format!("{mode:04o}"), format!("{:04o}", new.mode)));
    }
    if (*uid, *gid) != (new.uid, new.gid) {
        let (old, new) = (format!("{uid}:{gid}"), format!("{}:{}", new.uid, new.gid));
        found.push(Difference::new(Aspect::Owner, old, new));
    }
    if *xattrs != new.xattrs {
        found.push(Difference::new(Aspect::Xattrs, shown_xattrs(xattrs), shown_xattrs(&new.xattrs)));
    }
    found.sort_by_key(|difference| difference.aspect);
    found
}

fn kind_difference(old: &NodeKind, new: &NodeKind, contents: (Option<Digest>, Option<Digest>)) -> Option<Difference> {
    match (old, new) {
        (old, new) if old == new => match contents {
            (Some(old), Some(new)) if old != new => Some(Difference::new(Aspect::Content, old, new)),
            _ => None,
        },
        (NodeKind::File { size: old }, NodeKind::File { size: new }) => {
            Some(Difference::new(Aspect::Content, format!("{old} bytes"), format!("{new} bytes")))
        }
        (NodeKind::Symlink { target: old }, NodeKind::Symlink { target: new }) => {
            Some(Difference::new(Aspect::Target, escaped(old), escaped(new)))
        }
        (
            NodeKind::BlockDevice { major: old, minor: old_minor },
            NodeKind::BlockDevice { major: new, minor: new_minor },
        )
        | (
            NodeKind::CharDevice { major: old, minor: old_minor },
            NodeKind::CharDevice { major: new, minor: new_minor },
        ) => Some(Difference::new(Aspect::Device, format!("{old}:{old_minor}"), format!("{new}:{new_minor}"))),
        (old, new) => Some(Difference::new(Aspect::Type, FileKind::of(old).name(), FileKind::of(new).name())),
    }
}

fn shown_xattrs(xattrs: &BTreeMap<String, Bytes>) -> String {
    let shown = |(name, value): (&String, &Bytes)| format!("{}={}", name.escape_debug(), value.escape_ascii());
    if xattrs.is_empty() { "none".into() } else { xattrs.iter().map(shown).collect::<Vec<_>>().join(" ") }
}
