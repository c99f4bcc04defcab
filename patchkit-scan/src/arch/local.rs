//! pacman's database of installed packages: a folder a package in `var/lib/pacman/local`, with the files `desc` and
//! `files`.
//!
//! Source: libalpm's `be_local.c`. A section is a line with its name between percent signs and a line a value, and ends
//! with an empty line. Lines always end with a line feed, so a file that does not was cut off.

use thiserror::Error;

/// What is wrong with a file of the database, and in which line, counted from one.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("line {line}: {problem}")]
pub(crate) struct LocalError {
    line: usize,
    problem: LocalProblem,
}

#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
enum LocalProblem {
    #[error("the file is cut off here")]
    Cut,
    #[error("the package has no {0}")]
    Missing(&'static str),
    #[error("a value outside of any section")]
    Stray,
    #[error("the {0} is not UTF-8")]
    Text(&'static str),
}

/// An installed package, from its `desc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InstalledPackage<'a> {
    /// The name: `libelf`.
    pub(crate) name: &'a str,
    /// The version with release and, where there is one, epoch: `1:1.3.1-2`.
    pub(crate) version: &'a str,
    /// The architecture, in pacman's words: `x86_64`, `any`.
    pub(crate) architecture: Option<&'a str>,
    /// The name of the recipe that it was built from, whose version is the same: `elfutils`.
    pub(crate) base: Option<&'a str>,
}

/// Reads a package's `desc`.
///
/// # Errors
/// [`LocalError`] where a value is in no section, the name or version is missing, a value that is needed is not UTF-8,
/// or the last line does not end.
pub(crate) fn read_desc(bytes: &[u8]) -> Result<InstalledPackage<'_>, LocalError> {
    let (mut name, mut version, mut architecture, mut base, mut lines) = (None, None, None, None, 1);
    each(bytes, |line, section, value| {
        lines = line;
        let (known, what) = match section {
            b"%NAME%" => (&mut name, "name"),
            b"%VERSION%" => (&mut version, "version"),
            b"%ARCH%" => (&mut architecture, "architecture"),
            b"%BASE%" => (&mut base, "base"),
            _ => return Ok(()),
        };
        let text = std::str::from_utf8(value).map_err(|_| LocalError { line, problem: LocalProblem::Text(what) })?;
        known.get_or_insert(text);
        Ok(())
    })?;
    let missing = |what| LocalError { line: lines, problem: LocalProblem::Missing(what) };
    let (name, version) = (name.ok_or(missing("name"))?, version.ok_or(missing("version"))?);
    Ok(InstalledPackage { name, version, architecture, base })
}

/// The paths in a package's `files`; those of folders end with a slash.
///
/// # Errors
/// As [`read_desc`].
pub(crate) fn read_files(bytes: &[u8]) -> Result<Vec<&[u8]>, LocalError> {
    let mut paths = Vec::new();
    each(bytes, |_, section, value| {
        paths.extend(Some(value).filter(|_| section == b"%FILES%"));
        Ok(())
    })?;
    Ok(paths)
}

/// Shows every value with its line and section.
fn each<'a>(
    bytes: &'a [u8],
    mut show: impl FnMut(usize, &'a [u8], &'a [u8]) -> Result<(), LocalError>,
) -> Result<(), LocalError> {
    let mut section = None;
    for (n, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let fail = |problem| LocalError { line: n + 1, problem };
        let line = line.strip_suffix(b"\n").ok_or(fail(LocalProblem::Cut))?;
        match (line, section) {
            ([], _) => section = None,
            ([b'%', .., b'%'], None) => section = Some(line),
            (value, Some(section)) => show(n + 1, section, value)?,
            (_, None) => return Err(fail(LocalProblem::Stray)),
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DESC: &str = "%NAME%\nlibelf\n\n%VERSION%\n0.192-4\n\n%BASE%\nelfutils\n\n%DESC%\nLibraries\n\n%ARCH%\nx86_64\n\n\
        %DEPENDS%\nglibc>=2.35\nzlib\n\n";

    #[test]
    fn a_package_is_read() {
        let package = read_desc(DESC.as_bytes()).unwrap();
        let expected = InstalledPackage {
            name: "libelf",
            version: "0.192-4",
            architecture: Some("x86_64"),
            base: Some("elfutils"),
        };
        assert_eq!(package, expected);
        let files = read_files(b"%FILES%\nusr/\nusr/lib/libelf.so\n\n%BACKUP%\netc/x\tabc\n\n").unwrap();
        assert_eq!(files, [&b"usr/"[..], b"usr/lib/libelf.so"]);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, expected) in [
            ("", "line 1: the package has no name"),
            ("%NAME%\na\n\n%DESC%\nb\n", "line 5: the package has no version"),
            ("%NAME%\na\n\nb\n", "line 4: a value outside of any section"),
            ("%NAME%\nlibe", "line 2: the file is cut off here"),
        ] {
            assert_eq!(read_desc(text.as_bytes()).unwrap_err().to_string(), expected, "{text:?}");
        }
        assert_eq!(read_desc(b"%NAME%\n\xff\n").unwrap_err().to_string(), "line 2: the name is not UTF-8");
    }

    proptest! {
        #[test]
        fn mutated_bytes_never_panic(changes in proptest::collection::vec((0..DESC.len(), any::<u8>()), 0..8)) {
            let mut bytes = DESC.as_bytes().to_vec();
            changes.into_iter().for_each(|(at, byte)| bytes[at] = byte);
            let _ = (read_desc(&bytes), read_files(&bytes));
        }
    }
}
