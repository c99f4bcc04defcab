use std::{fmt, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Command, Context, Outcome, Result};

/// A command that was started in an image, and what there is around it. Dropping it ends and removes everything.
///
/// # Contract
/// - Its time limit ends the first command, and with it everything in the container, whoever waits or not.
/// - When the first command has ended, so has everything else in the container.
#[async_trait]
pub trait Container: fmt::Debug + Send + Sync {
    /// Runs another command in it to its end: among the same files, processes and network.
    ///
    /// Mounts, network, capabilities, the limits of memory and processes, and whether the root can be written to, are
    /// the container's; of the command they are not looked at.
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome>;

    /// What the first command has written to its output streams until now, up to the limit.
    async fn output(&self, cx: &Context) -> Result<Output>;

    /// Connects to a TCP port on the container's loopback.
    ///
    /// [`Denied`](crate::ErrorKind::Denied) where its network does not have that port;
    /// [`Unavailable`](crate::ErrorKind::Unavailable) where nobody listens.
    async fn connect(&self, port: u16, cx: &Context) -> Result<Box<dyn Connection>>;

    /// The content of a file in it, as it is now; `None` where there is none. The container's `/proc` can be read too,
    /// in which `1` is the first command.
    async fn read(&self, path: &str, cx: &Context) -> Result<Option<Bytes>>;

    /// Waits until the first command ends, by itself or by a limit.
    async fn wait(self: Box<Self>, cx: &Context) -> Result<Outcome>;

    /// Asks the first command to end (`SIGTERM`), ends it after a time of grace, and waits.
    async fn stop(self: Box<Self>, grace: Duration, cx: &Context) -> Result<Outcome>;
}

/// What a command has written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Output {
    /// Standard output.
    pub stdout: Bytes,
    /// Standard error.
    pub stderr: Bytes,
}

/// A stream of bytes in both directions.
pub trait Connection: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin {}

impl<C: AsyncRead + AsyncWrite + fmt::Debug + Send + Sync + Unpin> Connection for C {}
