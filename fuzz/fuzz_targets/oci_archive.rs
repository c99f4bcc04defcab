//! Archives of images: there are no more members than headers.

use patchkit_oci::{index_archive, parse_docker_manifest};

fuzz_target!(|data: &[u8]| {
    if let Ok(members) = index_archive(data) {
        assert!(members * 512 <= data.len());
    }
    let _ = parse_docker_manifest(data);
});
