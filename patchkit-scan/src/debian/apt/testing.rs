//! What the tests of this folder share: real data and tools that may be absent.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A folder of the shared test data, or `None` after saying that it is absent.
pub(crate) fn external(folder: &str) -> Option<PathBuf> {
    let found = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .map(|parent| parent.join("shared/data").join(folder))
        .find(|path| path.is_dir());
    if found.is_none() {
        absent(&format!("no folder shared/data/{folder} above the workspace"));
    }
    found
}

/// Whether a tool is missing here, after saying so.
pub(crate) fn missing_tool(name: &str) -> bool {
    let runs = Command::new(name).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !runs {
        absent(&format!("no {name} on this machine"));
    }
    !runs
}

fn absent(what: &str) {
    assert!(std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none_or(|value| value != "1"), "{what}");
    eprintln!("skipped: {what}");
}
