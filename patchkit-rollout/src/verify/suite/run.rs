//! One run of a suite in one image.

use std::{collections::BTreeSet, fmt, time::Duration};

use async_trait::async_trait;
use patchkit_core::{
    Container, Context, Digest, Error, ErrorKind, Exit, Image, Outcome, Reason, Result, Runtime, Used,
};
use serde::{Deserialize, Serialize};

use super::{
    Service, Suite, Test,
    fresh::Fresh,
    session::{self, Work},
    survivor::Mark,
};
use crate::verify::{
    behaviour::isolation,
    coverage::Coverage,
    report::{Status, TestCase, TestId, TestRun},
};

/// How much of an output is kept with a step, from its end, in bytes.
const TAIL: usize = 4096;

/// A service is ready.
const READY: &str = "is ready";

/// A command could be run.
const RUNS: &str = "runs";

/// A report of tests is there and has as many as it should.
const REPORT: &str = "has its report";

/// A report of coverage is there.
const COVERAGE: &str = "has its coverage";

/// The tests that are not of a report, and that say whether one can be had.
const BASICS: [&str; 4] = [COVERAGE, READY, REPORT, RUNS];

/// What one run of a suite in an image showed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SuiteRun {
    /// The image.
    pub image: Digest,
    /// Every test that ran. The suite of its identity begins with the name of its step.
    pub tests: TestRun,
    /// What was covered, where a step says.
    pub coverage: Option<Coverage>,
    /// What was started and run, in order.
    pub steps: Vec<StepRun>,
    /// The TCP ports that the services listen on, but for those that the kernel gives by itself (32768 to 60999).
    #[serde(default)]
    pub listening: BTreeSet<u16>,
}

/// A service that was started, or a command that was run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StepRun {
    /// Its name in the suite.
    pub name: String,
    /// How it ended; for a service, whether it was ready.
    pub ended: String,
    /// How long it took; for a service, until it was ready.
    pub duration: Duration,
    /// The end of what it wrote, up to 4 KiB.
    pub output: String,
    /// The files that it used; known in the process that ran it.
    #[serde(skip)]
    pub used: Option<Used>,
}

/// Runs the suite once in the image.
///
/// A test that fails, a report that is missing, a service that is not ready: all are tests that failed in what it gives.
///
/// # Errors
/// Where the image cannot be run: those of the runtime. [`Cancel`](patchkit_core::ErrorKind::Cancel).
pub async fn run(suite: &Suite, image: &Image, runtime: &dyn Runtime, cx: &Context) -> Result<SuiteRun> {
    let mut run = SuiteRun::of(image);
    let mark = Mark::new(cx);
    let suite = mark.on(suite);
    match suite.services.split_first() {
        Some(services) => {
            session::beside(&suite, services, (image, runtime), &mut run, &mut Tests(&suite), cx).await?;
        }
        None => Tests(&suite).act(&Fresh { suite: &suite, image, runtime }, &mut run, cx).await?,
    }
    let survivors = mark.survivors(cx).await?;
    let status = if survivors.is_empty() { Status::Passed } else { Status::Failed };
    let named = (!survivors.is_empty()).then(|| survivors.join(", "));
    run.add_case("suite", "no process survives its container", status, named, None);
    Ok(run)
}

/// Runs all tests in a container, and tries what may not be possible in it.
struct Tests<'a>(&'a Suite);

#[async_trait]
impl Work for Tests<'_> {
    async fn act(&mut self, container: &dyn Container, run: &mut SuiteRun, cx: &Context) -> Result<()> {
        for test in &self.0.tests {
            run.add_test(test, container.exec(&self.0.test(test), cx).await)?;
        }
        let forbidden = isolation::forbidden(&self.0.forbidden, container, cx).await?;
        let confined = isolation::confined(&self.0.confined, container, cx).await?;
        forbidden.into_iter().chain(confined).for_each(|reason| run.add_reason("isolation", &reason));
        Ok(())
    }
}

impl SuiteRun {
    /// A run of which nothing is known yet.
    pub(super) fn of(image: &Image) -> Self {
        Self {
            image: *image.digest(),
            tests: TestRun::default(),
            coverage: None,
            steps: Vec::new(),
            listening: BTreeSet::new(),
        }
    }

    /// Adds what a test's command left.
    ///
    /// # Errors
    /// An error that is not about this test alone.
    pub(super) fn add_test(&mut self, test: &Test, outcome: Result<Outcome>) -> Result<()> {
        match outcome {
            Ok(outcome) => {
                self.add(Read::of(test, &outcome));
                self.steps.push(StepRun::of(&test.name, &outcome));
            }
            Err(error) if is_of_the_test(&error) => {
                self.add_case(&test.name, RUNS, Status::Errored, Some(error.to_string()), None);
            }
            Err(error) => return Err(error.during(format!("run the test {}", test.name))),
        }
        Ok(())
    }

    fn add(&mut self, read: Read) {
        let Read { tests, coverage } = read;
        self.tests = TestRun::merged([std::mem::take(&mut self.tests), tests]);
        self.coverage = match (self.coverage.take(), coverage) {
            (Some(one), Some(two)) => Some(Coverage::merged([one, two])),
            (one, two) => one.or(two),
        };
    }

    /// Adds whether a service was ready, and after how long, as a test of its own.
    pub(super) fn add_service(&mut self, service: &Service, ready: &Result<()>, took: Duration, output: String) {
        let (status, message) = match ready {
            Ok(()) => (Status::Passed, None),
            Err(error) => (Status::Failed, Some(error.to_string())),
        };
        let ended = message.clone().unwrap_or_else(|| "ready".into());
        self.add_case(&service.name, READY, status, message, Some(took));
        self.steps.push(StepRun { name: service.name.clone(), ended, duration: took, output, used: None });
    }

    /// Adds a reason as a test.
    fn add_reason(&mut self, step: &str, reason: &Reason) {
        let (status, detail) = match reason.holds {
            true => (Status::Passed, None),
            false => (Status::Failed, Some(reason.to_string())),
        };
        let name = reason.message.split(':').next().unwrap_or_default();
        self.add_case(step, name, status, detail, None);
    }

    /// Adds a test that is not of a report.
    fn add_case(&mut self, step: &str, name: &str, status: Status, message: Option<String>, took: Option<Duration>) {
        let case = TestCase::new(TestId::new(step, name), status).saying(message).took(took);
        self.tests = TestRun::merged([std::mem::take(&mut self.tests), [case].into_iter().collect()]);
    }

    /// What must be there for the other tests to mean anything, and is not.
    pub(super) fn faults(&self) -> impl Iterator<Item = String> {
        let faults = self.tests.cases().filter(|case| case.status.is_failure() && BASICS.contains(&case.id.name()));
        faults.map(|case| format!("{}: {}", case.id, case.message.as_deref().unwrap_or("it failed")))
    }
}

/// Whether a command could not be run because of itself, and others can.
fn is_of_the_test(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Invalid | ErrorKind::NotFound | ErrorKind::Unavailable)
}

/// What is read off the outcome of a test's command.
struct Read {
    tests: TestRun,
    coverage: Option<Coverage>,
}

impl Read {
    fn of(test: &Test, outcome: &Outcome) -> Self {
        let mut read = Self { tests: TestRun::default(), coverage: None };
        read.exit(test, outcome);
        if test.report.format != crate::verify::report::Format::ExitCode {
            read.report(test, outcome);
        }
        read.coverage(test, outcome);
        read
    }

    /// The exit status is a test too: a run that crashed after its report, or says no without one, did not pass.
    fn exit(&mut self, test: &Test, outcome: &Outcome) {
        let exit = TestRun::of_exit("exits with 0", outcome.exit, Some(outcome.duration)).within(&test.name);
        self.tests = TestRun::merged([std::mem::take(&mut self.tests), exit]);
    }

    fn report(&mut self, test: &Test, outcome: &Outcome) {
        let report = test.report.file.as_ref().map_or(Some(&outcome.stdout), |file| outcome.files.get(file));
        let name = test.report.file.as_deref().unwrap_or("standard output");
        let tests = report
            .ok_or_else(|| format!("{name} is not there"))
            .and_then(|report| test.report.format.parse(report).map_err(|error| format!("{name}: {error}")));
        let (tests, fault) = match tests {
            Ok(tests) if tests.len() < test.report.at_least => {
                let fault = format!("{} tests, which should be {} at least", tests.len(), test.report.at_least);
                (tests, Some(fault))
            }
            Ok(tests) => (tests, None),
            Err(fault) => (TestRun::default(), Some(fault)),
        };
        self.note(test, REPORT, fault);
        self.tests = TestRun::merged([std::mem::take(&mut self.tests), tests.within(&test.name)]);
    }

    fn coverage(&mut self, test: &Test, outcome: &Outcome) {
        let Some(wanted) = &test.coverage else { return };
        let report = outcome.files.get(&wanted.file).ok_or_else(|| format!("{} is not there", wanted.file));
        let read =
            report.and_then(|report| wanted.format.parse(report).map_err(|error| format!("{}: {error}", wanted.file)));
        let fault = read.as_ref().err().cloned();
        self.note(test, COVERAGE, fault);
        self.coverage = read.ok();
    }

    /// A test of what must be there for the others to mean anything.
    fn note(&mut self, test: &Test, name: &str, fault: Option<String>) {
        let status = if fault.is_some() { Status::Errored } else { Status::Passed };
        let case = TestCase::new(TestId::new(&test.name, name), status).saying(fault);
        self.tests = TestRun::merged([std::mem::take(&mut self.tests), [case].into_iter().collect()]);
    }
}

impl StepRun {
    fn of(name: &str, outcome: &Outcome) -> Self {
        Self {
            name: name.to_owned(),
            ended: Ended(outcome.exit).to_string(),
            duration: outcome.duration,
            output: tail(&[&outcome.stdout[..], &outcome.stderr[..]].concat()),
            used: outcome.used.clone(),
        }
    }
}

/// The end of an output, as text.
pub(super) fn tail(output: &[u8]) -> String {
    String::from_utf8_lossy(&output[output.len().saturating_sub(TAIL)..]).into_owned()
}

/// How a command ended, in words.
pub(super) struct Ended(pub(super) Exit);

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Limit(limit) => write!(f, "ended by the limit of {}", format!("{limit:?}").to_lowercase()),
            Exit::Signal(signal) => write!(f, "ended by signal {signal}"),
        }
    }
}
