//! What CTest prints.

use std::collections::BTreeMap;

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Fault, last_line, lines, message, plain, seconds, whole_lines};

/// Reads the report. Its last lines must agree with the tests.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut tests: BTreeMap<u32, TestCase> = BTreeMap::new();
    let mut planned = 0;
    for (number, line) in lines(text) {
        let line = plain(line);
        if line == "No tests were found!!!" {
            return Ok(TestRun::default());
        }
        if let Some((failed, total)) = totals(&line) {
            return finish(tests.into_values().collect(), planned, failed, total, number);
        }
        if let Some((count, at, case)) = parse(&line) {
            planned = count.unwrap_or(planned);
            let failed_tries = tests.get(&at).map_or(0, |before| before.failed_tries + 1);
            tests.insert(at, TestCase { failed_tries, ..case });
        }
    }
    Err(Fault::at(last_line(text), "the report ends before its totals"))
}

/// `1/8 Test #1: price ......   Passed    0.01 sec`: of how many, which, and the test. A test that is tried again has
/// no number before it.
fn parse(line: &str) -> Option<(Option<usize>, u32, TestCase)> {
    let (counter, rest) = line.split_once("Test ")?;
    let count = match counter.trim() {
        "" => None,
        counter => Some(counter.split_once('/').filter(|(at, _)| at.parse::<usize>().is_ok())?.1.parse().ok()?),
    };
    let (at, rest) = rest.trim_start().strip_prefix('#')?.split_once(": ")?;
    let dots = rest.rfind("..")?;
    let name = rest[..dots].trim_end_matches('.').trim();
    let (status, duration, said) = result(rest[dots + 2..].trim_start_matches('.').trim());
    Some((count, at.parse().ok()?, TestCase::new(TestId::new("", name), status).took(duration).saying(said)))
}

fn result(result: &str) -> (Status, Option<std::time::Duration>, Option<String>) {
    let timed = result.strip_suffix(" sec").and_then(|rest| rest.rsplit_once(' '));
    let (words, duration) = timed.map_or((result, None), |(words, time)| (words.trim(), seconds(time)));
    let words = words.trim_start_matches('*').trim();
    let status = match words {
        "Passed" => Status::Passed,
        "Not Run (Disabled)" | "Skipped" => Status::Skipped,
        _ if words.starts_with("Failed") => Status::Failed,
        _ => Status::Errored,
    };
    (status, duration, if status == Status::Passed { None } else { message(words) })
}

/// `29% tests passed, 5 tests failed out of 7`: how many failed, of how many.
fn totals(line: &str) -> Option<(usize, usize)> {
    let (_, rest) = line.split_once("% tests passed")?;
    let (failed, total) = rest.rsplit_once(" out of ")?;
    let failed = match failed.trim_start_matches(',').trim() {
        "" => 0,
        failed => failed.split(' ').next()?.parse().ok()?,
    };
    Some((failed, total.trim().parse().ok()?))
}

/// Tests that are disabled are not in CTest's total.
fn finish(cases: Vec<TestCase>, planned: usize, failed: usize, total: usize, number: usize) -> Result<TestRun, Fault> {
    let found_failed = cases.iter().filter(|case| case.status.is_failure()).count();
    if cases.len() < planned.max(total) || found_failed != failed {
        let found = cases.len();
        let said = format!("there should be {} tests, {failed} failed", planned.max(total));
        return Err(Fault::at(number, format!("{said}, and there are {found}, {found_failed} failed")));
    }
    Ok(cases.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "1/3 Test #1: a.b ......   Passed    0.01 sec\n2/3 Test  #2: two words ...***Failed  Error  0.00 sec\n\
        3/3 Test #10: off ....***Not Run (Disabled)   0.00 sec\n\n50% tests passed, 1 tests failed out of 2\n";

    #[test]
    fn tests_and_totals() {
        let run = read(TEXT).unwrap();
        let shown: Vec<_> = run.cases().map(|case| format!("{} {}", case.id, case.status)).collect();
        assert_eq!(shown, ["a.b passed", "off skipped", "two words failed"]);
        let again =
            TEXT.replace("3/3", "    Test #2: two words ....   Passed 1.00 sec\n3/3").replace("1 tests", "0 tests");
        assert_eq!(read(&again).unwrap().case(&TestId::new("", "two words")).unwrap().failed_tries, 1);
    }

    #[test]
    fn the_totals_must_agree() {
        for (from, to) in [("1 tests", "2 tests"), ("out of 2", "out of 4"), ("1/3 Test", "1/3 Text"), ("50%", "50")] {
            assert!(read(&TEXT.replace(from, to)).is_err(), "{to}");
        }
    }
}
