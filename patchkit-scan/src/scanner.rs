//! A scanner by distributions' own advisories.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use patchkit_core::{Context, Image, Plugin, PluginInfo, Result, ScanReport, Scanner};

use crate::{
    advisory::AdvisoryStore,
    inventory::Inventory,
    matcher::{Matcher, Unaffected},
};

/// How old a source may be before a report says so.
const STALE_AFTER: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Lists what is installed and matches it with advisories that are at hand; asks nobody over the network.
///
/// Where something cannot be judged, such as a release that no advisory speaks of, the report has a warning; and for
/// each source of advisories that is older than two weeks.
#[derive(Clone, Debug)]
pub struct AdvisoryScanner {
    advisories: Arc<AdvisoryStore>,
    unaffected: Unaffected,
    stale_after: Duration,
}

impl AdvisoryScanner {
    /// A scanner by the given advisories.
    pub fn new(advisories: impl Into<Arc<AdvisoryStore>>) -> Self {
        Self { advisories: advisories.into(), unaffected: Unaffected::default(), stale_after: STALE_AFTER }
    }

    /// The same, with another choice about what is not affected.
    #[must_use]
    pub fn with_unaffected(self, unaffected: Unaffected) -> Self {
        Self { unaffected, ..self }
    }

    /// The same, which warns of sources that are older than this; [`Duration::MAX`] for never.
    #[must_use]
    pub fn with_stale_after(self, stale_after: Duration) -> Self {
        Self { stale_after, ..self }
    }

    /// The advisories.
    #[must_use]
    pub fn advisories(&self) -> &Arc<AdvisoryStore> {
        &self.advisories
    }
}

impl Plugin for AdvisoryScanner {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("advisory-scanner", env!("CARGO_PKG_VERSION"));
        info.configured(&(self.advisories.digest(), self.unaffected, self.stale_after))
    }
}

#[async_trait]
impl Scanner for AdvisoryScanner {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        let Inventory { distribution, packages, base, mut warnings } = Inventory::of(image, cx).await?;
        let matcher = Matcher::new(&self.advisories).with_unaffected(self.unaffected);
        let matches = matcher.judge(distribution.as_ref(), &packages)?;
        warnings.extend(matches.warnings);
        let stale = self.advisories.stale(cx.now(), self.stale_after);
        warnings.extend(stale.map(|source| format!("the advisories may be out of date: {source}")));
        let findings = matches.findings;
        Ok(ScanReport { distribution, packages, findings, base, warnings, ..ScanReport::of(image) }.sorted())
    }
}
