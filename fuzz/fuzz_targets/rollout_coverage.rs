//! Coverage reports in all formats: totals are of what is there, and nothing is lost from a report to itself.

use patchkit_rollout::verify::coverage::{Coverage, CoverageFormat};

fuzz_target!(|data: &[u8]| {
    for format in CoverageFormat::ALL {
        match format.parse(data) {
            Ok(coverage) => {
                let totals = coverage.totals();
                assert!(totals.covered <= totals.coverable);
                assert!(Coverage::lost(&coverage, &coverage).is_empty());
                assert_eq!(Coverage::merged([coverage.clone()]), coverage);
            }
            Err(error) => assert!(error.message().starts_with("line "), "{error}"),
        }
    }
});
