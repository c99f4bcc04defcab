use std::collections::BTreeMap;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::{Plugin, forward};
use crate::{Context, Digest, Reference, Result};

/// Brings an image to where it runs. It does what it is told: when and how fast is the strategy's business.
///
/// # Contract
/// - Idempotent: performing an action twice is performing it once.
/// - What is half done is visible in [`observe`](Self::observe), also to another process after a crash.
/// - A rollback leads to the image that ran before the last release, and succeeds where nothing was released.
#[async_trait]
pub trait Deployer: Plugin {
    /// What runs now.
    async fn observe(&self, cx: &Context) -> Result<Observation>;

    /// Starts the action. It is done when [`observe`](Self::observe) says so.
    async fn perform(&self, action: &Action, cx: &Context) -> Result<()>;

    /// Starts going back to what ran before.
    async fn rollback(&self, cx: &Context) -> Result<()>;
}

forward!(Deployer {
    fn observe(cx: &Context) -> Result<Observation>;
    fn perform(action: &Action, cx: &Context) -> Result<()>;
    fn rollback(cx: &Context) -> Result<()>;
});

/// Something a deployer does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "action")]
#[non_exhaustive]
pub enum Action {
    /// Give the image this share of the whole, in percent from 0 to 100. At 100 the release is complete.
    Release {
        /// The image, by digest.
        image: Reference,
        /// Its share in percent.
        percent: u8,
    },
}

/// What runs, as a deployer sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// The share of each image in percent, by digest. Empty where nothing was ever deployed.
    pub shares: BTreeMap<Digest, u8>,
    /// Whether what was last asked for has been reached.
    pub settled: bool,
    /// What went wrong, or what is waited for, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Observation {
    /// Whether the image has everything and nothing is moving.
    #[must_use]
    pub fn runs_only(&self, digest: &Digest) -> bool {
        self.settled && self.shares.len() == 1 && self.shares.get(digest) == Some(&100)
    }
}
