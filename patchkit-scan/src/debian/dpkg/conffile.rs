//! Configuration files: the `conffiles` of a package, and the `Conffiles` field of an installed one.

use crate::debian::control::{ControlErrorKind, Field};
use crate::debian::path::PackagePath;

use super::lines::lines;
use super::{DatabaseError, DatabaseErrorKind};

/// What stands for the hash of a conffile that was never installed.
pub const NEW_CONFFILE: &str = "newconffile";

/// A configuration file that dpkg keeps track of, as the `Conffiles` field of an installed package lists it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Conffile {
    /// Its path.
    pub path: PackagePath,
    /// The MD5 of the file as the package shipped it last, in hexadecimal, or [`NEW_CONFFILE`].
    pub hash: Box<str>,
    /// The package no longer ships it.
    pub obsolete: bool,
    /// The package asked for its removal.
    pub remove_on_upgrade: bool,
}

/// A line of a package's own list of configuration files (deb-conffiles(5)).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ShippedConffile {
    /// Its path.
    pub path: PackagePath,
    /// The package does not ship it, but wants it removed.
    pub remove_on_upgrade: bool,
}

impl Conffile {
    /// Reads the `Conffiles` field, one line for each file: path, hash, flags.
    pub(super) fn read_all(file: &str, field: &Field<'_>) -> Result<Vec<Self>, DatabaseError> {
        let first = field.position().line;
        let starts_below = usize::from(field.value().starts_with(b"\n"));
        let lines = field.lines().enumerate();
        let read = lines.map(|(at, line)| {
            Self::read(line).map_err(|kind| DatabaseError::new(file, first + starts_below + at, kind))
        });
        read.collect()
    }

    /// Reads a line from its end, since a path may have spaces.
    fn read(line: &[u8]) -> Result<Self, DatabaseErrorKind> {
        let (line, remove_on_upgrade) = strip_word(line, b" remove-on-upgrade");
        let (line, obsolete) = strip_word(line, b" obsolete");
        let malformed = DatabaseErrorKind::Line("not a conffile with its hash");
        let space = line.iter().rposition(|byte| *byte == b' ').ok_or(malformed)?;
        let hash = std::str::from_utf8(&line[space + 1..])
            .map_err(|_| DatabaseErrorKind::Control(ControlErrorKind::Utf8("Conffiles".to_owned())))?;
        let path = PackagePath::from_absolute(&line[..space])?;
        if path.is_root() || hash.is_empty() {
            return Err(DatabaseErrorKind::Line("not a conffile with its hash"));
        }
        Ok(Self { path, hash: hash.into(), obsolete, remove_on_upgrade })
    }

    /// The conffiles of a package after an upgrade, in dpkg's order: those that `shipped` lists, then the `obsolete` ones
    /// (see [`obsolete_conffiles`]) of the old version. `md5` gives the hash of a file as the new version ships it,
    /// whatever became of it on disk; `None` where the archive does not have it.
    #[must_use]
    pub fn after_upgrade(
        old: &[Self],
        shipped: &[ShippedConffile],
        obsolete: &[PackagePath],
        md5: impl Fn(&PackagePath) -> Option<String>,
    ) -> Vec<Self> {
        let old_hash = |path: &PackagePath| {
            let known = old.iter().find(|conffile| conffile.path == *path);
            known.map_or_else(|| NEW_CONFFILE.into(), |conffile| conffile.hash.clone())
        };
        let kept = shipped.iter().map(|ShippedConffile { path, remove_on_upgrade }| {
            let new_hash = md5(path).filter(|_| !remove_on_upgrade);
            let hash = new_hash.map_or_else(|| old_hash(path), Into::into);
            Self { path: path.clone(), hash, obsolete: false, remove_on_upgrade: *remove_on_upgrade }
        });
        let gone = obsolete.iter().map(|path| Self {
            path: path.clone(),
            hash: old_hash(path),
            obsolete: true,
            remove_on_upgrade: false,
        });
        kept.chain(gone).collect()
    }

    /// The line of the `Conffiles` field, as dpkg writes it.
    #[must_use]
    pub fn to_line(&self) -> Vec<u8> {
        let obsolete: &[u8] = if self.obsolete { b" obsolete" } else { b"" };
        let remove: &[u8] = if self.remove_on_upgrade { b" remove-on-upgrade" } else { b"" };
        [b" ", &*self.path.to_absolute(), b" ", self.hash.as_bytes(), obsolete, remove].concat()
    }
}

impl ShippedConffile {
    /// Reads a package's `conffiles`: a path a line, perhaps after the flag `remove-on-upgrade`.
    ///
    /// # Errors
    /// What dpkg refuses: an empty line, a relative path, an unknown flag, no final line feed.
    pub fn read_all(file: &str, bytes: &[u8]) -> Result<Vec<Self>, DatabaseError> {
        let mut all = Vec::new();
        for (number, line) in lines(file, bytes)? {
            let fail = |kind| DatabaseError::new(file, number, kind);
            if line.is_empty() {
                return Err(fail(DatabaseErrorKind::Line("an empty line")));
            }
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                all.push(Self::read(line).map_err(fail)?);
            }
        }
        Ok(all)
    }

    fn read(line: &[u8]) -> Result<Self, DatabaseErrorKind> {
        let (path, remove_on_upgrade) = match line.strip_prefix(b"remove-on-upgrade ") {
            Some(path) => (path, true),
            None => (line, false),
        };
        Ok(Self { path: PackagePath::from_absolute(path)?, remove_on_upgrade })
    }
}

/// The conffiles of the old version that the new one neither ships nor lists, but that are still there: dpkg keeps them
/// as obsolete ones, in the reverse order of the old `.list`, at the end of the new one.
///
/// `ships` tells whether the new archive has a path; `exists` whether there is anything but a directory on disk.
#[must_use]
pub fn obsolete_conffiles(
    old: &[Conffile],
    old_list: &[PackagePath],
    shipped: &[ShippedConffile],
    ships: impl Fn(&PackagePath) -> bool,
    exists: impl Fn(&PackagePath) -> bool,
) -> Vec<PackagePath> {
    let was_conffile = |path: &PackagePath| old.iter().any(|conffile| conffile.path == *path);
    let is_conffile = |path: &PackagePath| shipped.iter().any(|conffile| conffile.path == *path);
    let candidates = old_list.iter().rev();
    let obsolete = candidates.filter(|path| was_conffile(path) && !is_conffile(path) && !ships(path) && exists(path));
    obsolete.cloned().collect()
}

fn strip_word<'l>(line: &'l [u8], word: &[u8]) -> (&'l [u8], bool) {
    line.strip_suffix(word).map_or((line, false), |rest| (rest, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_status_file() {
        for line in [
            " /etc/a 0123456789abcdef0123456789abcdef",
            " /etc/with space newconffile",
            " /etc/a 0123 obsolete",
            " /etc/a 0123 obsolete remove-on-upgrade",
        ] {
            let read = Conffile::read(line.trim().as_bytes()).expect(line);
            assert_eq!(read.to_line(), line.as_bytes());
        }
        for line in ["/etc/a", "etc/a 0123", "/ 0123", "/etc/a obsolete", "/../etc/a 0123"] {
            assert!(Conffile::read(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn lines_of_a_package() {
        let read = ShippedConffile::read_all("conffiles", b"/etc/a  \nremove-on-upgrade /etc/b c\n").expect("sound");
        assert_eq!(read[0].path.as_bytes(), b"etc/a");
        assert!(!read[0].remove_on_upgrade && read[1].remove_on_upgrade);
        assert_eq!(read[1].path.as_bytes(), b"etc/b c");
        for (bytes, line) in [("/etc/a", 1), ("/etc/a\n\n", 2), ("/etc/a\netc/b\n", 2), ("keep /etc/a\n", 1)] {
            assert_eq!(ShippedConffile::read_all("conffiles", bytes.as_bytes()).expect_err("refused").line, line);
        }
        assert_eq!(ShippedConffile::read_all("conffiles", b""), Ok(Vec::new()));
    }
}
