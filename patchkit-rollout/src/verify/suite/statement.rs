//! What a suite showed, as a statement that can be signed.

use std::collections::BTreeSet;

use patchkit_core::{
    Digest, Image,
    attestation::{Statement, TEST_RESULT},
};
use serde_json::json;

use super::SuiteRun;
use crate::verify::report::TestId;

/// The in-toto statement of a run (in-toto attestation framework, predicate "Test Result" v0.1).
///
/// Tests that are shaky, or whose difference was accepted, are warnings. It passes where the comparison did.
pub(super) fn statement(
    name: &str,
    image: &Image,
    suite: Digest,
    run: &SuiteRun,
    warned: &BTreeSet<TestId>,
    passes: bool,
) -> Statement {
    let names = |wanted: &dyn Fn(&TestId, bool) -> bool| -> Vec<String> {
        let cases = run.tests.cases().filter(|case| wanted(&case.id, case.status.is_failure()));
        cases.map(|case| case.id.to_string()).collect()
    };
    let result = match (passes, warned.is_empty()) {
        (false, _) => "FAILED",
        (true, false) => "WARNED",
        (true, true) => "PASSED",
    };
    let predicate = json!({
        "result": result,
        "configuration": [{ "name": "suite", "digest": { suite.algorithm().as_str(): suite.hex() } }],
        "passedTests": names(&|id, failed| !failed && !warned.contains(id)),
        "warnedTests": names(&|id, _| warned.contains(id)),
        "failedTests": names(&|id, failed| failed && !warned.contains(id)),
    });
    Statement::about(name, image.descriptor(), TEST_RESULT, predicate)
}
