//! Maintainer scripts: whatever stands in one, a review comes out, and it names lines that are there.

use patchkit_scan::debian::{
    dpkg::script::{Invocation, PathFacts, ScriptKind, ScriptReview, review, review_in},
    version::DebVersion,
};

fuzz_target!(|data: &[u8]| {
    let script = [b"#!/bin/sh\n", data].concat();
    for (kind, old_version) in [(ScriptKind::Postinst, None), (ScriptKind::Prerm, Some("1.0-1"))] {
        let version = |text| DebVersion::parse(text).expect("a constant version");
        let (package, new_version) = ("package".into(), version("1.0-2"));
        let invocation = Invocation { script: kind, package, old_version: old_version.map(version), new_version };
        names_its_lines(&script, &review(&script, &invocation));
        names_its_lines(&script, &review_in(&script, &invocation, |_| Some(PathFacts::default())));
    }
});

fn names_its_lines(script: &[u8], review: &ScriptReview) {
    let last = script.split(|byte| *byte == b'\n').count();
    for step in &review.steps {
        assert!(1 <= step.lines.0 && step.lines.0 <= step.lines.1 && step.lines.1 <= last, "{last} lines: {step:?}");
    }
}
