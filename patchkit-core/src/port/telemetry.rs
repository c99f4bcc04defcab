use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Plugin, forward};
use crate::{Context, Result};

/// Measures how something that runs is doing.
///
/// # Contract
/// - No data is [`Sample::NoData`], never zero; a value is finite.
/// - Failing to ask is an error, not `NoData`.
#[async_trait]
pub trait Telemetry: Plugin {
    /// The value of a signal over a span of time.
    async fn sample(&self, signal: &Signal, window: Window, cx: &Context) -> Result<Sample>;
}

forward!(Telemetry {
    fn sample(signal: &Signal, window: Window, cx: &Context) -> Result<Sample>;
});

/// What is measured: a name and what narrows it down.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Signal {
    /// The name: `error_rate`.
    pub name: String,
    /// Labels that select: `track=canary`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}

/// A span of time that ends at a given moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// When it ends.
    pub end: Timestamp,
    /// How long it is.
    pub length: Duration,
}

/// The answer to a question about a [`Signal`].
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sample {
    /// Nothing was measured in the window.
    NoData,
    /// What was measured, in the signal's unit.
    Value(f64),
}
