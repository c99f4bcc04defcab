//! Configurations of container bundles.

use patchkit_oci::runtime::builtin::check_config;

fuzz_target!(|bytes: &[u8]| {
    let _ = check_config(bytes);
});
