//! What was found in one image.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::fault::Fault;

/// What was found in one image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadReport {
    /// The platform: `linux/amd64`.
    pub platform: String,
    /// How many programs there are.
    pub programs: usize,
    /// How many libraries there are.
    pub libraries: usize,
    /// What is missing, sorted by file.
    pub faults: Vec<Fault>,
    /// Symbols that libraries miss by themselves and no program does: whoever opens them may bring these.
    pub left_to_hosts: Vec<Fault>,
    /// What is odd and breaks nothing.
    pub notes: Vec<String>,
}

impl fmt::Display for LoadReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { platform, programs, libraries, faults, left_to_hosts, notes } = self;
        write!(f, "{platform}: {programs} programs and {libraries} libraries, {} faults", faults.len())?;
        faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))?;
        if !left_to_hosts.is_empty() {
            write!(f, "\n  {} symbols are left to who opens a library", left_to_hosts.len())?;
        }
        notes.iter().try_for_each(|note| write!(f, "\n  note: {note}"))
    }
}
