//! The merged view against a model of a file system, and against what other tools make of real images.
#![allow(clippy::unwrap_used)]

mod image;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use patchkit_core::{
    Context, ErrorKind, Image, Layer, Result,
    image::{Compression, EntryKind, FilePath, FileTree, LayerWriter, Metadata, NodeKind, ReadLimits},
};
use proptest::prelude::*;

fn path(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}

/// A layer in few words: `d/` a directory, `f=text` a file, `l->x` a symbolic link, `h==x` a hard link, `-x` a whiteout,
/// `!d` an opaque directory.
fn layer(words: &[&str]) -> Layer {
    layer_in(Compression::None, words)
}

fn layer_in(compression: Compression, words: &[&str]) -> Layer {
    let mut layer = LayerWriter::new(compression, &Context::new()).unwrap();
    for word in words {
        write(&mut layer, word).unwrap();
    }
    layer.finish().unwrap()
}

fn write(layer: &mut LayerWriter, word: &str) -> Result<()> {
    let none = Metadata { mode: 0o644, ..Metadata::default() };
    if let Some(gone) = word.strip_prefix('-') {
        return layer.whiteout(&path(gone));
    }
    if let Some(directory) = word.strip_prefix('!') {
        return layer.opaque(&path(directory));
    }
    if let Some((link, target)) = word.split_once("->") {
        return layer.symlink(&path(link), &none, target.as_bytes());
    }
    if let Some((link, target)) = word.split_once("==") {
        return layer.hardlink(&path(link), &none, &path(target));
    }
    if let Some((name, text)) = word.split_once('=') {
        return layer.file(&path(name), &none, text.len() as u64, &mut text.as_bytes());
    }
    layer.directory(&path(word), &Metadata { mode: 0o700, ..none })
}

async fn tree(layers: &[&[&str]]) -> Result<FileTree> {
    let layers = layers.iter().map(|words| layer(words)).collect();
    image::image_of(layers).files(|_, _| true, &Context::new()).await
}

/// The tree in the same few words.
fn words(tree: &FileTree) -> Vec<String> {
    let word = |(name, node): (&FilePath, &patchkit_core::image::Node)| match &node.kind {
        NodeKind::Directory => format!("{name}/"),
        NodeKind::File { .. } => {
            let content = tree.read(name).unwrap().unwrap();
            format!("{name}={}", String::from_utf8(content.to_vec()).unwrap())
        }
        NodeKind::Symlink { target } => format!("{name}->{}", String::from_utf8(target.to_vec()).unwrap()),
        other => format!("{name}:{other:?}"),
    };
    tree.iter().map(word).collect()
}

macro_rules! merged {
    ($($name:ident: $layers:expr => $expected:expr;)*) => {$(
        #[tokio::test]
        async fn $name() {
            let layers: &[&[&str]] = &$layers;
            let expected: &[&str] = &$expected;
            assert_eq!(words(&tree(layers).await.unwrap()), expected);
        }
    )*};
}

merged! {
    an_upper_file_wins: [&["a/", "a/f=1", "g=1"], &["a/f=2"]] => ["a/", "a/f=2", "g=1"];
    directories_that_nobody_speaks_of_are_there: [&["a/b/f=1"]] => ["a/", "a/b/", "a/b/f=1"];
    a_whiteout_hides_a_file: [&["a/f=1", "a/g=1"], &["-a/f"]] => ["a/", "a/g=1"];
    a_whiteout_hides_a_tree: [&["a/b/f=1", "ab=1", "a-=1"], &["-a"]] => ["a-=1", "ab=1"];
    a_whiteout_of_nothing_is_nothing: [&["f=1"], &["-g", "-x/y", "-f/z"]] => ["f=1"];
    a_whiteout_spares_its_own_layer: [&["a/f=1"], &["a/f=2", "-a/f"]] => ["a/", "a/f=2"];
    a_whiteout_before_its_own_layer: [&["a/f=1", "a/g=1"], &["-a", "a/", "a/f=2"]] => ["a/", "a/f=2"];
    a_whiteout_after_its_own_layer: [&["a/f=1", "a/g=1"], &["a/", "a/f=2", "-a"]] => ["a/", "a/f=2"];
    an_opaque_directory_hides_what_is_below: [&["a/f=1", "a/b/g=1", "h=1"], &["a/", "!a", "a/n=2"]] => ["a/", "a/n=2", "h=1"];
    an_opaque_directory_in_any_order: [&["a/f=1"], &["a/n=2", "!a"]] => ["a/", "a/n=2"];
    the_root_may_be_opaque: [&["a/f=1"], &["!", "n=2"]] => ["n=2"];
    a_file_replaces_a_directory: [&["a/b/f=1"], &["a=2"]] => ["a=2"];
    a_directory_replaces_a_file: [&["a=1"], &["a/", "a/f=2"]] => ["a/", "a/f=2"];
    a_directory_replaces_a_link: [&["lib->usr/lib", "usr/lib/x=1"], &["lib/", "lib/y=2"]]
        => ["lib/", "lib/y=2", "usr/", "usr/lib/", "usr/lib/x=1"];
    a_directory_keeps_what_is_in_it: [&["a/f=1"], &["a/"]] => ["a/", "a/f=1"];
    a_link_replaces_a_directory: [&["a/f=1", "b/g=1"], &["a->b"]] => ["a->b", "b/", "b/g=1"];
    links_among_the_directories_are_followed: [&["usr/lib/x=1", "lib->usr/lib"], &["lib/y=2", "-lib/x"]]
        => ["lib->usr/lib", "usr/", "usr/lib/", "usr/lib/y=2"];
    links_never_lead_out: [&["a->/../../etc", "b->../../../etc"], &["a/f=1", "b/g=2"]]
        => ["a->/../../etc", "b->../../../etc", "etc/", "etc/f=1", "etc/g=2"];
    a_dangling_link_gets_its_directory: [&["a->x/y"], &["a/f=1"]] => ["a->x/y", "x/", "x/y/", "x/y/f=1"];
    a_link_changed_within_a_layer_counts: [&["x/", "y/"], &["a->x", "a/f=1", "a->y", "a/g=2"]]
        => ["a->y", "x/", "x/f=1", "y/", "y/g=2"];
    a_whiteout_behind_a_link_that_the_layer_replaces: [&["x/f=1", "a->x"], &["-a/f", "a/", "a/g=2"]]
        => ["a/", "a/g=2", "x/", "x/f=1"];
    the_last_of_a_layer_wins: [&["f=1", "f=2", "d/", "d/x=1", "d=3"]] => ["d=3", "f=2"];
    hard_links_share: [&["a=1", "b==a"], &["c==a"]] => ["a=1", "b=1", "c=1"];
    a_replaced_name_leaves_the_others: [&["a=1", "b==a"], &["a=2"]] => ["a=2", "b=1"];
    a_removed_name_leaves_the_others: [&["a=1", "b==a"], &["-a"]] => ["b=1"];
    a_hard_link_through_a_link: [&["usr/x=1", "l->usr"], &["l/y==l/x"]] => ["l->usr", "usr/", "usr/x=1", "usr/y=1"];
    a_hard_link_to_a_link: [&["x=1", "l->x", "m==l"]] => ["l->x", "m->x", "x=1"];
}

#[tokio::test]
async fn what_no_runtime_can_unpack_is_corrupt() {
    let cases: [&[&[&str]]; 7] = [
        &[&["h==nothing"]],
        &[&["d/", "h==d"]],
        &[&["a=1"], &["-a", "h==a"]],
        &[&["a=1", "a==a"]],
        &[&["h==later", "later=1"]],
        &[&["f=1"], &["f/x=2"]],
        &[&["a->b", "b->a"], &["a/x=1"]],
    ];
    for layers in cases {
        let error = tree(layers).await.expect_err(&format!("{layers:?}"));
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{layers:?}: {error}");
        assert!(error.to_string().contains("entry "), "{error}");
    }
}

#[tokio::test]
async fn lookups_stay_inside_and_end() {
    let tree = tree(&[&[
        "usr/lib/x=1",
        "lib->usr/lib",
        "abs->/usr",
        "up->../../usr/lib",
        "loop->loop",
        "ping->pong",
        "pong->ping",
        "gone->nowhere",
        "deep/a->../lib/x",
        "file=1",
        "trick->gone/../file",
    ]])
    .await
    .unwrap();
    let resolved = |text: &str| tree.resolve(&path(text)).map(|end| end.to_string());
    for (from, to) in [
        ("lib/x", "usr/lib/x"),
        ("abs/lib/x", "usr/lib/x"),
        ("up/x", "usr/lib/x"),
        ("deep/a", "usr/lib/x"),
        ("", "/"),
        ("file", "file"),
    ] {
        assert_eq!(resolved(from).as_deref(), Some(to), "{from}");
    }
    for nowhere in ["loop", "loop/x", "ping", "gone", "gone/x", "file/x", "no", "trick"] {
        assert_eq!(resolved(nowhere), None, "{nowhere}");
    }
    let parent = |text: &str| tree.resolve_parent(&path(text)).map(|end| end.to_string());
    assert_eq!(parent("lib/new").as_deref(), Some("usr/lib/new"));
    assert_eq!(parent("lib").as_deref(), Some("lib"));
    assert_eq!((parent("gone/new"), parent("file/new"), parent("no/new")), (None, None, None));
    assert_eq!(tree.read(&path("deep/a")).unwrap().unwrap(), "1");
    assert_eq!(tree.read(&path("gone")).unwrap(), None);
    assert_eq!(tree.read(&path("usr")).unwrap_err().kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn forty_links_are_followed_and_no_more() {
    let mut words: Vec<String> = (1..=41).map(|link| format!("l{link}->l{}", link - 1)).collect();
    words.push("l0=end".into());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let tree = tree(&[&words]).await.unwrap();
    assert_eq!(tree.resolve(&path("l40")), Some(path("l0")));
    assert_eq!(tree.resolve(&path("l41")), None);
}

#[tokio::test]
async fn children_and_links_are_listed() {
    let tree = tree(&[&["a/b/c=1", "a/b-=1", "a/z==a/b/c", "ab=1"]]).await.unwrap();
    let names = |text: &str| tree.children(&path(text)).map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(""), ["a", "ab"]);
    assert_eq!(names("a"), ["a/b", "a/b-", "a/z"]);
    assert_eq!(names("a/b"), ["a/b/c"]);
    assert!(names("ab").is_empty() && names("no").is_empty());
    assert_eq!(tree.links(&path("a/z")), [&path("a/b/c")]);
    assert_eq!(tree.links(&path("a/b/c")), [&path("a/z")]);
    assert!(tree.links(&path("ab")).is_empty());
    assert_eq!(tree.len(), 6);
}

#[tokio::test]
async fn nodes_know_where_they_come_from() {
    let tree = tree(&[&["a/f=1", "b=1"], &["a/", "a/g=22"]]).await.unwrap();
    let node = |text: &str| tree.get(&path(text)).unwrap();
    assert_eq!((node("b").layer, node("b").entry(), node("b").size()), (0, Some(1), Some(1)));
    assert_eq!((node("a").layer, node("a").entry(), node("a").metadata.mode), (1, Some(0), 0o700));
    assert_eq!((node("a/g").layer, node("a/g").entry()), (1, Some(1)));
    assert_eq!((node("").layer, node("").entry(), node("").metadata.mode), (0, None, 0o755));
}

#[tokio::test]
async fn content_is_kept_or_fetched_later() {
    let cx = Context::new();
    for compression in [Compression::Gzip(1), Compression::Zstd(1)] {
        let layers = vec![
            layer_in(compression, &["a/f=one", "a/g=two", "h==a/g", "empty="]),
            layer_in(compression, &["l->a/f", "a/n=three", "a/g=over"]),
        ];
        let image = image::image_of(layers);
        let tree = image.files(|path, size| path.file_name() == Some(b"f") && size == 3, &cx).await.unwrap();
        assert_eq!(tree.read(&path("l")).unwrap().unwrap(), "one");
        assert_eq!(tree.read(&path("empty")).unwrap().unwrap(), "");
        assert_eq!(tree.read(&path("a/n")).unwrap_err().kind(), ErrorKind::Invalid);
        let wanted: BTreeSet<_> = ["a/f", "a/g", "h", "l", "a/n", "a", "none", "empty"].map(path).into();
        let contents = tree.contents(&wanted, &cx).await.unwrap();
        let expected = [("a/f", "one"), ("a/g", "over"), ("a/n", "three"), ("empty", ""), ("h", "two"), ("l", "one")];
        let expected: BTreeMap<_, _> = expected.map(|(name, text)| (path(name), Bytes::from(text))).into();
        assert_eq!(contents, expected);
    }
}

#[tokio::test]
async fn memory_for_content_is_bounded() {
    let cx = Context::new();
    let image = image::image_of(vec![layer(&["a=12345", "b=12345"]), layer(&["c=12345"])]);
    let mut limits = ReadLimits::default();
    limits.kept_bytes = 12;
    let error = image.files_within(|_, _| true, &limits, &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let tree = image.files_within(|_, _| false, &limits, &cx).await.unwrap();
    let two = tree.contents(&["a", "c"].map(path).into(), &cx).await.unwrap();
    assert_eq!(two.len(), 2);
    let error = tree.contents(&["a", "b", "c"].map(path).into(), &cx).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
}

/// A hostile archive of few bytes must not make many: every directory of a long name is a name of its own.
#[tokio::test]
async fn memory_for_names_is_bounded() {
    let deep = "d/".repeat(1500) + "f=1";
    let image = image::image_of(vec![layer(&[&deep])]);
    let mut limits = ReadLimits::default();
    limits.metadata_bytes = 1 << 20;
    let error = image.files_within(|_, _| false, &limits, &Context::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
}

/// A file system of the simplest kind: a map, in which every operation is done as the words say.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model(BTreeMap<String, Thing>);

#[derive(Clone, Debug, PartialEq)]
enum Thing {
    Directory,
    File(usize),
}

#[derive(Clone, Debug)]
enum Step {
    Directory(String),
    File(String),
    Hardlink(String, String),
    Opaque(String),
    Whiteout(String),
}

impl Model {
    fn remove(&mut self, name: &str) {
        let below = format!("{name}/");
        self.0.retain(|path, _| path != name && !path.starts_with(&below));
    }

    fn remove_below(&mut self, name: &str) {
        let below = format!("{name}/");
        self.0.retain(|path, _| !path.starts_with(&below));
    }

    /// Whether there is room for a name: every directory above is one, or can be made.
    fn room(&mut self, name: &str) -> bool {
        let above: Vec<_> = name.match_indices('/').map(|(at, _)| name[..at].to_owned()).collect();
        if above.iter().any(|path| matches!(self.0.get(path), Some(Thing::File(_)))) {
            return false;
        }
        self.0.extend(above.into_iter().map(|path| (path, Thing::Directory)));
        true
    }

    fn bring(&mut self, step: &Step, number: usize) -> bool {
        match step {
            Step::Directory(name) => {
                self.room(name) && {
                    if self.0.get(name) != Some(&Thing::Directory) {
                        self.remove(name);
                    }
                    self.0.insert(name.clone(), Thing::Directory);
                    true
                }
            }
            Step::File(name) => {
                self.room(name) && {
                    self.remove(name);
                    self.0.insert(name.clone(), Thing::File(number));
                    true
                }
            }
            Step::Hardlink(name, target) => {
                self.room(name) && {
                    self.remove(name);
                    match self.0.get(target).cloned() {
                        Some(file @ Thing::File(_)) => {
                            self.0.insert(name.clone(), file);
                            true
                        }
                        _ => false,
                    }
                }
            }
            Step::Opaque(_) | Step::Whiteout(_) => true,
        }
    }

    /// Puts a layer over it; false where that cannot be done.
    fn over(&mut self, layer: &[Step], number: usize) -> bool {
        for step in layer {
            match step {
                Step::Opaque(name) => self.remove_below(name),
                Step::Whiteout(name) => self.remove(name),
                _ => {}
            }
        }
        layer.iter().enumerate().all(|(at, step)| self.bring(step, number * 100 + at))
    }
}

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof!["[abc]", "[abc]/[abc]", "[abc]/[abc]/[ab]"]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => any_name().prop_map(Step::Directory),
        6 => any_name().prop_map(Step::File),
        1 => (any_name(), any_name()).prop_map(|(name, target)| Step::Hardlink(name, target)),
        1 => any_name().prop_map(Step::Opaque),
        2 => any_name().prop_map(Step::Whiteout),
    ]
}

fn layer_of(steps: &[Step], number: usize) -> Layer {
    let compression = [Compression::None, Compression::Gzip(1), Compression::Zstd(1)][number % 3];
    let mut layer = LayerWriter::new(compression, &Context::new()).unwrap();
    for (at, step) in steps.iter().enumerate() {
        match step {
            Step::Directory(name) => layer.directory(&path(name), &Metadata::default()),
            Step::File(name) => write(&mut layer, &format!("{name}={}", number * 100 + at)),
            Step::Hardlink(name, target) => layer.hardlink(&path(name), &Metadata::default(), &path(target)),
            Step::Opaque(name) => layer.opaque(&path(name)),
            Step::Whiteout(name) => layer.whiteout(&path(name)),
        }
        .unwrap();
    }
    layer.finish().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_view_is_that_of_the_model(layers in proptest::collection::vec(proptest::collection::vec(any_step(), 0..9), 1..5)) {
        let mut model = Model::default();
        let possible = layers.iter().enumerate().all(|(number, layer)| model.over(layer, number));
        let image = image::image_of(layers.iter().enumerate().map(|(number, steps)| layer_of(steps, number)).collect());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let tree = runtime.block_on(image.files(|_, _| true, &Context::new()));
        prop_assert_eq!(tree.is_ok(), possible, "{:?}", tree.err());
        if let Ok(tree) = tree {
            let expected: BTreeSet<_> = model.0.iter().map(|(name, thing)| match thing {
                Thing::Directory => format!("{name}/"),
                Thing::File(number) => format!("{name}={number}"),
            }).collect();
            prop_assert_eq!(words(&tree).into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}

/// How a tool that unpacks images sees a file: type and mode, owner, size or target, content.
fn seen_by_stat(root: &std::path::Path, name: &FilePath) -> String {
    use std::os::unix::{ffi::OsStrExt, fs::MetadataExt};
    let file = root.join(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let stat = std::fs::symlink_metadata(&file).unwrap();
    let content = match stat.file_type() {
        kind if kind.is_file() => patchkit_core::Digest::of(std::fs::read(&file).unwrap()).to_string(),
        kind if kind.is_symlink() => std::fs::read_link(&file).unwrap().display().to_string(),
        _ => String::new(),
    };
    format!("{:o} {content}", stat.mode())
}

fn seen_by_us(tree: &FileTree, name: &FilePath) -> String {
    let node = tree.get(name).unwrap();
    let (kind, content) = match &node.kind {
        NodeKind::Directory => (0o040_000, String::new()),
        NodeKind::File { .. } => (0o100_000, patchkit_core::Digest::of(tree.read(name).unwrap().unwrap()).to_string()),
        NodeKind::Symlink { target } => (0o120_000, String::from_utf8_lossy(target).into_owned()),
        other => panic!("{name}: {other:?}"),
    };
    let mode = if kind == 0o120_000 { 0o777 } else { node.metadata.mode };
    format!("{:o} {content}", kind | mode)
}

fn walk(root: &std::path::Path, below: &FilePath, found: &mut BTreeSet<FilePath>) {
    use std::os::unix::ffi::OsStrExt;
    let directory = root.join(std::ffi::OsStr::from_bytes(below.as_bytes()));
    for entry in std::fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = below.join(entry.file_name().as_bytes()).unwrap();
        found.insert(name.clone());
        if entry.file_type().unwrap().is_dir() {
            walk(root, &name, found);
        }
    }
}

/// `umoci unpack` and the merged view agree on every file of an image.
async fn agrees_with_umoci(layout: &std::path::Path, tag: &str, image: &Image) {
    let bundle = tempfile::tempdir().unwrap();
    let output = std::process::Command::new("umoci")
        .arg("unpack")
        .arg("--rootless")
        .arg(format!("--image={}:{tag}", layout.display()))
        .arg(bundle.path().join("bundle"))
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => return image::skip(&format!("umoci does not run: {error}")),
    };
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let root = bundle.path().join("bundle/rootfs");
    let tree = image.files(|_, _| true, &Context::new()).await.unwrap();
    let mut theirs = BTreeSet::new();
    walk(&root, &FilePath::ROOT, &mut theirs);
    let ours: BTreeSet<_> = tree.iter().map(|(name, _)| name.clone()).collect();
    assert_eq!(ours, theirs);
    for name in &ours {
        assert_eq!(seen_by_us(&tree, name), seen_by_stat(&root, name), "{name}");
    }
}

#[tokio::test]
async fn real_images_are_seen_as_umoci_unpacks_them() {
    let Some(images) = image::shared("images") else { return };
    for (name, tag) in
        [("debian-11.11-distroless", "11.11-distroless"), ("debian-12.15-distroless", "12.15-distroless")]
    {
        let layout = images.join(name);
        let image = image::open_layout(&layout);
        agrees_with_umoci(&layout, tag, &image).await;
    }
}

#[tokio::test]
async fn made_up_layers_are_seen_as_umoci_unpacks_them() {
    let cases: [&[&[&str]]; 5] = [
        &[&["a/", "a/f=1", "a/g=1", "b/", "b/x/", "b/x/y=1"], &["a/", "-a/f", "b/", "!b", "b/n=2"]],
        &[&["a=1", "b==a", "c==a"], &["a=2", "-b"]],
        &[&["usr/", "usr/lib/", "usr/lib/x=1", "lib->usr/lib"], &["lib/y=2", "-lib/x"]],
        &[&["d/", "d/f=1"], &["d=2"], &["d/", "d/g=3"]],
        &[&["a->/../../etc", "etc/", "etc/f=1"], &["a/g=2"]],
    ];
    for layers in cases {
        let layers = layers.iter().map(|words| layer_in(Compression::Gzip(6), words)).collect();
        let image = image::image_of(layers);
        let layout = tempfile::tempdir().unwrap();
        image::write_layout(layout.path(), &image).await;
        agrees_with_umoci(layout.path(), "latest", &image).await;
    }
}

/// Every archive of the Alpine images and of the hostile fixtures is read or refused with a reason, and what is read
/// has the names that GNU tar lists.
#[tokio::test]
async fn published_archives_have_the_names_that_tar_lists() {
    let Some(images) = image::shared("images") else { return };
    let mut archives = Vec::new();
    image::find(&images, &[".tar", ".tar.gz", ".tar.zst"], &mut archives);
    assert!(archives.len() > 20, "{archives:?}");
    let mut refused = Vec::new();
    for archive in archives {
        let bytes = image::uncompressed(&archive);
        let ours = match patchkit_core::image::read_tar(&bytes) {
            Ok(ours) => ours,
            Err(error) => {
                refused.push((archive.file_name().unwrap().to_string_lossy().into_owned(), error.to_string()));
                continue;
            }
        };
        let Some(theirs) = image::tar_list(&bytes) else { return };
        let ours: Vec<_> = ours.iter().map(name_in_archive).collect();
        let theirs: Vec<_> = theirs.iter().map(|name| FilePath::new(name).unwrap()).collect();
        assert_eq!(ours, theirs, "{}", archive.display());
    }
    let names: Vec<_> = refused.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["escape.tar"], "{refused:#?}");
}

fn name_in_archive(entry: &patchkit_core::image::Entry) -> FilePath {
    let name = entry.path.file_name().unwrap_or_default();
    match entry.kind {
        EntryKind::Opaque => entry.path.join(".wh..wh..opq").unwrap(),
        EntryKind::Whiteout => entry.path.parent().unwrap().join([b".wh.", name].concat()).unwrap(),
        _ => entry.path.clone(),
    }
}
