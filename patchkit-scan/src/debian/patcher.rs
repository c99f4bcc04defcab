//! The patcher for Debian and its kin: plans with the archives that the image names, applies as data.

mod plan;
mod repositories;

use std::{collections::BTreeSet, path::PathBuf};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use patchkit_core::{
    Application, Context, Download, Error, Image, Patcher, Plan, Plugin, PluginInfo, Result, ScanReport,
};
use serde::Serialize;

use super::{
    apt::client::ArchiveClient,
    install::apply::{Installed, Work, install},
};
use crate::patcher::{origin, patched};

pub use repositories::Repositories;

/// How many packages are fetched at once.
const PARALLEL_DOWNLOADS: usize = 4;

/// What a [`DebianPatcher`] is asked to do, and where it gets packages.
#[derive(Clone, Debug, Default)]
pub struct PatchOptions {
    /// Which findings to fix.
    pub selection: Selection,
    /// Archives and keys to use in the place of the image's own.
    pub repositories: Option<Repositories>,
    /// Archives and keys for images that name none, such as distroless ones.
    pub fallback: Option<Repositories>,
    /// The time that everything new bears; that of the newest archive where none is given.
    pub timestamp: Option<Timestamp>,
}

/// Which findings to fix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Selection {
    /// Every upgrade that can be had, whether it fixes a finding or not.
    All,
    /// Every finding.
    #[default]
    Findings,
    /// The findings with one of these ids or in one of these packages.
    Only(BTreeSet<String>),
}

impl PatchOptions {
    /// The same, for other findings.
    #[must_use]
    pub fn with_selection(self, selection: Selection) -> Self {
        Self { selection, ..self }
    }

    /// The same, with archives and keys to use in the place of the image's own.
    #[must_use]
    pub fn with_repositories(self, repositories: Repositories) -> Self {
        Self { repositories: Some(repositories), ..self }
    }

    /// The same, with archives and keys for images that name none.
    #[must_use]
    pub fn with_fallback(self, repositories: Repositories) -> Self {
        Self { fallback: Some(repositories), ..self }
    }

    /// The same, with the time that everything new bears.
    #[must_use]
    pub fn with_timestamp(self, timestamp: Timestamp) -> Self {
        Self { timestamp: Some(timestamp), ..self }
    }
}

/// Patches Debian images: nothing of the image or the packages is executed, and any architecture will do.
///
/// Mirrors, expired archives and the cache are the [`ArchiveClient`]'s business.
#[derive(Clone, Debug)]
pub struct DebianPatcher {
    client: ArchiveClient,
    options: PatchOptions,
}

impl DebianPatcher {
    /// A patcher that reads archives with the given client.
    #[must_use]
    pub fn new(client: ArchiveClient, options: PatchOptions) -> Self {
        Self { client, options }
    }

    async fn fetch(&self, plan: &Plan, cx: &Context) -> Result<Vec<PathBuf>> {
        let downloads: Vec<Download> = plan.changes.iter().filter_map(|change| change.artifact.clone()).collect();
        let files = stream::iter(downloads).map(|download| async move { self.client.fetch(&download, cx).await });
        files.buffered(PARALLEL_DOWNLOADS).try_collect().await
    }
}

impl Plugin for DebianPatcher {
    fn info(&self) -> PluginInfo {
        let PatchOptions { selection, repositories, fallback, timestamp } = &self.options;
        let words = |given: &Option<Repositories>| given.as_ref().map(|given| given.identity().to_vec());
        let configuration = (selection, words(repositories), words(fallback), timestamp);
        PluginInfo::new("debian", env!("CARGO_PKG_VERSION")).configured(&configuration).needing("package archives")
    }
}

#[async_trait]
impl Patcher for DebianPatcher {
    async fn plan(&self, image: &Image, report: &ScanReport, cx: &Context) -> Result<Plan> {
        if report.subject != *image.digest() {
            return Err(Error::invalid(format!("the report is about {}", report.subject)).on(image.digest()));
        }
        let planning = plan::plan(&self.client, &self.options, image, report, cx);
        planning.await.map_err(|error| error.during("plan"))
    }

    async fn apply(&self, image: &Image, plan: &Plan, cx: &Context) -> Result<Application> {
        let base = origin(image)?;
        if plan.subject != *image.digest() || plan.base != *base.digest() {
            return Err(Error::invalid(format!("the plan is for {}", plan.subject)).on(image.digest()));
        }
        if plan.is_empty() {
            return Ok(Application::Patched { image: image.clone(), notes: Vec::new() });
        }
        let gone = plan.changes.iter().filter(|change| change.to.is_none());
        let remove = gone.map(|change| (change.package.to_string(), change.architecture.clone().unwrap_or_default()));
        let work = Work { remove: remove.collect(), install: self.fetch(plan, cx).await? };
        match install(&base, work, plan.timestamp, cx).await? {
            Installed::Layer { layer, notes } => {
                Ok(Application::Patched { image: patched(&base, plan, *layer)?, notes })
            }
            Installed::Refused(notes) => Ok(Application::Refused(notes)),
        }
    }
}
