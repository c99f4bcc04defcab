//! Package indexes: every package can be found by its name, and no file lies outside the archive.

use std::sync::{Arc, LazyLock};

use patchkit_scan::debian::apt::{
    index::{Origin, PackageIndex},
    release::Release,
    sources::parse_sources,
};

static ORIGIN: LazyLock<Origin> = LazyLock::new(|| {
    let source = parse_sources("a.list", b"deb http://example.org/debian stable main").expect("a constant source");
    let source = source.into_iter().next().expect("a constant source");
    let release = Release::parse("Date: Thu, 01 Jan 2026 00:00:00 UTC\n").expect("a constant release");
    Origin { source, release: Arc::new(release), component: "main".into() }
});

fuzz_target!(|data: &[u8]| {
    let Ok(index) = PackageIndex::parse(data.to_vec(), "amd64", ORIGIN.clone()) else { return };
    let index = Arc::new(index);
    for package in index.packages() {
        assert!(index.named(package.name()).any(|found| found.version() == package.version()));
        let _ = (package.source_name(), package.source_version(), package.is_essential());
        if let Ok(file) = package.file() {
            let url = package.origin().source.file_url(&file.path);
            assert!(url.as_str().starts_with(package.origin().source.uri.as_str()), "{url}");
        }
    }
    assert!(index.providing().count() <= index.len());
});
