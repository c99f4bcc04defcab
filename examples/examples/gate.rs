//! A gate of one's own: nothing is released on a Friday afternoon, unless it fixes something critical.
//!
//! `cargo run --example gate` decides on a small image in memory, at several times.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::{Timestamp, civil::Weekday, tz::TimeZone};
use patchkit_core::{
    Context, Decision, Gate, Plugin, PluginInfo, Reason, Result, Severity, Stop, Verified, memory::ManualClock,
};

#[path = "shared/tiny.rs"]
mod tiny;

/// Denies on Friday afternoons, UTC.
#[derive(Debug)]
struct NoFridayAfternoons;

impl Plugin for NoFridayAfternoons {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("no-friday-afternoons", "1.0.0")
    }
}

#[async_trait]
impl Gate for NoFridayAfternoons {
    async fn decide(&self, verified: &Verified, cx: &Context) -> Result<Decision> {
        let now = cx.now().to_zoned(TimeZone::UTC);
        let scanned = verified.patched().planned().scanned();
        let worst = scanned.findings().map(|finding| finding.severity).max().unwrap_or_default();
        Ok(if now.weekday() != Weekday::Friday || now.hour() < 12 {
            Decision::Allow { reason: Reason::yes("it is not Friday afternoon") }
        } else if worst == Severity::Critical {
            Decision::Allow { reason: Reason::yes("it is Friday afternoon, but this fixes something critical") }
        } else {
            let found = Reason::no(format!("the worst that this fixes is {worst}"));
            Decision::Deny { reason: Reason::no("it is Friday afternoon").with(found) }
        })
    }
}

#[tokio::main]
async fn main() -> Result<(), Stop> {
    for (when, severity) in [
        ("2026-01-01T15:00:00Z", Severity::High),
        ("2026-01-02T15:00:00Z", Severity::High),
        ("2026-01-02T15:00:00Z", Severity::Critical),
    ] {
        let now: Timestamp = when.parse().expect("it is a time");
        let cx = Context::new().with_clock(Arc::new(ManualClock::at(now)));
        let pipeline = tiny::verified(severity).approve(NoFridayAfternoons);
        match pipeline.run(tiny::target(&cx).await?, &cx).await {
            Ok(approved) => println!("{when}, {severity}: {}", approved.reason()),
            Err(stop) => println!("{when}, {severity}: {stop}"),
        }
    }
    Ok(())
}
