//! The header of an rpm package: it does not have more files than bytes.

use patchkit_scan::fuzzing;

fuzz_target!(|data: &[u8]| {
    if let Some(files) = fuzzing::rpm_header(data) {
        assert!(files <= data.len());
    }
});
