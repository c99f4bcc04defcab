//! The databases of apk and pacman: they do not have more packages or files than lines.

use patchkit_scan::fuzzing;

fuzz_target!(|data: &[u8]| {
    let lines = data.iter().filter(|byte| **byte == b'\n').count();
    if let Some((packages, files)) = fuzzing::apk_installed(data) {
        assert!(2 * packages + files <= lines);
    }
    if let Some(files) = fuzzing::pacman_local(data) {
        assert!(files <= lines);
    }
});
