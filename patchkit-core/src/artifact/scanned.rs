use std::sync::Arc;

use super::{Target, same_images};
use crate::{Finding, Result, ScanReport};

/// A target whose packages and vulnerabilities are known.
#[derive(Clone, Debug)]
pub struct Scanned {
    target: Arc<Target>,
    reports: Vec<ScanReport>,
}

impl Scanned {
    /// The target with one report for each of its images, in their order.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) where a report is about another image.
    pub fn new(target: Arc<Target>, reports: Vec<ScanReport>) -> Result<Self> {
        same_images("report", reports.iter().map(|report| &report.subject), target.images())?;
        Ok(Self { target, reports })
    }

    /// What was scanned.
    #[must_use]
    pub fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The reports, one for each image.
    #[must_use]
    pub fn reports(&self) -> &[ScanReport] {
        &self.reports
    }

    /// All findings of all images.
    pub fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.reports.iter().flat_map(|report| &report.findings)
    }
}
