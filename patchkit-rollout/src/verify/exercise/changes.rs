use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use patchkit_core::{
    AdvisoryId, Context, Digest, Error, Image, Layer, Patched, Plan, Result,
    image::{Entry, EntryKind, FilePath, FileTree, LayerVisitor, Node, NodeKind},
};
use serde::{Deserialize, Serialize};

use crate::verify::{owners::Owners, pair::pairs};

/// The files that a patch changed in one image, and the image's names of them.
#[derive(Clone, Debug)]
pub struct Changes {
    files: Vec<ChangedFile>,
    /// The vulnerabilities that the change of a package fixes.
    fixes: BTreeMap<String, BTreeSet<AdvisoryId>>,
    tree: FileTree,
}

/// A file that a patch brought or replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    /// Its name, once links among its folders are followed.
    pub path: FilePath,
    /// What it is.
    pub class: FileClass,
    /// The package that it belongs to; none where no list of packages names it.
    pub package: Option<String>,
}

/// What a file is, as far as tests are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileClass {
    /// A program of a language that is run from its text, or a module of one.
    Code,
    /// A shared library.
    Library,
    /// Anything else: configuration, certificates, time zones.
    Other,
    /// A file that can be run.
    Program,
}

impl Changes {
    /// The changes of each image of a patched target, in their order.
    ///
    /// # Errors
    /// Those of reading the layers.
    pub async fn of(patched: &Patched, cx: &Context) -> Result<Vec<Self>> {
        let mut changes = Vec::new();
        for pair in pairs(patched) {
            changes.push(Self::between(pair.before, pair.after, pair.plan, cx).await?);
        }
        Ok(changes)
    }

    /// What differs between two images: the files of the layers that only the second has, and those that layers of only
    /// the first had changed. Databases and caches of package managers, documentation and what is made of other files
    /// (the linker's cache, compiled Python) are left out, as are folders and links, which nobody sees used.
    ///
    /// # Errors
    /// Those of reading the layers.
    pub async fn between(before: &Image, after: &Image, plan: &Plan, cx: &Context) -> Result<Self> {
        let tree = after.files(|_, _| false, cx).await?;
        let old = before.files(|_, _| false, cx).await?;
        let shared = before.layers().iter().zip(after.layers()).take_while(|(a, b)| a.diff_id() == b.diff_id()).count();
        let mut candidates = BTreeSet::new();
        for layer in before.layers()[shared..].iter().chain(&after.layers()[shared..]) {
            candidates.extend(brought(layer, cx).await?);
        }
        let candidates = candidates.into_iter().filter_map(|path| tree.resolve_parent(&path));
        let candidates: BTreeSet<_> = candidates.filter(|path| is_tested(&tree, path)).collect();
        let differing = differing(&candidates, &old, &tree, cx).await?;
        let owners = Owners::of(&tree, cx).await?;
        let file = |path: FilePath| {
            let class = class(&path, tree.get(&path).expect("candidates are there"));
            let package = owners.owner(&path).map(str::to_owned);
            ChangedFile { path, class, package }
        };
        let files = differing.into_iter().map(file).collect();
        Ok(Self { files, fixes: fixes(plan), tree })
    }

    /// The files, sorted by path.
    #[must_use]
    pub fn files(&self) -> &[ChangedFile] {
        &self.files
    }

    /// The vulnerabilities that the change of a package fixes.
    #[must_use]
    pub fn fixes(&self, package: &str) -> BTreeSet<AdvisoryId> {
        self.fixes.get(package).cloned().unwrap_or_default()
    }

    /// The packages that have changed files, sorted.
    #[must_use]
    pub fn packages(&self) -> BTreeSet<&str> {
        self.files.iter().filter_map(|file| file.package.as_deref()).collect()
    }

    /// The changed files that a name leads to: its file, under each name that that has.
    pub(super) fn changed(&self, used: &FilePath) -> Vec<&FilePath> {
        let Some(end) = self.tree.resolve(used) else { return Vec::new() };
        let names = self.tree.links(&end).into_iter().chain([&end]);
        let places = names.filter_map(|name| self.files.binary_search_by(|file| file.path.cmp(name)).ok());
        places.map(|place| &self.files[place].path).collect()
    }
}

fn fixes(plan: &Plan) -> BTreeMap<String, BTreeSet<AdvisoryId>> {
    let mut fixes: BTreeMap<String, BTreeSet<AdvisoryId>> = BTreeMap::new();
    for change in plan.changes.iter().filter(|change| !change.fixes.is_empty()) {
        let ids = change.fixes.iter().map(|finding| finding.id.clone());
        fixes.entry(change.package.to_string()).or_default().extend(ids);
    }
    fixes
}

/// The paths that a layer speaks of.
async fn brought(layer: &Layer, cx: &Context) -> Result<BTreeSet<FilePath>> {
    #[derive(Default)]
    struct Paths(BTreeSet<FilePath>);

    impl LayerVisitor for Paths {
        fn entry(&mut self, entry: &Entry, _content: &mut dyn std::io::Read) -> Result<()> {
            if !matches!(entry.kind, EntryKind::Node(NodeKind::Directory) | EntryKind::Opaque) {
                self.0.insert(entry.path.clone());
            }
            Ok(())
        }
    }

    Ok(layer.visit(Paths::default(), cx).await?.0)
}

/// Those that the old image does not have, or has with another content or mode.
async fn differing(
    candidates: &BTreeSet<FilePath>,
    old: &FileTree,
    new: &FileTree,
    cx: &Context,
) -> Result<Vec<FilePath>> {
    let node = |tree: &FileTree, path: &FilePath| tree.get(path).map(|node| (node.kind.clone(), node.metadata.mode));
    let (alike, mut differing): (BTreeSet<_>, BTreeSet<_>) =
        candidates.iter().cloned().partition(|path| node(old, path) == node(new, path));
    let digest = |contents: BTreeMap<FilePath, Bytes>| {
        contents.into_iter().map(|(path, content)| (path, Digest::of(content))).collect::<BTreeMap<_, _>>()
    };
    // A few at once, so that not all of them lie in memory.
    const TOGETHER: u64 = 64 << 20;
    let mut batch = BTreeSet::new();
    let mut bytes = 0;
    let mut alike = alike.into_iter().peekable();
    while let Some(path) = alike.next() {
        bytes += new.get(&path).and_then(Node::size).ok_or_else(|| Error::unexpected("no file").on(&path))?;
        batch.insert(path);
        if bytes >= TOGETHER || alike.peek().is_none() {
            let (before, after) = (digest(old.contents(&batch, cx).await?), digest(new.contents(&batch, cx).await?));
            differing.extend(std::mem::take(&mut batch).into_iter().filter(|path| before.get(path) != after.get(path)));
            bytes = 0;
        }
    }
    Ok(differing.into_iter().collect())
}

/// Whether it is a file that tests could use, and that no tool wrote for itself.
fn is_tested(tree: &FileTree, path: &FilePath) -> bool {
    const OTHERS: [&str; 17] = [
        "etc/ld.so.cache",
        "lib/apk",
        "usr/lib/apk",
        "usr/share/bug",
        "usr/share/doc",
        "usr/share/info",
        "usr/share/lintian",
        "usr/share/locale",
        "usr/share/man",
        "var/cache",
        "var/lib/apk",
        "var/lib/apt",
        "var/lib/dpkg",
        "var/lib/pacman",
        "var/lib/rpm",
        "usr/lib/sysimage/rpm",
        "var/log",
    ];
    let is_file = tree.get(path).is_some_and(|node| node.size().is_some());
    let is_below = |folder: &&str| FilePath::new(folder).is_ok_and(|folder| path.starts_with(&folder));
    let is_compiled = path.components().any(|name| name == b"__pycache__");
    is_file && !is_compiled && !OTHERS.iter().any(is_below)
}

fn class(path: &FilePath, node: &Node) -> FileClass {
    const CODE: [&str; 14] =
        ["bash", "class", "cjs", "jar", "js", "lua", "mjs", "php", "pl", "pm", "py", "rb", "sh", "tcl"];
    let name = String::from_utf8_lossy(path.file_name().unwrap_or_default()).into_owned();
    let is_library = name.ends_with(".so") || name.contains(".so.");
    let is_code = name.rsplit_once('.').is_some_and(|(_, end)| CODE.contains(&end));
    match node.metadata.mode & 0o111 {
        _ if is_library => FileClass::Library,
        _ if is_code => FileClass::Code,
        0 => FileClass::Other,
        _ => FileClass::Program,
    }
}
