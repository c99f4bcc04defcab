//! The file `/var/lib/dpkg/diversions`: files of packages that are put elsewhere (dpkg-divert(1)).

use std::collections::HashSet;

use crate::debian::path::PackagePath;

use super::lines::lines;
use super::{DatabaseError, DatabaseErrorKind};

/// A file that is put elsewhere, whichever package brings it but one.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Diversion {
    /// The path in the archives.
    pub from: PackagePath,
    /// Where the file goes.
    pub to: PackagePath,
    /// The package whose own file stays at `from`; `None` for a diversion by the administrator.
    pub package: Option<Box<str>>,
}

/// Reads the file: three lines for each diversion.
///
/// # Errors
/// A record cut short, a relative path, two diversions of or to one path.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<Diversion>, DatabaseError> {
    let mut lines = lines(file, bytes)?;
    let mut all: Vec<Diversion> = Vec::new();
    let mut taken = HashSet::new();
    while let Some((number, from)) = lines.next() {
        let fail = |kind: DatabaseErrorKind| DatabaseError::new(file, number, kind);
        let (Some((_, to)), Some((_, package))) = (lines.next(), lines.next()) else {
            return Err(fail(DatabaseErrorKind::Line("a diversion of fewer than three lines")));
        };
        let path = |bytes| PackagePath::from_absolute(bytes).map_err(|error| fail(error.into()));
        let (from, to) = (path(from)?, path(to)?);
        if taken.contains(&from) || taken.contains(&to) {
            return Err(fail(DatabaseErrorKind::Line("it conflicts with another diversion")));
        }
        taken.extend([from.clone(), to.clone()]);
        let package = String::from_utf8_lossy(package);
        let package = (package != ":").then(|| package.into());
        all.push(Diversion { from, to, package });
    }
    Ok(all)
}

/// Writes the file.
#[must_use]
pub fn write(diversions: &[Diversion]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Diversion { from, to, package } in diversions {
        let package = package.as_deref().unwrap_or(":").as_bytes();
        bytes.extend_from_slice(&[&*from.to_absolute(), b"\n", &to.to_absolute(), b"\n", package, b"\n"].concat());
    }
    bytes
}

/// Where a file goes that `package` brings as `path`.
#[must_use]
pub fn destination<'p>(diversions: &'p [Diversion], path: &'p PackagePath, package: &str) -> &'p PackagePath {
    let applies = |diversion: &&Diversion| diversion.from == *path && diversion.package.as_deref() != Some(package);
    diversions.iter().find(applies).map_or(path, |diversion| &diversion.to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diversions_are_read_applied_and_written() {
        let bytes = b"/bin/sh\n/bin/sh.distrib\ndash\n/etc/a\n/etc/b\n:\n";
        let diversions = read("diversions", bytes).expect("sound");
        assert_eq!(write(&diversions), bytes);
        let path = |text: &str| PackagePath::from_absolute(text.as_bytes()).expect(text);
        assert_eq!(destination(&diversions, &path("/bin/sh"), "bash"), &path("/bin/sh.distrib"));
        assert_eq!(destination(&diversions, &path("/bin/sh"), "dash"), &path("/bin/sh"));
        assert_eq!(destination(&diversions, &path("/etc/a"), "dash"), &path("/etc/b"));
        assert_eq!(destination(&diversions, &path("/etc/c"), "dash"), &path("/etc/c"));
    }

    #[test]
    fn damage() {
        for (bytes, line) in [("/a\n/b\n", 1), ("/a\nb\n:\n", 1), ("/a\n/b\n:\n/c\n/b\n:\n", 4)] {
            assert_eq!(read("diversions", bytes.as_bytes()).expect_err("damaged").line, line);
        }
    }
}
