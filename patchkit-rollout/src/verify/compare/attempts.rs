use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::verify::report::{Status, TestCase, TestId, TestRun};

/// How many failed tries of a tool count in one run: no tool tries as often, but a damaged report may say so.
const MAX_TRIES: u32 = 1000;

/// Runs of the same tests in the same image: the first of the whole suite, further ones of the whole or a part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempts {
    /// The run of the whole suite: what is not in it has vanished, or is not there yet.
    pub first: TestRun,
    /// What was run again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub again: Vec<TestRun>,
}

impl Attempts {
    /// A first run, with none again.
    #[must_use]
    pub fn of(first: TestRun) -> Self {
        Self { first, again: Vec::new() }
    }

    /// The same, with one more run.
    #[must_use]
    pub fn and(mut self, run: TestRun) -> Self {
        self.again.push(run);
        self
    }

    /// All runs.
    pub fn runs(&self) -> impl Iterator<Item = &TestRun> {
        std::iter::once(&self.first).chain(&self.again)
    }

    /// How each test of the first run ended in all of them, sorted by test.
    pub(super) fn tallies(&self) -> Vec<(&TestId, Tallied<'_>)> {
        let mut tallies: Vec<_> = self.first.cases().map(|case| (&case.id, Tallied::of(case))).collect();
        for run in &self.again {
            // Both are sorted.
            let mut rest = tallies.iter_mut().peekable();
            for case in run.cases() {
                while rest.next_if(|(id, _)| *id < &case.id).is_some() {}
                if let Some((_, tallied)) = rest.next_if(|(id, _)| *id == &case.id) {
                    tallied.add(case);
                }
            }
        }
        tallies
    }
}

/// How often a test ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Failed as expected.
    pub expected_failures: u32,
    /// Failed or errored.
    pub failed: u32,
    /// Passed.
    pub passed: u32,
    /// Was skipped.
    pub skipped: u32,
}

impl Tally {
    /// How often it was tried.
    #[must_use]
    pub fn attempts(self) -> u32 {
        let Self { expected_failures, failed, passed, skipped } = self;
        [expected_failures, failed, passed, skipped].into_iter().fold(0, u32::saturating_add)
    }

    /// How often it did not do what it does at its best.
    #[must_use]
    pub fn bad(self) -> u32 {
        let expected = if self.passed > 0 { self.expected_failures } else { 0 };
        self.failed.saturating_add(self.skipped).saturating_add(expected)
    }

    fn add(&mut self, case: &TestCase) {
        self.failed = self.failed.saturating_add(case.failed_tries.min(MAX_TRIES));
        let count = match case.status {
            Status::Passed => &mut self.passed,
            Status::ExpectedFailure => &mut self.expected_failures,
            Status::Skipped => &mut self.skipped,
            _ => &mut self.failed,
        };
        *count = count.saturating_add(1);
    }

    pub(super) fn state(self) -> State {
        match self {
            Self { failed: 0, skipped: 0, expected_failures: 0, .. } => State::Passing,
            Self { failed: 0, skipped: 0, passed: 0, .. } => State::Expected,
            Self { skipped: 0, passed: 0, expected_failures: 0, .. } => State::Failing,
            Self { failed: 0, passed: 0, expected_failures: 0, .. } => State::Skipped,
            Self { passed: 0, expected_failures: 0, .. } => State::Failing,
            _ => State::Mixed,
        }
    }
}

/// `2 of 10`: how often it was bad, of how many times
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.bad(), self.attempts())
    }
}

/// What a test does, over all attempts in one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Expected,
    Failing,
    /// Sometimes it is good, sometimes not: it is flaky.
    Mixed,
    Passing,
    Skipped,
}

/// A test's tally, with what else the attempts say of it.
#[derive(Debug)]
pub(super) struct Tallied<'a> {
    pub(super) tally: Tally,
    /// Why it failed or was skipped first.
    pub(super) message: Option<&'a str>,
    durations: Vec<Duration>,
}

impl<'a> Tallied<'a> {
    fn of(case: &'a TestCase) -> Self {
        let mut tallied = Self { tally: Tally::default(), message: None, durations: Vec::new() };
        tallied.add(case);
        tallied
    }

    fn add(&mut self, case: &'a TestCase) {
        self.tally.add(case);
        self.message = self.message.or(case.message.as_deref());
        if case.status == Status::Passed {
            self.durations.extend(case.duration);
        }
    }

    /// The median of the times that it took to pass; of an even number, the lower one of the middle.
    pub(super) fn median(mut self) -> Option<Duration> {
        self.durations.sort_unstable();
        self.durations.get(self.durations.len().saturating_sub(1) / 2).copied()
    }
}
