//! What `go test -json` prints: one event a line. Source: `go doc test2json`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Fault, lines, message, seconds, whole_lines};

/// How many bytes of a test's output are kept until it has ended.
const MAX_OUTPUT: usize = 8192;

/// Reads the report. A test or package that has no result is an error in it.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    whole_lines(text)?;
    let mut events = Events::default();
    for (number, line) in lines(text) {
        match line.trim_start().starts_with('{') {
            true => {
                let event = serde_json::from_str(line).map_err(|error| Fault::at(number, error.to_string()))?;
                events.take(event, number)?;
            }
            false => events.plain(line),
        }
    }
    Ok(events.finish())
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    action: String,
    #[serde(default)]
    package: String,
    #[serde(default)]
    test: Option<String>,
    #[serde(default)]
    elapsed: Option<f64>,
    #[serde(default)]
    output: String,
    #[serde(default)]
    import_path: String,
}

#[derive(Default)]
struct Events {
    packages: BTreeMap<String, Package>,
    cases: Vec<TestCase>,
}

#[derive(Default)]
struct Package {
    /// The tests that have no result yet, and their output.
    running: BTreeMap<String, String>,
    /// The output that is of no test.
    output: String,
    ended: bool,
    /// Whether a test of it failed, which is reason enough for the package to fail.
    has_failure: bool,
}

impl Events {
    fn take(&mut self, event: Event, number: usize) -> Result<(), Fault> {
        if matches!(event.action.as_str(), "build-output" | "build-fail") {
            let name = event.import_path.split(' ').next().unwrap_or_default();
            append(&mut self.package(name).output, &event.output);
            return Ok(());
        }
        match event.action.as_str() {
            "attr" | "bench" | "cont" | "pause" => {}
            "start" => drop(self.package(&event.package)),
            "run" => {
                let test = event.test.ok_or_else(|| Fault::at(number, "what runs has no name"))?;
                self.package(&event.package).running.entry(test).or_default();
            }
            "output" => {
                let package = self.package(&event.package);
                match event.test {
                    Some(test) => append(package.running.entry(test).or_default(), &event.output),
                    None => append(&mut package.output, &event.output),
                }
            }
            "pass" | "fail" | "skip" => self.result(event),
            other => return Err(Fault::at(number, format!("action {other:?} is not known"))),
        }
        Ok(())
    }

    fn package(&mut self, name: &str) -> &mut Package {
        self.packages.entry(name.to_owned()).or_default()
    }

    fn result(&mut self, event: Event) {
        let Event { action, package: name, test, elapsed, .. } = event;
        let package = self.packages.entry(name.clone()).or_default();
        let Some(test) = test else { return end_package(package, &name, &action, &mut self.cases) };
        let output = package.running.remove(&test).unwrap_or_default();
        let status = match action.as_str() {
            "pass" => Status::Passed,
            "skip" => Status::Skipped,
            _ => Status::Failed,
        };
        package.has_failure |= status == Status::Failed;
        let said = if status == Status::Passed { None } else { message(&output) };
        let elapsed = elapsed.and_then(|elapsed| seconds(&elapsed.to_string()));
        self.cases.push(TestCase::new(TestId::new(&name, &test), status).took(elapsed).saying(said));
    }

    /// A line that is no event: of a package that could not be built or set up, or anybody's.
    fn plain(&mut self, line: &str) {
        let Some(rest) = line.strip_prefix("FAIL\t") else { return };
        let name = rest.split([' ', '\t']).next().unwrap_or_default();
        let package = self.packages.entry(name.to_owned()).or_default();
        append(&mut package.output, line);
        if !package.ended {
            end_package(package, name, "fail", &mut self.cases);
        }
    }

    fn finish(mut self) -> TestRun {
        for (name, package) in &mut self.packages {
            if !package.ended {
                append(&mut package.output, "the report ends before the package has a result");
                package.has_failure = false;
                end_package(package, name, "fail", &mut self.cases);
            }
        }
        self.cases.into_iter().collect()
    }
}

/// Tests that have no result when their package ends were ended with it: by a panic, or by a limit of time.
fn end_package(package: &mut Package, name: &str, action: &str, cases: &mut Vec<TestCase>) {
    package.ended = true;
    for (test, output) in std::mem::take(&mut package.running) {
        package.has_failure = true;
        let said = message(&output).unwrap_or_else(|| "it has no result".into());
        cases.push(TestCase::new(TestId::new(name, &test), Status::Errored).saying(said));
    }
    if action == "fail" && !package.has_failure {
        let id = TestId::new(name, "package");
        cases.push(TestCase::new(id, Status::Errored).saying(message(&package.output)));
    }
}

fn append(output: &mut String, more: &str) {
    if output.len() + more.len() <= MAX_OUTPUT && !more.starts_with("=== ") {
        output.push_str(more);
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
    fn what_has_no_result_is_an_error() {
        let start = "{\"Action\":\"run\",\"Package\":\"p\",\"Test\":\"A\"}\n";
        let pass = "{\"Action\":\"pass\",\"Package\":\"p\",\"Test\":\"A\",\"Elapsed\":0.5}\n";
        let end = "{\"Action\":\"pass\",\"Package\":\"p\"}\n";
        assert_eq!(shown(&format!("{start}{pass}{end}")), ["p::A passed"]);
        assert_eq!(shown(&format!("{start}{pass}")), ["p::A passed", "p::package errored"]);
        assert_eq!(shown(&format!("{start}{end}")), ["p::A errored"]);
        assert_eq!(shown("FAIL\tp/q [build failed]\n"), ["p/q::package errored"]);
        let failed = "{\"Action\":\"fail\",\"Package\":\"p\"}\n";
        assert_eq!(shown(&format!("{start}{pass}{failed}")), ["p::A passed", "p::package errored"]);
    }

    #[test]
    fn damage_is_named_with_its_line() {
        let good = "{\"Action\":\"pass\",\"Package\":\"p\"}\n";
        for bad in ["{\"Action\":", "{\"Action\":\"x\"}\n", "{}\n", "{\"Action\":\"run\"}\n"] {
            assert_eq!(read(&format!("{good}{bad}")).err().map(|fault| fault.line), Some(2), "{bad}");
        }
    }
}
