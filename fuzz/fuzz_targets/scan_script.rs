//! Maintainer scripts: whatever stands in one, a review comes out.
#![no_main]

use libfuzzer_sys::fuzz_target;
use patchkit_scan::debian::{
    dpkg::script::{Invocation, PathFacts, ScriptKind, review, review_in},
    version::DebVersion,
};

fuzz_target!(|data: &[u8]| {
    let script = [b"#!/bin/sh\n", data].concat();
    for (kind, old_version) in [(ScriptKind::Postinst, None), (ScriptKind::Prerm, Some("1.0-1"))] {
        let version = |text| DebVersion::parse(text).expect("a constant version");
        let (package, new_version) = ("package".into(), version("1.0-2"));
        let invocation = Invocation { script: kind, package, old_version: old_version.map(version), new_version };
        let _ = review(&script, &invocation).actions();
        let _ = review_in(&script, &invocation, |_| Some(PathFacts::default())).class();
    }
});
