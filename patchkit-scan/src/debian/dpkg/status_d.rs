//! The folder `/var/lib/dpkg/status.d` of distroless images: one file for each package, its `control` as it is, and
//! beside it the package's `md5sums`.

use crate::debian::control::Stanzas;

use super::package::InstalledPackage;
use super::{DatabaseError, DatabaseErrorKind};

/// What the name of a file in `status.d` says that it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum StatusFileKind {
    /// A package's control file.
    Control,
    /// A package's checksums.
    Md5sums,
}

/// Tells control files from checksums by their name.
#[must_use]
pub fn kind_of(file_name: &str) -> StatusFileKind {
    if file_name.ends_with(".md5sums") { StatusFileKind::Md5sums } else { StatusFileKind::Control }
}

/// Reads a control file of `status.d`; its package counts as installed. Most have one stanza, but some builders put
/// several into one file.
///
/// # Errors
/// Any damage, with `file` and line, and a file without a stanza.
pub fn read(file: &str, bytes: &[u8]) -> Result<Vec<InstalledPackage>, DatabaseError> {
    let stanzas = Stanzas::lenient(bytes).map(|stanza| {
        let stanza = stanza.map_err(|error| DatabaseError::control(file, error))?;
        InstalledPackage::read(file, &stanza)
    });
    let packages: Vec<_> = stanzas.collect::<Result<_, _>>()?;
    if packages.is_empty() {
        return Err(DatabaseError::new(file, 1, DatabaseErrorKind::Line("there is no stanza")));
    }
    Ok(packages)
}

/// The files of a package in `status.d`, by name, from its `control` and `md5sums`. `file_name` is that of the
/// package's old file, which need not be the package's name; a new package's file has its name.
#[must_use]
pub fn write(file_name: &str, control: &[u8], md5sums: Option<&[u8]>) -> Vec<(String, Vec<u8>)> {
    let mut files = vec![(file_name.to_owned(), control.to_vec())];
    files.extend(md5sums.map(|sums| (format!("{file_name}.md5sums"), sums.to_vec())));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_without_a_status_is_installed() {
        let read = read("status.d/a", b"Package: a\nVersion: 1\nArchitecture: amd64\nSource: b (2)").expect("sound");
        assert!(read[0].is_present());
        assert_eq!((&*read[0].source.name, read[0].source.version.as_str()), ("b", "2"));
    }

    #[test]
    fn an_empty_file_is_damage() {
        assert_eq!(read("status.d/a", b"\n").expect_err("empty").to_string(), "status.d/a, line 1: there is no stanza");
        assert_eq!(kind_of("a.md5sums"), StatusFileKind::Md5sums);
        assert_eq!(kind_of("a"), StatusFileKind::Control);
    }
}
