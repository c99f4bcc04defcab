//! A container that runs.

use std::{
    collections::BTreeMap,
    fmt, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{Command, Connection, Container, Context, Error, Exit, Image, LimitKind, Outcome, Output, Result};
use rustix::process::Signal;
use tokio::{process::Child, task::JoinHandle};

use super::{
    cgroup::MemoryGroup,
    exec::Exec,
    keeper::Keeper,
    network::{self, Namespace, Side},
    observe::Watch,
    process::{Process, Streams, exit_of, unwatched},
    program::{Dialect, Program},
    relay::Relay,
    root::{self, Root},
    view::View,
};
use crate::file::{blocking, on};

/// How long a killed container's runtime program may take to notice.
const PATIENCE: Duration = Duration::from_secs(5);

/// What a container is made of.
pub(super) struct Parts {
    pub(super) program: Program,
    pub(super) dialect: Dialect,
    pub(super) id: String,
    pub(super) image: Image,
    pub(super) command: Command,
    pub(super) root: Root,
    pub(super) view: Arc<View>,
    pub(super) watch: Option<Watch>,
    pub(super) network: Option<Namespace>,
    pub(super) pid: u32,
    pub(super) process: Option<Arc<Process>>,
    pub(super) streams: Streams,
    pub(super) first: First,
    pub(super) keeper: Keeper,
}

impl Parts {
    /// The program, asked to connect to a port.
    fn connector(&self, port: u16) -> tokio::process::Command {
        let mut program = self.program.command();
        program.arg("--root").arg(self.root.folder.join("state")).args(["connect", &port.to_string(), &self.id]);
        program
    }
}

/// A container; its parts are taken out of it when it ends.
pub(super) struct OciContainer {
    parts: Option<Parts>,
    inside: Mutex<Option<Arc<Inside>>>,
    commands: AtomicU64,
}

/// The container's own view of its files, which stays as long as this lives.
struct Inside {
    view: View,
    _namespace: std::fs::File,
}

/// The first command, which a task watches over.
pub(super) struct First(JoinHandle<Result<(Exit, Duration)>>);

impl First {
    /// Watches until it ends, and ends it when its time is over.
    pub(super) fn watch(
        mut child: Child,
        process: Option<Arc<Process>>,
        memory: Option<MemoryGroup>,
        limit: Option<Duration>,
        began: Instant,
    ) -> Self {
        Self(tokio::spawn(async move {
            let in_time = async {
                match limit {
                    Some(limit) => tokio::time::timeout(limit, child.wait()).await.ok(),
                    None => Some(child.wait().await),
                }
            };
            if let Some(status) = in_time.await {
                let exit = exit_of(status.map_err(unwatched)?);
                let starved = exit != Exit::Code(0) && memory.is_some_and(|memory| memory.ran_out());
                return Ok((if starved { Exit::Limit(LimitKind::Memory) } else { exit }, began.elapsed()));
            }
            if let Some(process) = process {
                process.signal(Signal::KILL);
            }
            let duration = began.elapsed();
            tokio::time::timeout(PATIENCE, child.wait()).await.map_err(|_| stuck())?.map_err(unwatched)?;
            Ok((Exit::Limit(LimitKind::Time), duration))
        }))
    }

    async fn end(&mut self) -> Result<(Exit, Duration)> {
        (&mut self.0).await.unwrap_or_else(|error| Err(Error::unexpected("nobody watched it").because(error)))
    }
}

fn stuck() -> Error {
    Error::unexpected("the runtime program does not end, although its command was ended")
}

impl Inside {
    /// The files of a process; `None` where it has ended, or is not in a root of its own yet.
    fn open(pid: u32) -> io::Result<Option<Self>> {
        let at = |name: &str| PathBuf::from(format!("/proc/{pid}/{name}"));
        let namespace = std::fs::File::open(at("ns/mnt"))?;
        let (theirs, ours) = (std::fs::metadata(at("root/"))?, std::fs::metadata("/")?);
        if (theirs.dev(), theirs.ino()) == (ours.dev(), ours.ino()) {
            return Ok(None);
        }
        Ok(Some(Self { view: View::new(&at("root"), Vec::new())?, _namespace: namespace }))
    }
}

/// Sees what a container uses, where its files are mounted on the host or as its first process has them.
fn watch(mountpoint: &Path, pid: u32) -> Option<Watch> {
    Watch::before_start(mountpoint).or_else(|| watch_inside(pid))
}

/// Sees what a container uses, by its first process.
pub(super) fn watch_inside(pid: u32) -> Option<Watch> {
    Watch::start(Path::new(&format!("/proc/{pid}/root")), pid)
}

impl OciContainer {
    pub(super) fn new(parts: Parts) -> Self {
        let container = Self { parts: Some(parts), inside: Mutex::default(), commands: AtomicU64::new(0) };
        // As early as can be: a command may end soon, and what it wrote is then seen this way only.
        container.inside();
        container
    }

    fn parts(&self) -> &Parts {
        self.parts.as_ref().expect("they are taken only by what takes the container")
    }

    fn inside(&self) -> Option<Arc<Inside>> {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let parts = self.parts.as_ref()?;
        if inside.is_none() && parts.process.as_ref().is_some_and(|process| !process.has_ended()) {
            *inside = Inside::open(parts.pid).ok().flatten().map(Arc::new);
        }
        inside.clone()
    }

    /// Does something with the container's files, where that may block.
    async fn look<T: Send + 'static>(&self, look: impl FnOnce(&View) -> Result<T> + Send + 'static) -> Result<T> {
        let (inside, outside) = (self.inside(), self.parts().view.clone());
        blocking(move || match inside {
            Some(inside) => look(&inside.view),
            None => look(&outside),
        })
        .await
    }

    /// Reads a file of the first command in the host's `/proc`; `None` where it has ended.
    fn read_of_first(&self, file: &str) -> Result<Option<Bytes>> {
        let parts = self.parts();
        let read = std::fs::read(format!("/proc/{}/{file}", parts.pid));
        // Asked afterwards: the number may be somebody else's by now.
        if parts.process.as_ref().is_none_or(|process| process.has_ended()) {
            return Ok(None);
        }
        let failed = |error: io::Error| Error::unexpected(format!("cannot read: {error}")).on(file).because(error);
        read.map(|bytes| Some(bytes.into())).map_err(failed)
    }

    async fn collect(&self, command: &Command) -> Result<BTreeMap<String, Bytes>> {
        let (paths, most) = (command.collect.clone(), command.limits.output);
        let read = move |view: &View| {
            let read = paths.into_iter().map(|path| Ok(view.read(&path, most)?.map(|bytes| (path, bytes))));
            read.filter_map(Result::transpose).collect()
        };
        if command.collect.is_empty() { Ok(BTreeMap::new()) } else { self.look(read).await }
    }

    async fn outcome(&mut self) -> Result<Outcome> {
        let parts = self.parts.as_mut().expect("they are taken last");
        let (exit, duration) = parts.first.end().await?;
        let (stdout, stderr) = parts.streams.end().await;
        let used = parts.watch.take().map(|watch| watch.used());
        let command = self.parts().command.clone();
        let files = self.collect(&command).await?;
        Ok(Outcome { exit, stdout, stderr, files, used, duration })
    }

    /// Waits for the first command within the context, then removes everything, whatever came of it.
    async fn finish(mut self: Box<Self>, cx: &Context) -> Result<Outcome> {
        let outcome = cx.guard(self.outcome()).await;
        let removed = match self.ending() {
            Some(ending) => ending.await,
            None => Ok(()),
        };
        let outcome = outcome?;
        removed.map(|()| outcome)
    }

    /// What ends everything; once.
    fn ending(&mut self) -> Option<impl Future<Output = Result<()>> + Send + 'static> {
        let parts = self.parts.take()?;
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).take();
        Some(end(parts))
    }
}

/// Ends what still runs and removes what there is. What cannot be done here is left to the keeper.
async fn end(parts: Parts) -> Result<()> {
    let Parts { id, root, view, watch, process, mut first, keeper, .. } = parts;
    // Both hold on to the mount.
    drop((view, watch));
    if let Some(process) = process.filter(|process| !process.has_ended()) {
        process.signal(Signal::KILL);
    }
    let watched = &mut first.0;
    if watched.is_finished() || tokio::time::timeout(PATIENCE, watched).await.is_ok() {
        keeper.ended()?;
        let folder = root.folder.clone();
        if !folder.join("state").join(&id).exists() {
            // Where it fails, the keeper tries on.
            let _ = blocking(move || root::remove(&folder).map_err(on(&folder))).await;
        }
    }
    keeper.end().await
}

impl Drop for OciContainer {
    fn drop(&mut self) {
        if let Some(process) = self.parts.as_ref().and_then(|parts| parts.process.as_ref()) {
            process.signal(Signal::KILL);
        }
        // Without somebody to run it, the parts are dropped, and the keeper does it.
        if let (Ok(runtime), Some(ending)) = (tokio::runtime::Handle::try_current(), self.ending()) {
            runtime.spawn(ending);
        }
    }
}

#[async_trait]
impl Container for OciContainer {
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome> {
        let parts = self.parts();
        let (image, wanted) = (parts.image.clone(), command.clone());
        let process = self.look(move |view| super::bundle::process(&image, &wanted, view)).await?;
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let exec = Exec { program: &parts.program, folder: &parts.root.folder, id: &parts.id, number };
        // One of its own, since the container's tells each file once.
        let watch = command.observe.then(|| watch(&parts.root.mountpoint(), parts.pid)).flatten();
        let outcome = cx.guard(exec.run(process, command)).await?;
        let used = watch.map(|watch| watch.used());
        Ok(Outcome { files: self.collect(command).await?, used, ..outcome })
    }

    async fn output(&self, cx: &Context) -> Result<Output> {
        cx.check()?;
        let (stdout, stderr) = self.parts().streams.so_far();
        Ok(Output { stdout, stderr })
    }

    async fn connect(&self, port: u16, cx: &Context) -> Result<Box<dyn Connection>> {
        let parts = self.parts();
        let connecting = async {
            match (Side::of(port, &parts.command.network)?, &parts.network, parts.dialect) {
                (Side::Host, ..) => network::dial(None, port).await,
                (Side::Container, Some(namespace), _) => network::dial(Some(namespace.share()?), port).await,
                (Side::Container, None, Dialect::BuiltIn) => {
                    Ok(Box::new(Relay::start(parts.connector(port)).await?) as Box<dyn Connection>)
                }
                (Side::Container, None, Dialect::Standard) => {
                    Err(Error::unsupported("only root reaches a network that this program made"))
                }
            }
        };
        cx.guard(connecting).await.map_err(|error| error.on(format!("port {port}")))
    }

    async fn read(&self, path: &str, cx: &Context) -> Result<Option<Bytes>> {
        if let Some(file) = path.strip_prefix("/proc/1/").filter(|file| OF_FIRST.contains(file)) {
            return self.read_of_first(file);
        }
        let path = path.to_owned();
        cx.guard(self.look(move |view| view.read(&path, None))).await
    }

    async fn wait(self: Box<Self>, cx: &Context) -> Result<Outcome> {
        self.finish(cx).await
    }

    async fn stop(mut self: Box<Self>, grace: Duration, cx: &Context) -> Result<Outcome> {
        let parts = self.parts.as_mut().expect("they are taken last");
        if let Some(process) = parts.process.clone() {
            process.signal(Signal::TERM);
            let first = &mut parts.first;
            let waited = async {
                let mut passed = false;
                tokio::select! {
                    () = async { while !first.0.is_finished() { tokio::time::sleep(PAUSE).await; } } => {}
                    () = tokio::time::sleep(grace) => passed = true,
                }
                Ok(passed)
            };
            // Cancelled or not, it is ended.
            if cx.guard(waited).await.unwrap_or(true) {
                process.signal(Signal::KILL);
            }
        }
        self.finish(cx).await
    }
}

/// What the kernel says of the first command, whatever its number in the container is: pid 1 may be the runtime's own.
/// None of these is a link.
const OF_FIRST: [&str; 9] =
    ["cmdline", "mountinfo", "net/dev", "net/ipv6_route", "net/route", "net/tcp", "net/tcp6", "stat", "status"];

/// How often it is looked whether a command that was asked to has ended.
const PAUSE: Duration = Duration::from_millis(5);

impl fmt::Debug for OciContainer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, folder) = self.parts.as_ref().map_or(("", Path::new("")), |parts| (&parts.id, &parts.root.folder));
        f.debug_struct("OciContainer").field("id", &id).field("folder", &folder).finish_non_exhaustive()
    }
}
