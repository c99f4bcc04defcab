//! Advisories in every format: what can be read can be asked.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchkit_scan::advisory::{self, AdvisoryStore, Scope, input};

fuzz_target!(|data: &[u8]| {
    let mut found = Vec::new();
    let format = advisory::read("input", data, &mut |advisory| found.push(advisory));
    if let Ok(format) = format
        && !data.starts_with(&[0x1f, 0x8b])
    {
        assert_eq!(input::detect(data).ok(), Some(format));
    }
    let mut builder = advisory::Builder::default();
    found.into_iter().for_each(|advisory| builder.add(advisory));
    let store: AdvisoryStore = builder.build();
    assert!(store.claims(&Scope::new("debian", Some("12")), "openssl").expect("just built").len() < 65536);
});
