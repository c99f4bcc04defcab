//! The folder `/var/lib/dpkg/info`: the files of each package, its checksums and scripts.

#[cfg(feature = "patch")]
use std::collections::BTreeMap;
use std::collections::BTreeSet;

#[cfg(feature = "patch")]
use crate::debian::deb::ControlFile;
use crate::debian::path::PackagePath;

use super::lines::lines;
use super::state::MultiArch;
use super::{DatabaseError, DatabaseErrorKind};

/// The length of an MD5 in hexadecimal.
const HASH_LENGTH: usize = 32;

/// A checksum of a package's `md5sums`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FileHash {
    /// The MD5 in hexadecimal.
    pub md5: Box<str>,
    /// The file.
    pub path: PackagePath,
}

/// A file that belongs into `/var/lib/dpkg/info`. Its owner is root.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InfoFile {
    /// Its name in the folder.
    pub name: String,
    /// Its content.
    pub bytes: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// The modification time that dpkg gives it, in seconds since 1970: that of the archive's member, or `None` for
    /// a file that dpkg writes itself, at the time it runs.
    pub mtime: Option<i64>,
}

/// How the names of a package's files start: with its name, and its architecture where it can have several.
#[must_use]
pub fn base_name(name: &str, architecture: &str, multi_arch: MultiArch) -> String {
    match multi_arch {
        MultiArch::Same => format!("{name}:{architecture}"),
        MultiArch::Allowed | MultiArch::Foreign | MultiArch::No => name.to_owned(),
    }
}

/// Splits a file name of the folder into the package's base name and the kind of file: `libc6:amd64.list` into
/// `libc6:amd64` and `list`. `None` for files of no package, such as `format`.
#[must_use]
pub fn split_name(file_name: &str) -> Option<(&str, &str)> {
    file_name.rsplit_once('.')
}

/// Reads a `.list`: the paths of a package, one a line.
///
/// # Errors
/// An empty line, a relative path, no final line feed.
pub fn read_list(file: &str, bytes: &[u8]) -> Result<Vec<PackagePath>, DatabaseError> {
    let paths = lines(file, bytes)?.map(|(number, line)| {
        PackagePath::from_absolute(line).map_err(|error| DatabaseError::new(file, number, error))
    });
    paths.collect()
}

/// Writes a `.list`: the archive's paths in the order of the archive, then the obsolete conffiles.
#[must_use]
pub fn write_list<'p>(paths: impl IntoIterator<Item = &'p PackagePath>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in paths {
        bytes.extend_from_slice(&path.to_absolute());
        bytes.push(b'\n');
    }
    bytes
}

/// Reads an `md5sums`: a hash, two spaces, a path below the root.
///
/// # Errors
/// A line of another form, no final line feed.
pub fn read_md5sums(file: &str, bytes: &[u8]) -> Result<Vec<FileHash>, DatabaseError> {
    let hashes = lines(file, bytes)?
        .map(|(number, line)| read_hash(line).map_err(|kind| DatabaseError::new(file, number, kind)));
    hashes.collect()
}

fn read_hash(line: &[u8]) -> Result<FileHash, DatabaseErrorKind> {
    let malformed = DatabaseErrorKind::Line("not a hash, two spaces and a path");
    let Some((hash, rest)) = line.split_at_checked(HASH_LENGTH) else {
        return Err(malformed);
    };
    let (Some(path), true) = (rest.strip_prefix(b"  "), hash.iter().all(u8::is_ascii_hexdigit)) else {
        return Err(malformed);
    };
    let path = PackagePath::from_archive(path)?;
    Ok(FileHash { md5: String::from_utf8_lossy(hash).into(), path })
}

/// Writes the `md5sums` that dpkg makes for a package that brings none: of its plain files and hard links, conffiles
/// included, in the order of the archive.
#[must_use]
pub fn write_md5sums(hashes: &[FileHash]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for hash in hashes {
        bytes.extend_from_slice(&[hash.md5.as_bytes(), b"  ", hash.path.as_bytes(), b"\n"].concat());
    }
    bytes
}

/// The files of a package: its `list`, every file of `control.tar` but `control`, and `md5sums` where the archive has
/// none. dpkg leaves out names with a dot, which could be another package's.
#[cfg(feature = "patch")]
#[must_use]
pub fn files(base: &str, control: &BTreeMap<String, ControlFile>, list: Vec<u8>, md5sums: Vec<u8>) -> Vec<InfoFile> {
    let name = |kind: &str| format!("{base}.{kind}");
    let mut files = vec![InfoFile { name: name("list"), bytes: list, mode: 0o644, mtime: None }];
    if !control.contains_key("md5sums") {
        files.push(InfoFile { name: name("md5sums"), bytes: md5sums, mode: 0o644, mtime: None });
    }
    let copied = control.iter().filter(|(kind, _)| !matches!(&***kind, "control" | "list") && !kind.contains('.'));
    files.extend(copied.map(|(kind, file)| {
        let ControlFile { bytes, mode, mtime } = file.clone();
        InfoFile { name: name(kind), bytes, mode, mtime: Some(mtime) }
    }));
    files
}

/// Of the names in the folder, those that an upgrade removes: files of the package's old base name that `new` lacks.
pub fn stale<'n>(
    names: impl IntoIterator<Item = &'n str>,
    old_base: &str,
    new: &[InfoFile],
) -> impl Iterator<Item = &'n str> {
    let kept: BTreeSet<String> = new.iter().map(|file| file.name.clone()).collect();
    let old_base = old_base.to_owned();
    let old = names.into_iter().filter(move |name| split_name(name).is_some_and(|(base, _)| base == old_base));
    old.filter(move |name| !kept.contains(*name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_and_written() {
        let bytes = b"/.\n/usr\n/usr/share/a b\n";
        assert_eq!(write_list(&read_list("a.list", bytes).expect("sound")), bytes);
        assert_eq!(read_list("a.list", b""), Ok(Vec::new()));
        for (bytes, line) in [(&b"/.\n\n"[..], 2), (b"/.\nusr\n", 2), (b"/.\n/usr", 2), (b"/../x\n", 1)] {
            assert_eq!(read_list("a.list", bytes).expect_err("damaged").line, line);
        }
    }

    #[test]
    fn checksums_are_read_and_written() {
        let bytes = b"0123456789abcdef0123456789abcdef  usr/share/a b\n";
        assert_eq!(write_md5sums(&read_md5sums("a.md5sums", bytes).expect("sound")), bytes);
        for line in ["0123  a\n", "0123456789abcdef0123456789abcdef a\n", "x123456789abcdef0123456789abcdef  a\n"] {
            assert!(read_md5sums("a.md5sums", line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(base_name("libc6", "amd64", MultiArch::Same), "libc6:amd64");
        assert_eq!(base_name("dpkg", "amd64", MultiArch::No), "dpkg");
        assert_eq!(split_name("python3.11.list"), Some(("python3.11", "list")));
        assert_eq!(split_name("format"), None);
    }

    #[cfg(feature = "patch")]
    #[test]
    fn files_of_a_package() {
        let file = |bytes: &[u8], mode| ControlFile { bytes: bytes.to_vec(), mode, mtime: 7 };
        let control: BTreeMap<_, _> =
            [("control", file(b"Package: a\n", 0o644)), ("postinst", file(b"#!", 0o755)), ("b.list", file(b"", 0o644))]
                .map(|(name, file)| (name.to_owned(), file))
                .into();
        let files = files("a", &control, b"/.\n".to_vec(), Vec::new());
        let names: Vec<_> = files.iter().map(|file| (&*file.name, file.mode, file.mtime)).collect();
        assert_eq!(names, [("a.list", 0o644, None), ("a.md5sums", 0o644, None), ("a.postinst", 0o755, Some(7))]);
        let there = ["a.list", "a.prerm", "a.b.list", "b.prerm", "a:amd64.prerm", "format"];
        assert_eq!(stale(there, "a", &files).collect::<Vec<_>>(), ["a.prerm"]);
    }
}
