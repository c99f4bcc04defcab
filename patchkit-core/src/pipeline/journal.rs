//! What a run records, and takes from the record instead of doing it again.

use std::{collections::HashMap, future::Future, sync::Arc};

use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{Context, Digest, Entry, Ledger, PluginInfo, Record, Result};

/// How many entries of a ledger are read at once.
const PAGE: usize = 256;

/// A ledger, if there is one, and the results that it held when the run began.
pub(super) struct Journal {
    ledger: Option<Arc<dyn Ledger>>,
    results: HashMap<Digest, Value>,
}

/// What a result depends on: the stage, the plugin with its configuration, and the input.
#[derive(Serialize)]
pub(super) struct Key<'a> {
    pub(super) stage: &'a str,
    pub(super) plugin: PluginInfo,
    pub(super) input: Digest,
}

impl Key<'_> {
    fn digest(&self) -> Digest {
        Digest::of(serde_json::to_vec(self).expect("a key has only string keys"))
    }
}

impl Journal {
    /// Reads all results that a ledger has. The chain is checked here too, whatever the ledger itself checks.
    pub(super) async fn open(ledger: Option<Arc<dyn Ledger>>, cx: &Context) -> Result<Self> {
        let mut results = HashMap::new();
        if let Some(ledger) = &ledger {
            let mut last = None;
            loop {
                let next = last.as_ref().map_or(0, |last: &Entry| last.sequence + 1);
                let page = ledger.read(next, PAGE, cx).await?;
                for entry in &page {
                    entry.check(last.as_ref())?;
                    last = Some(entry.clone());
                }
                results.extend(page.iter().filter_map(|entry| result(&entry.record.body)));
                if page.len() < PAGE {
                    break;
                }
            }
        }
        Ok(Self { ledger, results })
    }

    /// The recorded result for the key, where it still counts, or the one that the future makes, which then is recorded.
    pub(super) async fn recall<T: Serialize + DeserializeOwned>(
        &self,
        key: Key<'_>,
        subject: Digest,
        cx: &Context,
        counts_until: impl Fn(&T) -> Option<Timestamp>,
        make: impl Future<Output = Result<T>> + Send,
    ) -> Result<T> {
        let counts = |result: &T| counts_until(result).is_none_or(|end| cx.now() < end);
        if let Some(result) = self.recalled(&key).filter(counts) {
            return Ok(result);
        }
        let result = make.await.map_err(|error| error.by(&*key.plugin.name))?;
        self.record(&key, subject, &result, cx).await?;
        Ok(result)
    }

    /// The recorded result for the key. One that no longer reads (from another version) counts as none.
    pub(super) fn recalled<T: DeserializeOwned>(&self, key: &Key<'_>) -> Option<T> {
        let value = self.results.get(&key.digest())?;
        T::deserialize(value).ok()
    }

    /// Records a result.
    pub(super) async fn record(
        &self,
        key: &Key<'_>,
        subject: Digest,
        result: &impl Serialize,
        cx: &Context,
    ) -> Result<()> {
        let body = json!({ "key": key.digest(), "plugin": key.plugin, "input": key.input, "result": result });
        self.note(key.stage, subject, body, cx).await
    }

    /// Records something that is never taken from the record.
    pub(super) async fn note(&self, kind: &str, subject: Digest, body: Value, cx: &Context) -> Result<()> {
        let Some(ledger) = &self.ledger else {
            return Ok(());
        };
        let record = Record { kind: kind.into(), subject, run: cx.run().into(), at: cx.now(), body };
        ledger.append(&record, cx).await.map(drop)
    }
}

fn result(body: &Value) -> Option<(Digest, Value)> {
    let key = body.get("key")?.as_str()?.parse().ok()?;
    Some((key, body.get("result")?.clone()))
}
