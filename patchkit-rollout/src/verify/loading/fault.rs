//! What keeps programs and libraries from being loaded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::{Deserialize, Serialize};

/// What a file misses, or what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "problem")]
pub enum Problem {
    /// It is an ELF file that no linker can read.
    Damaged {
        /// What is wrong, and where.
        reason: String,
    },
    /// The linker it is started with is absent, or for another machine.
    Interpreter {
        /// Its path.
        interpreter: String,
    },
    /// A library is found nowhere.
    Library {
        /// The name that is needed.
        library: String,
    },
    /// A symbol is in none of what is loaded.
    Symbol {
        /// Its name.
        symbol: String,
        /// The version that is needed.
        version: Option<String>,
        /// The library it was in when the file was made, where that is known.
        library: Option<String>,
    },
    /// A library does not have a version.
    Version {
        /// The library.
        library: String,
        /// The version that is needed.
        version: String,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged { reason } => write!(f, "is damaged: {reason}"),
            Self::Interpreter { interpreter } => write!(f, "is started with {interpreter}, which is not there"),
            Self::Library { library } => write!(f, "needs {library}, which is not found"),
            Self::Symbol { symbol, version, library } => {
                write!(f, "needs the symbol {symbol}")?;
                version.iter().try_for_each(|version| write!(f, " of version {version}"))?;
                library.iter().try_for_each(|library| write!(f, " of {library}"))?;
                f.write_str(", which nothing that is loaded has")
            }
            Self::Version { library, version } => {
                write!(f, "needs version {version} of {library}, which does not have it")
            }
        }
    }
}

/// Something that a file misses, and with whom it is loaded where it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The path of the file, without a leading slash.
    pub file: String,
    /// What it misses.
    #[serde(flatten)]
    pub problem: Problem,
    /// The programs that load it and then miss this, sorted.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub programs: BTreeSet<String>,
    /// The libraries, taken for themselves, that load it and then miss this, sorted. What loads such a library may
    /// bring the symbol.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub libraries: BTreeSet<String>,
}

impl Fault {
    /// Whether it is a symbol that no program misses: whoever opens the library may bring it.
    #[must_use]
    pub fn is_left_to_hosts(&self) -> bool {
        matches!(self.problem, Problem::Symbol { .. }) && self.programs.is_empty()
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 3;
        write!(f, "{} {}", self.file, self.problem)?;
        let others = self.programs.iter().chain(&self.libraries).filter(|root| **root != self.file);
        let others: Vec<&str> = others.map(|root| &**root).collect();
        if others.is_empty() {
            return Ok(());
        }
        write!(f, " (loaded by {}", others[..others.len().min(SHOWN)].join(", "))?;
        if others.len() > SHOWN {
            write!(f, " and {} more", others.len() - SHOWN)?;
        }
        f.write_str(")")
    }
}

/// Faults by file and problem while they are gathered.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<(String, Problem), (BTreeSet<String>, BTreeSet<String>)>);

/// What a closure belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Root {
    Library,
    Program,
}

impl Faults {
    pub(super) fn add(&mut self, file: String, problem: Problem, root: (Root, String)) {
        let (programs, libraries) = self.0.entry((file, problem)).or_default();
        match root {
            (Root::Library, path) => libraries.insert(path),
            (Root::Program, path) => programs.insert(path),
        };
    }

    pub(super) fn finish(self) -> Vec<Fault> {
        let faults = self.0.into_iter();
        faults.map(|((file, problem), (programs, libraries))| Fault { file, problem, programs, libraries }).collect()
    }
}
