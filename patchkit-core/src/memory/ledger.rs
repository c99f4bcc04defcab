use std::sync::{Arc, Mutex};

use async_trait::async_trait;

use crate::{Context, Entry, Ledger, Plugin, PluginInfo, Record, Result};

/// A ledger in memory. Clones share the entries.
#[derive(Clone, Debug, Default)]
pub struct MemoryLedger(Arc<Mutex<Vec<Entry>>>);

impl MemoryLedger {
    /// All entries, to look at in tests.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.0.lock().expect("nobody panics while holding the lock").clone()
    }
}

impl Plugin for MemoryLedger {
    fn info(&self) -> PluginInfo {
        PluginInfo::new("memory", env!("CARGO_PKG_VERSION"))
    }
}

#[async_trait]
impl Ledger for MemoryLedger {
    async fn append(&self, record: &Record, _cx: &Context) -> Result<Entry> {
        let mut entries = self.0.lock().expect("nobody panics while holding the lock");
        let entry = Entry::after(entries.last(), record.clone());
        entries.push(entry.clone());
        Ok(entry)
    }

    async fn read(&self, from: u64, limit: usize, _cx: &Context) -> Result<Vec<Entry>> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.entries().into_iter().skip(from).take(limit).collect())
    }
}
