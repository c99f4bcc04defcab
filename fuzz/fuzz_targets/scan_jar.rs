//! Archives of Java, and the lock files beside them.

use patchkit_scan::fuzzing;

fuzz_target!(|data: &[u8]| {
    for name in ["srv/app-1.0.jar", "gradle.lockfile", "go.mod", "Cargo.lock"] {
        for package in fuzzing::detect(name, data, data.len() as u64).unwrap_or_default() {
            assert!(!package.version.as_str().is_empty());
        }
    }
});
