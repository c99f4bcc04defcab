//! `ldconfig` as the oracle of what is made of the libraries of a tree.

#![allow(clippy::unwrap_used)]

mod install_support;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use install_support::{Folder, copy, skip};
use patchkit_core::image::FilePath;
use patchkit_scan::debian::install::{
    ldcache,
    tree::{Kind, Tree},
};

/// Compares what `ldconfig -r` does to a copy of a tree with what is made of it as data: cache and links.
fn compare(root: &Path) {
    let work = tempfile::tempdir().unwrap();
    let theirs = work.path().join("theirs");
    copy(root, &theirs);
    assert!(Command::new(theirs.join("sbin/ldconfig")).arg("-r").arg(&theirs).status().unwrap().success());

    let ours = Arc::new(Folder(root.to_path_buf()));
    let mut tree = Tree::new(ours.clone());
    assert!(ldcache::refresh(&mut tree, &*ours, "amd64", 0).unwrap());
    let cache = tree.read(&FilePath::new("etc/ld.so.cache").unwrap()).unwrap().unwrap();
    let expected = fs::read(theirs.join("etc/ld.so.cache")).unwrap();
    assert_eq!(text(&cache), text(&expected));
    assert!(cache == expected, "the same text, other bytes");
    for (path, change) in tree.changes() {
        let at = Folder(theirs.clone()).at(path);
        match change.map(|entry| &entry.kind) {
            Some(Kind::Symlink(target)) => {
                assert_eq!(fs::read_link(&at).unwrap().as_os_str().as_encoded_bytes(), target)
            }
            None => assert!(fs::symlink_metadata(&at).is_err(), "{at:?} is there"),
            Some(_) => {}
        }
    }
}

/// The strings of a cache, to see what differs.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).replace('\0', "\n")
}

fn libraries() -> Option<Vec<PathBuf>> {
    let folder = Path::new("/usr/lib/x86_64-linux-gnu");
    let names = fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path());
    let mut plain: Vec<PathBuf> = names
        .filter(|path| path.to_string_lossy().contains(".so.") && fs::symlink_metadata(path).unwrap().is_file())
        .collect();
    plain.sort();
    plain.truncate(40);
    (plain.len() > 5 && Path::new("/sbin/ldconfig").exists()).then_some(plain)
}

#[test]
fn as_ldconfig_does_with_links_includes_and_special_hardware() {
    let Some(libraries) = libraries() else {
        return skip("no libraries of amd64, or no ldconfig");
    };
    let work = tempfile::tempdir().unwrap();
    let root = work.path().join("root");
    let folders = [
        "etc/ld.so.conf.d",
        "sbin",
        "usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v3",
        "opt/lib",
        "opt/lib/tls",
        "usr/lib/x86_64-linux-gnu/glibc-hwcaps/x86-64-v2",
        "var/cache/ldconfig",
    ];
    folders.iter().for_each(|folder| fs::create_dir_all(root.join(folder)).unwrap());
    symlink("usr/lib", root.join("lib")).unwrap();
    let main = root.join("usr/lib/x86_64-linux-gnu");
    for (index, library) in libraries.iter().enumerate() {
        let name = library.file_name().unwrap();
        fs::copy(library, main.join(name)).unwrap();
        match index % 5 {
            0 => drop(fs::copy(library, main.join("glibc-hwcaps/x86-64-v3").join(name)).unwrap()),
            1 => drop(fs::copy(library, root.join("opt/lib").join(name)).unwrap()),
            2 => drop(fs::copy(library, main.join("glibc-hwcaps/x86-64-v2").join(name)).unwrap()),
            3 => symlink(name, main.join(format!("lib-extra-{index}.so"))).unwrap(),
            _ => drop(fs::copy(library, main.join(format!("{}.99", name.to_string_lossy()))).unwrap()),
        }
    }
    fs::write(main.join("libscript.so"), "/* GNU ld script */ GROUP ( libc.so.6 )").unwrap();
    fs::write(main.join("libempty.so.1"), "").unwrap();
    symlink("nowhere", main.join("libstale.so.1")).unwrap();
    fs::copy("/sbin/ldconfig", root.join("sbin/ldconfig")).unwrap();
    fs::write(root.join("etc/ld.so.conf"), "# comment\ninclude /etc/ld.so.conf.d/*.conf\n/nowhere\nhwcap 1 x\n")
        .unwrap();
    fs::write(root.join("etc/ld.so.conf.d/a.conf"), "  /opt/lib/  # why\n/lib/x86_64-linux-gnu\n").unwrap();
    fs::write(root.join("etc/ld.so.conf.d/b.txt"), "/opt\n").unwrap();
    fs::write(root.join("etc/ld.so.cache"), "").unwrap();
    compare(&root);
}

/// `PATCHKIT_TREES` names whole root trees, colon-separated; their own `ldconfig` is run.
#[test]
fn as_ldconfig_does_with_whole_trees() {
    let Some(trees) = std::env::var_os("PATCHKIT_TREES") else {
        return eprintln!("skipped: PATCHKIT_TREES names no tree; .ci/oracle/run checks the cache of its own");
    };
    std::env::split_paths(&trees).for_each(|tree| compare(&tree));
}
