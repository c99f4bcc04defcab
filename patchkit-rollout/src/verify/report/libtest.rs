//! What Rust's built-in test harness prints, for people or as JSON, and nextest's imitation of the latter.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Fault, last_line, lines, message, plain, seconds, whole_lines};

/// Reads either form. What a program says that it ran must be there.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    if text.trim_start().starts_with('{') { read_json(text) } else { read_text(text) }
}

fn read_text(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut reader = Text::default();
    for (number, line) in lines(text) {
        reader.take(&plain(line), number)?;
    }
    match reader.running {
        Some(_) => Err(Fault::at(last_line(text), "the report ends before the result of a test program")),
        None if !reader.ended => Err(Fault::at(last_line(text), "there is no result of a test program")),
        None => Ok(reader.cases.into_iter().collect()),
    }
}

#[derive(Default)]
struct Text {
    suite: String,
    /// How many tests the program that runs has, and where its tests start among the cases.
    running: Option<(usize, usize)>,
    ended: bool,
    /// The failed test whose output is printed now.
    speaking: Option<usize>,
    cases: Vec<TestCase>,
}

impl Text {
    fn take(&mut self, line: &str, number: usize) -> Result<(), Fault> {
        if let Some(program) = line.trim_start().strip_prefix("Running ") {
            self.suite = suite(program);
        } else if let Some(name) = line.trim_start().strip_prefix("Doc-tests ") {
            self.suite = format!("{name} (doc)");
        } else if let Some(count) = line.strip_prefix("running ").and_then(count) {
            if self.running.is_some() {
                return Err(Fault::at(number, "a test program starts before the one before it has a result"));
            }
            self.running = Some((count, self.cases.len()));
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.result(result, number)?;
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.split_once(" std")) {
            let start = self.running.map_or(0, |(_, start)| start);
            let id = TestId::new(&self.suite, name.0);
            self.speaking = (start..self.cases.len()).find(|at| self.cases[*at].id == id);
        } else if line == "failures:" {
            self.speaking = None;
        } else if let Some(at) = self.speaking {
            let said = self.cases[at].message.take().unwrap_or_default();
            self.cases[at].message = message(&format!("{said}\n{line}"));
        } else if let Some((name, result)) = line.strip_prefix("test ").and_then(|rest| rest.rsplit_once(" ... ")) {
            self.cases.extend(case(&self.suite, name, result));
        }
        Ok(())
    }

    fn result(&mut self, result: &str, number: usize) -> Result<(), Fault> {
        let Some((count, start)) = self.running.take() else {
            return Err(Fault::at(number, "there is a result of no test program"));
        };
        (self.ended, self.speaking) = (true, None);
        let said = |word: &str| -> Option<usize> {
            let number = result.split_once(&format!(" {word}"))?.0;
            number.rsplit(' ').next()?.parse().ok()
        };
        let found = |status| self.cases[start..].iter().filter(|case| case.status == status).count();
        let measured = said("measured").unwrap_or_default();
        let pairs = [
            (said("passed").map(|passed| passed + measured), Status::Passed),
            (said("failed"), Status::Failed),
            (said("ignored"), Status::Skipped),
        ];
        for (said, status) in pairs {
            let found = found(status);
            if said != Some(found) {
                let said = said.map_or_else(|| "nothing".into(), |said| said.to_string());
                return Err(Fault::at(number, format!("the program says {said} {status}, and {found} are there")));
            }
        }
        match self.cases.len() - start {
            found if found == count => Ok(()),
            found => Err(Fault::at(number, format!("the program has {count} tests, and {found} are there"))),
        }
    }
}

/// `unittests src/lib.rs (target/debug/deps/shop-0123456789abcdef)` is the suite `shop`.
fn suite(program: &str) -> String {
    let path = program.rsplit_once('(').map_or(program, |(_, path)| path.trim_end_matches([')', '`']));
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path);
    match file.rsplit_once('-') {
        Some((name, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => name.to_owned(),
        _ => file.to_owned(),
    }
}

fn count(rest: &str) -> Option<usize> {
    rest.strip_suffix(" tests").or_else(|| rest.strip_suffix(" test"))?.parse().ok()
}

fn case(suite: &str, name: &str, result: &str) -> Option<TestCase> {
    let (result, duration) = match result.strip_suffix("s>").and_then(|rest| rest.rsplit_once(" <")) {
        Some((result, time)) => (result, seconds(time)),
        None => (result, None),
    };
    let (status, said) = match result {
        "ok" => (Status::Passed, None),
        "ignored" => (Status::Skipped, None),
        _ if result.starts_with("bench:") => (Status::Passed, None),
        _ if result.starts_with("FAILED") => (Status::Failed, message(&result[6..])),
        _ => (Status::Skipped, Some(result.strip_prefix("ignored, ")?.to_owned())),
    };
    let name = name.strip_suffix(" - should panic").unwrap_or(name);
    Some(TestCase::new(TestId::new(suite, name), status).took(duration).saying(said))
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    event: String,
    #[serde(default)]
    name: String,
    exec_time: Option<f64>,
    stdout: Option<String>,
    message: Option<String>,
    #[serde(default)]
    passed: usize,
    #[serde(default)]
    failed: usize,
}

/// Reads the events. Every program that started must have ended, every test have a result, and there must be as many
/// passed and failed ones as the programs say. (Nextest counts ignored tests of one program several times.)
pub(super) fn read_json(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut reader = Json::default();
    for (number, line) in lines(text).filter(|(_, line)| line.trim_start().starts_with('{')) {
        let event = serde_json::from_str(line).map_err(|error| Fault::at(number, error.to_string()))?;
        reader.take(event, number)?;
    }
    reader.finish(last_line(text))
}

#[derive(Default)]
struct Json {
    open: usize,
    ended: usize,
    passed: usize,
    failed: usize,
    started: BTreeMap<String, usize>,
    cases: Vec<TestCase>,
}

impl Json {
    fn take(&mut self, event: Event, number: usize) -> Result<(), Fault> {
        match (event.kind.as_str(), event.event.as_str()) {
            ("suite", "started") => self.open += 1,
            ("suite", "ok" | "failed") => {
                self.open = self.open.checked_sub(1).ok_or_else(|| Fault::at(number, "no test program had started"))?;
                self.ended += 1;
                self.passed = self.passed.saturating_add(event.passed);
                self.failed = self.failed.saturating_add(event.failed);
            }
            ("test", "started") => *self.started.entry(event.name).or_default() += 1,
            ("test", "timeout") => {} // It is slow, and its result follows.
            ("test", "ok" | "failed" | "ignored") => self.result(event),
            ("bench" | "report" | "suite", _) => {}
            (kind, event) => return Err(Fault::at(number, format!("event {event:?} of a {kind} is not known"))),
        }
        Ok(())
    }

    fn result(&mut self, event: Event) {
        let status = match event.event.as_str() {
            "ok" => Status::Passed,
            "failed" => Status::Failed,
            _ => Status::Skipped,
        };
        // Nextest: `package::program$test#try`.
        let (name, tries) = match event.name.rsplit_once('#') {
            Some((name, tries)) if name.contains('$') => (name, tries.parse().unwrap_or(1)),
            _ => (event.name.as_str(), 1_u32),
        };
        if let Some(left) = self.started.get_mut(name) {
            *left = left.saturating_sub(1);
        }
        let (suite, test) = name.split_once('$').unwrap_or(("", name));
        let failed_tries = tries.saturating_sub(1);
        let said =
            message(event.message.or(event.stdout).filter(|_| status != Status::Passed).as_deref().unwrap_or(""));
        let took = event.exec_time.and_then(|time| seconds(&time.to_string()));
        let case = TestCase::new(TestId::new(suite, test), status).took(took).saying(said);
        self.cases.push(TestCase { failed_tries, ..case });
    }

    fn finish(self, line: usize) -> Result<TestRun, Fault> {
        let fail = |message: String| Err(Fault::at(line, message));
        if self.open > 0 || self.ended == 0 {
            return fail("the report ends before the result of a test program".into());
        }
        if let Some((name, _)) = self.started.iter().find(|(_, left)| **left > 0) {
            return fail(format!("test {name} has no result"));
        }
        for (status, said) in [(Status::Passed, self.passed), (Status::Failed, self.failed)] {
            let found = self.cases.iter().filter(|case| case.status == status).count();
            if found != said {
                return fail(format!("the programs say {said} {status}, and {found} are there"));
            }
        }
        Ok(self.cases.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_their_tests() {
        let text = "     Running unittests src/lib.rs (target/debug/deps/shop-0123456789abcdef)\n\nrunning 2 tests\n\
            test a ... ok <0.500s>\ntest b - should panic ... FAILED\n\nfailures:\n\n---- b stdout ----\nnot so\n\nfailures:\n    b\n\n\
            test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\n";
        let run = read(text).unwrap();
        let shown: Vec<_> =
            run.cases().map(|case| (case.id.to_string(), case.status, case.message.as_deref())).collect();
        assert_eq!(shown[0], ("shop::a".into(), Status::Passed, None));
        assert_eq!(shown[1], ("shop::b".into(), Status::Failed, Some("not so")));
        for (from, to) in [("1 passed", "2 passed"), ("running 2", "running 3"), ("test a ... ok <0.500s>\n", "")] {
            assert!(read(&text.replace(from, to)).is_err(), "{to}");
        }
    }

    #[test]
    fn a_program_without_result_is_a_fault() {
        let fault = read("running 1 test\ntest a ... ok\n").unwrap_err();
        assert_eq!(fault.line, 2);
        assert!(read("").is_err() && read("{\"type\":\"suite\",\"event\":\"started\"}\n").is_err());
    }
}
