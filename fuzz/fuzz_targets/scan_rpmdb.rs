//! The containers of rpm's headers: what they show is not longer than the file, so that no chain goes in circles.

use patchkit_scan::fuzzing;

fuzz_target!(|data: &[u8]| {
    if let Some(length) = fuzzing::rpm_database(data) {
        assert!(length <= data.len());
    }
});
