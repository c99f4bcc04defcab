//! Test reports in all formats: a fault names its line, and what was read survives being stored.

use patchkit_rollout::verify::report::{Format, TestRun};

fuzz_target!(|data: &[u8]| {
    for format in Format::ALL {
        match format.parse(data) {
            Ok(run) => {
                assert_eq!(run.counts().total(), run.len());
                let stored = Vec::from(run.clone());
                assert_eq!(TestRun::from(stored), run);
            }
            Err(error) => assert!(error.message().starts_with("line "), "{error}"),
        }
    }
});
