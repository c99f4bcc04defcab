//! Compiled advisory databases: whatever opens is read through or refused, and so is each part as if its hash were right.

use patchkit_scan::{advisory::AdvisoryStore, fuzzing};

fuzz_target!(|data: &[u8]| {
    fuzzing::database_parts(data);
    let Ok(store) = AdvisoryStore::of_bytes(data.to_vec()) else { return };
    let scopes: Vec<_> = store.scopes().cloned().collect();
    for scope in &scopes {
        assert!(store.covers(scope));
        let _ = store.claims(scope, "curl");
    }
    let _ = store.verify();
});
