//! The archive inside a layer: however it is reached, it lists the same, and no path leads out of it.

use patchkit_core::{
    MediaType,
    image::{ReadLimits, list_layer, read_tar},
};

fuzz_target!(|data: &[u8]| {
    let Ok(entries) = read_tar(data) else { return };
    for entry in &entries {
        assert!(entry.path.components().all(|part| !matches!(part, b"." | b"..")));
        assert!(entry.offset + entry.size() < data.len() as u64);
    }
    let listed = list_layer(&MediaType::OCI_LAYER, data.to_vec(), &ReadLimits::default());
    assert_eq!(listed.ok(), Some(entries));
});
