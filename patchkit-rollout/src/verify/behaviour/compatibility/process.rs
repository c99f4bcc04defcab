use std::{ffi::OsString, path::PathBuf, process::Stdio, time::Duration};

use async_trait::async_trait;
use patchkit_core::{Command, Container, Context, Error, Exit, Reason, Result};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader},
    process::Child,
};

use super::{Answer, Compatibility};

/// A program on this machine that decides, and may look into both containers while it does.
///
/// It speaks lines of JSON. Its first line of input is `{"protocol": "patchkit-compatibility/1", "input": …}` with what
/// the caller gives it. It may write requests, each of which gets one line back:
///
/// | request | answer |
/// |---|---|
/// | `{"exec": {"in": "after", "args": ["psql", "-f", "check.sql"]}}` | `{"exit": {"code": 0}, "stdout": "…", "stderr": "…"}` |
/// | `{"read": {"in": "before", "path": "/etc/app/schema"}}` | `{"content": "…"}`, or `null` for a file that is not there |
///
/// What fails is answered with `{"error": "…"}`. Its last line is an [`Answer`]; then it exits with 0. It gets a time,
/// lines of at most a MiB and ten thousand requests. When it is done, late or given up, its whole process group is killed.
#[derive(Clone, Debug)]
pub struct ProcessHook {
    program: PathBuf,
    args: Vec<OsString>,
    input: Value,
    limit: Duration,
}

impl ProcessHook {
    /// The hook that runs this program for at most the given time.
    pub fn new(program: impl Into<PathBuf>, limit: Duration) -> Self {
        Self { program: program.into(), args: Vec::new(), input: Value::Null, limit }
    }

    /// The same, with one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// The same, given this to begin with: digests, endpoints, names.
    #[must_use]
    pub fn with_input(self, input: Value) -> Self {
        Self { input, ..self }
    }

    fn start(&self) -> Result<Group> {
        let mut command = tokio::process::Command::new(&self.program);
        command.args(&self.args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let child = command.process_group(0).kill_on_drop(true).spawn();
        Ok(Group(child.map_err(|error| Error::unavailable(error.to_string()).because(error))?))
    }
}

#[async_trait]
impl Compatibility for ProcessHook {
    async fn check(&self, before: &dyn Container, after: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
        let asked = cx.guard(async {
            let mut group = self.start()?;
            let talk = Talk { before, after, cx };
            match tokio::time::timeout(self.limit, talk.hold(&mut group.0, &self.input)).await {
                Ok(answer) => Ok(answer?.reasons()),
                Err(_) => Err(Error::unavailable(format!("no answer within {:?}", self.limit))),
            }
        });
        asked.await.map_err(|error| error.during("ask about compatibility").on(self.program.display()))
    }
}

/// A program with all that it started. Dropping it kills them.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // A child that was waited for has no id any more: `end` has killed its group before that.
        if let Some(id) = self.0.id() {
            kill(id);
        }
    }
}

fn kill(group: u32) {
    if let Some(id) = i32::try_from(group).ok().and_then(Pid::from_raw) {
        // It may be gone already.
        let _ = kill_process_group(id, Signal::KILL);
    }
}

/// The longest line that is read, in bytes.
const MAX_LINE: u64 = 1 << 20;
/// The most requests that are answered.
const MAX_REQUESTS: usize = 10_000;

struct Talk<'a> {
    before: &'a dyn Container,
    after: &'a dyn Container,
    cx: &'a Context,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Answer(Answer),
    Request(Request),
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Exec(Exec),
    Read(Read),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exec {
    r#in: Side,
    args: Vec<String>,
    #[serde(default)]
    user: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    r#in: Side,
    path: String,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    After,
    Before,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Ended {
    Code(i32),
    Limit(String),
    Signal(i32),
}

impl From<Exit> for Ended {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Code(code) => Self::Code(code),
            Exit::Limit(kind) => Self::Limit(format!("{kind:?}").to_lowercase()),
            Exit::Signal(signal) => Self::Signal(signal),
        }
    }
}

impl Talk<'_> {
    async fn hold(&self, child: &mut Child, input: &Value) -> Result<Answer> {
        let mut to = child.stdin.take().expect("it was asked for");
        let mut from = BufReader::new(child.stdout.take().expect("it was asked for"));
        // A program that answers without listening is no fault.
        let _ = say(&mut to, &json!({"protocol": "patchkit-compatibility/1", "input": input})).await;
        for _ in 0..MAX_REQUESTS {
            let Some(line) = hear(&mut from).await? else { break };
            match serde_json::from_slice(&line) {
                Ok(Line::Answer(answer)) => {
                    drop(to);
                    return end(child).await.map(|()| answer);
                }
                Ok(Line::Request(request)) => say(&mut to, &self.fulfil(request).await?).await?,
                Err(error) => return Err(Error::corrupt(format!("a line is neither request nor answer: {error}"))),
            }
        }
        Err(Error::unavailable("it ended, or asked too much, without an answer"))
    }

    async fn fulfil(&self, request: Request) -> Result<Value> {
        let result = match request {
            Request::Exec(Exec { r#in, args, user }) => self.exec(r#in, args, user).await,
            Request::Read(Read { r#in, path }) => self.read(r#in, &path).await,
        };
        self.cx.check()?;
        Ok(result.unwrap_or_else(|error| json!({"error": error.to_string()})))
    }

    async fn exec(&self, side: Side, args: Vec<String>, user: Option<String>) -> Result<Value> {
        let outcome = self.side(side).exec(&Command { args, user, ..Command::default() }, self.cx).await?;
        let [stdout, stderr] = [&outcome.stdout, &outcome.stderr].map(|stream| String::from_utf8_lossy(stream));
        Ok(json!({"exit": Ended::from(outcome.exit), "stdout": stdout, "stderr": stderr}))
    }

    async fn read(&self, side: Side, path: &str) -> Result<Value> {
        let content = self.side(side).read(path, self.cx).await?;
        Ok(json!({"content": content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())}))
    }

    fn side(&self, side: Side) -> &dyn Container {
        match side {
            Side::After => self.after,
            Side::Before => self.before,
        }
    }
}

/// Waits for the program, and ends what it has left in its group before its id can become another's.
async fn end(child: &mut Child) -> Result<()> {
    if let Some(id) = child.id() {
        while is_running(id) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        kill(id);
    }
    let status = child.wait().await.map_err(|error| Error::unexpected(error.to_string()).because(error))?;
    match status.success() {
        true => Ok(()),
        false => Err(Error::unavailable(format!("it answered but ended with {status}"))),
    }
}

/// Whether a child has not ended; one that has still is to be waited for.
fn is_running(id: u32) -> bool {
    let Some(id) = i32::try_from(id).ok().and_then(Pid::from_raw) else { return false };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(id), options), Ok(None))
}

async fn say(to: &mut (impl AsyncWrite + Unpin), value: &Value) -> Result<()> {
    let line = format!("{value}\n");
    to.write_all(line.as_bytes()).await.map_err(|error| Error::unavailable(error.to_string()).because(error))
}

async fn hear(from: &mut (impl AsyncBufRead + Unpin)) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = from.take(MAX_LINE).read_until(b'\n', &mut line).await;
    read.map_err(|error| Error::unavailable(error.to_string()).because(error))?;
    if line.len() as u64 == MAX_LINE {
        return Err(Error::unsupported(format!("a line is longer than {MAX_LINE} bytes")));
    }
    Ok((!line.is_empty()).then_some(line))
}
