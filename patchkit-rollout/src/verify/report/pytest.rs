//! What pytest prints with `-v` or `-rA`.

use std::collections::BTreeMap;

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Fault, last_line, lines, message, plain, whole_lines};

/// Pytest's words for how a test ended.
const WORDS: [(&str, Status); 6] = [
    ("ERROR", Status::Errored),
    ("FAILED", Status::Failed),
    ("PASSED", Status::Passed),
    ("SKIPPED", Status::Skipped),
    ("XFAIL", Status::ExpectedFailure),
    ("XPASS", Status::Passed),
];

/// How many tests a report may have: a line of the summary can stand for any number of them.
const MAX_TESTS: usize = 100_000;

/// Reads the report. The last line's numbers must agree with the tests.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut reader = Reader::default();
    let mut total = None;
    for (number, line) in lines(text) {
        let line = plain(line);
        match totals(&line) {
            Some(totals) => total = Some((totals, number)),
            None => reader.take(line.trim_end()),
        }
    }
    let (totals, number) = total.ok_or_else(|| Fault::at(last_line(text), "the report ends before its totals"))?;
    reader.finish(&totals, number)
}

#[derive(Default)]
struct Reader {
    /// Tests and results as they came: of `-v`, and of the short summary.
    verbose: Vec<Line>,
    summary: Vec<Line>,
    in_summary: bool,
}

#[derive(Clone)]
struct Line {
    name: String,
    word: &'static str,
    said: Option<String>,
    /// How many tests were folded into it.
    count: usize,
}

impl Reader {
    fn take(&mut self, line: &str) {
        if line.contains(" short test summary info ") {
            self.in_summary = true;
        } else if self.in_summary {
            self.summary.extend(of_summary(line));
        } else if let Some(line) = verbose(line) {
            self.verbose.push(line);
        }
    }

    fn finish(mut self, totals: &BTreeMap<&'static str, usize>, number: usize) -> Result<TestRun, Fault> {
        // Without `-v` only the summary names tests; with it, the summary has the reasons, and what could not be loaded.
        let mut all = if self.verbose.is_empty() { std::mem::take(&mut self.summary) } else { self.verbose };
        for line in self.summary.into_iter().filter(|line| matches!(line.word, "ERROR" | "FAILED" | "XFAIL")) {
            match all.iter_mut().find(|known| (&known.name, known.word) == (&line.name, line.word)) {
                Some(known) => known.said = line.said.or(known.said.take()),
                None => all.push(line),
            }
        }
        if all.iter().fold(0, |sum: usize, line| sum.saturating_add(line.count)) > MAX_TESTS {
            return Err(Fault::at(number, format!("there are more than {MAX_TESTS} tests")));
        }
        for (word, _) in WORDS {
            let found: usize = all.iter().filter(|line| line.word == word).map(|line| line.count).sum();
            let said = totals.get(word).copied().unwrap_or_default();
            if found != said {
                let hint = if found < said { "; pytest needs -v or -rA to name all tests" } else { "" };
                return Err(Fault::at(
                    number,
                    format!("the last line says {said} {word}, and {found} are there{hint}"),
                ));
            }
        }
        Ok(cases(all).into_iter().collect())
    }
}

/// One case a test: its clean-up may have failed after it had passed, and then the worse of the two counts.
fn cases(lines: Vec<Line>) -> Vec<TestCase> {
    let mut tests: BTreeMap<String, Vec<TestCase>> = BTreeMap::new();
    for Line { name, word, said, count } in lines {
        let status = WORDS.iter().find(|(known, _)| *known == word).map_or(Status::Errored, |(_, status)| *status);
        let (suite, test) = split(&name);
        let case = TestCase::new(TestId::new(suite, test), status).saying(said.as_deref().and_then(message));
        let known = tests.entry(name).or_default();
        match known.last_mut() {
            Some(last) if (last.status == Status::Errored) != (status == Status::Errored) => {
                if status.rank() < last.status.rank() {
                    *last = case;
                }
            }
            _ => known.extend(std::iter::repeat_n(case, count)),
        }
    }
    tests.into_values().flatten().collect()
}

/// `tests/test_a.py::Class::test_b[x::y]` is `test_b[x::y]` in `tests/test_a.py::Class`.
fn split(name: &str) -> (&str, &str) {
    let end = name.find('[').unwrap_or(name.len());
    match name[..end].rfind("::") {
        Some(at) => (&name[..at], &name[at + 2..]),
        None => ("", name),
    }
}

/// `test_a.py::test_b PASSED   [ 10%]`, or with xdist `[gw0] [ 10%] PASSED test_a.py::test_b`.
fn verbose(line: &str) -> Option<Line> {
    if line.starts_with("[gw") {
        let rest = line.split_once("] ")?.1.trim_start();
        let rest = if rest.starts_with('[') { rest.split_once("] ")?.1 } else { rest };
        let (word, name) = rest.split_once(' ')?;
        return Some(Line { name: name.trim().into(), word: known(word)?, said: None, count: 1 });
    }
    let line = match line.rfind(" [") {
        Some(at) if line.ends_with("%]") => line[..at].trim_end(),
        _ => line,
    };
    let found = WORDS.iter().filter_map(|(word, _)| {
        let at = line.rfind(&format!(" {word}"))?;
        let rest = &line[at + 1 + word.len()..];
        let reason = rest.strip_prefix(" (").map(|reason| reason.trim_end_matches(')'));
        (rest.is_empty() || reason.is_some()).then_some((at, *word, reason))
    });
    let (at, word, reason) = found.min()?;
    let name = line[..at].trim();
    name.contains("::").then(|| Line { name: name.into(), word, said: reason.and_then(message), count: 1 })
}

/// `FAILED test_a.py::test_b - assert ...`, `SKIPPED [2] test_a.py:8: reason`.
fn of_summary(line: &str) -> Option<Line> {
    let (word, rest) = line.split_once(' ')?;
    let word = known(word)?;
    if word == "SKIPPED" {
        let (count, place) = rest.strip_prefix('[')?.split_once("] ")?;
        return Some(Line { name: place.into(), word, said: None, count: count.parse().ok()? });
    }
    // Parameters may have blanks and dashes in them too.
    let after = rest.find('[').and_then(|start| rest[start..].find("] - ").map(|end| start + end + 1));
    let (name, said) = match after {
        Some(end) => (&rest[..end], &rest[end + 3..]),
        None if rest.ends_with(']') && rest.contains("::") => (rest, ""),
        None => rest.split_once(" - ").unwrap_or((rest, "")),
    };
    Some(Line { name: name.trim().into(), word, said: message(said), count: 1 })
}

fn known(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|(known, _)| *known == word).map(|(known, _)| *known)
}

/// `=== 1 failed, 10 passed, 2 errors in 0.04s ===`, by pytest's words.
fn totals(line: &str) -> Option<BTreeMap<&'static str, usize>> {
    let line = line.trim().trim_matches('=').trim();
    let (numbers, time) = line.rsplit_once(" in ")?;
    if !time.starts_with(|digit: char| digit.is_ascii_digit()) {
        return None;
    }
    if numbers == "no tests ran" {
        return Some(BTreeMap::new());
    }
    let mut totals = BTreeMap::new();
    for part in numbers.split(", ") {
        let (number, word) = part.split_once(' ')?;
        let number = number.parse().ok()?;
        let word = match word {
            "error" | "errors" => "ERROR",
            "failed" => "FAILED",
            "passed" => "PASSED",
            "skipped" => "SKIPPED",
            "xfailed" => "XFAIL",
            "xpassed" => "XPASS",
            "deselected" | "warning" | "warnings" | "rerun" => continue,
            _ => return None,
        };
        totals.insert(word, number);
    }
    Some(totals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let run = read(text).unwrap();
        run.cases().map(|case| format!("{} {}", case.id, case.status)).collect()
    }

    #[test]
    fn a_failing_clean_up_makes_the_test_an_error() {
        let text = "a.py::x PASSED   [ 50%]\na.py::x ERROR  [ 50%]\na.py::C::y[a b] SKIPPED (no network) [100%]\n\
            = short test summary info =\nERROR a.py::x - gone\n== 1 passed, 1 skipped, 1 error in 0.10s ==\n";
        assert_eq!(shown(text), ["a.py::x errored", "a.py::C::y[a b] skipped"]);
        let x = read(text).unwrap().case(&TestId::new("a.py", "x")).cloned().unwrap();
        assert_eq!(x.message.as_deref(), Some("gone"));
    }

    #[test]
    fn files_that_cannot_be_loaded_are_errors() {
        let text = "= short test summary info =\nERROR b.py - ImportError: no\n!!! Interrupted: 1 error during collection !!!\n== 1 error in 0.10s ==\n";
        assert_eq!(shown(text), ["b.py errored"]);
    }

    #[test]
    fn xdist_and_folded_skips() {
        assert_eq!(shown("[gw1] [ 50%] PASSED a.py::x \n1 passed in 1.0s\n"), ["a.py::x passed"]);
        let text =
            "= short test summary info =\nPASSED a.py::x[c - d]\nSKIPPED [2] a.py:8: why\n1 passed, 2 skipped in 1s\n";
        assert_eq!(shown(text), ["a.py:8: why skipped", "a.py:8: why#2 skipped", "a.py::x[c - d] passed"]);
    }

    #[test]
    fn the_last_line_must_agree() {
        for text in ["", "a.py::x PASSED\n", "a.py::x PASSED\n2 passed in 0.1s\n", ".. [100%]\n2 passed in 0.1s\n"] {
            assert!(read(text).is_err(), "{text}");
        }
        assert_eq!(shown("no tests ran in 0.01s\n"), [""; 0]);
    }
}
