//! Versions of every scheme: the order is one, and what a Debian version prints is the same version.
//!
//! The first line names the scheme; without one, every scheme reads the lines.

use std::cmp::Ordering;

use patchkit_scan::{debian::version::DebVersion, version::Scheme};

fuzz_target!(|text: &str| {
    let (schemes, rest) = match text.split_once('\n').map(|(first, rest)| (first.parse::<Scheme>(), rest)) {
        Some((Ok(scheme), rest)) => (vec![scheme], rest),
        _ => (Scheme::ALL.to_vec(), text),
    };
    schemes.into_iter().for_each(|scheme| ordered(scheme, rest));
    rest.lines().take(3).for_each(printed);
});

/// Reads three lines and compares them.
fn ordered(scheme: Scheme, text: &str) {
    let versions: Vec<_> = text.lines().take(3).flat_map(|line| scheme.parse(line)).collect();
    for version in &versions {
        assert_eq!(version.cmp(version), Ordering::Equal);
        assert_eq!(version.against(version), Ordering::Equal);
    }
    if let [a, b, c] = &versions[..] {
        assert_eq!(a.cmp(b), b.cmp(a).reverse());
        assert_eq!(a.against(b), b.against(a).reverse());
        assert!(a.against(b).is_eq() || a.against(b) == a.cmp(b));
        assert!(!(a <= b && b <= c) || a <= c);
        assert!(a != b || a.cmp(c) == b.cmp(c));
    }
}

fn printed(text: &str) {
    let Ok(version) = DebVersion::parse_lenient(text) else { return };
    assert_eq!(DebVersion::parse_lenient(version.as_str()).as_ref(), Ok(&version));
    assert_eq!(DebVersion::parse_lenient(&version.canonical()).as_ref(), Ok(&version));
}
