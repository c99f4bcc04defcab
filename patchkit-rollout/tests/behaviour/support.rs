//! A container that is this machine: its ports are servers on the loopback, its commands are answered by a closure.

use std::{
    collections::BTreeMap,
    fmt,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::Mutex,
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use patchkit_core::{Command, Connection, Container, Context, Error, Exit, Outcome, Output, Result};
use tokio::net::TcpStream;

type Answer = Box<dyn Fn(&Command) -> Result<Outcome> + Send + Sync>;

/// The port that a service has inside.
pub const PORT: u16 = 8080;

pub struct Loopback {
    pub ports: BTreeMap<u16, u16>,
    pub files: Mutex<BTreeMap<String, Bytes>>,
    pub output: Mutex<Output>,
    exec: Answer,
}

impl Loopback {
    pub fn new() -> Self {
        let exec: Answer = Box::new(|command| Err(Error::unsupported(format!("{:?}", command.args))));
        Self { ports: BTreeMap::new(), files: Mutex::default(), output: Mutex::default(), exec }
    }

    pub fn with_port(mut self, inside: u16, outside: u16) -> Self {
        self.ports.insert(inside, outside);
        self
    }

    pub fn with_file(self, path: &str, content: &str) -> Self {
        self.write(path, content);
        self
    }

    pub fn with_exec(self, exec: impl Fn(&Command) -> Result<Outcome> + Send + Sync + 'static) -> Self {
        Self { exec: Box::new(exec), ..self }
    }

    pub fn write(&self, path: &str, content: &str) {
        self.files.lock().unwrap().insert(path.to_owned(), Bytes::from(content.to_owned()));
    }
}

impl fmt::Debug for Loopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loopback").field("ports", &self.ports).finish_non_exhaustive()
    }
}

#[async_trait]
impl Container for Loopback {
    async fn exec(&self, command: &Command, cx: &Context) -> Result<Outcome> {
        cx.check()?;
        (self.exec)(command)
    }

    async fn output(&self, _cx: &Context) -> Result<Output> {
        Ok(self.output.lock().unwrap().clone())
    }

    async fn connect(&self, port: u16, _cx: &Context) -> Result<Box<dyn Connection>> {
        let outside =
            self.ports.get(&port).ok_or_else(|| Error::new(patchkit_core::ErrorKind::Denied, "no such port"))?;
        let stream = TcpStream::connect(("127.0.0.1", *outside)).await;
        Ok(Box::new(stream.map_err(|error| Error::unavailable(error.to_string()).because(error))?))
    }

    async fn read(&self, path: &str, _cx: &Context) -> Result<Option<Bytes>> {
        Ok(self.files.lock().unwrap().get(path).cloned())
    }

    async fn wait(self: Box<Self>, _cx: &Context) -> Result<Outcome> {
        Ok(outcome(Exit::Code(0), "", ""))
    }

    async fn stop(self: Box<Self>, _grace: Duration, cx: &Context) -> Result<Outcome> {
        self.wait(cx).await
    }
}

pub fn outcome(exit: Exit, stdout: &str, stderr: &str) -> Outcome {
    Outcome {
        exit,
        stdout: Bytes::from(stdout.to_owned()),
        stderr: Bytes::from(stderr.to_owned()),
        files: BTreeMap::new(),
        used: None,
        duration: Duration::ZERO,
    }
}

/// Runs a command on this machine as a container would.
pub fn run(command: &mut std::process::Command) -> Result<Outcome> {
    use std::os::unix::process::ExitStatusExt;
    let output = command.output().map_err(|error| Error::not_found(error.to_string()))?;
    let exit = match (output.status.code(), output.status.signal()) {
        (Some(code), _) => Exit::Code(code),
        (None, signal) => Exit::Signal(signal.unwrap()),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(outcome(exit, &text(&output.stdout), &text(&output.stderr)))
}

/// The service of `service.py`, with the named fault. It ends with this value.
pub struct Service {
    child: Child,
    pub container: Loopback,
}

impl Service {
    pub fn start(fault: &str) -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/behaviour/service.py");
        let mut child = std::process::Command::new("python3")
            .args([script, fault])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the tests need python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let container = Loopback::new().with_port(PORT, line.trim().parse().expect("the service says its port"));
        Self { child, container }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Whether a tool is here. Where everything must be run, its absence is a failure.
pub fn is_here(tool: &str, mut probe: std::process::Command) -> bool {
    let is_here = probe.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success());
    assert!(is_here || std::env::var_os("PATCHKIT_REQUIRE_EXTERNAL").is_none(), "{tool} is required but does not work");
    if !is_here {
        eprintln!("skipped: {tool} does not work here");
    }
    is_here
}

/// All messages of reasons that do not hold.
pub fn faults(reasons: &[patchkit_core::Reason]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left: Vec<_> = reasons.iter().collect();
    while let Some(reason) = left.pop() {
        if !reason.holds {
            found.push(reason.message.clone());
        }
        left.extend(&reason.because);
    }
    found.sort();
    found
}
