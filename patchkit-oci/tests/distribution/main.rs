//! The registry client against registries that behave, and against such that do not.

#![allow(clippy::unwrap_used, missing_docs, unreachable_pub)]

mod auth;
mod download;
mod external;
mod fake;
mod manifests;
mod network;
mod referrers;
mod server;
mod upload;

use std::time::Duration;

use patchkit_core::{Repository, Retry};
use patchkit_oci::distribution::{AuthFiles, Options, ProxyChoice, RegistryClient, RetryPolicy};

/// Options for tests: nothing of the surroundings, and little patience.
fn options() -> Options {
    let retry = RetryPolicy { first: Duration::from_millis(1), ..RetryPolicy::default() };
    Options::default().with_auth_files(AuthFiles::Nowhere).with_proxy(ProxyChoice::Direct).with_retry(retry)
}

fn client() -> RegistryClient {
    RegistryClient::new(options()).unwrap()
}

fn repository(server: &server::Server) -> Repository {
    format!("{}/app", server.host()).parse().unwrap()
}

/// Bytes that do not repeat.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[1]
    };
    (0..length).map(|_| next()).collect()
}

fn seconds(seconds: u64) -> Retry {
    Retry::After(Some(Duration::from_secs(seconds)))
}
