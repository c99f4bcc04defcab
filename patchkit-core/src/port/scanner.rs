use async_trait::async_trait;

use super::{Plugin, forward};
use crate::{Context, Image, Result, ScanReport};

/// Says what is installed in an image and what of it is vulnerable.
///
/// # Contract
/// - The report's subject is the image's digest, its platform the image's.
/// - What cannot be read is an error that names it ([`Corrupt`](crate::ErrorKind::Corrupt)), never an empty report.
/// - The report is sorted; scanning the same image again gives the same report.
#[async_trait]
pub trait Scanner: Plugin {
    /// Scans one image.
    async fn scan(&self, image: &Image, cx: &Context) -> Result<ScanReport>;
}

forward!(Scanner {
    fn scan(image: &Image, cx: &Context) -> Result<ScanReport>;
});
