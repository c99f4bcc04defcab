//! The contract of [`Telemetry`].

use super::{Check, Outcomes, equal, holds};
use crate::{Context, Sample, Signal, Telemetry, Window};

/// Runs every case with a signal that has data in the window, and one that has none.
pub async fn suite(telemetry: &dyn Telemetry, (known, unknown): (&Signal, &Signal), window: Window) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("a-value-is-finite", finite(telemetry, known, window)).await;
    outcomes.case("no-data-is-not-zero", no_data(telemetry, unknown, window)).await;
    outcomes
}

async fn finite(telemetry: &dyn Telemetry, known: &Signal, window: Window) -> Check {
    match telemetry.sample(known, window, &Context::new()).await? {
        Sample::Value(value) => holds(value.is_finite(), &format!("{value}")),
        Sample::NoData => holds(false, "no data"),
    }
}

async fn no_data(telemetry: &dyn Telemetry, unknown: &Signal, window: Window) -> Check {
    equal(telemetry.sample(unknown, window, &Context::new()).await?, Sample::NoData)
}
