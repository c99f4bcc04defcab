//! The contract of a registry, on every place of images that is one.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use patchkit_core::conformance;
use patchkit_oci::{Layout, Store};

#[tokio::test]
async fn a_store_is_a_registry() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::create(folder.path()).await.unwrap();
    conformance::registry::suite(&store, &"registry.example.org/suite".parse().unwrap()).await.assert();
}

/// A layout is one repository, whatever it is called: a blob that another case has put is there too.
#[tokio::test]
async fn a_layout_is_a_registry_of_one_repository() {
    let folder = tempfile::tempdir().unwrap();
    let layout = Layout::create(folder.path()).await.unwrap();
    let outcomes = conformance::registry::suite(&layout, &"registry.example.org/suite".parse().unwrap()).await;
    let failed: Vec<_> = outcomes.failed().collect();
    assert_eq!(failed, ["a-wrong-blob-is-corrupt-and-not-stored"], "{outcomes}");
}
