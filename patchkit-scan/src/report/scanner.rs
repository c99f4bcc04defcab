//! A scanner that passes on what another one reported.

use async_trait::async_trait;
use patchkit_core::{
    Context, Digest, Image, Plugin, PluginInfo, Result, ScanReport, Scanner,
    image::{Entry, LayerVisitor},
};

use super::{ForeignReport, read};

/// Passes on the report of another tool as its own.
///
/// The report must be about the image that is scanned: see [`ForeignSubject::check`](super::ForeignSubject::check). A
/// format that cannot say which image it is about gives a warning. The image's layers are read once, without keeping
/// anything, since a report about a digest says nothing about bytes that do not have it.
#[derive(Clone, Debug)]
pub struct ReportScanner {
    report: ForeignReport,
    digest: Digest,
}

impl ReportScanner {
    /// A scanner that says what the report says.
    ///
    /// # Errors
    /// As [`read`].
    pub fn new(report: &[u8]) -> Result<Self> {
        Ok(Self { report: read(report)?, digest: Digest::of(report) })
    }

    /// The report.
    #[must_use]
    pub fn report(&self) -> &ForeignReport {
        &self.report
    }
}

impl Plugin for ReportScanner {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("report-scanner", env!("CARGO_PKG_VERSION")).configured(&self.digest)
    }
}

#[async_trait]
impl Scanner for ReportScanner {
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport> {
        let report = self.report.about(image)?;
        verify_layers(image, cx).await?;
        Ok(report)
    }
}

/// Reads each layer once, for its digests to be checked.
pub(crate) async fn verify_layers(image: &Image, cx: &Context) -> Result<()> {
    for layer in image.layers() {
        layer.visit(Nothing, cx).await?;
    }
    Ok(())
}

/// Looks at nothing; that the layer has its digest is checked by whoever shows it.
struct Nothing;

impl LayerVisitor for Nothing {
    fn entry(&mut self, _: &Entry, _: &mut dyn std::io::Read) -> Result<()> {
        Ok(())
    }
}
