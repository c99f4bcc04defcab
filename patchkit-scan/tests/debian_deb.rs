//! Real and self-made packages, read by us and by dpkg-deb.

#![allow(clippy::unwrap_used)]

mod debian_support;

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use debian_support::{run, shared_data, skip, tool};
use patchkit_scan::debian::deb::{Deb, EntryKind};

/// One entry as both readers can tell it: path, type and mode, owner, time, target, content.
#[derive(Debug, PartialEq)]
struct Seen {
    path: Vec<u8>,
    kind: char,
    mode: u32,
    owner: (u64, u64, Vec<u8>, Vec<u8>),
    mtime: i64,
    target: Vec<u8>,
    content: Vec<u8>,
}

#[test]
fn real_packages_read_as_dpkg_deb_reads_them() {
    let Some(folder) = shared_data("deb/upgrade-debs/bullseye-distroless") else {
        return;
    };
    if !tool("dpkg-deb") {
        return;
    }
    let debs = debs_in(&folder);
    assert_eq!(debs.len(), 8);
    debs.iter().for_each(|deb| compare(deb));
}

#[test]
fn more_packages_where_there_are_some() {
    let Some(folder) = std::env::var_os("PATCHKIT_DEBS") else {
        return eprintln!("skipped: PATCHKIT_DEBS names no folder of packages");
    };
    debs_in(Path::new(&folder)).iter().for_each(|deb| compare(deb));
}

#[test]
fn self_made_packages_in_every_compression() {
    if !tool("dpkg-deb") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let tree = folder.path().join("tree");
    make_tree(&tree);
    for compression in ["none", "gzip", "xz", "zstd"] {
        let deb = folder.path().join(format!("{compression}.deb"));
        let mut build = Command::new("dpkg-deb");
        build.arg(format!("-Z{compression}")).args(["--root-owner-group", "--build"]).args([&tree, &deb]);
        if !build.output().unwrap().status.success() {
            skip(&format!("this dpkg-deb does not build with {compression}"));
            continue;
        }
        compare(&deb);
    }
}

fn make_tree(tree: &Path) {
    let long = format!("usr/share/{}", "a-long-name/".repeat(15));
    fs::create_dir_all(tree.join("DEBIAN")).unwrap();
    fs::create_dir_all(tree.join(&long)).unwrap();
    let control = "Package: made\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.org>\nDescription: made\n";
    fs::write(tree.join("DEBIAN/control"), control).unwrap();
    fs::write(tree.join("DEBIAN/postinst"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(tree.join("DEBIAN/postinst"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(tree.join(&long).join("file"), vec![7; 100_000]).unwrap();
    fs::hard_link(tree.join(&long).join("file"), tree.join("usr/hard")).unwrap();
    std::os::unix::fs::symlink(format!("/{long}file"), tree.join("usr/soft")).unwrap();
}

fn debs_in(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "deb")).collect()
}

fn compare(deb: &Path) {
    assert_eq!(our_control(deb), dpkg_control(deb), "{}", deb.display());
    let (ours, theirs) = (our_data(deb), dpkg_data(deb));
    assert_eq!(ours.len(), theirs.len(), "{}", deb.display());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert!(ours == theirs, "{}: {ours:?} is not {theirs:?}", deb.display());
    }
}

fn open(path: &Path) -> Deb<fs::File> {
    Deb::open(fs::File::open(path).unwrap()).unwrap()
}

fn our_control(deb: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    let files = open(deb).control_files().unwrap();
    files.into_iter().map(|(name, file)| (name, (file.bytes, file.mode))).collect()
}

fn dpkg_control(deb: &Path) -> BTreeMap<String, (Vec<u8>, u32)> {
    let folder = tempfile::tempdir().unwrap();
    run(Command::new("dpkg-deb").arg("-e").arg(deb).arg(folder.path()));
    let files = fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap());
    let read = files.map(|file| {
        let mode = file.metadata().unwrap().permissions().mode() & 0o7777;
        (file.file_name().into_string().unwrap(), (fs::read(file.path()).unwrap(), mode))
    });
    read.collect()
}

fn our_data(deb: &Path) -> Vec<Seen> {
    let mut deb = open(deb);
    let mut data = deb.data().unwrap();
    let mut all = Vec::new();
    while let Some(mut entry) = data.next_entry().unwrap() {
        let (kind, target) = match &entry.kind {
            EntryKind::Directory => ('d', Vec::new()),
            EntryKind::File { .. } => ('-', Vec::new()),
            EntryKind::HardLink { target } => ('h', target.as_bytes().to_vec()),
            EntryKind::Symlink { target } => ('l', target.clone()),
            other => panic!("{other:?}"),
        };
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let owner = (entry.uid, entry.gid, entry.user.clone(), entry.group.clone());
        let path = entry.path.as_bytes().to_vec();
        all.push(Seen { path, kind, mode: entry.mode, owner, mtime: entry.mtime, target, content });
    }
    all
}

fn dpkg_data(deb: &Path) -> Vec<Seen> {
    let bytes = run(Command::new("dpkg-deb").arg("--fsys-tarfile").arg(deb));
    let mut archive = tar::Archive::new(&bytes[..]);
    let mut all = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let kind = match header.entry_type() {
            tar::EntryType::Directory => 'd',
            tar::EntryType::Regular => '-',
            tar::EntryType::Link => 'h',
            tar::EntryType::Symlink => 'l',
            other => panic!("{other:?}"),
        };
        let target = entry.link_name_bytes().unwrap_or_default().into_owned();
        let target = if kind == 'h' { plain(&target) } else { target };
        let name = |name: Option<&[u8]>| name.unwrap_or_default().to_vec();
        let names = (name(header.username_bytes()), name(header.groupname_bytes()));
        all.push(Seen {
            path: plain(&entry.path_bytes()),
            kind,
            mode: header.mode().unwrap() & 0o7777,
            owner: (header.uid().unwrap(), header.gid().unwrap(), names.0, names.1),
            mtime: i64::try_from(header.mtime().unwrap()).unwrap(),
            target,
            content,
        });
    }
    all
}

/// `./usr/bin/` as `usr/bin`.
fn plain(path: &[u8]) -> Vec<u8> {
    let path = path.strip_prefix(b"./").unwrap_or(path);
    path.strip_suffix(b"/").unwrap_or(path).to_vec()
}
