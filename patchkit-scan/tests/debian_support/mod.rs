//! What the Debian tests share: finding real data and the distribution's own tools, or saying why a test is skipped.

#![allow(dead_code, clippy::unwrap_used)]

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file or folder of the shared data, or `None` (said on stderr) where it is absent.
///
/// # Panics
/// When it is absent and `PATCHKIT_REQUIRE_EXTERNAL=1`.
pub(crate) fn shared_data(path: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|folder| folder.join("shared/data").join(path))
        .find(|candidate| candidate.exists());
    if found.is_none() {
        skip(&format!("shared data {path} is absent"));
    }
    found
}

/// Whether `tool` can be run.
///
/// # Panics
/// When it cannot and `PATCHKIT_REQUIRE_EXTERNAL=1`.
pub(crate) fn tool(tool: &str) -> bool {
    let runs = Command::new(tool).arg("--version").output().is_ok_and(|output| output.status.success());
    if !runs {
        skip(&format!("{tool} cannot be run"));
    }
    runs
}

/// Says why a test is skipped, or fails it where nothing may be skipped.
///
/// # Panics
/// When `PATCHKIT_REQUIRE_EXTERNAL=1`.
pub(crate) fn skip(why: &str) {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none_or(|v| v != "1"), "required: {why}");
    eprintln!("skipped: {why}");
}

/// The bytes of an `.xz` file, decompressed.
pub(crate) fn read_xz(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap();
    let mut bytes = Vec::new();
    liblzma::read::XzDecoder::new(file).read_to_end(&mut bytes).unwrap();
    bytes
}

/// Runs a command, gives its stdout.
///
/// # Panics
/// When it fails.
pub(crate) fn run(command: &mut Command) -> Vec<u8> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
