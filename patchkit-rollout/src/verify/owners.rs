//! Which package a file belongs to, by the lists that package managers keep in the image.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use patchkit_core::{
    Context, Result,
    image::{FilePath, FileTree},
};

/// The most bytes of one list: 64 MiB.
const MAX_LIST: u64 = 64 << 20;

/// Whether a file is such a list: dpkg's `info/*.list`, `status.d/*.md5sums` of distroless images, apk's database.
pub(super) fn is_list(path: &FilePath, size: u64) -> bool {
    let name = path.as_bytes();
    let is_dpkg = (name.starts_with(b"var/lib/dpkg/info/") && name.ends_with(b".list"))
        || (name.starts_with(b"var/lib/dpkg/status.d/") && name.ends_with(b".md5sums"));
    size <= MAX_LIST && (is_dpkg || name == b"lib/apk/db/installed" || name == b"usr/lib/apk/db/installed")
}

/// The packages of files, under the names that the files have once links among their folders are followed.
#[derive(Clone, Debug, Default)]
pub(super) struct Owners(BTreeMap<FilePath, String>);

impl Owners {
    /// Reads the lists of an image.
    ///
    /// # Errors
    /// Those of reading the layers.
    pub(super) async fn of(tree: &FileTree, cx: &Context) -> Result<Self> {
        let lists = tree.iter().filter(|(path, node)| node.size().is_some_and(|size| is_list(path, size)));
        let lists: BTreeSet<FilePath> = lists.map(|(path, _)| path.clone()).collect();
        let contents = tree.contents(&lists, cx).await?;
        Ok(Self::read(tree, &contents))
    }

    /// As [`of`](Self::of), of lists that were read already.
    pub(super) fn read(tree: &FileTree, contents: &BTreeMap<FilePath, Bytes>) -> Self {
        let mut owners = BTreeMap::new();
        for (list, content) in contents {
            let is_dpkg = list.as_bytes().starts_with(b"var/lib/dpkg/");
            let name = list.file_name().unwrap_or_default();
            let files = if is_dpkg { dpkg(name, content) } else { apk(content) };
            for (file, package) in files {
                let Ok(path) = FilePath::new(file) else { continue };
                let real = tree.resolve_parent(&path).unwrap_or(path);
                // Folders belong to many.
                if tree.get(&real).is_none_or(|node| !node.is_directory()) {
                    owners.insert(real, package);
                }
            }
        }
        Self(owners)
    }

    /// The package that a file belongs to, by the name that [`FileTree::resolve_parent`] gives.
    pub(super) fn owner(&self, path: &FilePath) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

/// The files of one list of dpkg: `/usr/bin/x`, or `0123456789abcdef  usr/bin/x`.
pub(super) fn dpkg(list: &[u8], content: &[u8]) -> Vec<(Vec<u8>, String)> {
    let name = String::from_utf8_lossy(list);
    let package = name.trim_end_matches(".list").trim_end_matches(".md5sums");
    let package = package.split(':').next().unwrap_or(package);
    let files = content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(|line| {
        let blank = line.windows(2).position(|two| two == b"  ");
        let file = if line.starts_with(b"/") { line } else { blank.map_or(line, |blank| &line[blank + 2..]) };
        (file.to_vec(), package.to_owned())
    });
    files.collect()
}

/// The files of apk's database: blocks of lines `P:` for the package, `F:` for a folder, `R:` for a file in it.
pub(super) fn apk(content: &[u8]) -> Vec<(Vec<u8>, String)> {
    let (mut files, mut package, mut folder) = (Vec::new(), String::new(), Vec::new());
    for line in content.split(|byte| *byte == b'\n') {
        match line.split_at_checked(2) {
            Some((b"P:", name)) => package = String::from_utf8_lossy(name).into_owned(),
            Some((b"F:", name)) => folder = name.to_vec(),
            Some((b"R:", name)) => files.push(([&folder, &b"/"[..], name].concat(), package.clone())),
            _ => {}
        }
    }
    files
}
