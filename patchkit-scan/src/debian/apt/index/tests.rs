use std::time::Instant;

use proptest::prelude::*;

use super::*;
use crate::debian::apt::{sources::parse_sources, testing::external};

const HELLO: &str = "Package: hello\nVersion: 1:2.10-3\nArchitecture: amd64\nSource: hello-src (1:2.10)\nProvides: greeting (= 2), salute\n\
                     Filename: pool/h/hello_2.10-3_amd64.deb\nSize: 12\nSHA256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\nEssential: yes\n";

pub(crate) fn origin() -> Origin {
    let source = parse_sources("s.list", b"deb http://deb.example.org/debian stable main\n").expect("sound").remove(0);
    let release = Release::parse("Suite: stable\nDate: Sat, 11 Jul 2026 10:16:37 UTC\n").expect("sound");
    Origin { source, release: Arc::new(release), component: "main".to_owned() }
}

fn index(text: &str) -> Arc<PackageIndex> {
    Arc::new(PackageIndex::parse(text.as_bytes().to_vec(), "amd64", origin()).expect(text))
}

fn one(text: &str) -> AvailablePackage {
    index(text).packages().next().expect("one")
}

#[test]
fn fields_of_a_package() {
    let package = one(HELLO);
    assert_eq!((package.name(), package.version(), package.architecture()), ("hello", "1:2.10-3", "amd64"));
    assert_eq!((package.source_name().as_str(), package.source_version().as_str()), ("hello-src", "1:2.10"));
    assert_eq!(package.provides(), "greeting (= 2), salute");
    assert!(package.is_essential());
    let file = package.file().expect("complete");
    assert_eq!((file.path.as_str(), file.size, file.digest), ("pool/h/hello_2.10-3_amd64.deb", 12, Digest::of("")));
    assert_eq!(package.field("Depends"), None);

    let plain = one(&HELLO.replace("Source: hello-src (1:2.10)\n", ""));
    assert_eq!((plain.source_name().as_str(), plain.source_version().as_str()), ("hello", "1:2.10-3"));
    let named = one(&HELLO.replace(" (1:2.10)", ""));
    assert_eq!((named.source_name().as_str(), named.source_version().as_str()), ("hello-src", "1:2.10-3"));
}

#[test]
fn packages_are_found_by_name() {
    let stanza =
        |name, version, architecture| format!("Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n");
    let index = index(
        &[
            stanza("b", "1", "all"),
            stanza("a", "1", "amd64"),
            stanza("b", "2", "amd64"),
            stanza("b", "1", "arm64"),
            stanza("ba", "1", "all"),
        ]
        .join("\n"),
    );
    let versions: Vec<_> = index.named("b").map(|package| package.version().to_owned()).collect();
    assert_eq!((index.len(), versions), (4, vec!["1".to_owned(), "2".to_owned()]));
    for absent in ["", "A", "c", "aa"] {
        assert_eq!(index.named(absent).count(), 0, "{absent}");
    }
}

#[test]
fn paths_that_leave_the_archive_are_refused() {
    for path in ["../etc/passwd", "pool/../../x.deb", "/etc/passwd", "http://evil.example.org/x.deb", "..", "a\\..\\b"]
    {
        let package = one(&HELLO.replace("pool/h/hello_2.10-3_amd64.deb", path));
        let error = package.file().expect_err(path).to_string();
        assert_eq!(error, "line 1: hello: Filename leads out of the archive");
    }
    for path in ["./x.deb", "pool/x_1:2_all.deb", "pool/..x/y..deb"] {
        one(&HELLO.replace("pool/h/hello_2.10-3_amd64.deb", path)).file().expect(path);
    }
}

#[test]
fn faults_name_line_package_and_field() {
    let fault =
        |text: String| PackageIndex::parse(text.into_bytes(), "amd64", origin()).expect_err("damaged").to_string();
    let after = |text: &str| fault(format!("{HELLO}\n{text}"));
    assert_eq!(after("Package: b\nArchitecture: all\n"), "line 11: b: Version is missing");
    assert_eq!(
        after("Package: b/c\nVersion: 1\nArchitecture: all\n"),
        "line 11: b/c: Package has a value that it cannot have"
    );
    assert_eq!(after("Package: b\nVersion: 1\nVersion: 2\n"), "line 13: field Version is given twice");
    assert_eq!(after("Package: b\nVersion: 1"), "line 12: the file ends inside a line");
    let weak = one(&HELLO.replace("SHA256: ", "SHA1: ")).file().expect_err("weak").to_string();
    assert_eq!(weak, "line 1: hello: SHA256 is missing or wrong");
}

#[test]
fn a_whole_release_is_read_at_once() {
    let Some(archive) = external("deb/archive") else {
        return;
    };
    let file =
        std::fs::File::open(archive.join("debian/dists/bookworm/main/binary-amd64/Packages.xz")).expect("an index");
    let mut text = Vec::new();
    std::io::Read::read_to_end(&mut liblzma::read::XzDecoder::new(file), &mut text).expect("decompressed");
    let started = Instant::now();
    let index = Arc::new(PackageIndex::parse(text, "amd64", origin()).expect("sound"));
    eprintln!("{} packages in {:?}", index.len(), started.elapsed());
    assert!(index.len() > 63_000);
    assert_eq!(index.named("bash").count(), 1);
    let broken = index.packages().filter(|package| package.file().is_err()).count();
    assert_eq!(broken, 0);
}

proptest! {
    #[test]
    fn never_panics(text in "(Package: [ab/]|Version: [0-9:~]|Architecture: (all|amd64)|Filename: [a./]{1,4}|Size: [0-9a]|[^x]|\n|\n\n| ){0,20}\n?") {
        if let Ok(index) = PackageIndex::parse(text.into_bytes(), "amd64", origin()) {
            for package in Arc::new(index).packages() {
                let _ = (package.file(), package.source_name(), package.provides().len());
            }
        }
    }
}
