//! apk's database of installed packages: `lib/apk/db/installed`.
//!
//! Source: apk_package(5), and what apk-tools writes: a line a field, `P:musl`, whose name is one letter; an empty line
//! after each package. Of the fields, these are read: `P` name, `V` version, `A` architecture, `o` origin, `F` folder
//! and `R` file in that folder. Lines always end with a line feed, so a file that does not was cut off.

use std::str;

use memchr::memchr;
use thiserror::Error;

use crate::inventory::system::ListedFile;

/// What is wrong with a database of installed packages, and in which line, counted from one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub(crate) struct InstalledError {
    line: usize,
    problem: InstalledProblem,
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
enum InstalledProblem {
    #[error("the file is cut off here")]
    Cut,
    #[error("the package that ends here has no {0}")]
    Missing(&'static str),
    #[error("no field: a letter and a colon are expected")]
    NoField,
    #[error("a second {0} of one package")]
    Second(&'static str),
    #[error("the {0} is not UTF-8")]
    Text(&'static str),
}

/// An installed package.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledPackage<'a> {
    /// The name: `libcrypto3`.
    pub(crate) name: &'a str,
    /// The version: `3.3.2-r0`.
    pub(crate) version: &'a str,
    /// The architecture, in apk's words: `x86_64`, `noarch`.
    pub(crate) architecture: Option<&'a str>,
    /// The name of the package that it was built with, whose version is the same: `openssl`.
    pub(crate) origin: Option<&'a str>,
    /// Its files.
    pub(crate) files: Vec<ListedFile<'a>>,
}

/// The installed packages, in the order of the file.
///
/// # Errors
/// [`InstalledError`] where a line is no field, a package has no name or version or two of one, one of these is not
/// UTF-8, or the last line does not end.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<InstalledPackage<'_>>, InstalledError> {
    let mut reader = Reader::default();
    let mut rest = bytes;
    while !rest.is_empty() {
        reader.line += 1;
        let end = memchr(b'\n', rest).ok_or(reader.error(InstalledProblem::Cut))?;
        let line = &rest[..end];
        rest = &rest[end + 1..];
        match line {
            [] => reader.end()?,
            [name, b':', value @ ..] => reader.field(*name, value)?,
            _ => return Err(reader.error(InstalledProblem::NoField)),
        }
    }
    reader.end()?;
    Ok(reader.packages)
}

#[derive(Default)]
struct Reader<'a> {
    line: usize,
    packages: Vec<InstalledPackage<'a>>,
    /// Whether there was a field since the last package's end.
    is_open: bool,
    name: Option<&'a str>,
    version: Option<&'a str>,
    architecture: Option<&'a str>,
    origin: Option<&'a str>,
    folder: &'a [u8],
    files: Vec<ListedFile<'a>>,
}

impl<'a> Reader<'a> {
    fn error(&self, problem: InstalledProblem) -> InstalledError {
        InstalledError { line: self.line, problem }
    }

    fn field(&mut self, name: u8, value: &'a [u8]) -> Result<(), InstalledError> {
        self.is_open = true;
        match name {
            b'P' => self.name = self.once("name", self.name, value)?,
            b'V' => self.version = self.once("version", self.version, value)?,
            b'A' => self.architecture = self.once("architecture", self.architecture, value)?,
            b'o' => self.origin = self.once("origin", self.origin, value)?,
            b'F' => self.folder = value,
            b'R' => self.files.push(ListedFile { folder: self.folder, name: value }),
            _ => {}
        }
        Ok(())
    }

    /// The value of a field that a package has once; nothing where it is empty.
    fn once(
        &self,
        what: &'static str,
        known: Option<&'a str>,
        value: &'a [u8],
    ) -> Result<Option<&'a str>, InstalledError> {
        if known.is_some() {
            return Err(self.error(InstalledProblem::Second(what)));
        }
        let text = str::from_utf8(value).map_err(|_| self.error(InstalledProblem::Text(what)))?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }

    /// Ends the package, if there is one.
    fn end(&mut self) -> Result<(), InstalledError> {
        if !std::mem::take(&mut self.is_open) {
            return Ok(());
        }
        let missing = |what| self.error(InstalledProblem::Missing(what));
        let package = InstalledPackage {
            name: self.name.ok_or(missing("name"))?,
            version: self.version.ok_or(missing("version"))?,
            architecture: self.architecture,
            origin: self.origin,
            files: std::mem::take(&mut self.files),
        };
        self.packages.push(package);
        (self.name, self.version, self.architecture, self.origin) = (None, None, None, None);
        self.folder = b"";
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TWO: &str = "\
C:Q1eVpkAZpDWxZkZCcKTAH5nkMdDP4=
P:musl-utils
V:1.2.5-r0
A:x86_64
o:musl
F:sbin
M:0:0:755
R:ldconfig
a:0:0:755
F:usr/bin
R:ldd
R:getent

P:.build-deps
V:20240923.101112
A:noarch

";

    fn message(text: &[u8]) -> String {
        read(text).unwrap_err().to_string()
    }

    #[test]
    fn packages_have_their_files() {
        let packages = read(TWO.as_bytes()).unwrap();
        let musl = &packages[0];
        assert_eq!((musl.name, musl.version, musl.architecture), ("musl-utils", "1.2.5-r0", Some("x86_64")));
        assert_eq!(musl.origin, Some("musl"));
        let files: [(&[u8], &[u8]); 3] = [(b"sbin", b"ldconfig"), (b"usr/bin", b"ldd"), (b"usr/bin", b"getent")];
        assert_eq!(musl.files, files.map(|(folder, name)| ListedFile { folder, name }));
        assert_eq!((packages[1].name, packages[1].origin, packages[1].files.len()), (".build-deps", None, 0));
        assert_eq!(packages.len(), 2);
    }

    #[test]
    fn an_empty_database_has_no_packages() {
        assert_eq!(read(b""), Ok(vec![]));
        assert_eq!(read(b"\n\n"), Ok(vec![]));
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, expected) in [
            ("P:a\nV:1\n\nP:b\n\n", "line 5: the package that ends here has no version"),
            ("V:1\n", "line 1: the package that ends here has no name"),
            ("P:\nV:1\n\n", "line 3: the package that ends here has no name"),
            ("P:a\nP:b\n", "line 2: a second name of one package"),
            ("not a database\n", "line 1: no field: a letter and a colon are expected"),
            ("P:a\nV:1\nF:usr/l", "line 3: the file is cut off here"),
        ] {
            assert_eq!(message(text.as_bytes()), expected, "{text:?}");
        }
        assert_eq!(message(b"P:\xff\n"), "line 1: the name is not UTF-8");
    }

    #[test]
    fn every_cut_but_at_a_packages_end_is_seen_or_loses_only_files() {
        for end in 1..TWO.len() {
            if let Ok(packages) = read(&TWO.as_bytes()[..end]) {
                assert!(packages.iter().all(|package| !package.version.is_empty()), "{end}");
                assert!(TWO[..end].ends_with('\n'), "{end}");
            }
        }
    }

    proptest! {
        #[test]
        fn mutated_bytes_never_panic(changes in proptest::collection::vec((0..TWO.len(), any::<u8>()), 0..8)) {
            let mut bytes = TWO.as_bytes().to_vec();
            changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            let _ = read(&bytes);
        }
    }
}
