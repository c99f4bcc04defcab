//! What the checks of images read: capabilities, tables of sockets, secrets, first lines of scripts, accounts, lists.

use patchkit_rollout::verify::{
    fuzzing,
    hardening::{Capability, Listening, scan},
    scripts,
};

fuzz_target!(|data: &[u8]| {
    if let Ok(capability) = Capability::parse(data) {
        assert!(!capability.to_string().is_empty());
    }
    let (first, second) = data.split_at(data.len() / 2);
    let lines = data.iter().filter(|byte| **byte == b'\n').count();
    if let Ok(listening) = Listening::parse(first, second) {
        assert!(listening.sockets.len() <= lines + 2);
    }
    for secret in scan(data) {
        assert!(secret.range.start < secret.range.end && secret.range.end <= data.len());
    }
    if let Some(shebang) = scripts::parse(data) {
        assert!(!shebang.interpreter.is_empty());
    }
    assert!(fuzzing::accounts(data) <= 3 * (lines + 1));
    assert!(fuzzing::owned_files(data) <= 2 * (lines + 1));
});
