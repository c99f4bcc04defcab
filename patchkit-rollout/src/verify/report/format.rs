use std::fmt;

use patchkit_core::Result;
use serde::{Deserialize, Serialize};

use super::{TestRun, ctest, go_json, junit, libtest, nextest, pytest, run, tap};
use crate::verify::parse::{Fault, text};

/// How a test report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// What `ctest` prints, with or without `-V`, or its `--output-junit`.
    Ctest,
    /// A decimal exit status in a file. [`TestRun::of_exit`] is for one that is at hand.
    ExitCode,
    /// What `go test -json` prints.
    GoJson,
    /// JUnit's XML, as surefire, Gradle, pytest, googletest and nextest write it.
    Junit,
    /// What Rust's built-in test harness prints (`cargo test`), for people or with `--format json`.
    Libtest,
    /// What `cargo nextest run` prints, for people or with `--message-format libtest-json`.
    Nextest,
    /// What `pytest -v` or `pytest -rA` prints, or its `--junitxml`.
    Pytest,
    /// The Test Anything Protocol, versions 12 to 14.
    Tap,
}

impl Format {
    /// All formats, by name.
    pub const ALL: [Self; 8] =
        [Self::Ctest, Self::ExitCode, Self::GoJson, Self::Junit, Self::Libtest, Self::Nextest, Self::Pytest, Self::Tap];

    /// Its name, as in a suite file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ctest => "ctest",
            Self::ExitCode => "exit-code",
            Self::GoJson => "go-json",
            Self::Junit => "junit",
            Self::Libtest => "libtest",
            Self::Nextest => "nextest",
            Self::Pytest => "pytest",
            Self::Tap => "tap",
        }
    }

    /// Reads a report. A report may well say that there was no test.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt), with the line, where it is damaged, cut off, does not have as many
    /// tests as it says, or is longer than 256 MiB.
    pub fn parse(self, bytes: &[u8]) -> Result<TestRun> {
        if self == Self::ExitCode {
            return run::exit_status(bytes);
        }
        text(bytes).and_then(|text| self.read(&text)).map_err(|fault| fault.of(self.as_str()))
    }

    fn read(self, text: &str) -> Result<TestRun, Fault> {
        let is_xml = text.trim_start().starts_with('<');
        match self {
            Self::Ctest | Self::Pytest | Self::Nextest | Self::Junit if is_xml => junit::read(text),
            Self::Ctest => ctest::read(text),
            Self::ExitCode => unreachable!("it is no report of several tests"),
            Self::GoJson => go_json::read(text),
            Self::Junit => Err(Fault::at(1, "this is no XML")),
            Self::Libtest => libtest::read(text),
            Self::Nextest => nextest::read(text),
            Self::Pytest => pytest::read(text),
            Self::Tap => tap::read(text),
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
