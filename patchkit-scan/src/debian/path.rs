//! Paths of packaged files, relative to the root of the image.

use std::fmt;

/// The longest path that is read, in bytes: `PATH_MAX` of Linux.
pub const MAX_PATH_LENGTH: usize = 4096;

/// A path below the root: no leading or trailing slash, no empty, `.` or `..` part, no NUL, no line feed.
///
/// The root itself is the empty path. Names on Linux are bytes, most often UTF-8; [`fmt::Display`] replaces what is not.
#[derive(Clone, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct PackagePath(Box<[u8]>);

/// Why bytes are not a path below the root.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PathError {
    /// A path of an archive that starts with a slash.
    #[error("the path is absolute")]
    Absolute,
    /// A NUL or a line feed, which dpkg's files cannot hold.
    #[error("the path has a NUL or a line feed in it")]
    Character,
    /// A part that is `..`.
    #[error("the path has a part \"..\"")]
    Parent,
    /// A path of the package database that does not start with a slash.
    #[error("the path is not absolute")]
    Relative,
    /// More than [`MAX_PATH_LENGTH`] bytes.
    #[error("the path is longer than {MAX_PATH_LENGTH} bytes")]
    TooLong,
}

impl PackagePath {
    /// Reads a name in an archive: `./usr/bin/x`, `usr/bin/x`, `./`.
    ///
    /// # Errors
    /// An absolute path, `..`, NUL, line feed, or too long a path.
    pub fn from_archive(name: &[u8]) -> Result<Self, PathError> {
        if name.starts_with(b"/") { Err(PathError::Absolute) } else { Self::normalise(name) }
    }

    /// Reads a path of the package database: `/usr/bin/x`, `/.`.
    ///
    /// # Errors
    /// A relative path, `..`, NUL, line feed, or too long a path.
    pub fn from_absolute(path: &[u8]) -> Result<Self, PathError> {
        if path.starts_with(b"/") { Self::normalise(path) } else { Err(PathError::Relative) }
    }

    fn normalise(path: &[u8]) -> Result<Self, PathError> {
        if path.len() > MAX_PATH_LENGTH {
            return Err(PathError::TooLong);
        }
        if path.iter().any(|byte| matches!(byte, 0 | b'\n')) {
            return Err(PathError::Character);
        }
        let parts = || path.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"."));
        if parts().any(|part| part == b"..") {
            return Err(PathError::Parent);
        }
        Ok(Self(parts().collect::<Vec<_>>().join(&b'/').into()))
    }

    /// The path without a leading slash; empty for the root.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path as the package database writes it: with a leading slash, the root as `/.`.
    #[must_use]
    pub fn to_absolute(&self) -> Vec<u8> {
        if self.is_root() { b"/.".to_vec() } else { [b"/", &*self.0].concat() }
    }
}

impl fmt::Display for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for PackagePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archive_names_are_normalised() {
        for (name, path) in [
            ("./usr/bin/x", "usr/bin/x"),
            ("usr//bin/./x/", "usr/bin/x"),
            ("./", ""),
            (".", ""),
            ("..a/b..", "..a/b.."),
        ] {
            assert_eq!(PackagePath::from_archive(name.as_bytes()).expect(name).as_bytes(), path.as_bytes());
        }
        for (name, error) in [
            ("/etc/passwd", PathError::Absolute),
            ("./../x", PathError::Parent),
            ("a/..", PathError::Parent),
            ("a\0b", PathError::Character),
            ("a\nb", PathError::Character),
        ] {
            assert_eq!(PackagePath::from_archive(name.as_bytes()), Err(error));
        }
        assert_eq!(PackagePath::from_archive(&[b'a'; MAX_PATH_LENGTH + 1]), Err(PathError::TooLong));
    }

    #[test]
    fn database_paths_are_absolute() {
        for path in ["/.", "/usr/bin/x"] {
            assert_eq!(PackagePath::from_absolute(path.as_bytes()).expect(path).to_absolute(), path.as_bytes());
        }
        assert_eq!(PackagePath::from_absolute(b"usr"), Err(PathError::Relative));
    }
}
