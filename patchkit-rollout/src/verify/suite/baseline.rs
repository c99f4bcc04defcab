//! Runs of the original image that are remembered in a ledger, so that an image is tested once and not with every patch.

use std::{fs, io, path::Path};

use patchkit_core::{Algorithm, Context, Digest, Entry, Error, Hasher, Image, Ledger, PluginInfo, Record, Result};
use serde::{Deserialize, Serialize};

use super::{Suite, SuiteRun};

/// The kind of its entries in a ledger.
const KIND: &str = "test-baseline";

/// How many entries of a ledger are read at once.
const PAGE: usize = 256;

/// Runs of a suite in an image that nobody has changed since.
#[derive(Serialize, Deserialize)]
struct Baseline {
    /// The digest of all that the runs depend on beside the image.
    key: Digest,
    runs: Vec<SuiteRun>,
}

/// All that the runs of a suite depend on beside the image: the suite, the content of its fixtures, the runtime.
///
/// # Errors
/// [`Invalid`](patchkit_core::ErrorKind::Invalid) where a fixture cannot be read.
pub(super) fn key(suite: &Suite, runtime: &PluginInfo) -> Result<Digest> {
    let mut hasher = Hasher::new(Algorithm::Sha256);
    hasher.update(&serde_json::to_vec(&(suite, runtime)).expect("a suite has only string keys"));
    for path in suite.files() {
        let add = add_files(&mut hasher, path);
        add.map_err(|error| Error::invalid(error.to_string()).on(path.display()).because(error))?;
    }
    Ok(hasher.finish())
}

/// Adds names and contents, the names in order.
fn add_files(hasher: &mut Hasher, path: &Path) -> io::Result<()> {
    let mut add = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_be_bytes());
        hasher.update(bytes);
    };
    add(path.file_name().unwrap_or_default().as_encoded_bytes());
    if !fs::metadata(path)?.is_dir() {
        add(&fs::read(path)?);
        return Ok(());
    }
    let mut inside = fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
    inside.sort();
    add(&(inside.len() as u64).to_be_bytes());
    inside.iter().try_for_each(|path| add_files(hasher, path))
}

/// The newest remembered runs for the key. The ledger's chain is checked on the way.
///
/// # Errors
/// Those of the ledger; [`Corrupt`](patchkit_core::ErrorKind::Corrupt) where an entry does not fit.
pub(super) async fn recorded(
    ledger: &dyn Ledger,
    image: &Image,
    key: &Digest,
    cx: &Context,
) -> Result<Option<Vec<SuiteRun>>> {
    let (mut found, mut last) = (None, None::<Entry>);
    loop {
        let next = last.as_ref().map_or(0, |last| last.sequence + 1);
        let page = ledger.read(next, PAGE, cx).await?;
        for entry in &page {
            entry.check(last.as_ref())?;
            found = of(entry, image, key).or(found);
            last = Some(entry.clone());
        }
        if page.len() < PAGE {
            return Ok(found);
        }
    }
}

fn of(entry: &Entry, image: &Image, key: &Digest) -> Option<Vec<SuiteRun>> {
    let Record { kind, subject, body, .. } = &entry.record;
    if kind != KIND || subject != image.digest() {
        return None;
    }
    let baseline = Baseline::deserialize(body).ok()?;
    (baseline.key == *key).then_some(baseline.runs)
}

/// Remembers runs of the original image.
///
/// # Errors
/// Those of the ledger.
pub(super) async fn record(
    ledger: &dyn Ledger,
    image: &Image,
    (key, runs): (Digest, &[SuiteRun]),
    cx: &Context,
) -> Result<()> {
    let baseline = Baseline { key, runs: runs.to_vec() };
    let body = serde_json::to_value(baseline).expect("a run has only string keys");
    let record = Record { kind: KIND.into(), subject: *image.digest(), run: cx.run().into(), at: cx.now(), body };
    ledger.append(&record, cx).await.map(drop)
}
