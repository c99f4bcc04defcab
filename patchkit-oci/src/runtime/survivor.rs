//! A shell that outlives this process, to clean up after it.
//!
//! It is a shell, since one is wherever a container runtime is, and nothing has to be installed for it. It reads from a
//! pipe that only we hold, which is closed when we end, for whatever reason.

use std::{
    ffi::OsStr,
    io::{self, Write},
    os::fd::AsFd,
    process::{ExitStatus, Stdio},
};

use patchkit_core::{Error, Result};
use tokio::process::{Child, ChildStdin, Command};

/// A shell that runs a script. Dropping it closes the pipe.
#[derive(Debug)]
pub(super) struct Survivor {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Survivor {
    /// Starts a script, in a group of processes of its own.
    pub(super) fn start(script: &str, arguments: &[&OsStr]) -> Result<Self> {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script, "patchkit-keeper"]).args(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).current_dir("/");
        let mut shell = command
            .spawn()
            .map_err(|error| Error::unsupported(format!("cannot start /bin/sh to clean up: {error}")).because(error))?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// Sends it a line. A line fits into the pipe, always: nothing blocks.
    pub(super) fn tell(&self, line: &str) -> Result<()> {
        let told = self.pipe.as_ref().map_or(Ok(()), |pipe| write_line(pipe, line));
        told.map_err(|error| Error::unexpected("the process that cleans up has ended").because(error))
    }

    /// Closes the pipe and waits until the script has ended.
    pub(super) async fn end(mut self) -> io::Result<ExitStatus> {
        drop(self.pipe.take());
        self.shell.wait().await
    }
}

fn write_line(pipe: &ChildStdin, line: &str) -> io::Result<()> {
    let mut file = std::fs::File::from(pipe.as_fd().try_clone_to_owned()?);
    file.write_all(format!("{line}\n").as_bytes())
}
