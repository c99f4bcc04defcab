//! What a suite file says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::fmt::serde::unsigned_duration::friendly::compact as duration;
use patchkit_core::{Error, Platform, Result};
use serde::{Deserialize, Serialize};

use super::Size;
#[cfg(feature = "http")]
use crate::verify::behaviour::{contract::Calls, probe::Probe};
use crate::verify::{
    behaviour::{
        isolation::{Expectation, Forbidden},
        readiness::Readiness,
    },
    compare::{Accepted, Rules},
    coverage::CoverageFormat,
    exercise::Require,
    report::{self, TestId},
};

/// A suite of tests, as it stands in a YAML file.
///
/// ```
/// use patchkit_rollout::verify::suite::Suite;
///
/// let suite = Suite::parse("
/// services:
///   - name: web
///     command: [nginx, -g, daemon off;]
///     ready: { http: { port: 80, path: / }, within: 10s }
/// tests:
///   - name: unit
///     command: [python3, -m, pytest, --junitxml=/tmp/report.xml]
///     report: { format: junit, file: /tmp/report.xml }
/// rules: { critical: ['*test_login*'] }
/// ")?;
/// assert_eq!(suite.tests[0].name, "unit");
/// # Ok::<_, patchkit_core::Error>(())
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Suite {
    /// The platforms that it can be run on; all where none is named. Images of other platforms are passed over, which
    /// the verdict says.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<Platform>,
    /// The surroundings of all its commands.
    #[serde(default)]
    pub environment: Environment,
    /// Data that is shown to them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixtures: Vec<Fixture>,
    /// What is started first, in this order, each when the one before is ready. With services, all tests run beside them
    /// in one container; without, each in its own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub services: Vec<Service>,
    /// Ports that the patched image may listen on, whatever the original did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// The tests, in the order they are run.
    pub tests: Vec<Test>,
    /// What may not be possible in the container, shown by trying it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Forbidden>,
    /// What the kernel must say of the first service's process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub confined: Vec<Expectation>,
    /// What is asked of the services, before and after, side by side.
    #[cfg(feature = "http")]
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behaviour: Option<Behaviour>,
    /// When a difference counts, which tests are critical, and which differences somebody has accepted.
    #[serde(default)]
    pub rules: Rules,
    /// How often a test whose result differs is run at most, in each image.
    #[serde(default = "ten")]
    pub attempts: usize,
    /// Which files that the patch changed must be used by a test.
    #[serde(default)]
    pub require_exercise: Require,
}

fn ten() -> usize {
    10
}

impl Suite {
    /// Reads a suite. Paths in it are left as they are.
    ///
    /// # Errors
    /// [`Invalid`](patchkit_core::ErrorKind::Invalid), with the line where there is one, for what is no suite.
    pub fn parse(yaml: &str) -> Result<Self> {
        let suite: Self = serde_saphyr::from_str(yaml).map_err(|error| Error::invalid(error.to_string()))?;
        suite.check().map_err(Error::invalid)?;
        Ok(suite)
    }

    /// Reads a suite from a file. Paths in it are relative to the file's folder.
    ///
    /// # Errors
    /// As [`parse`](Self::parse); [`Invalid`](patchkit_core::ErrorKind::Invalid) where a file is not there.
    pub fn read(path: &Path) -> Result<Self> {
        let error = |error: Error| error.during("read the suite").on(path.display());
        let text = fs::read_to_string(path).map_err(|cause| error(Error::invalid(cause.to_string())))?;
        let mut suite = Self::parse(&text).map_err(error)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        for fixture in &mut suite.fixtures {
            let found = fs::canonicalize(folder.join(&fixture.source));
            fixture.source = found
                .map_err(|cause| error(Error::invalid(format!("fixture {}: {cause}", fixture.source.display()))))?;
        }
        #[cfg(feature = "http")]
        if let Some(promise) = suite.behaviour.iter_mut().find_map(|behaviour| behaviour.contract.as_mut()) {
            promise.document = folder.join(&promise.document);
        }
        Ok(suite)
    }

    fn check(&self) -> Result<(), String> {
        if self.tests.is_empty() {
            return Err("a suite without tests".into());
        }
        let names = self.services.iter().map(|service| &service.name).chain(self.tests.iter().map(|test| &test.name));
        let mut seen = BTreeSet::new();
        for name in names {
            if name.is_empty() || !seen.insert(name) {
                return Err(format!("{name:?} is no name of its own for a service or test"));
            }
        }
        if self.services.is_empty() && !self.confined.is_empty() {
            return Err("confined is about a service's process, and there is no service".into());
        }
        if let Some(test) = self.tests.iter().find(|test| test.command.is_empty()) {
            return Err(format!("the test {} has no command", test.name));
        }
        let blank = |accepted: &&Accepted| accepted.owner.trim().is_empty() || accepted.reason.trim().is_empty();
        if let Some(accepted) = self.rules.accepted.iter().find(blank) {
            return Err(format!("what is accepted of {} has no owner or no reason", accepted.test));
        }
        let files = self
            .tests
            .iter()
            .flat_map(|test| test.report.file.iter().chain(test.coverage.iter().map(|coverage| &coverage.file)));
        let paths = files.chain(self.fixtures.iter().map(|fixture| &fixture.target));
        match paths.into_iter().find(|path| !path.starts_with('/')) {
            Some(path) => Err(format!("{path:?} is no absolute path in the image")),
            None => Ok(()),
        }
    }

    /// The files and folders of the host that it names.
    pub(super) fn files(&self) -> impl Iterator<Item = &Path> {
        let fixtures = self.fixtures.iter().map(|fixture| &*fixture.source);
        #[cfg(feature = "http")]
        let contract =
            self.behaviour.iter().flat_map(|behaviour| &behaviour.contract).map(|promise| &*promise.document);
        #[cfg(not(feature = "http"))]
        let contract = std::iter::empty();
        fixtures.chain(contract)
    }

    /// The same, with only those tests that report one of these.
    #[must_use]
    pub(super) fn only(&self, ids: &BTreeSet<TestId>) -> Self {
        let reports = |test: &Test, id: &TestId| {
            id.suite().strip_prefix(&test.name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let tests = self.tests.iter().filter(|test| ids.iter().any(|id| reports(test, id)));
        Self { tests: tests.cloned().collect(), ..self.clone() }
    }

    /// Whether it can be run on a platform.
    #[must_use]
    pub fn is_for(&self, platform: &Platform) -> bool {
        self.platforms.is_empty() || self.platforms.contains(platform)
    }
}

/// What is asked of the services, before and after, side by side.
#[cfg(feature = "http")]
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Behaviour {
    /// Requests whose answers must stay the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub probes: Vec<Probe>,
    /// An OpenAPI document that must be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<Promise>,
    /// What must say that data and schemas can live with the patch.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub hooks: Vec<Hook>,
}

/// An OpenAPI document, and how what it declares is called.
#[cfg(feature = "http")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Promise {
    /// The document, relative to the suite's file.
    pub document: PathBuf,
    /// How its operations are called.
    pub calls: Calls,
}

/// Something that must say that the patch is compatible.
#[cfg(feature = "http")]
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Hook {
    /// Its name.
    pub name: String,
    /// Program and arguments, run in the patched container.
    pub command: Vec<String>,
    /// The user, in the place of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The longest time to wait for its answer.
    #[serde(default = "minute", with = "duration::required")]
    pub within: Duration,
}

#[cfg(feature = "http")]
fn minute() -> Duration {
    Duration::from_secs(60)
}

/// The surroundings of all commands of a suite.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Environment {
    /// What can be reached.
    pub network: Reach,
    /// Whether the root can only be read, beside `/tmp`, `/run` and `/dev/shm`.
    pub read_only: bool,
    /// Whether root has no capabilities.
    pub no_capabilities: bool,
    /// The user; the image's where none is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Variables on top of the image's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The most time that one run of the suite may take: half an hour where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub time: Option<Duration>,
    /// The most memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
    /// The most processes and threads at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub processes: Option<u32>,
    /// How much of each output and report is kept: 64 MiB where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<Size>,
}

/// What commands of a suite can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// The host's network.
    Host,
    /// Their own loopback.
    #[default]
    Loopback,
    /// Nothing. Services then can only be ready by a file or a line of their log.
    None,
}

/// Data that commands see, never the users' own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Fixture {
    /// A file or folder, relative to the suite's file.
    pub source: PathBuf,
    /// Where it is seen in the image.
    pub target: String,
    /// Where it comes from.
    pub data: DataKind,
}

/// Where the data of a [`Fixture`] comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DataKind {
    /// From users, with everything removed that tells who they are.
    Anonymised,
    /// It is code: tests that are no part of the image.
    Code,
    /// It was made up.
    Synthetic,
}

/// Something that runs while the tests do.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Program and arguments; the image's entrypoint and command where empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// The user, in the place of the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Variables on top of the suite's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// When it is ready.
    pub ready: Readiness,
}

/// A command that tests something.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Test {
    /// Its name: the first part of the identity of every test that it reports.
    pub name: String,
    /// Program and arguments.
    pub command: Vec<String>,
    /// The user, in the place of the suite's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The working directory; the image's where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workdir: Option<String>,
    /// Variables on top of the suite's.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// The most time that it may take.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "duration::optional")]
    pub time: Option<Duration>,
    /// What it reports; its exit status alone where nothing is said.
    #[serde(default)]
    pub report: Report,
    /// What it says about coverage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coverage: Option<Coverage>,
}

/// A report of tests that a command leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Report {
    /// Its format.
    pub format: report::Format,
    /// The file that has it; standard output where none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// How many tests it must have at least.
    #[serde(default = "one")]
    pub at_least: usize,
}

fn one() -> usize {
    1
}

impl Default for Report {
    fn default() -> Self {
        Self { format: report::Format::ExitCode, file: None, at_least: 1 }
    }
}

/// A report of coverage that a command leaves.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Coverage {
    /// Its format.
    pub format: CoverageFormat,
    /// The file that has it.
    pub file: String,
}
