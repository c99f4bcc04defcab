//! What a suite file says.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    str::FromStr,
    time::Duration,
};

use jiff::SignedDuration;
use patchkit_core::{Capabilities, Digest, Error, Limits, Mount, Network, Platform, Result};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::verify::{
    behaviour::{Forbidden, Readiness},
    compare::{Accepted, Rules},
    coverage, report,
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
/// critical: ['*test_login*']
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
    /// The tests, in the order they are run.
    pub tests: Vec<Test>,
    /// Patterns of the tests that must be there and pass after patching.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub critical: Vec<String>,
    /// What may not be possible in the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forbidden: Vec<Forbidden>,
    /// When a difference counts.
    #[serde(default)]
    pub rules: Rules,
    /// Differences that somebody has accepted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<Accepted>,
    /// Whether every file of code that the patch changed must be used by a test.
    #[serde(default)]
    pub require_exercise: bool,
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
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<SignedDuration>,
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<SignedDuration>,
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
    pub format: coverage::Format,
    /// The file that has it.
    pub file: String,
}

/// A number of bytes: `512MiB`, `1GB`, `4096`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

/// Why some text is no [`Size`].
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0:?} is no size: a number, and perhaps kB, MB, GB, KiB, MiB or GiB")]
pub struct ParseSizeError(String);

impl FromStr for Size {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseSizeError(text.to_owned());
        let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let number: u64 = text[..digits].parse().map_err(|_| wrong())?;
        let unit = match text[digits..].trim() {
            "" | "B" => 1,
            "kB" | "KB" => 1000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return Err(wrong()),
        };
        number.checked_mul(unit).map(Self).ok_or_else(wrong)
    }
}

impl Serialize for Size {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(bytes) => Ok(Self(bytes)),
            Written::Text(text) => text.parse().map_err(serde::de::Error::custom),
        }
    }
}
