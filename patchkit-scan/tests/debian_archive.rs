//! The archive client over HTTP, against the archive that this machine's own apt uses.

#![cfg(feature = "http")]
#![allow(clippy::unwrap_used)]

mod debian_support;

use std::{fs, path::Path, process::Command, sync::Arc, time::Instant};

use debian_support::{run, skip, tool};
use patchkit_core::Context;
use patchkit_scan::debian::apt::{
    cache::Cache,
    client::ArchiveClient,
    fetch::{HttpFetch, HttpOptions, SchemeFetch},
    sources::{Source, is_sources_file, parse_sources},
    trust::{TRUSTED_FOLDER, TrustStore, key_files},
};

/// The sources of this machine that are Debian's, as its apt sees them.
fn sources() -> Vec<Source> {
    let folder = fs::read_dir("/etc/apt/sources.list.d").into_iter().flatten().flatten().map(|entry| entry.path());
    let files = folder.filter(|path| is_sources_file(&path.file_name().unwrap().to_string_lossy()));
    let mut sources = Vec::new();
    for path in files.chain([Path::new("/etc/apt/sources.list").to_path_buf()]).filter(|path| path.is_file()) {
        sources.extend(parse_sources(&path.to_string_lossy(), &fs::read(&path).unwrap()).unwrap());
    }
    let indexed = String::from_utf8(run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Origin: Debian",
    ])))
    .unwrap();
    sources.retain(|source| {
        indexed.lines().any(|uri| uri.trim_end_matches('/') == source.uri.as_str().trim_end_matches('/'))
    });
    for source in &mut sources {
        // Frozen mirrors are as good for this test as living ones.
        source.options.check_date = Some(false);
    }
    sources
}

fn trust(sources: &[Source]) -> TrustStore {
    let trusted = fs::read_dir(TRUSTED_FOLDER)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().to_string_lossy().into_owned());
    let named = key_files(sources).into_iter().chain(trusted);
    named.fold(TrustStore::new(), |trust, path| {
        let bytes = fs::read(&path).unwrap_or_default();
        trust.with_file(path, bytes)
    })
}

#[tokio::test]
async fn the_machine_s_own_archive_is_verified_and_read() {
    if !tool("apt-get") {
        return;
    }
    let sources = sources();
    if sources.is_empty() {
        return skip("apt on this machine has no Debian source");
    }
    let folder = tempfile::tempdir().unwrap();
    let fetch = SchemeFetch::new(HttpFetch::new(&HttpOptions::default()).unwrap());
    let client = ArchiveClient::new(Arc::new(fetch), Cache::open(folder.path()).unwrap()).accepting_expired(true);
    let cx = Context::new();
    let architecture = String::from_utf8(run(Command::new("dpkg").arg("--print-architecture"))).unwrap();
    for round in ["from the network", "from the cache"] {
        let started = Instant::now();
        let archive = client.update(&sources, &trust(&sources), architecture.trim(), &cx).await.unwrap();
        eprintln!("{} packages {round} in {:?}", archive.package_count(), started.elapsed());
        assert!(archive.package_count() > 1000);
        let package = archive.named("hello").chain(archive.named("bash")).next().unwrap();
        let path = client.download(&package, &cx).await.unwrap();
        let name = run(Command::new("dpkg-deb").arg("--field").arg(path).arg("Package"));
        assert_eq!(String::from_utf8(name).unwrap().trim(), package.name());
    }
}
