//! A scanner whose findings have statements applied.

use async_trait::async_trait;
use patchkit_core::{Context, Image, Plugin, PluginInfo, Result, ScanReport, Scanner};

use super::Vex;

/// A scanner after whose findings statements are applied.
///
/// ```
/// use patchkit_scan::{AdvisoryScanner, AdvisoryStore, vex::{Vex, WithVex}};
///
/// let statements = br#"{"@context": "https://openvex.dev/ns/v0.2.0", "@id": "https://example.org/vex/1",
///     "author": "a team", "statements": []}"#;
/// let scanner = AdvisoryScanner::new(AdvisoryStore::builder().build()).with_vex(Vex::new().with_document(statements)?);
/// # Ok::<_, patchkit_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Vexed<S> {
    scanner: S,
    vex: Vex,
}

/// Applies statements after a scanner.
pub trait WithVex: Scanner + Sized {
    /// The same scanner, after whose findings the statements are applied.
    fn with_vex(self, vex: Vex) -> Vexed<Self> {
        Vexed { scanner: self, vex }
    }
}

impl<S: Scanner> WithVex for S {}

impl<S: Scanner> Plugin for Vexed<S> {
    fn info(&self) -> PluginInfo {
        let info = PluginInfo::new("vex", env!("CARGO_PKG_VERSION"));
        info.configured(&(self.scanner.info(), self.vex.configuration()))
    }
}

#[async_trait]
impl<S: Scanner> Scanner for Vexed<S> {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        Ok(self.vex.apply(self.scanner.scan(image, cx).await?))
    }
}
