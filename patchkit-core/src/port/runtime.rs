use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Plugin, forward};
use crate::{Context, Image, Result};

/// Runs a command in an image.
///
/// # Contract
/// - A command that fails is an [`Outcome`]; an error means that it could not be run or watched.
/// - Limits are kept; when the call returns, is cancelled or dropped, nothing of the command is left running.
#[async_trait]
pub trait Runtime: Plugin {
    /// Runs the command to its end.
    async fn run(&self, image: &Image, command: &Command, cx: &Context) -> Result<Outcome>;
}

forward!(Runtime {
    fn run(image: &Image, command: &Command, cx: &Context) -> Result<Outcome>;
});

/// What to run, and in which surroundings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Command {
    /// Program and arguments; the image's entrypoint and command where empty.
    pub args: Vec<String>,
    /// Variables on top of the image's.
    pub env: BTreeMap<String, String>,
    /// The user, `name|uid[:group|gid]`; the image's where none is given.
    pub user: Option<String>,
    /// The working directory; the image's where none is given.
    pub workdir: Option<String>,
    /// Folders of the host to show.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach.
    pub network: Network,
    /// Whether the root file system may be written to.
    pub read_only_root: bool,
    /// What it reads from standard input.
    pub stdin: Bytes,
    /// Absolute paths of files to collect when it has ended.
    pub collect: Vec<String>,
}

/// A folder of the host that the command sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Where it lies on the host.
    pub source: PathBuf,
    /// Where it is seen in the image.
    pub target: String,
    /// Whether it may be written to.
    pub writable: bool,
}

/// What a command may use. `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Wall-clock time.
    pub time: Option<Duration>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Processes and threads at once.
    pub processes: Option<u32>,
    /// Bytes kept of each output stream.
    pub output: Option<u64>,
}

/// What a command may reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's network.
    Host,
    /// Its own loopback only.
    Loopback,
    /// Nothing.
    #[default]
    None,
}

/// How a command ended, and what it left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub exit: Exit,
    /// What it wrote to standard output, up to the limit.
    pub stdout: Bytes,
    /// What it wrote to standard error, up to the limit.
    pub stderr: Bytes,
    /// The collected files that were there.
    pub files: BTreeMap<String, Bytes>,
    /// How long it ran.
    pub duration: Duration,
}

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Code(i32),
    /// By a limit.
    Limit(LimitKind),
    /// By a signal.
    Signal(i32),
}

/// Which limit ended a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Memory.
    Memory,
    /// Wall-clock time.
    Time,
}
