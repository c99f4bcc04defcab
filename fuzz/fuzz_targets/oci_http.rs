//! What registries and their clients say over HTTP: a part that is asked for lies inside the blob.

use patchkit_oci::{
    distribution::foreign,
    serve::{Asked, parse_content_range, parse_range},
};

fuzz_target!(|data: &[u8]| {
    foreign::auth_file(data);
    foreign::challenges(data);
    foreign::error(data);
    foreign::link(data);
    foreign::referrer_list(data);
    foreign::tag_list(data);
    let Ok(header) = std::str::from_utf8(data) else { return };
    for size in [0, 1, 1000, u64::MAX] {
        if let Asked::Part(start, end) = parse_range(header, size) {
            assert!(start < end && end <= size);
        }
    }
    if let Some((first, last)) = parse_content_range(header) {
        assert!(first <= last);
    }
});
