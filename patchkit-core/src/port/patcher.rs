use async_trait::async_trait;

use super::{Plugin, forward};
use crate::{Application, Context, Image, Plan, Result, ScanReport};

/// Decides what to change in an image so that findings go away, and changes it.
///
/// # Contract
/// - Planning has no effect. Every finding of the report is fixed by a change or is in `unfixable`, exactly one of them.
/// - Applying the same plan gives the same digest, and does not change the image it starts from.
/// - A plan for another image is [`Invalid`](crate::ErrorKind::Invalid).
#[async_trait]
pub trait Patcher: Plugin {
    /// Plans the changes to one image.
    async fn plan(&self, image: &Image, report: &ScanReport, cx: &Context) -> Result<Plan>;

    /// Makes the patched image. Where the result would be broken, it refuses.
    async fn apply(&self, image: &Image, plan: &Plan, cx: &Context) -> Result<Application>;
}

forward!(Patcher {
    fn plan(image: &Image, report: &ScanReport, cx: &Context) -> Result<Plan>;
    fn apply(image: &Image, plan: &Plan, cx: &Context) -> Result<Application>;
});
