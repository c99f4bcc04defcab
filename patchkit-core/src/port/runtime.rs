use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Container, Plugin, forward};
use crate::{Context, Image, Result, image::FilePath};

/// Runs commands in images.
///
/// # Contract
/// - A command that fails is an [`Outcome`]; an error means that it could not be run or watched.
/// - Limits are kept. When the [`Container`] has ended, was dropped, or the process that holds it has died, nothing is
///   left: no process, no mount and no file.
/// - What one container writes, no other sees.
#[async_trait]
pub trait Runtime: Plugin {
    /// Starts the command as the first process of a container of its own.
    async fn start(&self, image: &Image, command: &Command, cx: &Context) -> Result<Box<dyn Container>>;
}

forward!(Runtime {
    fn start(image: &Image, command: &Command, cx: &Context) -> Result<Box<dyn Container>>;
});

/// What callers of a [`Runtime`] have beside its method.
#[async_trait]
pub trait RuntimeExt: Runtime {
    /// Runs the command to its end, in a container of its own.
    ///
    /// # Errors
    /// Those of [`Runtime::start`] and [`Container::wait`].
    async fn run(&self, image: &Image, command: &Command, cx: &Context) -> Result<Outcome> {
        self.start(image, command, cx).await?.wait(cx).await
    }
}

impl<R: Runtime + ?Sized> RuntimeExt for R {}

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
    /// Folders and files of the host to show.
    pub mounts: Vec<Mount>,
    /// What it may use.
    pub limits: Limits,
    /// What it may reach, and from where it can be reached.
    pub network: Network,
    /// What root may do.
    pub capabilities: Capabilities,
    /// Whether the root file system may not be written to. `/tmp`, `/run` and `/dev/shm` then are empty and can be.
    pub read_only_root: bool,
    /// Whether to note which of the image's files are used.
    pub observe: bool,
    /// What it reads from standard input.
    pub stdin: Bytes,
    /// Absolute paths of files to collect when it has ended.
    pub collect: Vec<String>,
}

/// A folder or file of the host that the command sees.
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
    /// Bytes kept of each output stream, and of each collected file.
    pub output: Option<u64>,
}

/// What a command may reach, and from where it can be reached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Network {
    /// The host's network.
    Host,
    /// Its own loopback only.
    Loopback,
    /// Nothing, not even a loopback.
    #[default]
    None,
    /// Its own loopback only, on which [`Container::connect`] reaches these TCP ports.
    Ports(BTreeSet<u16>),
}

/// What a root user in the container may do beyond owning files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Capabilities {
    /// What container engines give by default: change owners, bind low ports, switch users, and the like.
    #[default]
    Default,
    /// Nothing.
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
    /// Which files were used, where that was asked for and could be seen.
    pub used: Option<Used>,
    /// How long it ran.
    pub duration: Duration,
}

/// The files of an image that were used while a command ran, by it or by what ran beside it in its container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Used {
    /// How it was seen.
    pub seen: Seen,
    /// The files, by the names they were opened under once symbolic links are followed.
    pub files: BTreeSet<FilePath>,
}

/// How the use of files was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The kernel reported every opening (fanotify): nothing is missing.
    Opened,
    /// What processes had mapped was looked up from time to time: what was used but briefly, or only read, is missing.
    Mapped,
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
