//! Pins: whatever they say, a choice is among what there is to choose from.

use std::sync::{Arc, LazyLock};

use patchkit_scan::debian::apt::{
    index::{Origin, PackageIndex},
    preferences::Preferences,
    release::Release,
    sources::parse_sources,
};

static INDEX: LazyLock<Arc<PackageIndex>> = LazyLock::new(|| {
    let source = parse_sources("a.list", b"deb http://example.org/debian stable main").expect("a constant source");
    let source = source.into_iter().next().expect("a constant source");
    let release = "Origin: Debian\nLabel: Debian\nSuite: stable\nCodename: trixie\nVersion: 13.1\n\
                   Date: Thu, 01 Jan 2026 00:00:00 UTC\n";
    let release = Arc::new(Release::parse(release).expect("a constant release"));
    let packages = b"Package: foo\nSource: bar (1.0)\nVersion: 1.0-1\nArchitecture: amd64\n\n\
                     Package: foo\nVersion: 2:0~a\nArchitecture: amd64\n";
    let origin = Origin { source, release, component: "main".into() };
    Arc::new(PackageIndex::parse(packages.to_vec(), "amd64", origin).expect("a constant index"))
});

fuzz_target!(|data: &[u8]| {
    let Ok(pins) = Preferences::new().with_file("preferences", data) else { return };
    let installed = "1.0-0".parse().expect("a constant version");
    for installed in [None, Some(&installed)] {
        if let Some(choice) = pins.candidate(installed, INDEX.packages()) {
            assert_eq!(choice.priority, pins.priority(&choice.package));
            assert!(choice.priority > 0);
        }
    }
});
