//! What `cargo nextest run` prints, for people or as libtest's JSON. Tests that are not run are named only with
//! `--status-level skip`.

use std::collections::BTreeMap;

use super::{Status, TestCase, TestId, TestRun, libtest};
use crate::verify::parse::{Fault, last_line, lines, plain, seconds, whole_lines};

/// Reads either form. The summary must be there, and agree with the tests.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    if text.trim_start().starts_with('{') {
        return libtest::read_json(text);
    }
    whole_lines(text)?;
    let mut cases: BTreeMap<(String, String), TestCase> = BTreeMap::new();
    for (number, line) in lines(text) {
        let line = plain(line);
        if let Some(summary) = summary(&line) {
            return finish(summary, cases.into_values().collect(), number);
        }
        if let Some((suite, name, case)) = parse(&line) {
            let tries = cases.get(&(suite.clone(), name.clone()));
            let failed_tries = tries.map_or(0, |before| before.failed_tries + u32::from(before.status.is_failure()));
            cases.insert((suite, name), TestCase { failed_tries, ..case });
        }
    }
    Err(Fault::at(last_line(text), "the report ends before its summary"))
}

/// `PASS [   0.004s] (1/5) program test`: status, time, which of how many, program and test.
fn parse(line: &str) -> Option<(String, String, TestCase)> {
    let (status, rest) = line.trim_start().split_once(" [")?;
    let (time, rest) = rest.split_once("] ")?;
    let rest = match rest.trim_start().strip_prefix('(') {
        Some(counted) => counted.split_once(") ")?.1,
        None => rest,
    };
    let (suite, name) = rest.trim().split_once(' ')?;
    let status = status_of(status.trim())?;
    let duration = seconds(time.trim().trim_start_matches('>').strip_suffix('s')?);
    Some((suite.into(), name.into(), TestCase::new(TestId::new(suite, name), status).took(duration)))
}

fn status_of(words: &str) -> Option<Status> {
    let tried = words.strip_prefix("TRY ").and_then(|rest| rest.split_once(' '));
    match tried.map_or(words, |(_, word)| word) {
        "PASS" | "LEAK" | "TMPASS" => Some(Status::Passed),
        "FAIL" | "LEAK-FAIL" | "FL+LK" | "FLKY-FL" => Some(Status::Failed),
        "SKIP" => Some(Status::Skipped),
        "ABORT" | "TIMEOUT" | "TMT" | "XFAIL" => Some(Status::Errored),
        other if other.starts_with("SIG") => Some(Status::Errored),
        _ => None,
    }
}

/// `Summary [   0.645s] 5 tests run: 4 passed (1 flaky), 1 failed, 1 skipped`, without what is before the numbers.
fn summary(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("Summary [")?;
    Some(rest.split_once(']')?.1.trim())
}

fn finish(summary: &str, mut cases: Vec<TestCase>, number: usize) -> Result<TestRun, Fault> {
    let fail = |message: String| Fault::at(number, message);
    let numbers = summary.split_once(" test").map_or("", |(numbers, _)| numbers);
    let (run, planned) = numbers.split_once('/').unwrap_or((numbers, numbers));
    let [run, planned] = [run, planned].map(|number| number.parse::<usize>().ok());
    let (Some(run), Some(planned)) = (run, planned) else {
        return Err(fail(format!("{summary:?} does not say how many tests ran")));
    };
    let passed = summary.split([',', ':']).find_map(|part| part.trim().split_once(" passed")?.0.parse::<usize>().ok());
    let found = cases.iter().filter(|case| case.status != Status::Skipped).count();
    let found_passed = cases.iter().filter(|case| case.status == Status::Passed).count();
    if found != run || found_passed != passed.unwrap_or_default() {
        return Err(fail(format!("the summary says {summary:?}, and there are {found} tests, {found_passed} passed")));
    }
    if run < planned {
        let said = format!("the run was given up after {run} of {planned} tests");
        cases.push(TestCase::new(TestId::new("", "run"), Status::Errored).saying(said));
    }
    Ok(cases.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "        PASS [   0.004s] (1/3) shop tests::one\n  TRY 1 FAIL [   0.223s] (───) shop tests::flaky\n  \
        TRY 2 PASS [   0.018s] (2/3) shop tests::flaky\n     SIGABRT [   0.018s] (3/3) shop::web a b\n────────────\n     \
        Summary [   0.645s] 3 tests run: 2 passed (1 flaky), 1 failed, 1 skipped\n   FLAKY 2/3 [   0.018s] (2/3) shop tests::flaky\n";

    #[test]
    fn tries_are_one_test() {
        let run = read(TEXT).unwrap();
        let shown: Vec<_> = run.cases().map(|case| (case.id.to_string(), case.status, case.failed_tries)).collect();
        let expected = [
            ("shop::tests::flaky", Status::Passed, 1),
            ("shop::tests::one", Status::Passed, 0),
            ("shop::web::a b", Status::Errored, 0),
        ];
        assert_eq!(shown, expected.map(|(name, status, tries)| (name.to_owned(), status, tries)));
    }

    #[test]
    fn the_summary_must_agree() {
        for (from, to) in [("3 tests", "4 tests"), ("2 passed", "3 passed"), ("     Summary", "     Sum")] {
            assert!(read(&TEXT.replace(from, to)).is_err(), "{to}");
        }
        let given_up = read(&TEXT.replace("3 tests run", "3/5 tests run")).unwrap();
        assert_eq!(given_up.case(&TestId::new("", "run")).unwrap().status, Status::Errored);
    }
}
