//! The patcher for Debian and its kin: plans with the archives that the image names, applies as data.

mod plan;
mod repositories;

use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use jiff::Timestamp;
use patchkit_core::{
    Application, Context, Error, ErrorKind, Image, Patcher, Plan, Plugin, PluginInfo, Result, ScanReport,
};
use serde::Serialize;

use super::{
    apt::client::ArchiveClient,
    install::{
        apply::{Installed, Work, install, read},
        base::ImageFiles,
        tree::Tree,
    },
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

    /// The packages that a plan names, fetched with the credentials that the sources have: the plan itself has none.
    async fn fetch(&self, plan: &Plan, base: &Arc<ImageFiles>, cx: &Context) -> Result<Vec<PathBuf>> {
        // An image whose sources cannot be read has no credentials to give; the plan says where its packages are.
        let repositories = plan::repositories(&self.options, &Tree::new(base.clone())).unwrap_or_default();
        let wanted = plan.changes.iter().filter_map(|change| {
            let version = change.to.as_ref().map(ToString::to_string).unwrap_or_default();
            let download = repositories.with_credentials(change.artifact.clone()?);
            Some((format!("{} {version}", change.package), download))
        });
        let files = stream::iter(wanted.collect::<Vec<_>>()).map(|(package, download)| async move {
            self.client.fetch(&download, cx).await.map_err(|error| match error.kind() {
                ErrorKind::NotFound => gone(&package, error),
                _ => error,
            })
        });
        files.buffered(PARALLEL_DOWNLOADS).try_collect().await
    }
}

/// A package that has gone from its archive since the plan was made: archives keep the newest version only.
fn gone(package: &str, error: Error) -> Error {
    let message = format!("the archive has no {package} any more: plan again");
    Error::not_found(message).during("fetch the packages of the plan").because(error)
}

/// The image that a plan starts from: the image itself, or the original of the earlier patch that made it.
fn start(image: &Image, plan: &Plan) -> Result<Image> {
    let invalid = |what: String| Err(Error::invalid(what).on(image.digest()));
    if plan.subject != *image.digest() {
        return invalid(format!("the plan is for {}", plan.subject));
    }
    if plan.base == *image.digest() {
        return Ok(image.clone());
    }
    let base = origin(image)?;
    if plan.base == *base.digest() { Ok(base) } else { invalid(format!("the plan starts from {}", plan.base)) }
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
        let base = start(image, plan)?;
        if plan.is_empty() {
            return Ok(Application::Patched { image: image.clone(), notes: Vec::new() });
        }
        let gone = plan.changes.iter().filter(|change| change.to.is_none());
        let remove = gone.map(|change| (change.package.to_string(), change.architecture.clone().unwrap_or_default()));
        let files = read(&base, cx).await?;
        let work = Work { remove: remove.collect(), install: self.fetch(plan, &files, cx).await? };
        match install(&base, files, work, plan.timestamp, cx).await? {
            Installed::Layer { layer, notes } => {
                Ok(Application::Patched { image: patched(image, &base, plan, *layer)?, notes })
            }
            Installed::Refused(notes) => Ok(Application::Refused(notes)),
        }
    }
}
