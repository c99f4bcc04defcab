#![no_main]
//! Configurations of container bundles.

use libfuzzer_sys::fuzz_target;
use patchkit_oci::runtime::builtin::check_config;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_config(bytes);
});
