use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

use crate::{Context, Error, Plugin, PluginInfo, Result, Sample, Signal, Telemetry, Window};

/// Measurements in memory; a sample is the mean of those in the window. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryTelemetry(Arc<Mutex<BTreeMap<Signal, Vec<Measurement>>>>);

#[derive(Clone, Copy, Debug)]
struct Measurement {
    at: Timestamp,
    value: f64,
}

impl MemoryTelemetry {
    /// Adds a measurement.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a value that is not finite.
    pub fn record(&self, signal: Signal, at: Timestamp, value: f64) -> Result<()> {
        if !value.is_finite() {
            return Err(Error::invalid(format!("{value} is no measurement")).on(signal.name));
        }
        self.0
            .lock()
            .expect("nobody panics while holding the lock")
            .entry(signal)
            .or_default()
            .push(Measurement { at, value });
        Ok(())
    }
}

impl Plugin for MemoryTelemetry {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("memory", env!("CARGO_PKG_VERSION"))
    }
}

#[async_trait]
impl Telemetry for MemoryTelemetry {
    async fn sample(&self, signal: &Signal, window: Window, _cx: &Context) -> Result<Sample> {
        let length = SignedDuration::try_from(window.length).unwrap_or(SignedDuration::MAX);
        let start = window.end.checked_sub(length).unwrap_or(Timestamp::MIN);
        let all = self.0.lock().expect("nobody panics while holding the lock");
        let inside =
            all.get(signal).into_iter().flatten().filter(|measured| (start..window.end).contains(&measured.at));
        let values: Vec<f64> = inside.map(|measured| measured.value).collect();
        Ok(match values.len() {
            0 => Sample::NoData,
            n => Sample::Value(values.iter().sum::<f64>() / n as f64),
        })
    }
}
