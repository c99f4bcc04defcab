use std::process::Command;

use super::*;
use crate::debian::apt::testing::missing_tool;

fn date() -> Timestamp {
    "2026-01-01T00:00:00Z".parse().expect("a time")
}

fn hello() -> DebBuilder {
    DebBuilder::new("hello", "1:1.0-1", "amd64")
        .with_field("Recommends", "libc6")
        .with_control_file("postinst", 0o755, *b"#!/bin/sh\n")
        .with_file("usr/share/doc/hello/copyright", 0o644, *b"free\n")
        .with_file("usr/bin/hello", 0o755, *b"#!/bin/sh\necho hello\n")
        .with_symlink("usr/bin/hi", "hello")
        .with_folder("var/lib/hello")
}

#[test]
fn dpkg_deb_reads_what_we_build() {
    if missing_tool("dpkg-deb") {
        return;
    }
    for compression in [Compression::Xz, Compression::Gzip, Compression::Zstd, Compression::None] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("x.deb");
        std::fs::write(&path, hello().with_compression(compression).build().expect("built").bytes).expect("written");
        let run = |arguments: &[&str]| {
            let output = Command::new("dpkg-deb").args(arguments).arg(&path).output().expect("runs");
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).expect("text")
        };
        assert!(run(&["--field"]).contains("Package: hello\nVersion: 1:1.0-1\n"));
        let contents = run(&["--contents"]);
        assert!(contents.contains("-rwxr-xr-x root/root        21 1970-01-01 00:00 ./usr/bin/hello\n"), "{contents}");
        assert!(contents.contains("./usr/bin/hi -> hello\n") && contents.contains("./var/lib/hello/\n"), "{contents}");
        assert!(run(&["--ctrl-tarfile"]).contains("postinst"));
    }
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    assert_eq!(hello().build().expect("built").bytes, hello().build().expect("built").bytes);
    let refused = hello().with_compression(Compression::Lzma).build().expect_err("not written");
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    let long = hello().with_file(&"x".repeat(100), 0o644, *b"").build().expect_err("too long");
    assert_eq!(long.kind(), io::ErrorKind::InvalidInput);
}

/// apt itself takes the archive for sound.
#[test]
fn apt_accepts_the_archive() {
    if missing_tool("apt-get") {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let at = |path: &str| folder.path().join(path);
    let key = ArchiveKey::generate("archive", date()).expect("a key");
    let archive = ArchiveBuilder::new("stable", date()).with_package(hello().build().expect("built"));
    write_archive(&archive.build(&key).expect("made"), &at("archive")).expect("written");
    for path in ["state/lists/partial", "cache/archives/partial", "etc/preferences.d"] {
        fs::create_dir_all(at(path)).expect("made");
    }
    fs::write(at("state/status"), "").expect("written");
    fs::write(at("key.gpg"), key.public_keyring().expect("public")).expect("written");
    let line = format!("deb [signed-by={}] file:{} stable main\n", at("key.gpg").display(), at("archive").display());
    fs::write(at("etc/sources.list"), line).expect("written");
    let apt = |arguments: &[&str]| {
        let options = [
            ("Dir::State", "state"),
            ("Dir::State::status", "state/status"),
            ("Dir::Cache", "cache"),
            ("Dir::Etc", "etc"),
        ];
        let options = options.map(|(name, path)| format!("-o{name}={}", at(path).display()));
        let quiet = [
            "-oAPT::Architecture=amd64",
            "-oAcquire::Languages=none",
            "-oAPT::Sandbox::User=",
            "-oDebug::NoLocking=1",
            "-oDir::Etc::sourceparts=/dev/null",
        ];
        let output = Command::new("apt-get").args(options).args(quiet).args(arguments).output().expect("runs");
        let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && !text.contains("W:"), "{text}");
        text
    };
    apt(&["update"]);
    assert!(apt(&["install", "--print-uris", "-y", "hello"]).contains("hello_1.0-1_amd64.deb"));
}
