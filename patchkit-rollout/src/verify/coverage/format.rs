use std::fmt;

use patchkit_core::Result;
use serde::{Deserialize, Serialize};

use super::{Coverage, cobertura, coverage_py, go_profile, jacoco, lcov};
use crate::verify::parse::text;

/// How a coverage report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CoverageFormat {
    /// Cobertura's XML, as coverage.py, gcovr and others write it.
    Cobertura,
    /// The JSON of coverage.py (`coverage json`).
    CoveragePy,
    /// A cover profile of Go (`go test -coverprofile`).
    GoProfile,
    /// JaCoCo's XML. A file's path is its package and its name.
    Jacoco,
    /// The tracefile of LCOV (`lcov`, `geninfo`, `cargo llvm-cov --lcov`).
    Lcov,
}

impl CoverageFormat {
    /// All formats, by name.
    pub const ALL: [Self; 5] = [Self::Cobertura, Self::CoveragePy, Self::GoProfile, Self::Jacoco, Self::Lcov];

    /// Its name, as in a suite file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cobertura => "cobertura",
            Self::CoveragePy => "coverage-py",
            Self::GoProfile => "go-profile",
            Self::Jacoco => "jacoco",
            Self::Lcov => "lcov",
        }
    }

    /// Reads a report.
    ///
    /// # Errors
    /// [`Corrupt`](patchkit_core::ErrorKind::Corrupt), with the line, where it is damaged, cut off, or longer than 256
    /// MiB.
    pub fn parse(self, bytes: &[u8]) -> Result<Coverage> {
        let read = match self {
            Self::Cobertura => cobertura::read,
            Self::CoveragePy => coverage_py::read,
            Self::GoProfile => go_profile::read,
            Self::Jacoco => jacoco::read,
            Self::Lcov => lcov::read,
        };
        text(bytes).and_then(|text| read(&text)).map_err(|fault| fault.of(self.as_str()))
    }
}

impl fmt::Display for CoverageFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
