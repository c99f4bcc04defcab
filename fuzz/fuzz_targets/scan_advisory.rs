//! Advisories in every format, also compressed and in archives: what can be read can be asked.

use patchkit_scan::advisory::{self, AdvisoryStore, Scope, input};

fuzz_target!(|data: &[u8]| {
    let mut found = Vec::new();
    let format = advisory::read("input", data, &mut |statement| found.push(statement));
    let is_tar = data.get(257..262) == Some(b"ustar");
    if let (Ok(format), Ok(detected), false) = (format, input::detect(data), is_tar) {
        assert_eq!(detected, format);
    }
    let mut builder = advisory::Builder::default();
    found.into_iter().for_each(|statement| builder.take(statement));
    let store: AdvisoryStore = builder.build();
    assert!(store.claims(&Scope::new("debian", Some("12")), "openssl").expect("just built").len() < 65536);
});
