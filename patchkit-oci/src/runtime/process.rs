//! A runtime program that runs, and what its command writes.

use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use patchkit_core::{Error, Exit, Result};
use rustix::{
    event::{PollFd, PollFlags, Timespec},
    process::{Pid, PidfdFlags, Signal},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
    process::{Child, Command},
    sync::watch,
    task::JoinHandle,
};

/// How often it is looked whether a command has started.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the program may go on when its command has ended: `runc exec` waits until nobody holds the pipes.
pub(super) const LINGER: Duration = Duration::from_millis(300);

/// A runtime program with its command's streams.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) child: Child,
    pub(super) streams: Streams,
}

impl Running {
    /// Starts the program with something to read for its command.
    pub(super) fn start(mut program: Command, stdin: Bytes, most: Option<u64>) -> Result<Self> {
        let name = program.as_std().get_program().to_string_lossy().into_owned();
        let failed = |error: io::Error| {
            let missing = error.kind() == io::ErrorKind::NotFound;
            let error_of = if missing { Error::unsupported } else { Error::unexpected };
            error_of(format!("cannot be started: {error}")).on(&name).because(error)
        };
        let (stdout, out) = Stream::new(most).map_err(failed)?;
        let (stderr, err) = Stream::new(most).map_err(failed)?;
        program.stdin(if stdin.is_empty() { Stdio::null() } else { Stdio::piped() }).stdout(out).stderr(err);
        program.process_group(0).current_dir("/");
        let mut child = program.spawn().map_err(failed)?;
        if let Some(mut pipe) = child.stdin.take() {
            // Whoever does not want to read it need not.
            tokio::spawn(async move { pipe.write_all(&stdin).await });
        }
        Ok(Self { child, streams: Streams { stdout, stderr } })
    }

    /// Waits until the command has started, and gives the number of its process, `None` where it has ended already.
    pub(super) async fn started(&mut self, pid_file: &Path) -> Result<u32> {
        loop {
            let ended = self.child.try_wait().map_err(unwatched)?;
            if let Some(pid) = std::fs::read_to_string(pid_file).ok().and_then(|text| text.trim().parse().ok()) {
                return Ok(pid);
            }
            if let Some(status) = ended {
                let said = self.streams.end().await.1;
                let said = String::from_utf8_lossy(&said).trim().to_owned();
                let said = if said.is_empty() { status.to_string() } else { said };
                return Err(Error::unexpected(format!("the runtime could not start it: {said}")));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

pub(super) fn unwatched(error: io::Error) -> Error {
    Error::unexpected(format!("the runtime program cannot be watched: {error}")).because(error)
}

/// How a command ended, as a runtime program says it with its own status: 128 and more are signals, as in a shell.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code @ 129..=192), _) => Exit::Signal(code - 128),
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap_or_default()),
    }
}

/// What a command writes.
#[derive(Debug)]
pub(super) struct Streams {
    stdout: Stream,
    stderr: Stream,
}

impl Streams {
    /// What was written until now.
    pub(super) fn so_far(&self) -> (Bytes, Bytes) {
        (self.stdout.so_far(), self.stderr.so_far())
    }

    /// What was written when the command ended. Whoever still holds the pipes is not waited for.
    pub(super) async fn end(&mut self) -> (Bytes, Bytes) {
        (self.stdout.end().await, self.stderr.end().await)
    }
}

#[derive(Debug)]
struct Stream {
    kept: Arc<Mutex<Vec<u8>>>,
    ended: watch::Sender<bool>,
    reader: JoinHandle<()>,
}

impl Stream {
    fn new(most: Option<u64>) -> io::Result<(Self, Stdio)> {
        let (reader, writer) = io::pipe()?;
        let pipe = pipe::Receiver::from_owned_fd(OwnedFd::from(reader))?;
        let (kept, (ended, told)) = (Arc::default(), watch::channel(false));
        let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
        let reader = tokio::spawn(collect(pipe, Arc::clone(&kept), most, told));
        Ok((Self { kept, ended, reader }, writer.into()))
    }

    fn so_far(&self) -> Bytes {
        Bytes::copy_from_slice(&self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn end(&mut self) -> Bytes {
        self.ended.send_replace(true);
        let _ = (&mut self.reader).await;
        std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner)).into()
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Reads until nobody can write any more, or the command has ended and nothing is left in the pipe.
async fn collect(mut pipe: pipe::Receiver, kept: Arc<Mutex<Vec<u8>>>, most: usize, mut ended: watch::Receiver<bool>) {
    let keep = |bytes: &[u8]| {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        let left = most.saturating_sub(kept.len());
        kept.extend_from_slice(&bytes[..bytes.len().min(left)]);
    };
    let mut buffer = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = pipe.read(&mut buffer) => read,
            _ = ended.wait_for(|ended| *ended) => break,
        };
        match read {
            Ok(read @ 1..) => keep(&buffer[..read]),
            Ok(0) | Err(_) => return,
        }
    }
    // What someone goes on writing is not the command's.
    for _ in 0..64 {
        match pipe.try_read(&mut buffer) {
            Ok(read @ 1..) => keep(&buffer[..read]),
            Ok(0) | Err(_) => return,
        }
    }
}

/// When a process started, in clock ticks since boot; `None` where it has ended. That is field 22 of `/proc/PID/stat`,
/// counted after the name, which may hold anything.
pub(super) fn born(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_whitespace();
    let state = fields.next()?;
    (!matches!(state, "Z" | "X")).then(|| fields.nth(18)?.parse().ok())?
}

/// A process of a container, however its number is used later.
#[derive(Debug)]
pub(super) struct Process(OwnedFd);

impl Process {
    /// The process with this number; `None` where it has ended.
    ///
    /// It must be in another process namespace than we are: a number that was given to somebody else is not taken.
    pub(super) fn open(pid: u32) -> Option<Self> {
        let process = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let handle = rustix::process::pidfd_open(process, PidfdFlags::empty()).ok()?;
        let namespace = |of: &str| std::fs::read_link(format!("/proc/{of}/ns/pid"));
        let other = namespace(&pid.to_string()).ok()? != namespace("self").ok()?;
        other.then_some(Self(handle))
    }

    /// Sends a signal. One that has ended already is well, too.
    pub(super) fn signal(&self, signal: Signal) {
        let _ = rustix::process::pidfd_send_signal(&self.0, signal);
    }

    /// Whether it has ended.
    pub(super) fn has_ended(&self) -> bool {
        let mut polled = [PollFd::new(&self.0, PollFlags::IN)];
        rustix::event::poll(&mut polled, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).is_ok_and(|ready| ready > 0)
    }
}
