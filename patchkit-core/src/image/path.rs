//! Names of files inside an image.

use std::{cmp::Ordering, fmt, sync::Arc};

use thiserror::Error;

/// A path inside an image: relative to the root and normalised, so that two equal paths are equal bytes.
///
/// It has no `.`, `..` or empty component, no leading or trailing slash and no NUL byte. It need not be UTF-8, since
/// file names on Linux need not be. The root itself is empty. Cloning is cheap.
///
/// Paths are ordered component by component: a directory comes before what is in it, and nothing else comes between.
///
/// ```
/// use patchkit_core::image::FilePath;
///
/// let path = FilePath::new("./usr//lib/").unwrap();
/// assert_eq!(path, FilePath::new("/usr/lib").unwrap());
/// assert_eq!(path.to_str(), Some("usr/lib"));
/// assert!(FilePath::new("usr/../etc").is_err());
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct FilePath(
    /// Never an empty one: the root is `None`.
    Option<Arc<[u8]>>,
);

impl FilePath {
    /// The root of the image, the empty path.
    pub const ROOT: Self = Self(None);

    /// The path of the given text: `/usr/lib`, `./usr/lib` and `usr/lib/` are the same.
    ///
    /// # Errors
    /// [`ParseFilePathError`] where a component is `..` or has a NUL byte.
    pub fn new(path: impl AsRef<[u8]>) -> Result<Self, ParseFilePathError> {
        let path = path.as_ref();
        if let Some(at) = path.iter().position(|byte| *byte == 0) {
            return Err(ParseFilePathError::Nul(printable(path), at));
        }
        let mut clean = Vec::with_capacity(path.len());
        for component in path.split(|byte| *byte == b'/') {
            match component {
                b"" | b"." => continue,
                b".." => return Err(ParseFilePathError::Parent(printable(path))),
                _ => push(&mut clean, component),
            }
        }
        Ok(Self::raw(&clean))
    }

    fn raw(path: &[u8]) -> Self {
        Self((!path.is_empty()).then(|| path.into()))
    }

    /// Whether it is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_none()
    }

    /// The bytes, without a leading slash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text, where it is UTF-8.
    #[must_use]
    pub fn to_str(&self) -> Option<&str> {
        std::str::from_utf8(self.as_bytes()).ok()
    }

    /// The path of something below this one, normalised as [`FilePath::new`] does.
    ///
    /// # Errors
    /// As [`FilePath::new`].
    pub fn join(&self, name: impl AsRef<[u8]>) -> Result<Self, ParseFilePathError> {
        let name = Self::new(name)?;
        Ok(if name.is_root() { self.clone() } else { self.child(name.as_bytes()) })
    }

    /// As [`join`](Self::join), for a name that is known to be one or more good components.
    pub(super) fn child(&self, name: &[u8]) -> Self {
        let base = self.as_bytes();
        let mut path = Vec::with_capacity(base.len() + 1 + name.len());
        path.extend_from_slice(base);
        push(&mut path, name);
        Self::raw(&path)
    }

    /// The directory it is in; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (parent, _) = self.split()?;
        Some(Self::raw(parent))
    }

    /// The last component; `None` for the root.
    #[must_use]
    pub fn file_name(&self) -> Option<&[u8]> {
        self.split().map(|(_, name)| name)
    }

    /// The bytes of the directory and of the last component; `None` for the root.
    pub(super) fn split(&self) -> Option<(&[u8], &[u8])> {
        let path = self.0.as_deref()?;
        Some(match path.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&path[..slash], &path[slash + 1..]),
            None => (&[], path),
        })
    }

    /// Whether it is the other path or below it.
    #[must_use]
    pub fn starts_with(&self, base: &Self) -> bool {
        match self.as_bytes().strip_prefix(base.as_bytes()) {
            Some(rest) => rest.is_empty() || base.is_root() || rest[0] == b'/',
            None => false,
        }
    }

    /// The components, the topmost first; none for the root.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.as_bytes().split(|byte| *byte == b'/').filter(|component| !component.is_empty())
    }

    /// The directories it is in, the root first.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = Self> {
        let path = self.as_bytes();
        let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let root = (!self.is_root()).then_some(0);
        root.into_iter().chain(slashes).map(|end| Self::raw(&path[..end]))
    }

    /// A bound that comes after everything below this path and before everything else that comes after it.
    ///
    /// It is no path that a file can have: only good to compare with.
    pub(super) fn after_subtree(&self) -> Self {
        Self::raw(&[self.as_bytes(), &[1]].concat())
    }
}

fn push(path: &mut Vec<u8>, component: &[u8]) {
    if !path.is_empty() {
        path.push(b'/');
    }
    path.extend_from_slice(component);
}

impl Ord for FilePath {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.as_bytes(), other.as_bytes());
        let same = a.iter().zip(b).take_while(|(a, b)| a == b).count();
        // A slash ends a component, so it comes before every byte that goes on with one.
        let rank = |path: &[u8]| path.get(same).map(|byte| if *byte == b'/' { 0 } else { *byte });
        rank(a).cmp(&rank(b))
    }
}

impl PartialOrd for FilePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() { f.write_str("/") } else { f.write_str(&printable(self.as_bytes())) }
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", printable(self.as_bytes()))
    }
}

impl std::str::FromStr for FilePath {
    type Err = ParseFilePathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Bytes as a person may see them on a terminal: control characters and what is no UTF-8 are escaped, and a long text
/// is cut.
pub(super) fn printable(bytes: &[u8]) -> String {
    const MOST: usize = 512;
    let mut text = String::new();
    for chunk in bytes[..bytes.len().min(MOST)].utf8_chunks() {
        for char in chunk.valid().chars() {
            if char.is_control() { text.extend(char.escape_default()) } else { text.push(char) }
        }
        text.extend(chunk.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    if bytes.len() > MOST {
        text.push('…');
    }
    text
}

/// Why some bytes are no [`FilePath`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseFilePathError {
    /// There is a NUL byte, at the given place.
    #[error("path {0:?} has a NUL byte at {1}")]
    Nul(String, usize),
    /// A component is `..`.
    #[error("path {0:?} has a component \"..\"")]
    Parent(String),
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(text: &str) -> FilePath {
        FilePath::new(text).unwrap()
    }

    #[test]
    fn normalises_and_refuses() {
        for same in ["a/b", "/a/b", "./a/./b/", "a//b"] {
            assert_eq!(path(same).as_bytes(), b"a/b", "{same}");
        }
        for root in ["", "/", ".", "./", "//."] {
            assert!(path(root).is_root(), "{root}");
        }
        for bad in ["..", "a/..", "../a", "a\0b"] {
            assert!(FilePath::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(path("a/...").as_bytes(), b"a/...");
    }

    #[test]
    fn a_directory_is_followed_by_what_is_in_it() {
        let mut paths: Vec<_> = ["a-b", "a/b/c", "a", "", "a/b", "a.b", "a/b-c", "b"].map(path).into();
        paths.sort();
        let sorted: Vec<_> = paths.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(sorted, ["", "a", "a/b", "a/b/c", "a/b-c", "a-b", "a.b", "b"]);
    }

    #[test]
    fn walks_up() {
        let deep = path("a/b/c");
        assert_eq!(deep.ancestors().collect::<Vec<_>>(), ["", "a", "a/b"].map(path));
        assert_eq!(deep.parent(), Some(path("a/b")));
        assert_eq!(path("a").parent(), Some(FilePath::ROOT));
        assert_eq!(FilePath::ROOT.parent(), None);
        assert_eq!(FilePath::ROOT.ancestors().count(), 0);
        assert!(deep.starts_with(&path("a")) && !path("ab").starts_with(&path("a")));
        assert!(deep.starts_with(&FilePath::ROOT));
    }

    #[test]
    fn nothing_dangerous_is_printed() {
        let odd = FilePath::new(b"a\x1b[31m\xff").unwrap();
        assert_eq!(odd.to_string(), r"a\u{1b}[31m\xff");
    }

    proptest! {
        #[test]
        fn the_order_is_that_of_the_components(a in "[ab/.\u{1}-]{0,8}", b in "[ab/.\u{1}-]{0,8}") {
            if let (Ok(a), Ok(b)) = (FilePath::new(a), FilePath::new(b)) {
                prop_assert_eq!(a.cmp(&b), a.components().collect::<Vec<_>>().cmp(&b.components().collect()));
            }
        }
    }
}
