//! A connection through the built-in program, which may enter a container's network where we may not.

use std::{
    io,
    pin::Pin,
    process::Stdio,
    task::{Context as Task, Poll},
};

use patchkit_core::{Error, Result};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

use super::builtin::{CONNECTED, REFUSED};

/// How much of what the program says is kept.
const MOST: u64 = 4 << 10;

/// A stream over the pipes of the program's `connect`. Dropping it ends that process.
#[derive(Debug)]
pub(super) struct Relay {
    _process: Child,
    /// None once it was shut down.
    input: Option<ChildStdin>,
    output: ChildStdout,
}

impl Relay {
    /// Starts the program and waits until it has connected.
    ///
    /// [`Unavailable`](patchkit_core::ErrorKind::Unavailable) where nobody listens or the container has ended.
    pub(super) async fn start(mut program: Command) -> Result<Self> {
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        program.kill_on_drop(true).process_group(0).current_dir("/");
        let mut process = program.spawn().map_err(broken)?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let mut output = output.expect("it was asked for");
        let mut first = [0];
        match output.read(&mut first).await {
            Ok(1) if first == [CONNECTED] => Ok(Self { _process: process, input, output }),
            _ => Err(refusal(process).await),
        }
    }
}

async fn refusal(mut process: Child) -> Error {
    let said = said(process.stderr.take()).await;
    match process.wait().await {
        Ok(status) if status.code() == Some(REFUSED.into()) => Error::unavailable(said),
        Ok(status) => Error::unexpected(format!("{status}: {said}")),
        Err(error) => broken(error),
    }
}

async fn said(stderr: Option<ChildStderr>) -> String {
    let mut said = Vec::new();
    if let Some(stderr) = stderr {
        // What was read before a fault is said all the same.
        let _ = stderr.take(MOST).read_to_end(&mut said).await;
    }
    String::from_utf8_lossy(&said).trim().to_owned()
}

fn broken(error: io::Error) -> Error {
    Error::unexpected(format!("the program that connects: {error}")).because(error)
}

impl AsyncRead for Relay {
    fn poll_read(mut self: Pin<&mut Self>, task: &mut Task<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.output).poll_read(task, buffer)
    }
}

impl AsyncWrite for Relay {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Task<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.input {
            Some(input) => Pin::new(input).poll_write(task, bytes),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// The pipe is closed, which the program passes on.
    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Task<'_>) -> Poll<io::Result<()>> {
        self.input = None;
        Poll::Ready(Ok(()))
    }
}
