//! A layout under several processes: killed while they write, or writing all at once.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    collections::HashSet,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use patchkit_core::{
    Blob, ByteRange, Context, Current, Digest, ErrorKind, ListTags, Manifest, MediaType, PutManifest, Registry,
};
use patchkit_oci::Layout;
use serde_json::json;
use support::{manifest_of, put};

/// What a process does that this test program starts of itself.
const ROLE: &str = "PATCHKIT_TEST_ROLE";
const FOLDER: &str = "PATCHKIT_TEST_FOLDER";
const NAME: &str = "PATCHKIT_TEST_NAME";

const KILLS: u32 = 40;
const WRITERS: usize = 3;
const MOVES: usize = 20;

fn spawn(role: &str, name: &str, folder: &std::path::Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_of_its_own", "--nocapture", "--ignored"])
        .envs([(ROLE, role), (NAME, name)])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

#[tokio::test]
#[ignore = "started as a process by the tests beside it"]
async fn a_process_of_its_own() {
    let folder = std::env::var_os(FOLDER).expect("the folder is given");
    let layout = Layout::create(folder).await.unwrap();
    let name = std::env::var(NAME).unwrap();
    match std::env::var(ROLE).unwrap().as_str() {
        "write" => write(&layout, &name, u32::MAX).await,
        "tag" => write(&layout, &name, MOVES as u32).await,
        "move" => move_head(&layout, &name).await,
        other => panic!("no such role: {other}"),
    }
}

async fn write(layout: &Layout, name: &str, times: u32) {
    for time in 0..times {
        let tag = format!("{name}-{time}");
        let image = large(&tag);
        put(layout, &layout.repository().tag(&tag).unwrap(), &image).await;
        println!("put {tag}");
    }
}

/// An image with layers large enough to be killed in the midst of them.
fn large(seed: &str) -> support::Parts {
    let mut image = support::parts(seed, 1, "amd64");
    let layer: Vec<u8> = seed.bytes().cycle().take(3 << 20).collect();
    image.blobs.push(Blob::of(MediaType::OCI_LAYER, support::tar("large", &layer)));
    let mut json: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
    json["layers"].as_array_mut().unwrap().push(json!(image.blobs[2].descriptor()));
    image.manifest = manifest_of(MediaType::OCI_MANIFEST, &json);
    image
}

#[tokio::test]
async fn killed_at_any_moment_everything_visible_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let (mut told, mut whole) = (HashSet::new(), HashSet::new());
    for kill in 0..KILLS {
        let mut child = spawn("write", &format!("w{kill}"), folder.path());
        let mut output = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        // Some are killed as they begin, some when they are in full swing.
        let puts = (kill % 4) as usize;
        let mut lines: Vec<_> = output.by_ref().filter(|line| line.contains("put ")).take(puts).collect();
        std::thread::sleep(Duration::from_micros(u64::from(kill * 7919 % 151) * 1000));
        child.kill().unwrap();
        child.wait().unwrap();
        lines.extend(output);
        told.extend(lines.iter().filter_map(|line| Some(line.split_once("put ")?.1.to_owned())));
        if folder.path().join("oci-layout").exists() {
            check(folder.path(), &mut whole).await;
        }
    }
    let layout = Layout::open(folder.path()).await.unwrap();
    let tags: HashSet<_> = layout.tags(layout.repository(), &Context::new()).await.unwrap().into_iter().collect();
    assert!(told.is_subset(&tags), "lost: {:?}", told.difference(&tags));
    assert!(told.len() >= 60, "only {} were written", told.len());
}

/// Everything that can be named is whole, and nothing half-written lies about. Blobs that were found whole before are not
/// read again.
async fn check(folder: &std::path::Path, whole: &mut HashSet<String>) {
    let cx = Context::new();
    let layout = Layout::open(folder).await.unwrap();
    let repository = layout.repository();
    for tag in layout.tags(repository, &cx).await.unwrap() {
        let found = layout.resolve(&repository.tag(&tag).unwrap(), &cx).await.unwrap();
        let manifest = Manifest::parse(&layout.manifest(repository, &found.digest, &cx).await.unwrap()).unwrap();
        for part in manifest.layers().iter().chain([manifest.config()]) {
            assert_eq!(layout.blob_size(&part.digest).await.unwrap(), part.size);
        }
    }
    for entry in std::fs::read_dir(folder.join("blobs/sha256")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !whole.insert(name.clone()) {
            continue;
        }
        let digest: Digest = format!("sha256:{name}").parse().unwrap();
        let blob = layout.blob(repository, &digest, ByteRange::FULL, &cx).await.unwrap();
        blob.collect(1 << 30).await.unwrap();
    }
    let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn writers_at_once_lose_no_tag() {
    let folder = tempfile::tempdir().unwrap();
    run_all("tag", folder.path());
    let layout = Layout::open(folder.path()).await.unwrap();
    let tags = layout.tags(layout.repository(), &Context::new()).await.unwrap();
    assert_eq!(tags.len(), WRITERS * MOVES);
    check(folder.path(), &mut HashSet::new()).await;
}

/// Every process moves one tag on from where it found it; every move must be in the chain that results.
#[tokio::test]
async fn movers_at_once_lose_no_move() {
    let folder = tempfile::tempdir().unwrap();
    run_all("move", folder.path());
    let cx = Context::new();
    let layout = Layout::open(folder.path()).await.unwrap();
    let head = layout.resolve(&layout.repository().tag("head").unwrap(), &cx).await.unwrap();
    let (mut next, mut length) = (Some(head.digest), 0);
    while let Some(digest) = next {
        let manifest = layout.manifest(layout.repository(), &digest, &cx).await.unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest.bytes).unwrap();
        next = manifest["annotations"]["before"].as_str().map(|digest| digest.parse().unwrap());
        length += 1;
    }
    assert_eq!(length, WRITERS * MOVES);
}

fn run_all(role: &str, folder: &std::path::Path) {
    let children: Vec<Child> = (0..WRITERS).map(|writer| spawn(role, &format!("w{writer}"), folder)).collect();
    let started = Instant::now();
    for child in children {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{} after {:?}", output.status, started.elapsed());
    }
}

async fn move_head(layout: &Layout, name: &str) {
    let cx = Context::new();
    let (repository, mut moves) = (layout.repository(), 0);
    let head = repository.tag("head").unwrap();
    while moves < MOVES {
        let before = match layout.resolve(&head, &cx).await {
            Ok(found) => Some(found.digest),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                None
            }
        };
        let mut image = support::parts(&format!("{name}-{moves}"), 0, "amd64");
        if let Some(before) = before {
            let mut json: serde_json::Value = serde_json::from_slice(&image.manifest.bytes).unwrap();
            json["annotations"] = json!({ "before": before });
            image.manifest = manifest_of(MediaType::OCI_MANIFEST, &json);
        }
        support::put_blobs(layout, repository, &image).await;
        let options = PutManifest { if_current: Some(before.map_or(Current::Absent, Current::Is)) };
        match layout.put_manifest(&head, &image.manifest, &options, &cx).await {
            Ok(_) => moves += 1,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
}
