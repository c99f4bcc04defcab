//! The scanner that the command line describes: advisories, others' reports, statements and rules.

use std::{fs, num::NonZeroUsize, path::Path, sync::Arc};

use patchkit_core::{Error, Result, Scanner};
use patchkit_scan::{
    AdvisoryScanner, AdvisoryStore, InventoryOptions, Quorum, ReportScanner,
    ignore::{Ignoring, Rules},
    vex::{Vex, WithVex},
};

use crate::{
    cli::{Agreement, Claims},
    command::db,
    output::Progress,
};

/// What is known, whatever is scanned.
pub(crate) struct Knowledge {
    pub(crate) advisories: Arc<AdvisoryStore>,
    pub(crate) vex: Vex,
    pub(crate) rules: Vec<Rules>,
}

/// Reads advisories, statements and rules.
pub(crate) async fn knowledge(claims: &Claims, progress: Progress) -> Result<Knowledge> {
    let advisories = Arc::new(advisories(claims, progress).await?);
    let mut vex = Vex::new();
    for path in &claims.vex {
        vex = vex.with_document(&read(path)?).map_err(|error| error.on(path.display()))?;
    }
    let rules = claims.ignore.iter().map(|path| {
        let (name, bytes) = (path.display().to_string(), read(path)?);
        let text = String::from_utf8(bytes).map_err(|_| Error::invalid("it is not UTF-8").on(&name))?;
        Rules::read(&name, &text).map_err(|error| Error::from(error).on(&name))
    });
    Ok(Knowledge { advisories, vex, rules: rules.collect::<Result<_>>()? })
}

/// The advisories that were named; else the database that `db update` keeps; none where there are reports instead.
async fn advisories(claims: &Claims, progress: Progress) -> Result<AdvisoryStore> {
    let mut paths = claims.advisories.clone();
    let kept = db::default_database(None);
    if paths.is_empty() && claims.report.is_empty() && kept.exists() {
        paths.push(kept);
    }
    if paths.is_empty() {
        return Ok(AdvisoryStore::builder().build());
    }
    let read =
        async { tokio::task::spawn_blocking(move || AdvisoryStore::open(paths)).await.expect("it does not panic") };
    progress.step("read advisories", read).await
}

/// The scanner over all that was named.
pub(crate) fn scanner(claims: &Claims, known: Knowledge, looking: InventoryOptions) -> Result<Arc<dyn Scanner>> {
    let mut scanners: Vec<Arc<dyn Scanner>> = Vec::new();
    if !known.advisories.is_empty() || claims.report.is_empty() {
        scanners.push(Arc::new(AdvisoryScanner::new(known.advisories).with_inventory(looking)));
    }
    for path in &claims.report {
        scanners.push(Arc::new(ReportScanner::new(&read(path)?).map_err(|error| error.on(path.display()))?));
    }
    let mut scanner = joined(scanners, claims.agreement.unwrap_or(Agreement::Any))?;
    if !known.vex.documents().is_empty() {
        scanner = Arc::new(scanner.with_vex(known.vex));
    }
    Ok(known.rules.into_iter().fold(scanner, |scanner, rules| Arc::new(scanner.ignoring(rules))))
}

/// Several scanners as one.
fn joined(mut scanners: Vec<Arc<dyn Scanner>>, agreement: Agreement) -> Result<Arc<dyn Scanner>> {
    let first = scanners.remove(0);
    if scanners.is_empty() {
        return Ok(first);
    }
    Ok(Arc::new(match agreement {
        Agreement::All => Quorum::all(first, scanners),
        Agreement::Any => Quorum::any(first, scanners),
        Agreement::AtLeast(needed) => {
            let needed = NonZeroUsize::new(needed).ok_or_else(|| Error::invalid("a quorum of 0 scanners"))?;
            Quorum::at_least(needed, first, scanners)?
        }
    }))
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::invalid(error.to_string()).during("read").on(path.display()).because(error))
}
