//! Compressed layers: no more comes out than the limits allow.

use patchkit_core::{
    MediaType,
    image::{ReadLimits, decompress, list_layer},
};

const MOST: u64 = 4 << 20;

fuzz_target!(|data: &[u8]| {
    let mut limits = ReadLimits::default();
    (limits.layer_bytes, limits.free_bytes) = (MOST, MOST);
    for media_type in [MediaType::OCI_LAYER_GZIP, MediaType::OCI_LAYER_ZSTD] {
        if let Ok(bytes) = decompress(&media_type, data.to_vec(), &limits) {
            assert!(bytes.len() as u64 <= MOST);
            let _ = list_layer(&media_type, data.to_vec(), &limits);
        }
    }
});
