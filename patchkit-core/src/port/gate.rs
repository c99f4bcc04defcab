use async_trait::async_trait;

use super::{Plugin, forward};
use crate::{Context, Decision, Result, Verified};

/// Decides whether a verified image may go on: by policy, by a person, by the time of day.
///
/// # Contract
/// - A denial names every rule that is broken, as a tree that a person can read.
/// - A deferral has a ticket whose id is the same when the same image is decided on again.
/// - Gates are asked anew in every run; no decision is ever taken from a record.
#[async_trait]
pub trait Gate: Plugin {
    /// Decides on the verified image.
    async fn decide(&self, verified: &Verified, cx: &Context) -> Result<Decision>;
}

forward!(Gate {
    fn decide(verified: &Verified, cx: &Context) -> Result<Decision>;
});
