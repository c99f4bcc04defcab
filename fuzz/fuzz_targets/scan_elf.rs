//! What post-installation scripts look at inside files: libraries, the linker's cache, certificates, dpkg's filters.

use patchkit_scan::debian::{
    install::{ca_certificates::subject_hash, elf::Elf, filter::PathFilter, ldcache::Dialect},
    path::PackagePath,
};

fuzz_target!(|data: &[u8]| {
    if let Some(elf) = Elf::parse(data) {
        assert!(elf.isa_level <= 64);
    }
    let _ = (Dialect::of_program(data), Dialect::of_cache(data), subject_hash(data));
    let mut filter = PathFilter::default();
    filter.add(data);
    let path = PackagePath::from_archive(b"usr/share/doc/package/copyright").expect("a constant path");
    let _ = (filter.excludes(&path, false), filter.excludes(&path, true));
});
