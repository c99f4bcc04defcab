//! A folder of the machine as the tree that packages are put into, and what to do where a tool is missing.

#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use bytes::Bytes;
use patchkit_core::{
    Blob, ByteRange, Config, Context, Image, Manifest, ManifestBytes, MediaType, Result, image::FilePath,
};
use patchkit_scan::debian::install::{
    Installation,
    archive::{Archive, Store},
    elf::Elf,
    ldcache::Libraries,
    tree::{Base, Content, Entry, Kind, Tree},
};

/// Says why a test is skipped, or fails where everything must be there.
pub fn skip(why: &str) {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{why}");
    println!("skipped: {why}");
}

/// Whether a tool can be run.
pub fn has(tool: &str) -> bool {
    Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// A folder of the machine.
#[derive(Debug)]
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn at(&self, path: &FilePath) -> PathBuf {
        self.0.join(OsStr::from_bytes(path.as_bytes()))
    }
}

impl Base for Folder {
    fn entry(&self, path: &FilePath) -> Option<Entry> {
        let at = self.at(path);
        let metadata = fs::symlink_metadata(&at).ok()?;
        let kind = if metadata.is_dir() {
            Kind::Directory
        } else if metadata.is_symlink() {
            Kind::Symlink(Bytes::copy_from_slice(fs::read_link(&at).ok()?.as_os_str().as_bytes()))
        } else if metadata.is_file() {
            Kind::File(Content::Base { path: path.clone(), size: metadata.len() })
        } else {
            Kind::Fifo
        };
        Some(Entry {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid().into(),
            gid: metadata.gid().into(),
            mtime: metadata.mtime(),
            xattrs: BTreeMap::new(),
        })
    }

    fn names(&self, folder: &FilePath) -> Vec<Vec<u8>> {
        let entries = fs::read_dir(self.at(folder)).into_iter().flatten();
        let mut names: Vec<Vec<u8>> = entries.map(|entry| entry.unwrap().file_name().as_bytes().to_vec()).collect();
        names.sort();
        names
    }

    fn content(&self, path: &FilePath) -> Result<Bytes> {
        Ok(fs::read(self.at(path)).unwrap().into())
    }
}

impl Libraries for Folder {
    fn elf(&self, content: &Content) -> Result<Option<Arc<Elf>>> {
        Ok(match content {
            Content::Base { path, .. } => Elf::parse(&self.content(path)?).map(Arc::new),
            _ => None,
        })
    }
}

/// Copies a tree with `cp -a`.
pub fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
}

/// A tree after packages were put into it, with the content that was set aside.
pub struct Installed {
    pub tree: Tree,
    pub stored: Bytes,
}

/// Puts packages into a folder's tree as data.
pub fn install(root: &Path, debs: &[&PathBuf]) -> Installed {
    let cx = Context::new();
    let mut store = Store::new(cx.scratch().create().unwrap());
    let archives: Vec<Archive> =
        debs.iter().map(|deb| Archive::read(fs::File::open(deb).unwrap(), &mut store).unwrap()).collect();
    let source = store.finish().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let stored =
        runtime.block_on(async { source.open(ByteRange::FULL, &cx).await.unwrap().collect(1 << 30).await.unwrap() });
    let tree = Tree::new(Arc::new(Folder(root.to_path_buf())));
    let mut installation = Installation::open(tree, 0).unwrap();
    installation.expect(archives.iter().map(Archive::identity).map(Result::unwrap));
    archives.iter().for_each(|archive| installation.unpack(archive).unwrap());
    installation.configure().unwrap();
    Installed { tree: installation.finish().0, stored }
}

/// What differs between two trees, one line a path.
pub struct Comparison(Vec<String>);

/// What dpkg leaves of its own work: backups, locks and logs.
const LEFT: [&str; 6] = [
    "var/lib/dpkg/status-old",
    "var/lib/dpkg/lock",
    "var/lib/dpkg/lock-frontend",
    "var/lib/dpkg/triggers/Lock",
    "var/lib/dpkg/triggers/Unincorp",
    "var/lib/dpkg/available",
];

impl Comparison {
    pub fn of(theirs: &Path, ours: &Installed) -> Self {
        let their_tree = Tree::new(Arc::new(Folder(theirs.to_path_buf())));
        let list = |tree: &Tree| tree.descendants(&FilePath::ROOT);
        let mut paths = [list(&their_tree), list(&ours.tree)].concat();
        paths.sort();
        paths.dedup();
        let compared = paths.iter().filter(|path| !LEFT.iter().any(|left| left.as_bytes() == path.as_bytes()));
        let nothing = Bytes::new();
        Self(
            compared
                .filter_map(|path| {
                    let theirs = describe(&their_tree, path, &nothing);
                    let ours = describe(&ours.tree, path, &ours.stored);
                    (theirs != ours).then(|| format!("{path}\n  dpkg: {theirs}\n  ours: {ours}"))
                })
                .collect(),
        )
    }

    pub fn expect_same(&self) {
        assert!(self.0.is_empty(), "\n{}", self.0.join("\n"));
    }
}

fn describe(tree: &Tree, path: &FilePath, stored: &Bytes) -> String {
    let Some(entry) = tree.entry(path) else {
        return "nothing".into();
    };
    let what = match &entry.kind {
        Kind::File(Content::Stored(file)) => {
            let (start, end) = (file.offset as usize, (file.offset + file.size) as usize);
            format!("file {}", stored[start..end].escape_ascii())
        }
        Kind::File(content) => format!("file {}", tree.content(content).unwrap().escape_ascii()),
        other => format!("{other:?}"),
    };
    format!("{:o} {}:{} {what}", entry.mode, entry.uid, entry.gid)
}

/// Opens the first image of an OCI layout, read into memory.
pub async fn opened(layout: &Path, _cx: &Context) -> Image {
    let blob = |digest: &str| fs::read(layout.join("blobs/sha256").join(digest.trim_start_matches("sha256:"))).unwrap();
    let index: serde_json::Value = serde_json::from_slice(&fs::read(layout.join("index.json")).unwrap()).unwrap();
    let bytes = blob(index["manifests"][0]["digest"].as_str().unwrap());
    let json: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&bytes).unwrap();
    let config = Config::parse(blob(json["config"]["digest"].as_str().unwrap()).into()).unwrap();
    let layers = json["layers"].as_array().unwrap().iter().map(|layer| {
        let media_type = serde_json::from_value(layer["mediaType"].clone()).unwrap();
        Blob::of(media_type, blob(layer["digest"].as_str().unwrap()))
    });
    let layers = layers.collect();
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: bytes.into() };
    Image::assemble(Manifest::parse(&manifest).unwrap(), config, layers).unwrap()
}
