//! The root of a container as the host sees it, and what names that the kernel prints mean in it.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, Metadata},
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use patchkit_core::image::FilePath;

/// What the kernel adds to the name of a file that was removed.
const DELETED: &[u8] = b" (deleted)";

/// The folder of the host that is the container's root.
#[derive(Clone, Debug)]
pub(super) struct Root(PathBuf);

impl fmt::Display for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(f)
    }
}

impl Root {
    /// The root at a path; `None` where there is no folder.
    pub(super) fn new(path: &Path) -> Option<Self> {
        // Of /proc/PID/root the link itself is what leads into another mount namespace.
        let path = if path.starts_with("/proc") { path.to_owned() } else { fs::canonicalize(path).ok()? };
        fs::metadata(&path).ok()?.is_dir().then_some(Self(path))
    }

    /// Where it lies on the host.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The name in the container of what the kernel prints under this name, when it is a file that `is` recognises, or
    /// one that is not there any more.
    ///
    /// The kernel prints a name from the root of the mount namespace that it was opened in. That is the container's
    /// root in a container that has one of its own, as runtimes make it, but the host's for a process that was only
    /// put into the folder (`chroot`), and nobody says which. So the file is looked for under both.
    pub(super) fn place(&self, printed: &[u8], is: impl Fn(&Path) -> bool) -> Option<FilePath> {
        let undeleted = printed.strip_suffix(DELETED);
        let names = [Some(printed), undeleted].into_iter().flatten();
        let found = names.flat_map(|name| self.readings(name)).find(|reading| is(&self.of(reading)));
        let gone = || self.readings(undeleted.unwrap_or(printed)).next();
        found.or_else(gone).filter(|path| !path.is_root())
    }

    /// What a printed name can mean, the likelier first.
    fn readings(&self, printed: &[u8]) -> impl Iterator<Item = FilePath> {
        let below = Path::new(OsStr::from_bytes(printed)).strip_prefix(&self.0).ok();
        let below = below.map(|path| path.as_os_str().as_bytes().to_vec());
        below.into_iter().chain([printed.to_vec()]).filter_map(|path| FilePath::new(path).ok())
    }

    /// Where a file of the container lies on the host.
    pub(super) fn of(&self, path: &FilePath) -> PathBuf {
        self.0.join(OsStr::from_bytes(path.as_bytes()))
    }
}

/// Whether two are the same file.
pub(super) fn same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(printed: &str, there: &str) -> String {
        let root = Root("/host/root".into());
        let placed = root.place(printed.as_bytes(), |path| path == Path::new(there)).unwrap();
        placed.to_str().unwrap().to_owned()
    }

    #[test]
    fn names_are_read_from_either_root() {
        assert_eq!(place("/bin/sh", "/host/root/bin/sh"), "bin/sh");
        assert_eq!(place("/host/root/bin/sh", "/host/root/bin/sh"), "bin/sh");
        assert_eq!(place("/host/root/x", "/host/root/host/root/x"), "host/root/x");
        assert_eq!(place("/host/rooted", ""), "host/rooted");
    }

    #[test]
    fn removed_files_keep_their_names() {
        assert_eq!(place("/tmp/x (deleted)", ""), "tmp/x");
        assert_eq!(place("/host/root/tmp/x (deleted)", ""), "tmp/x");
        assert_eq!(place("/tmp/x (deleted)", "/host/root/tmp/x (deleted)"), "tmp/x (deleted)");
    }
}
