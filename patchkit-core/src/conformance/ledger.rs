//! The contract of [`Ledger`].

use std::collections::BTreeSet;

use serde_json::json;

use super::{Check, Outcomes, equal, holds};
use crate::{Context, Digest, Ledger, Record, Result};

/// Runs every case on one ledger, which may have entries already.
pub async fn suite(ledger: &dyn Ledger) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("a-record-comes-back", record_comes_back(ledger)).await;
    outcomes.case("entries-are-chained", entries_are_chained(ledger)).await;
    outcomes.case("reading-is-paged", reading_is_paged(ledger)).await;
    outcomes.case("past-the-end-is-nothing", past_the_end(ledger)).await;
    outcomes.case("appenders-at-once-lose-nothing", appenders_at_once(ledger)).await;
    outcomes
}

fn record(n: usize, cx: &Context) -> Record {
    let subject = Digest::of(n.to_string());
    Record { kind: "conformance".into(), subject, run: cx.run().into(), at: cx.now(), body: json!({ "n": n }) }
}

async fn record_comes_back(ledger: &dyn Ledger) -> Check {
    let cx = Context::new();
    let entry = ledger.append(&record(1, &cx), &cx).await?;
    equal(&entry.record, &record(1, &cx).at(entry.record.at))?;
    equal(ledger.read(entry.sequence, 1, &cx).await?, vec![entry])
}

impl Record {
    fn at(self, at: jiff::Timestamp) -> Self {
        Self { at, ..self }
    }
}

async fn entries_are_chained(ledger: &dyn Ledger) -> Check {
    let cx = Context::new();
    for n in 0..3 {
        ledger.append(&record(n, &cx), &cx).await?;
    }
    let entries = ledger.read(0, usize::MAX, &cx).await?;
    let mut last = None;
    for entry in &entries {
        entry.check(last)?;
        last = Some(entry);
    }
    holds(entries.len() >= 3, "entries are missing")
}

async fn reading_is_paged(ledger: &dyn Ledger) -> Check {
    let cx = Context::new();
    for n in 0..3 {
        ledger.append(&record(n, &cx), &cx).await?;
    }
    let page = ledger.read(1, 2, &cx).await?;
    equal(page.iter().map(|entry| entry.sequence).collect::<Vec<_>>(), vec![1, 2])
}

async fn past_the_end(ledger: &dyn Ledger) -> Check {
    equal(ledger.read(u64::MAX / 2, 10, &Context::new()).await?, vec![])
}

async fn appenders_at_once(ledger: &dyn Ledger) -> Check {
    let cx = Context::new();
    let records: Vec<_> = (0..16).map(|n| record(n, &cx)).collect();
    let appends = records.iter().map(|record| ledger.append(record, &cx));
    let entries = futures::future::join_all(appends).await.into_iter().collect::<Result<Vec<_>>>()?;
    let numbers: BTreeSet<_> = entries.iter().map(|entry| entry.sequence).collect();
    equal(numbers.len(), 16)?;
    let first = *numbers.first().expect("there are sixteen");
    let all = ledger.read(first, usize::MAX, &cx).await?;
    holds(entries.iter().all(|entry| all.contains(entry)), "an entry is gone")
}
