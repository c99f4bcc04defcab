//! Debian versions: what one prints is the same version, and the order is one.
#![no_main]

use std::cmp::Ordering;

use libfuzzer_sys::fuzz_target;
use patchkit_scan::debian::version::DebVersion;

fuzz_target!(|text: &str| {
    let versions: Vec<_> = text.lines().take(3).flat_map(DebVersion::parse_lenient).collect();
    for version in &versions {
        assert_eq!(DebVersion::parse_lenient(version.as_str()).as_ref(), Ok(version));
        assert_eq!(DebVersion::parse_lenient(&version.canonical()).as_ref(), Ok(version));
        assert_eq!(version.cmp(version), Ordering::Equal);
    }
    if let [a, b, c] = &versions[..] {
        assert_eq!(a.cmp(b), b.cmp(a).reverse());
        assert!(!(a <= b && b <= c) || a <= c);
    }
});
