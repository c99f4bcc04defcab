//! What works here, found out by doing it.
//!
//! Whether a program is installed says little: there are kernels whose control groups one runtime program refuses and
//! another takes, and machines where only some users may mount. So each way to run commands runs one, and what it needs
//! of the system is tried by itself.

mod exit;
mod host;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use patchkit_core::{Command, Context, Error, ErrorKind, Exit, Limits, Result, Runtime, RuntimeExt};
use serde::Serialize;

/// How long one way to run commands may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the command is limited to: bytes of memory, and processes.
const MEMORY: u64 = 64 << 20;
const PROCESSES: u32 = 16;

/// Whether something works here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkup {
    /// What was tried: `runc`, `overlay mounts`.
    pub name: String,
    /// What came of it.
    #[serde(flatten)]
    pub health: Health,
}

/// What came of trying something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "health", rename_all = "lowercase")]
pub enum Health {
    /// It does not work.
    Fails {
        /// Why not.
        why: String,
        /// What to do, so that it does.
        advice: String,
    },
    /// It works.
    Works {
        /// What was seen.
        seen: String,
    },
}

impl Checkup {
    /// Whether it works.
    #[must_use]
    pub fn works(&self) -> bool {
        matches!(self.health, Health::Works { .. })
    }

    fn of(name: impl Into<String>, tried: Result<String>, advice: impl Into<String>) -> Self {
        let health = match tried {
            Ok(seen) => Health::Works { seen },
            Err(error) => Health::Fails { why: with_causes(&error), advice: advice.into() },
        };
        Self { name: name.into(), health }
    }
}

/// An error and the causes that say more than it does.
fn with_causes(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

impl fmt::Display for Checkup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.health {
            Health::Fails { why, advice } => write!(f, "✗ {}: {why}\n  → {advice}", self.name),
            Health::Works { seen } => write!(f, "✓ {}: {seen}", self.name),
        }
    }
}

/// A way to run commands, to be tried.
#[derive(Clone, Debug)]
pub struct Way {
    /// What people call it: `runc`, `built-in`.
    pub name: String,
    /// It, or why it could not even be made.
    pub runtime: Result<Arc<dyn Runtime>, Arc<Error>>,
    /// What to do where it does not work.
    pub advice: String,
}

impl Way {
    /// A way to run commands.
    pub fn new(name: impl Into<String>, runtime: Result<impl Runtime + 'static>, advice: impl Into<String>) -> Self {
        let runtime = runtime.map(|runtime| Arc::new(runtime) as Arc<dyn Runtime>).map_err(Arc::new);
        Self { name: name.into(), runtime, advice: advice.into() }
    }

    async fn checkup(&self, cx: &Context) -> Checkup {
        match &self.runtime {
            Ok(runtime) => Checkup::of(&self.name, try_out(runtime, cx).await, &self.advice),
            Err(error) => {
                let health = Health::Fails { why: with_causes(error), advice: self.advice.clone() };
                Checkup { name: self.name.clone(), health }
            }
        }
    }
}

/// Tries each of the ways to run commands, podman's and Docker's usual sockets (with the feature `engine`), and what
/// they need of the system, in this order.
///
/// Nothing is left behind, apart from what the ways themselves keep for the next start. It takes seconds.
pub async fn doctor(ways: &[Way], cx: &Context) -> Vec<Checkup> {
    let mut checkups = Vec::new();
    for way in ways {
        checkups.push(way.checkup(cx).await);
    }
    #[cfg(feature = "engine")]
    checkups.extend(engines(cx).await);
    checkups.extend(host::checkups(cx).await);
    checkups
}

/// Runs a program in an image that has nothing else, with limits, and says what that took.
///
/// # Errors
/// [`Unavailable`](patchkit_core::ErrorKind::Unavailable) where it takes more than a minute,
/// [`Unexpected`](patchkit_core::ErrorKind::Unexpected) where it ends differently than it does; those of the runtime.
pub async fn try_out(runtime: &dyn Runtime, cx: &Context) -> Result<String> {
    let image = exit::image(cx)?;
    let limits = Limits { memory: Some(MEMORY), processes: Some(PROCESSES), ..Limits::default() };
    let command = Command { args: vec![exit::PROGRAM.into()], limits, ..Command::default() };
    let began = Instant::now();
    let outcome = tokio::time::timeout(PATIENCE, runtime.run(&image, &command, cx)).await;
    let outcome = outcome.map_err(|_| Error::unavailable(format!("no answer in {} s", PATIENCE.as_secs())))??;
    match outcome.exit {
        Exit::Code(exit::STATUS) => Ok(format!("ran a program in {} ms", began.elapsed().as_millis())),
        other => {
            let said = String::from_utf8_lossy(&outcome.stderr).trim().to_owned();
            Err(Error::new(ErrorKind::Unexpected, format!("a program that ends with 42 ended with {other:?} {said}")))
        }
    }
}

#[cfg(feature = "engine")]
async fn engines(cx: &Context) -> Vec<Checkup> {
    let mut checkups = Vec::new();
    for socket in super::Engine::usual_sockets() {
        let advice = match socket.to_string_lossy().contains("podman") {
            true => "start its service: systemctl start podman.socket, with --user for a user's own",
            false => "start Docker, and join the group that may use its socket",
        };
        let tried = try_engine(&socket, cx).await;
        checkups.push(Checkup::of(format!("engine at {}", socket.display()), tried, advice));
    }
    checkups
}

#[cfg(feature = "engine")]
async fn try_engine(socket: &std::path::Path, cx: &Context) -> Result<String> {
    let engine = super::Engine::open(socket, cx).await?;
    let version = engine.version(cx).await?;
    Ok(format!("{version} {}", try_out(&engine, cx).await?))
}

#[cfg(test)]
mod tests {
    use patchkit_core::{Outcome, memory::MemoryRuntime};

    use super::*;

    fn ending(exit: Exit) -> MemoryRuntime {
        MemoryRuntime::new("memory", move |_, _| {
            let (stdout, stderr, files) = Default::default();
            Ok(Outcome { exit, stdout, stderr, files, used: None, duration: Duration::ZERO })
        })
    }

    #[tokio::test]
    async fn a_way_works_when_its_program_ends_as_it_does() {
        let cx = Context::new();
        assert!(Way::new("a", Ok(ending(Exit::Code(42))), "").checkup(&cx).await.works());
        for exit in [Exit::Code(0), Exit::Signal(9)] {
            assert!(!Way::new("a", Ok(ending(exit)), "").checkup(&cx).await.works());
        }
    }

    #[tokio::test]
    async fn what_does_not_work_says_why_and_what_to_do() {
        let cause = Error::unsupported("unknown version");
        let error = Error::unexpected("cgroups").because(cause);
        let checkup = Way::new("crun", Err::<MemoryRuntime, _>(error), "use runc").checkup(&Context::new()).await;
        assert_eq!(checkup.to_string(), "✗ crun: cgroups: unknown version\n  → use runc");
        let json = r#"{"name":"crun","health":"fails","why":"cgroups: unknown version","advice":"use runc"}"#;
        assert_eq!(serde_json::to_string(&checkup).unwrap(), json);
    }
}
