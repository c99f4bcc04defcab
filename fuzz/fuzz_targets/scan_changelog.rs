//! Changelogs: only what was fixed above the installed version, and up to the available one, is told.

use patchkit_scan::{
    advisory::{
        End, Scope, Status,
        changelog::{SourceUpgrade, advisories, entries},
    },
    debian::version::DebVersion,
};

fuzz_target!(|data: &[u8]| {
    assert!(entries(data).iter().flat_map(|entry| &entry.cves).all(|id| id.is_cve()));
    let version = |text| DebVersion::parse(text).expect("a constant version");
    let (installed, available) = (version("1.0-1"), version("1.0-9"));
    let package = "foo".parse().expect("a constant name");
    let upgrade = SourceUpgrade { package, installed, available };
    for advisory in advisories(data, &upgrade, &Scope::new("debian", Some("12"))) {
        let Status::Affected(ranges) = advisory.status else { panic!("it was fixed") };
        for range in ranges {
            let End::Fixed(fixed) = range.end else { panic!("it was fixed") };
            let fixed = DebVersion::parse_lenient(&fixed).expect("it was read before");
            assert!(upgrade.installed < fixed && fixed <= upgrade.available);
        }
    }
});
