//! The dependency star: core does no network, file or process and names no vendor; siblings never import each other.
#![allow(clippy::unwrap_used)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

const SIBLINGS: [&str; 3] = ["patchkit-oci", "patchkit-scan", "patchkit-rollout"];

/// Crates that do network, files, processes or TLS.
const OUTSIDE: [&str; 16] = [
    "async-process",
    "aws-lc-rs",
    "axum",
    "curl",
    "hyper",
    "mio",
    "native-tls",
    "nix",
    "openssl",
    "reqwest",
    "ring",
    "rusqlite",
    "rustix",
    "rustls",
    "socket2",
    "ureq",
];

/// Parts of the standard library that do the same.
const SYSTEM: [&str; 4] = ["std::fs", "std::net::Tcp", "std::os", "std::process"];

const VENDORS: [&str; 11] =
    ["alpine", "cosign", "debian", "fedora", "github", "grype", "kubernetes", "redhat", "sigstore", "trivy", "ubuntu"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tool is a folder of the workspace").to_owned()
}

fn tree(package: &str, edges: &str) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--all-features", "--prefix", "none", "-p", package, "-e", edges])
        .current_dir(root())
        .output()
        .expect("cargo runs, since it runs this test");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8").lines().map(Into::into).collect()
}

fn depends_on(tree: &[String], name: &str) -> bool {
    tree.iter().skip(1).any(|line| line.split(' ').next() == Some(name))
}

#[test]
fn core_depends_on_nothing_that_does_io() {
    let tree = tree("patchkit-core", "normal");
    let found: Vec<_> = OUTSIDE.into_iter().filter(|name| depends_on(&tree, name)).collect();
    assert!(found.is_empty(), "patchkit-core depends on {found:?}");
}

#[test]
fn core_uses_only_the_quiet_parts_of_tokio() {
    let tree = tree("patchkit-core", "normal,features");
    for feature in ["fs", "full", "net", "process", "signal"] {
        let line = format!("tokio feature \"{feature}\"");
        assert!(!tree.iter().any(|found| found.starts_with(&line)), "patchkit-core uses {line}");
    }
}

#[test]
fn siblings_meet_in_core_only() {
    for package in SIBLINGS {
        let tree = tree(package, "normal,build");
        assert!(depends_on(&tree, "patchkit-core"));
        let found: Vec<_> = SIBLINGS.into_iter().filter(|name| depends_on(&tree, name)).collect();
        assert!(found.is_empty(), "{package} depends on {found:?}");
    }
}

#[test]
fn core_names_no_vendor_and_no_system_call() {
    let mut files = Vec::new();
    sources(&root().join("patchkit-core/src"), &mut files);
    assert!(files.len() > 30, "the sources of core were not found");
    for path in files {
        let text = fs::read_to_string(&path).expect("a source file is UTF-8");
        let product = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        for (number, line) in product.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let lower = line.to_lowercase();
            let found =
                VENDORS.iter().find(|name| lower.contains(*name)).or(SYSTEM.iter().find(|call| line.contains(*call)));
            assert!(found.is_none(), "{}:{}: {}", path.display(), number + 1, line.trim());
        }
    }
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("the folder is readable").path();
        match path.is_dir() {
            true => sources(&path, found),
            // A module of tests in a file of its own may use what it likes.
            false if path.ends_with("tests.rs") => {}
            false => found.push(path),
        }
    }
}
