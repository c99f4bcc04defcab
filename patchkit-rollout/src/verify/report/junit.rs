//! JUnit's XML, in the dialects of surefire, Gradle, pytest, googletest, CTest and nextest.

use super::{Status, TestCase, TestId, TestRun};
use crate::verify::parse::{Element, Fault, Item, Xml, message, seconds};

/// Reads the report. Each suite must have as many tests as it says.
pub(super) fn read(text: &str) -> Result<TestRun, Fault> {
    let mut xml = Xml::new(text);
    let mut reader = Reader::default();
    while let Some(item) = xml.next()? {
        match item {
            Item::Start(element) => reader.start(element)?,
            Item::Text(text) => reader.text(&text),
            Item::End => reader.end()?,
        }
    }
    Ok(reader.cases.into_iter().collect())
}

#[derive(Default)]
struct Reader {
    open: Vec<Element>,
    suites: Vec<Suite>,
    case: Option<Case>,
    /// The text of the innermost open element that says how a test ended.
    said: String,
    cases: Vec<TestCase>,
}

struct Suite {
    name: String,
    /// How many tests it says it has, and where.
    declared: Option<(usize, usize)>,
    found: usize,
}

struct Case {
    test: TestCase,
    /// How many elements say that it went wrong: a test that fails in its clean-up as well is counted twice by some.
    outcomes: usize,
}

impl Reader {
    fn start(&mut self, element: Element) -> Result<(), Fault> {
        if self.open.is_empty() && !matches!(element.name.as_str(), "testsuite" | "testsuites") {
            return Err(Fault::at(element.line, format!("<{}> is no test report", element.name)));
        }
        match element.name.as_str() {
            "testsuite" | "testsuites" => {
                let declared = element.optional::<usize>("tests")?.map(|tests| (tests, element.line));
                let name = element.attribute("name").unwrap_or_default().to_owned();
                self.suites.push(Suite { name, declared, found: 0 });
            }
            "testcase" if self.case.is_some() => {
                return Err(Fault::at(element.line, "a test is inside of another one"));
            }
            "testcase" => self.case = Some(Case { test: self.test(&element)?, outcomes: 0 }),
            _ => self.said.clear(),
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if self.open.last().is_some_and(|element| is_outcome(&element.name)) {
            self.said.push_str(text);
        }
    }

    fn end(&mut self) -> Result<(), Fault> {
        let Some(element) = self.open.pop() else { return Ok(()) };
        match element.name.as_str() {
            "testsuite" | "testsuites" => self.end_suite(),
            "testcase" => {
                self.end_case();
                Ok(())
            }
            name if is_outcome(name) => {
                self.end_outcome(&element);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The test as its element alone says.
    fn test(&self, element: &Element) -> Result<TestCase, Fault> {
        let name = element.required("name")?;
        let class = element.attribute("classname").or_else(|| element.attribute("file")).unwrap_or_default();
        let suite = match class {
            "" => self.suites.last().map_or("", |suite| suite.name.as_str()),
            class if class == name => "",
            class => class,
        };
        let is_idle = ["status", "result"]
            .iter()
            .filter_map(|key| element.attribute(key))
            .any(|value| matches!(value, "notrun" | "disabled" | "ignored" | "skipped" | "suppressed"));
        let status = if is_idle { Status::Skipped } else { Status::Passed };
        Ok(TestCase::new(TestId::new(suite, name), status).took(element.attribute("time").and_then(seconds)))
    }

    fn end_suite(&mut self) -> Result<(), Fault> {
        let Some(Suite { name, declared, found }) = self.suites.pop() else { return Ok(()) };
        if let Some((tests, line)) = declared.filter(|(tests, _)| *tests > found) {
            return Err(Fault::at(line, format!("suite {name:?} says that it has {tests} tests, and has {found}")));
        }
        if let Some(outer) = self.suites.last_mut() {
            outer.found += found;
        }
        Ok(())
    }

    fn end_case(&mut self) {
        if let Some(Case { test, outcomes }) = self.case.take() {
            if let Some(suite) = self.suites.last_mut() {
                suite.found += outcomes.max(1) + usize::from(outcomes == 1 && test.status == Status::Errored);
            }
            self.cases.push(test);
        }
    }

    fn end_outcome(&mut self, element: &Element) {
        let said = message(element.attribute("message").unwrap_or_default()).or_else(|| message(&self.said));
        self.said.clear();
        let Some(case) = &mut self.case else {
            let name = self.suites.last().map_or("", |suite| suite.name.as_str());
            let id = TestId::new(name, "suite");
            return self.cases.push(TestCase::new(id, Status::Errored).saying(said));
        };
        let Some(status) = outcome(element, said.as_deref()) else {
            case.test.failed_tries += 1;
            return;
        };
        case.outcomes += 1;
        if case.outcomes == 1 || status.rank() < case.test.status.rank() {
            case.test.status = status;
            case.test.message = said;
        }
    }
}

fn is_outcome(name: &str) -> bool {
    matches!(name, "error" | "failure" | "skipped" | "flakyError" | "flakyFailure" | "rerunError" | "rerunFailure")
}

/// How a test ended by an element in it; `None` for a try that was followed by another one.
fn outcome(element: &Element, said: Option<&str>) -> Option<Status> {
    match element.name.as_str() {
        "error" => Some(Status::Errored),
        "failure" => Some(Status::Failed),
        "skipped" if element.attribute("type") == Some("pytest.xfail") => Some(Status::ExpectedFailure),
        // CTest's word for a test whose program is not there.
        "skipped" if said.is_some_and(|said| said.starts_with("Unable to find")) => Some(Status::Errored),
        "skipped" => Some(Status::Skipped),
        _ => None,
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
    fn surefire_with_tries() {
        let text = r#"<testsuite name="a.B" tests="4" time="1,234.5"><properties><property name="x" value="y"/></properties>
            <testcase name="one" classname="a.B" time="1,000.5"/>
            <testcase name="two(int)[1]" classname="a.B"><flakyFailure message="m">t</flakyFailure><system-out>x</system-out></testcase>
            <testcase name="three" classname="a.B"><failure message="sum">t</failure><rerunFailure message="sum"/></testcase>
            <testcase name="four" classname="a.B"><skipped/></testcase></testsuite>"#;
        assert_eq!(
            shown(text),
            ["a.B::four skipped", "a.B::one passed", "a.B::three failed", "a.B::two(int)[1] passed"]
        );
        let run = read(text).unwrap();
        let tries: Vec<_> = run.cases().map(|case| case.failed_tries).collect();
        assert_eq!(tries, [0, 0, 1, 1]);
        let three = run.case(&TestId::new("a.B", "three")).unwrap();
        assert_eq!(three.message.as_deref(), Some("sum"));
        let one = run.case(&TestId::new("a.B", "one")).unwrap();
        assert_eq!(one.duration, Some(std::time::Duration::from_millis(1_000_500)));
    }

    #[test]
    fn googletest_and_nested_suites() {
        let text = r#"<testsuites tests="3"><testsuite name="outer" tests="2"><testsuite name="inner" tests="2">
            <testcase name="a" status="run" classname="S"/><testcase name="b" status="notrun" result="suppressed" classname="S"/>
            </testsuite></testsuite><testsuite name="last"><testcase name="c"><error type="x">gone</error></testcase></testsuite></testsuites>"#;
        assert_eq!(shown(text), ["S::a passed", "S::b skipped", "last::c errored"]);
    }

    #[test]
    fn a_suite_that_cannot_start_is_an_error() {
        let text = "<testsuite name='db'><error message='no server'/></testsuite>";
        assert_eq!(shown(text), ["db::suite errored"]);
    }

    #[test]
    fn a_test_that_is_missing_is_found() {
        let text = "<testsuites>\n<testsuite name='a' tests='2'><testcase name='x'/></testsuite></testsuites>";
        let fault = read(text).unwrap_err();
        assert_eq!((fault.line, fault.message.as_str()), (2, "suite \"a\" says that it has 2 tests, and has 1"));
        assert!(read("<html/>").is_err());
        assert!(read("<testsuite><testcase/></testsuite>").is_err());
    }
}
