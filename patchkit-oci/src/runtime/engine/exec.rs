//! Commands beside the first one.

use std::time::Duration;

use bollard::{
    Docker,
    exec::StartExecResults,
    models::{ExecConfig, ExecInspectResponse},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use patchkit_core::{Command, Context, Error, Exit, Image, LimitKind, Output, Result};
use tokio::time::{sleep, timeout};

use super::{attached::Attached, container::exit_of, create, error::of_engine, owner::Owned};

/// How long to wait before asking again whether a command has ended.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs a command in a container to its end, or ends it.
pub(super) async fn run(
    docker: &Docker,
    container: &Owned,
    image: &Image,
    command: &Command,
    cx: &Context,
) -> Result<(Exit, Output)> {
    let created =
        cx.guard(async { docker.create_exec(container.id(), config(image, command)).await.map_err(of_engine) });
    let id = created.await?.id;
    let mut attached = cx.guard(attach(docker, &id, command)).await?;
    let ended = cx.guard(async { Ok(within(command.limits.time, until_end(docker, &id, &mut attached)).await) }).await;
    match ended {
        Ok(Some(ended)) => told(ended?),
        Ok(None) => {
            end(docker, container, &id).await?;
            Ok((Exit::Limit(LimitKind::Time), attached.output()))
        }
        Err(cancelled) => {
            end(docker, container, &id).await?;
            Err(cancelled)
        }
    }
}

fn config(image: &Image, command: &Command) -> ExecConfig {
    let own = [image.config().entrypoint(), image.config().cmd()].concat();
    let args = if command.args.is_empty() { own } else { command.args.clone() };
    ExecConfig {
        attach_stdin: Some(!command.stdin.is_empty()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(args),
        env: Some(create::env(command)),
        user: command.user.clone(),
        working_dir: command.workdir.clone(),
        ..ExecConfig::default()
    }
}

async fn attach(docker: &Docker, id: &str, command: &Command) -> Result<Attached> {
    match docker.start_exec(id, None).await.map_err(of_engine)? {
        StartExecResults::Attached { output, input } => {
            Ok(Attached::new(output, input, command.stdin.clone(), command.limits.output))
        }
        StartExecResults::Detached => Err(Error::unexpected("the engine did not attach the command")),
    }
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = T>) -> Option<T> {
    match limit {
        Some(limit) => timeout(limit, work).await.ok(),
        None => Some(work.await),
    }
}

async fn until_end(docker: &Docker, id: &str, attached: &mut Attached) -> Result<(Exit, Output)> {
    let output = attached.finish().await?;
    loop {
        let ExecInspectResponse { running, exit_code, .. } = docker.inspect_exec(id).await.map_err(of_engine)?;
        match (running, exit_code) {
            (Some(true), _) | (_, None) => sleep(PAUSE).await,
            (_, Some(code)) => return Ok((exit_of(code), output)),
        }
    }
}

/// What engines say on a stream where the runtime program did not find the command: Docker on the first, podman on the
/// second.
const NO_PROGRAM: [&str; 2] =
    ["OCI runtime exec failed", "OCI runtime attempted to invoke a command that was not found"];

/// Engines have statuses of shells for a program that is not there.
fn told((exit, output): (Exit, Output)) -> Result<(Exit, Output)> {
    let said = [&output.stdout, &output.stderr].map(|stream| String::from_utf8_lossy(stream));
    let missing = said.iter().find(|said| NO_PROGRAM.iter().any(|message| said.contains(message)));
    match (exit, missing) {
        (Exit::Code(126 | 127), Some(said)) => {
            Err(Error::not_found(said.lines().next().unwrap_or_default()).during("run command"))
        }
        _ => Ok((exit, output)),
    }
}

/// Ends a command, where its process may be signalled; else its container.
async fn end(docker: &Docker, container: &Owned, id: &str) -> Result<()> {
    let pid = docker.inspect_exec(id).await.map_err(of_engine)?.pid.and_then(|pid| i32::try_from(pid).ok());
    let ended = pid.filter(|pid| *pid > 0).is_some_and(|pid| kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
    if !ended {
        super::container::signal(docker, container.socket(), container.id(), "SIGKILL").await?;
    }
    Ok(())
}
