use std::{
    io,
    path::{Path, PathBuf},
};

use patchkit_core::{Error, Result};
use tokio::process::Command;

use super::builtin;

/// An OCI runtime program, and what comes before its arguments.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    word: Option<&'static str>,
}

/// What a program understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// What the built-in one does: the annotation `org.patchkit.overlay` and the command `connect` beside the rest.
    BuiltIn,
    /// The command line of runc's.
    Standard,
}

impl Program {
    pub(super) fn named(path: PathBuf) -> Self {
        Self { path, word: None }
    }

    /// The program that this process runs, which hands over to the built-in runtime.
    pub(super) fn own() -> Result<Self> {
        let path = std::env::current_exe();
        let failed = |error: io::Error| Error::unsupported(format!("our own program is not there: {error}"));
        Ok(Self { path: path.map_err(failed)?, word: Some(builtin::WORD) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The program with its first argument.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(self.word);
        command
    }

    /// The program and its first argument, for a shell: two words, of which the second may be empty.
    pub(super) fn words(&self) -> (&Path, &'static str) {
        (&self.path, self.word.unwrap_or_default())
    }

    /// Whether it is one that waits for everybody who holds its pipes, but notes the command's status before.
    pub(super) fn tells_status(&self) -> bool {
        self.word.is_none() && self.path.file_name().is_some_and(|name| name.to_string_lossy().contains("runc"))
    }
}
