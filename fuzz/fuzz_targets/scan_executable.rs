//! Programs of every format, under a name that has its version strings looked for too.

use patchkit_scan::fuzzing;

fuzz_target!(|data: &[u8]| {
    for name in ["usr/bin/busybox", "usr/lib/libpython3.11.so.1.0"] {
        let found = fuzzing::detect(name, data, data.len() as u64);
        assert!(found.is_ok(), "a damaged program has no packages: {found:?}");
    }
});
