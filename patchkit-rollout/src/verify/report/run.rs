use std::{collections::BTreeMap, time::Duration};

use patchkit_core::{Error, Exit, Result};
use serde::{Deserialize, Serialize};

use super::TestId;

/// How a test ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// It could not be judged: it crashed, ran out of time, could not be set up, or has no result.
    Errored,
    /// It failed as its authors expect: a TODO of TAP, an xfail of pytest.
    ExpectedFailure,
    /// It failed.
    Failed,
    /// It passed.
    Passed,
    /// It was not run.
    Skipped,
}

impl Status {
    /// Whether it is bad news: failed or errored.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Errored | Self::Failed)
    }

    /// The worst first: which one counts where a test has several.
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Errored => 0,
            Self::Failed => 1,
            Self::Skipped => 2,
            Self::ExpectedFailure => 3,
            Self::Passed => 4,
        }
    }

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errored => "errored",
            Self::ExpectedFailure => "failed as expected",
            Self::Failed => "failed",
            Self::Passed => "passed",
            Self::Skipped => "skipped",
        }
    }
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A test that ran, or was to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestCase {
    /// Which test.
    pub id: TestId,
    /// How it ended.
    pub status: Status,
    /// How long it took, where the report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// Why it failed or was skipped, in its own words, up to 4 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How often it had failed in the same run before it ended so, where the tool tries again by itself.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub failed_tries: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // As serde calls it.
fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl TestCase {
    /// A test without duration and message.
    #[must_use]
    pub fn new(id: TestId, status: Status) -> Self {
        Self { id, status, duration: None, message: None, failed_tries: 0 }
    }

    /// The same, having taken so long.
    #[must_use]
    pub fn took(self, duration: impl Into<Option<Duration>>) -> Self {
        Self { duration: duration.into(), ..self }
    }

    /// The same, with its reason in words.
    #[must_use]
    pub fn saying(self, message: impl Into<Option<String>>) -> Self {
        Self { message: message.into(), ..self }
    }

    /// The order of tests with one name: what is left of it in another run decides nothing.
    fn rank(&self) -> (u8, u32) {
        (self.status.rank(), u32::MAX - self.failed_tries)
    }
}

/// All tests of one run, by identity.
///
/// Tests with the same names are all kept, and numbered from the worst to the best, whatever order they came in: so
/// that two runs of them compare as two bags do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<TestCase>", into = "Vec<TestCase>")]
pub struct TestRun {
    cases: BTreeMap<TestId, TestCase>,
}

impl TestRun {
    /// The run of one command whose exit status is all there is: passed where it is 0, errored where a signal or a limit
    /// ended it.
    #[must_use]
    pub fn of_exit(command: &str, exit: Exit, duration: Option<Duration>) -> Self {
        let (status, message) = match exit {
            Exit::Code(0) => (Status::Passed, None),
            Exit::Code(code) => (Status::Failed, Some(format!("exit status {code}"))),
            Exit::Limit(limit) => (Status::Errored, Some(format!("ended by the limit of {limit:?}").to_lowercase())),
            Exit::Signal(signal) => (Status::Errored, Some(format!("ended by signal {signal}"))),
        };
        let id = TestId::new("", command);
        [TestCase::new(id, status).took(duration).saying(message)].into_iter().collect()
    }

    /// The tests, by identity.
    pub fn cases(&self) -> impl ExactSizeIterator<Item = &TestCase> {
        self.cases.values()
    }

    /// One test.
    #[must_use]
    pub fn case(&self, id: &TestId) -> Option<&TestCase> {
        self.cases.get(id)
    }

    /// How many tests there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// How many ended how.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.cases().fold(Counts::default(), |counts, case| counts.plus(case.status))
    }

    /// The tests of several reports of the same run.
    #[must_use]
    pub fn merged(runs: impl IntoIterator<Item = Self>) -> Self {
        runs.into_iter().flat_map(|run| run.cases.into_values()).collect()
    }

    /// The same, with what each test is in put before its suite: for several commands whose tests have the same names.
    #[must_use]
    pub fn within(self, outer: &str) -> Self {
        let within = |case: TestCase| TestCase { id: case.id.within(outer), ..case };
        self.cases.into_values().map(within).collect()
    }
}

impl FromIterator<TestCase> for TestRun {
    fn from_iter<I: IntoIterator<Item = TestCase>>(cases: I) -> Self {
        let mut groups: BTreeMap<TestId, Vec<TestCase>> = BTreeMap::new();
        for case in cases {
            groups.entry(case.id.clone().numbered(1)).or_default().push(case);
        }
        let number = |(id, mut group): (TestId, Vec<TestCase>)| {
            group.sort_by_key(TestCase::rank);
            let numbered = (1..).zip(group).map(move |(ordinal, case)| {
                let id = id.clone().numbered(ordinal);
                (id.clone(), TestCase { id, ..case })
            });
            numbered.collect::<Vec<_>>()
        };
        Self { cases: groups.into_iter().flat_map(number).collect() }
    }
}

impl From<Vec<TestCase>> for TestRun {
    fn from(cases: Vec<TestCase>) -> Self {
        cases.into_iter().collect()
    }
}

impl From<TestRun> for Vec<TestCase> {
    fn from(run: TestRun) -> Self {
        run.cases.into_values().collect()
    }
}

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Could not be judged.
    pub errored: usize,
    /// Failed as expected.
    pub expected_failures: usize,
    /// Failed.
    pub failed: usize,
    /// Passed.
    pub passed: usize,
    /// Were not run.
    pub skipped: usize,
}

impl Counts {
    fn plus(mut self, status: Status) -> Self {
        *match status {
            Status::Errored => &mut self.errored,
            Status::ExpectedFailure => &mut self.expected_failures,
            Status::Failed => &mut self.failed,
            Status::Passed => &mut self.passed,
            Status::Skipped => &mut self.skipped,
        } += 1;
        self
    }

    /// How many there are.
    #[must_use]
    pub fn total(self) -> usize {
        let Self { errored, expected_failures, failed, passed, skipped } = self;
        errored + expected_failures + failed + passed + skipped
    }
}

impl std::fmt::Display for Counts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { errored, expected_failures, failed, passed, skipped } = *self;
        write!(f, "{passed} passed")?;
        let others = [(failed, "failed"), (errored, "errored"), (skipped, "skipped")];
        let others = others.into_iter().chain([(expected_failures, "failed as expected")]);
        others.filter(|(number, _)| *number > 0).try_for_each(|(number, word)| write!(f, ", {number} {word}"))
    }
}

/// The one test of a command whose exit status was written to a file.
pub(super) fn exit_status(bytes: &[u8]) -> Result<TestRun> {
    let text = String::from_utf8_lossy(bytes);
    let code: i32 = text.trim().parse().map_err(|_| {
        let start: String = text.trim().chars().take(40).collect();
        Error::corrupt(format!("line 1: {start:?} is not an exit status")).during("read exit-code report")
    })?;
    Ok(TestRun::of_exit("exit status", Exit::Code(code), None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(name: &str, status: Status) -> TestCase {
        TestCase::new(TestId::new("s", name), status)
    }

    #[test]
    fn tests_with_one_name_are_a_bag() {
        let statuses = [Status::Passed, Status::Failed, Status::Skipped];
        let one: TestRun = statuses.map(|status| case("a", status)).into_iter().collect();
        let two: TestRun = statuses.into_iter().rev().map(|status| case("a", status)).collect();
        assert_eq!(one, two);
        let names: Vec<_> = one.cases().map(|case| format!("{} {}", case.id, case.status)).collect();
        assert_eq!(names, ["s::a failed", "s::a#2 skipped", "s::a#3 passed"]);
        assert_eq!(TestRun::merged([one.clone(), two]).len(), 6);
        let json = serde_json::to_string(&one).unwrap();
        assert_eq!(serde_json::from_str::<TestRun>(&json).unwrap(), one);
        assert_eq!(one.counts().to_string(), "1 passed, 1 failed, 1 skipped");
    }

    #[test]
    fn an_exit_status_is_one_test() {
        let run = TestRun::of_exit("nginx -t", Exit::Signal(9), None);
        let case = run.cases().next().unwrap();
        assert_eq!((case.id.to_string().as_str(), case.status), ("nginx -t", Status::Errored));
        assert_eq!(exit_status(b"0\n").unwrap().counts().passed, 1);
        assert_eq!(exit_status(b"1\n").unwrap().counts().failed, 1);
        assert!(exit_status(b"").unwrap_err().to_string().contains("line 1"));
    }
}
