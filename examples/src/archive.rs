//! The patcher that the command line describes: where packages come from, which keys are trusted, what to fix.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use jiff::Timestamp;
use patchkit_core::{Error, Result};
use patchkit_scan::debian::{
    apt::{
        cache::Cache,
        client::ArchiveClient,
        fetch::{HttpFetch, HttpOptions, SchemeFetch},
        sources::{Source, parse_sources},
        trust::TrustStore,
    },
    patcher::{DebianPatcher, PatchOptions, Repositories, Selection},
};

use crate::cli;

/// A client for archives, with a cache on disk.
pub(crate) fn client(archive: &cli::Archive) -> Result<ArchiveClient> {
    let cache = Cache::open(archive.cache.clone().unwrap_or_else(default_cache))?;
    let client = ArchiveClient::new(Arc::new(fetch()?), cache);
    Ok(client.with_mirrors(archive.mirror.clone()).accepting_expired(archive.allow_expired))
}

/// What reads addresses: files, and the network.
pub(crate) fn fetch() -> Result<SchemeFetch<HttpFetch>> {
    Ok(SchemeFetch::new(HttpFetch::new(&HttpOptions::default())?))
}

/// The patcher for a selection of findings.
pub(crate) fn patcher(selection: &cli::Selection) -> Result<DebianPatcher> {
    let chosen = match (selection.all, selection.only.as_slice()) {
        (true, _) => Selection::All,
        (false, []) => Selection::Findings,
        (false, only) => Selection::Only(only.iter().cloned().collect()),
    };
    let mut options = PatchOptions::default().with_selection(chosen).with_fallback(of_machine()?);
    if let Some(given) = given(&selection.archive)? {
        options = options.with_repositories(given);
    }
    if let Some(timestamp) = timestamp(&selection.archive)? {
        options = options.with_timestamp(timestamp);
    }
    Ok(DebianPatcher::new(client(&selection.archive)?, options))
}

/// The repositories that this machine's own apt uses: for images that name none.
pub(crate) fn of_machine() -> Result<Repositories> {
    Repositories::of_machine(Path::new("/"))
}

/// What `--sources` and `--keyring` say, each completed by what this machine has; nothing where neither is given.
fn given(archive: &cli::Archive) -> Result<Option<Repositories>> {
    if archive.sources.is_empty() && archive.keyring.is_empty() {
        return Ok(None);
    }
    let machine = of_machine()?;
    let mut all: Vec<Source> = Vec::new();
    for path in &archive.sources {
        let name = path.display().to_string();
        all.extend(parse_sources(&name, &read(path)?).map_err(|error| Error::invalid(error.to_string()))?);
    }
    let mut trust = TrustStore::new();
    for path in &archive.keyring {
        trust = trust.trusting(path.display().to_string(), read(path)?);
    }
    let sources = if all.is_empty() { machine.sources } else { all };
    let trust = if trust.is_empty() { machine.trust } else { trust };
    Ok(Some(Repositories::new(sources, trust)))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::invalid(error.to_string()).on(path.display()).because(error))
}

/// What was asked for, or what the environment of reproducible builds says.
fn timestamp(archive: &cli::Archive) -> Result<Option<Timestamp>> {
    match archive.timestamp {
        Some(time) => Ok(Some(time)),
        None => source_date(),
    }
}

/// What the environment of reproducible builds says.
pub(crate) fn source_date() -> Result<Option<Timestamp>> {
    let Some(epoch) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let seconds = epoch.to_str().and_then(|text| text.parse().ok());
    let time = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
    let wrong = || Error::invalid(format!("{epoch:?} is no number of seconds")).on("SOURCE_DATE_EPOCH");
    time.ok_or_else(wrong).map(Some)
}

/// Where downloads, advisories, and what was found in layers, are kept: `$XDG_CACHE_HOME/patchkit`, or
/// `~/.cache/patchkit`, or a folder for temporary files.
pub(crate) fn default_cache() -> PathBuf {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("patchkit")
}
