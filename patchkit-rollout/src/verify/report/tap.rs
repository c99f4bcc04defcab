//! The Test Anything Protocol: versions 12 and 13, and 14 with its subtests.
//!
//! Source: the specification of TAP 14, and what Perl's Test::More and PostgreSQL's pg_regress print.

use std::{collections::BTreeSet, time::Duration};

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Fault, last_line, lines, message, whole_lines};

/// How many tests a plan may have.
const MAX_PLAN: usize = 1_000_000;

/// How many tests may be missing from a report: a line of ten bytes can plan them all.
const MAX_MISSING: usize = 100_000;

/// How deep subtests may be.
const MAX_DEPTH: usize = 32;

/// Reads the report. Tests of the plan that have no line are errors by their number.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut levels = vec![Level::default()];
    let mut left = MAX_MISSING;
    let mut in_yaml = false;
    for (number, line) in lines(text) {
        let content = line.trim();
        let indent = line.len() - line.trim_start_matches(' ').len();
        match content {
            "---" if indent % 4 == 2 => in_yaml = true,
            "..." if in_yaml => in_yaml = false,
            _ if in_yaml => {
                if let Some(said) = content.strip_prefix("message:") {
                    levels.last_mut().expect("the root stays").say(said.trim().trim_matches(['\'', '"']));
                }
            }
            _ => take(&mut levels, &mut left, indent, content, number)?,
        }
    }
    let end = last_line(text);
    match (levels.len(), levels.pop()) {
        (1, Some(root)) if !in_yaml => {
            let cases = root.finish("the report", &mut left, end)?;
            Ok(cases.into_iter().map(|(suite, case)| case.named(&suite)).collect())
        }
        _ => Err(Fault::at(end, "the report ends within a subtest")),
    }
}

/// The tests at one depth.
#[derive(Default)]
struct Level {
    /// What a comment before it says that it is called.
    name: Option<String>,
    plan: Option<usize>,
    skips_all: Option<String>,
    bailed: Option<String>,
    seen: BTreeSet<usize>,
    last: usize,
    /// The tests with the subtests they are in.
    cases: Vec<(String, Line)>,
    /// What the next subtest is called.
    next: Option<String>,
}

/// A test's line.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    status: Status,
    message: Option<String>,
    duration: Option<Duration>,
}

impl Line {
    fn named(self, suite: &str) -> TestCase {
        TestCase::new(TestId::new(suite, &self.name), self.status).took(self.duration).saying(self.message)
    }
}

fn take(levels: &mut Vec<Level>, left: &mut usize, indent: usize, content: &str, number: usize) -> Result<(), Fault> {
    let is_ours = indent.is_multiple_of(4) && is_protocol(content);
    if !is_ours {
        return Ok(());
    }
    // TAP 14 announces a subtest before its first line, Test::More within it.
    let depth = indent / 4;
    if depth >= MAX_DEPTH || depth > levels.len() {
        return Err(Fault::at(number, "a subtest is too deep"));
    }
    if depth == levels.len() {
        let name = levels.last_mut().and_then(|level| level.next.take());
        levels.push(Level { name, ..Level::default() });
    }
    if let Some(name) = content.strip_prefix("# Subtest:") {
        let level = &mut levels[depth];
        if level.seen.is_empty() && level.plan.is_none() && level.name.is_none() && depth > 0 {
            level.name = Some(name.trim().to_owned());
        } else {
            level.next = Some(name.trim().to_owned());
        }
        return Ok(());
    }
    let mut test = parse_test(content);
    let mut inner = Vec::new();
    while levels.len() > depth + 1 {
        let level = levels.pop().expect("it is deeper than the root");
        let fallback = test.as_ref().map(|(_, line)| line.name.clone()).filter(|name| !name.is_empty());
        let name = level.name.clone().or(fallback).unwrap_or_else(|| "subtest".into());
        let mut cases = level.finish("a subtest", left, number)?;
        cases.append(&mut inner);
        inner = cases.into_iter().map(|(suite, line)| (join(&name, &suite), line)).collect();
    }
    let level = &mut levels[depth];
    level.cases.append(&mut inner);
    match test.take() {
        Some((at, line)) => level.test(at, line, number),
        None => level.other(content, number),
    }
}

fn join(name: &str, suite: &str) -> String {
    if suite.is_empty() { name.to_owned() } else { format!("{name} > {suite}") }
}

fn is_protocol(content: &str) -> bool {
    let is_word = |word: &str| content == word || content.strip_prefix(word).is_some_and(|rest| rest.starts_with(' '));
    is_word("ok")
        || is_word("not ok")
        || content.starts_with("1..")
        || content.starts_with("Bail out!")
        || content.starts_with("# Subtest:")
}

impl Level {
    fn say(&mut self, said: &str) {
        if let Some((_, line)) = self.cases.last_mut() {
            line.message = line.message.take().or_else(|| message(said));
        }
    }

    fn test(&mut self, at: Option<usize>, line: Line, number: usize) -> Result<(), Fault> {
        let at = at.unwrap_or(self.last + 1);
        if at == 0 || at > MAX_PLAN {
            return Err(Fault::at(number, format!("there can be no test {at}")));
        }
        if !self.seen.insert(at) {
            return Err(Fault::at(number, format!("there are two tests {at}")));
        }
        self.last = at;
        let name = if line.name.is_empty() { format!("test {at}") } else { line.name.clone() };
        self.cases.push((String::new(), Line { name, ..line }));
        Ok(())
    }

    fn other(&mut self, content: &str, number: usize) -> Result<(), Fault> {
        if let Some(reason) = content.strip_prefix("Bail out!") {
            self.bailed = Some(reason.trim().to_owned());
            return Ok(());
        }
        let plan = content.strip_prefix("1..").unwrap_or(content);
        let (count, comment) = plan.split_once('#').unwrap_or((plan, ""));
        let count = count.trim().parse().ok().filter(|count| *count <= MAX_PLAN);
        let count = count.ok_or_else(|| Fault::at(number, format!("{content:?} is not a plan")))?;
        if self.plan.replace(count).is_some() {
            return Err(Fault::at(number, "there is a second plan"));
        }
        if count == 0 {
            self.skips_all = Some(comment.trim().to_owned());
        }
        Ok(())
    }

    fn finish(mut self, what: &str, left: &mut usize, number: usize) -> Result<Vec<(String, Line)>, Fault> {
        if let Some(reason) = self.bailed {
            let status = Status::Errored;
            let line = Line { name: "bail out".into(), status, message: message(&reason), duration: None };
            self.cases.push((String::new(), line));
            self.plan.get_or_insert(self.last);
        }
        let plan = self.plan.ok_or_else(|| Fault::at(number, format!("{what} has no plan")))?;
        if let Some(over) = self.seen.iter().find(|seen| **seen > plan) {
            return Err(Fault::at(number, format!("{what} has a test {over}, and a plan of {plan}")));
        }
        // A few bytes can promise many tests, in each subtest again.
        *left = left
            .checked_sub(plan - self.seen.len())
            .ok_or_else(|| Fault::at(number, format!("more than {MAX_MISSING} tests are missing")))?;
        for missing in (1..=plan).filter(|at| !self.seen.contains(at)) {
            let message = Some("it is in the plan, and has no result".to_owned());
            let line = Line { name: format!("test {missing}"), status: Status::Errored, message, duration: None };
            self.cases.push((String::new(), line));
        }
        if let Some(reason) = self.skips_all {
            let (name, status) = ("all tests".to_owned(), Status::Skipped);
            self.cases.push((String::new(), Line { name, status, message: message(&reason), duration: None }));
        }
        Ok(self.cases)
    }
}

/// Number and content of a test's line.
fn parse_test(content: &str) -> Option<(Option<usize>, Line)> {
    let (passed, rest) = match content.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, content.strip_prefix("ok")?),
    };
    let rest = rest.trim_start();
    let digits = rest.len() - rest.trim_start_matches(|digit: char| digit.is_ascii_digit()).len();
    let is_number = rest[digits..].is_empty() || rest[digits..].starts_with(' ');
    let (number, rest) = if is_number { rest.split_at(digits) } else { ("", rest) };
    let (description, directive) = split_directive(rest);
    let description = description.trim();
    let description = ["- ", "+ "].iter().find_map(|mark| description.strip_prefix(mark)).unwrap_or(description);
    let description = if description == "-" { "" } else { description.trim() };
    let (name, duration) = split_duration(description);
    let (status, message) = judge(passed, directive.trim());
    let name = name.replace("\\#", "#").replace("\\\\", "\\");
    // A number that does not fit is none that a plan allows.
    let number = (!number.is_empty()).then(|| number.parse().unwrap_or(usize::MAX));
    Some((number, Line { name, status, message, duration }))
}

/// Description and directive, which begins at the first `#` that is not escaped.
fn split_directive(rest: &str) -> (&str, &str) {
    let mut escaped = false;
    for (at, character) in rest.char_indices() {
        match character {
            '#' if !escaped && is_directive(&rest[at + 1..]) => return (&rest[..at], &rest[at + 1..]),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (rest, "")
}

fn is_directive(text: &str) -> bool {
    let word = text.trim_start().get(..4).unwrap_or_default();
    word.eq_ignore_ascii_case("skip") || word.eq_ignore_ascii_case("todo")
}

fn judge(passed: bool, directive: &str) -> (Status, Option<String>) {
    let word = directive.get(..4).unwrap_or_default();
    let reason =
        || message(directive[4..].trim_start_matches(|letter: char| letter.is_ascii_alphabetic() || letter == ':'));
    match passed {
        true if word.eq_ignore_ascii_case("skip") => (Status::Skipped, reason()),
        false if word.eq_ignore_ascii_case("todo") => (Status::ExpectedFailure, reason()),
        true => (Status::Passed, None),
        false => (Status::Failed, None),
    }
}

/// The name, and the time that pg_regress prints behind it.
fn split_duration(description: &str) -> (&str, Option<Duration>) {
    let split = description.strip_suffix(" ms").and_then(|rest| rest.rsplit_once("  "));
    match split.map(|(name, number)| (name, number.trim().parse())) {
        Some((name, Ok(number))) => (name.trim_end(), Some(Duration::from_millis(number))),
        _ => (description, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let run = read(text).unwrap();
        run.cases().map(|case| format!("{} {}", case.id, case.status)).collect()
    }

    #[test]
    fn subtests_of_both_kinds() {
        let perl = "# Subtest: deep\n    1..1\n    # Subtest: deeper\n        ok 1 - in\n        1..1\n    ok 1 - deeper\nok 1 - deep\n1..1\n";
        let inside = "TAP version 14\n1..1\n    # Subtest: deep\n    ok 1 - x\n      ---\n      message: 'm'\n      ...\n    1..1\nok 1 - deep\n";
        assert_eq!(shown(perl), ["deep passed", "deep::deeper passed", "deep > deeper::in passed"]);
        assert_eq!(shown(inside), ["deep passed", "deep::x passed"]);
    }

    #[test]
    fn directives_and_times() {
        let text = "1..6\nok 1 - a # SKIP no network\nnot ok 2 - b # todo later\nok 3 - c \\# d\nnot ok - e #5\nok\nok 6         + boolean          37 ms\n";
        let run = read(text).unwrap();
        let shown: Vec<_> = run.cases().map(|case| (case.id.to_string(), case.status)).collect();
        let expected = [
            ("a", Status::Skipped),
            ("b", Status::ExpectedFailure),
            ("boolean", Status::Passed),
            ("c # d", Status::Passed),
            ("e #5", Status::Failed),
            ("test 5", Status::Passed),
        ];
        assert_eq!(shown, expected.map(|(name, status)| (name.to_owned(), status)));
        assert_eq!(run.case(&TestId::new("", "boolean")).unwrap().duration, Some(Duration::from_millis(37)));
        assert_eq!(run.case(&TestId::new("", "a")).unwrap().message.as_deref(), Some("no network"));
    }

    #[test]
    fn what_the_plan_has_and_the_run_has_not_is_an_error() {
        assert_eq!(shown("1..3\nok 1 - a\nok 3 - c\n"), ["a passed", "c passed", "test 2 errored"]);
        assert_eq!(shown("1..2\nok 1 - a\nBail out! no server\n"), ["a passed", "bail out errored", "test 2 errored"]);
        assert_eq!(shown("1..0 # skip no perl\n"), ["all tests skipped"]);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        for (text, line, part) in [
            ("ok 1\nok 2\n", 2, "no plan"),
            ("1..1\nok 1\nok 2\n", 3, "a plan of 1"),
            ("1..2\nok 1\nok 1\n", 3, "two tests 1"),
            ("1..1\nok 1", 2, "cut off"),
            ("1..1\n1..1\n", 2, "second plan"),
            ("1..1\n    ok 1\n    1..1\n", 3, "within a subtest"),
            ("1..x\n", 1, "not a plan"),
            ("1..100001\n", 1, "more than 100000 tests are missing"),
            ("", 1, "no plan"),
            ("1..1\nok 99999999999999999999999\n", 2, "no test"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.line == line && fault.message.contains(part), "{text:?}: {fault}");
        }
    }
}
