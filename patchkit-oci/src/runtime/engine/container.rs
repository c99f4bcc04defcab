//! A container of an engine's.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bollard::{
    Docker,
    errors::Error as EngineError,
    query_parameters::{
        AttachContainerOptionsBuilder, KillContainerOptionsBuilder, StartContainerOptions, WaitContainerOptions,
    },
};
use bytes::Bytes;
use futures::StreamExt;
use patchkit_core::{
    Command, Connection, Container, Context, Error, ErrorKind, Exit, Image, LimitKind, Outcome, Output, Result, Seen,
    Used,
};
use tokio::{
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    archive,
    attached::Attached,
    error::of_engine,
    exec,
    owner::Owned,
    plain::{Inspected, inspect},
};
use crate::runtime::{
    Watch,
    network::{self, Namespace, Side},
};

/// How long streams may stay open after the container has ended.
const LINGER: Duration = Duration::from_secs(5);

/// A container that was started.
#[derive(Debug)]
pub(super) struct EngineContainer {
    docker: Docker,
    image: Image,
    command: Command,
    began: Instant,
    pid: Option<u32>,
    attached: Attached,
    timer: Option<Timer>,
    /// Before the container, whose file system it holds on to.
    watched: Option<Watched>,
    owned: Owned,
}

/// What is used, and whether that was looked at from the beginning.
#[derive(Debug)]
struct Watched {
    watch: Watch,
    from_start: bool,
}

impl EngineContainer {
    /// Starts a container that was created for a command.
    pub(super) async fn start(docker: Docker, mut owned: Owned, image: &Image, command: &Command) -> Result<Self> {
        let attached = attach(&docker, owned.id(), command).await?;
        // podman has made the first process by now, Docker makes it when it starts it.
        let early = if command.observe { watch(&inspect(owned.socket(), owned.id()).await?, true) } else { None };
        let began = Instant::now();
        docker.start_container(owned.id(), None::<StartContainerOptions>).await.map_err(of_engine)?;
        let inspected = inspect(owned.socket(), owned.id()).await?;
        let pid = inspected.pid();
        pid.into_iter().for_each(|pid| owned.keep(pid));
        let timer = command.limits.time.map(|limit| Timer::start(&docker, &owned, limit));
        let late = if early.is_none() && command.observe { watch(&inspected, false) } else { None };
        let (image, command) = (image.clone(), command.clone());
        Ok(Self { docker, image, command, began, pid, attached, timer, watched: early.or(late), owned })
    }

    fn id(&self) -> &str {
        self.owned.id()
    }

    fn used(&self) -> Option<Used> {
        let Watched { watch, from_start } = self.watched.as_ref()?;
        let used = watch.used();
        Some(Used { seen: if *from_start { used.seen } else { Seen::Mapped }, ..used })
    }

    async fn collect(&self, command: &Command) -> Result<BTreeMap<String, Bytes>> {
        let mut files = BTreeMap::new();
        for path in &command.collect {
            let found = archive::read(&self.docker, self.id(), path, command.limits.output).await;
            match found {
                Ok(Some(content)) => _ = files.insert(path.clone(), content),
                Ok(None) => {}
                Err(error) if error.kind() == ErrorKind::Invalid => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    /// Waits until the container has ended.
    async fn ended(&self) -> Result<()> {
        // The engine answers when it has ended, and may take as long for it as that takes.
        let patient = self.docker.clone().with_timeout(Duration::from_secs(u32::MAX.into()));
        let answer = Box::pin(patient.wait_container(self.id(), None::<WaitContainerOptions>)).next().await;
        match answer {
            None | Some(Ok(_) | Err(EngineError::DockerContainerWaitError { .. })) => Ok(()),
            Some(Err(error)) => Err(of_engine(error)),
        }
    }

    /// What it left. Used files are taken first: the engine opens what it collects.
    async fn outcome(mut self) -> Result<Outcome> {
        self.ended().await?;
        let duration = self.began.elapsed();
        let used = self.used();
        let output = match timeout(LINGER, self.attached.finish()).await {
            Ok(output) => output?,
            Err(_) => self.attached.output(),
        };
        let exit = self.exit(&inspect(self.owned.socket(), self.id()).await?);
        let files = self.collect(&self.command).await?;
        self.watched = None;
        let Self { owned, docker, .. } = self;
        owned.remove(&docker).await?;
        let Output { stdout, stderr } = output;
        Ok(Outcome { exit, stdout, stderr, files, used, duration })
    }

    fn exit(&self, inspected: &Inspected) -> Exit {
        if self.timer.as_ref().is_some_and(Timer::has_struck) {
            Exit::Limit(LimitKind::Time)
        } else if inspected.was_out_of_memory() {
            Exit::Limit(LimitKind::Memory)
        } else {
            exit_of(inspected.exit_code())
        }
    }
}

async fn attach(docker: &Docker, id: &str, command: &Command) -> Result<Attached> {
    let options = AttachContainerOptionsBuilder::new().stream(true).stdout(true).stderr(true);
    let options = options.stdin(!command.stdin.is_empty()).build();
    let attached = docker.attach_container(id, Some(options)).await.map_err(of_engine)?;
    Ok(Attached::new(attached.output, attached.input, command.stdin.clone(), command.limits.output))
}

/// Watches a container's own file system, where it has a process.
fn watch(inspected: &Inspected, from_start: bool) -> Option<Watched> {
    let pid = inspected.pid()?;
    let seen_by_process = || PathBuf::from(format!("/proc/{pid}/root"));
    let root = inspected.root().map_or_else(seen_by_process, Path::to_owned);
    Watch::start(&root, pid).map(|watch| Watched { watch, from_start })
}

/// Sends a signal to the first process. One that has ended has nothing to say against it.
pub(super) async fn signal(docker: &Docker, socket: &Path, id: &str, signal: &str) -> Result<()> {
    let options = KillContainerOptionsBuilder::new().signal(signal).build();
    match docker.kill_container(id, Some(options)).await.map_err(of_engine) {
        Err(error) if inspect(socket, id).await?.is_running() => Err(error),
        _ => Ok(()),
    }
}

/// What a status of an engine's means.
pub(super) fn exit_of(status: i64) -> Exit {
    match i32::try_from(status) {
        Ok(status @ 129..=192) => Exit::Signal(status - 128),
        Ok(status) => Exit::Code(status),
        Err(_) => Exit::Code(i32::MAX),
    }
}

/// Ends a container when its time is over.
#[derive(Debug)]
struct Timer {
    struck: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Timer {
    fn start(docker: &Docker, owned: &Owned, limit: Duration) -> Self {
        let (docker, socket, id) = (docker.clone(), owned.socket().to_owned(), owned.id().to_owned());
        let struck = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let struck = struck.clone();
            async move {
                tokio::time::sleep(limit).await;
                struck.store(true, Ordering::SeqCst);
                if let Err(error) = signal(&docker, &socket, &id, "SIGKILL").await {
                    tracing::warn!(%id, %error, "a container whose time is over could not be ended");
                }
            }
        });
        Self { struck, task }
    }

    fn has_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn has_ended() -> Error {
    Error::unavailable("the container has ended")
}

#[async_trait]
impl Container for EngineContainer {
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome> {
        let began = Instant::now();
        let (exit, output) = exec::run(&self.docker, &self.owned, &self.image, command, cx).await?;
        let duration = began.elapsed();
        let used = if command.observe { self.used() } else { None };
        let files = cx.guard(self.collect(command)).await?;
        let Output { stdout, stderr } = output;
        Ok(Outcome { exit, stdout, stderr, files, used, duration })
    }

    async fn output(&self, cx: &Context) -> Result<Output> {
        cx.check()?;
        Ok(self.attached.output())
    }

    async fn connect(&self, port: u16, cx: &Context) -> Result<Box<dyn Connection>> {
        let connecting = async {
            let namespace = match Side::of(port, &self.command.network)? {
                Side::Container => Some(Namespace::of(self.pid.ok_or_else(has_ended)?)?),
                Side::Host => None,
            };
            network::dial(namespace, port).await
        };
        cx.guard(connecting).await.map_err(|error| error.on(format!("port {port}")).by("engine"))
    }

    async fn read(&self, path: &str, cx: &Context) -> Result<Option<Bytes>> {
        if archive::is_process_file(path) {
            return match self.pid {
                None => Err(has_ended().on(path)),
                Some(pid) => archive::read_process_file(pid, path, None),
            };
        }
        cx.guard(archive::read(&self.docker, self.id(), path, None)).await.map_err(|error| error.by("engine"))
    }

    async fn wait(self: Box<Self>, cx: &Context) -> Result<Outcome> {
        cx.guard(self.outcome()).await.map_err(|error| error.during("wait for container").by("engine"))
    }

    async fn stop(self: Box<Self>, grace: Duration, cx: &Context) -> Result<Outcome> {
        let stopped = async {
            signal(&self.docker, self.owned.socket(), self.id(), "SIGTERM").await?;
            if let Ok(ended) = timeout(grace, self.ended()).await {
                ended?;
            }
            signal(&self.docker, self.owned.socket(), self.id(), "SIGKILL").await?;
            self.outcome().await
        };
        cx.guard(stopped).await.map_err(|error| error.during("stop container").by("engine"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_of_signals_are_signals() {
        assert_eq!([3, 137, 255].map(exit_of), [Exit::Code(3), Exit::Signal(9), Exit::Code(255)]);
    }
}
