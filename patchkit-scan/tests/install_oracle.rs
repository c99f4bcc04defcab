//! `apt-get upgrade` as the oracle: whole images, upgraded by the distribution's own tools and as data.
//!
//! `PATCHKIT_ORACLE` names a folder with, for each suite, the image as an OCI layout (`images/SUITE`), the tree that
//! apt made of it (`out/SUITE/after.tar`), and the packages (`out/SUITE/debs`); `ci/allowed.txt` in it says which
//! differences are no fault.

#![allow(clippy::unwrap_used)]

mod install_support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use install_support::{opened, skip};
use jiff::Timestamp;
use patchkit_core::{
    Algorithm, Blob, Config, Context, Digest, Hasher, Image, Manifest, ManifestBytes, MediaType, Note, NoteClass,
    Result,
    image::{Entry, FilePath, FileTree, LayerVisitor, NodeKind},
};
use patchkit_scan::debian::install::apply::{Installed, Work, install, read};
use serde_json::json;

/// What may differ because of what a layer is for, beside what any two upgrades may differ in.
const ALLOWED: &str = "content /**/__pycache__/*.pyc # byte code of an unchanged source: the image's is as good";

/// A tree in an archive as an image of one layer.
fn image_of_tar(path: &Path) -> Image {
    let layer = Blob::of(MediaType::OCI_LAYER, fs::read(path).unwrap());
    let diff = layer.descriptor().digest;
    let config = json!({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": [diff]}});
    let config = Config::parse(config.to_string().into()).unwrap();
    let described = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config.digest(),
        "size": config.bytes().len()});
    let manifest = json!({"schemaVersion": 2, "config": described, "layers": [layer.descriptor()]});
    let manifest = ManifestBytes { media_type: MediaType::OCI_MANIFEST, bytes: manifest.to_string().into() };
    Image::assemble(Manifest::parse(&manifest).unwrap(), config, vec![layer]).unwrap()
}

/// Everything about a path that two trees must agree on.
type Facts = BTreeMap<FilePath, String>;

#[derive(Default)]
struct Hashes(BTreeMap<usize, Digest>);

impl LayerVisitor for Hashes {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<()> {
        let mut hasher = Hasher::new(Algorithm::Sha256);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match content.read(&mut buffer).unwrap() {
                0 => break,
                read => hasher.update(&buffer[..read]),
            }
        }
        self.0.insert(entry.index, hasher.finish());
        Ok(())
    }
}

async fn facts(image: &Image, cx: &Context) -> Facts {
    let files: FileTree = image.files(|_, _| false, cx).await.unwrap();
    let mut hashes = Vec::new();
    for layer in image.layers() {
        hashes.push(layer.visit(Hashes::default(), cx).await.unwrap().0);
    }
    let describe = |(path, node): (&FilePath, &patchkit_core::image::Node)| {
        let metadata = &node.metadata;
        let what = match &node.kind {
            NodeKind::File { .. } => {
                let links: Vec<String> = files.links(path).iter().map(ToString::to_string).collect();
                format!("file {:?} links {links:?}", hashes[node.layer][&node.entry().unwrap()])
            }
            other => format!("{other:?}"),
        };
        (path.clone(), format!("{:o} {}:{} {:?} {what}", metadata.mode, metadata.uid, metadata.gid, metadata.xattrs))
    };
    files.iter().map(describe).collect()
}

/// The differences that no line of the list of allowances covers.
fn differences(theirs: &Facts, ours: &Facts, allowed: &str) -> Vec<String> {
    let paths: BTreeSet<&FilePath> = theirs.keys().chain(ours.keys()).collect();
    let differs = paths.into_iter().filter(|path| theirs.get(path) != ours.get(path));
    let rules: Vec<(&str, &str)> = allowed
        .lines()
        .filter_map(|line| line.split('#').next()?.trim().split_once(' '))
        .map(|(kind, pattern)| (kind, pattern.trim()))
        .collect();
    let found = differs.filter(|path| {
        let (theirs, ours) = (theirs.get(path), ours.get(path));
        let kind = match (theirs, ours) {
            (Some(_), None) => "missing",
            (None, Some(_)) => "extra",
            _ => "content",
        };
        let path = format!("/{}", path.to_str().unwrap_or_default());
        !rules
            .iter()
            .any(|(rule, pattern)| (*rule == kind || *rule == "any") && fits(pattern.as_bytes(), path.as_bytes()))
    });
    found.map(|path| format!("{path}\n  apt:  {}\n  ours: {}", word(theirs.get(path)), word(ours.get(path)))).collect()
}

fn word(facts: Option<&String>) -> &str {
    facts.map_or("nothing", String::as_str)
}

/// `*` stays within one name, `**` crosses folders.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern {
        [] => text.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        [b'*', rest @ ..] => {
            let end = text.iter().position(|byte| *byte == b'/').unwrap_or(text.len());
            (0..=end).any(|at| fits(rest, &text[at..]))
        }
        [byte, rest @ ..] => text.first() == Some(byte) && fits(rest, &text[1..]),
    }
}

fn debs(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut debs: Vec<PathBuf> = files.filter(|path| path.extension().is_some_and(|e| e == "deb")).collect();
    debs.sort();
    debs
}

async fn upgraded(image: &Image, debs: Vec<PathBuf>, cx: &Context) -> (Image, Vec<Note>) {
    let timestamp = Timestamp::from_second(1_700_000_000).unwrap();
    let work = Work { install: debs, remove: Vec::new() };
    match install(image, read(image, cx).await.unwrap(), work, timestamp, cx).await.unwrap() {
        Installed::Layer { layer, notes } => (image.edit().append(*layer, "test").finish().unwrap(), notes),
        Installed::Refused(notes) => panic!("refused: {notes:?}"),
    }
}

async fn as_apt_does(suite: &str) {
    let Some(oracle) = std::env::var_os("PATCHKIT_ORACLE").map(PathBuf::from) else {
        return eprintln!(
            "skipped: PATCHKIT_ORACLE names no folder of trees that apt made; .ci/oracle/run makes its own"
        );
    };
    let cx = Context::new();
    let image = opened(&oracle.join("images").join(suite), &cx).await;
    let started = std::time::Instant::now();
    let (patched, notes) = upgraded(&image, debs(&oracle.join("out").join(suite).join("debs")), &cx).await;
    println!(
        "{suite}: made in {:?}, a layer of {} bytes",
        started.elapsed(),
        patched.layers()[1].blob().descriptor().size
    );
    let again = upgraded(&image, debs(&oracle.join("out").join(suite).join("debs")), &cx).await.0;
    assert_eq!(patched.digest(), again.digest());
    for note in notes.iter().filter(|note| note.class != NoteClass::Harmless) {
        println!("{suite}: {:?} {}: {}", note.class, note.subject, note.message);
    }
    if let Some(folder) = std::env::var_os("PATCHKIT_ORACLE_LAYERS").map(PathBuf::from) {
        fs::write(folder.join(suite), patched.layers()[1].blob().read(&cx).await.unwrap()).unwrap();
    }
    let theirs = facts(&image_of_tar(&oracle.join("out").join(suite).join("after.tar")), &cx).await;
    let ours = facts(&patched, &cx).await;
    let allowed = fs::read_to_string(oracle.join("ci/allowed.txt")).unwrap();
    let different = differences(&theirs, &ours, &format!("{allowed}\n{ALLOWED}\n"));
    assert!(different.is_empty(), "{} of {} paths differ:\n{}", different.len(), theirs.len(), different.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn bullseye() {
    as_apt_does("bullseye").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bullseye_with_merged_usr() {
    as_apt_does("bullseye-merged").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bookworm_with_nginx_python_and_curl() {
    as_apt_does("bookworm").await;
}

/// The whole way, from the image's own archives over the solver to the tree.
#[cfg(feature = "http")]
mod from_the_archive {
    use std::{path::PathBuf, sync::Arc};

    use patchkit_core::{Application, Context, Image, Patcher, Plan, ScanReport};
    use patchkit_scan::{
        DebianPatcher, Inventory, PatchOptions, Selection,
        debian::apt::{
            cache::Cache,
            client::ArchiveClient,
            fetch::{HttpFetch, HttpOptions, SchemeFetch},
        },
    };

    use super::{differences, facts, fs, image_of_tar, opened};

    async fn report(image: &Image, cx: &Context) -> ScanReport {
        let Inventory { distribution, packages, warnings, .. } = Inventory::of(image, cx).await.unwrap();
        ScanReport { distribution, packages, warnings, ..ScanReport::of(image) }
    }

    /// The planned changes as the oracle lists its own: name, old version, new version.
    fn listed(plan: &Plan) -> Vec<String> {
        let version =
            |version: &Option<patchkit_core::Version>| version.as_ref().map_or("-", |v| v.as_str()).to_owned();
        let changes = plan.changes.iter();
        let mut listed: Vec<String> =
            changes.map(|c| format!("{}\t{}\t{}", c.package, version(&c.from), version(&c.to))).collect();
        listed.sort();
        listed
    }

    async fn patched_as_apt_does(suite: &str) {
        let Some(oracle) = std::env::var_os("PATCHKIT_ORACLE").map(PathBuf::from) else {
            return eprintln!(
                "skipped: PATCHKIT_ORACLE names no folder of trees that apt made; .ci/oracle/run makes its own"
            );
        };
        let cx = Context::new();
        let image = opened(&oracle.join("images").join(suite), &cx).await;
        let cache = tempfile::tempdir().unwrap();
        let fetch = SchemeFetch::new(HttpFetch::new(&HttpOptions::default()).unwrap());
        let client = ArchiveClient::new(Arc::new(fetch), Cache::open(cache.path()).unwrap()).accepting_expired(true);
        let patcher = DebianPatcher::new(client, PatchOptions::default().with_selection(Selection::All));
        let plan = patcher.plan(&image, &report(&image, &cx).await, &cx).await.unwrap();
        let upgraded = fs::read_to_string(oracle.join("out").join(suite).join("upgraded.tsv")).unwrap();
        let without_architecture = |line: &str| {
            let (name, rest) = line.split_once('\t').unwrap();
            format!("{}\t{rest}", name.split(':').next().unwrap())
        };
        let mut theirs: Vec<String> = upgraded.lines().map(without_architecture).collect();
        theirs.sort();
        assert_eq!(listed(&plan), theirs);
        let patched = match patcher.apply(&image, &plan, &cx).await.unwrap() {
            Application::Patched { image, .. } => image,
            Application::Refused(notes) => panic!("{notes:?}"),
        };
        let allowed = fs::read_to_string(oracle.join("ci/allowed.txt")).unwrap() + "\n" + super::ALLOWED;
        let theirs = facts(&image_of_tar(&oracle.join("out").join(suite).join("after.tar")), &cx).await;
        let different = differences(&theirs, &facts(&patched, &cx).await, &allowed);
        assert!(different.is_empty(), "{}", different.join("\n"));
        let again = patcher.plan(&patched, &report(&patched, &cx).await, &cx).await.unwrap();
        assert_eq!(listed(&again), listed(&plan), "a second plan starts again from the base");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bullseye() {
        patched_as_apt_does("bullseye").await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn bookworm() {
        patched_as_apt_does("bookworm").await;
    }
}

/// The real distroless image of the shared data, and the packages that were to upgrade it.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_distroless_image() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().map(|folder| folder.join("shared/data"));
    let Some(shared) = shared.into_iter().find(|folder| folder.is_dir()) else { return skip("no shared data") };
    let cx = Context::new();
    let image = opened(&shared.join("images/debian-11.11-distroless"), &cx).await;
    let debs = debs(&shared.join("deb/upgrade-debs/bullseye-distroless"));
    let (patched, notes) = upgraded(&image, debs.clone(), &cx).await;
    assert!(notes.iter().all(|note| note.class != NoteClass::Refuse));
    let before = image.files(|_, _| false, &cx).await.unwrap();
    let after = patched.files(|path, _| path.starts_with(&path_of("var/lib/dpkg")), &cx).await.unwrap();
    let facts = facts(&patched, &cx).await;
    let mut checked = 0;
    for deb in &debs {
        let work = tempfile::tempdir().unwrap();
        let unpacked = std::process::Command::new("dpkg-deb").arg("-x").arg(deb).arg(work.path()).status();
        let Ok(true) = unpacked.map(|status| status.success()) else { return skip("no dpkg-deb") };
        for (path, node) in after.iter().filter(|(_, node)| node.size().is_some()) {
            let file = work.path().join(path.to_str().unwrap());
            if let (Ok(content), true) = (fs::read(&file), file.is_file() && !file.is_symlink()) {
                let digest = Digest::of(content);
                assert!(facts[path].contains(&format!("{digest:?}")), "{path} is not as in {}", deb.display());
                checked += 1;
                assert_eq!(node.metadata.uid, 0);
            }
        }
    }
    assert!(checked > 100, "{checked}");
    let new: Vec<&FilePath> = after.iter().map(|(path, _)| path).filter(|path| before.get(path).is_none()).collect();
    let expected = |path: &&&FilePath| !path.starts_with(&path_of("usr/share"));
    assert_eq!(new.iter().filter(expected).map(ToString::to_string).collect::<Vec<_>>(), Vec::<String>::new());
    let control = after.read(&path_of("var/lib/dpkg/status.d/libssl1.1")).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&control).contains("Version: 1.1.1w-0+deb11u8\n"));
}

fn path_of(text: &str) -> FilePath {
    FilePath::new(text).unwrap()
}
