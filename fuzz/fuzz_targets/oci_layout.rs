//! The two small files of an image layout.

use patchkit_oci::{IndexFile, parse_marker};

fuzz_target!(|data: &[u8]| {
    let _ = (IndexFile::parse(data), parse_marker(data));
});
