//! The contract of [`Runtime`].

use std::time::Duration;

use bytes::Bytes;

use super::{Check, Outcomes, equal, holds};
use crate::{Command, Context, Exit, Image, LimitKind, Limits, Outcome, Result, Runtime};

/// Runs every case in an image that has a POSIX `/bin/sh` with `cat` and `sleep`.
pub async fn suite(runtime: &dyn Runtime, image: &Image) -> Outcomes {
    let mut outcomes = Outcomes::default();
    outcomes.case("a-failure-is-an-outcome", exit_code(runtime, image)).await;
    outcomes.case("output-is-kept-apart", output(runtime, image)).await;
    outcomes.case("the-environment-is-passed", environment(runtime, image)).await;
    outcomes.case("input-is-passed", input(runtime, image)).await;
    outcomes.case("the-time-limit-is-kept", time_limit(runtime, image)).await;
    outcomes.case("the-output-limit-is-kept", output_limit(runtime, image)).await;
    outcomes
}

fn shell(script: &str) -> Command {
    Command { args: ["/bin/sh", "-c", script].map(Into::into).to_vec(), ..Command::default() }
}

async fn run(runtime: &dyn Runtime, image: &Image, command: &Command) -> Result<Outcome> {
    runtime.run(image, command, &Context::new()).await
}

async fn exit_code(runtime: &dyn Runtime, image: &Image) -> Check {
    equal(run(runtime, image, &shell("exit 3")).await?.exit, Exit::Code(3))
}

async fn output(runtime: &dyn Runtime, image: &Image) -> Check {
    let outcome = run(runtime, image, &shell("echo out; echo err >&2")).await?;
    equal((&*outcome.stdout, &*outcome.stderr), (&b"out\n"[..], &b"err\n"[..]))
}

async fn environment(runtime: &dyn Runtime, image: &Image) -> Check {
    let env = [("GREETING".to_owned(), "hello world".to_owned())].into();
    let outcome = run(runtime, image, &Command { env, ..shell("printf %s \"$GREETING\"") }).await?;
    equal(outcome.stdout, Bytes::from("hello world"))
}

async fn input(runtime: &dyn Runtime, image: &Image) -> Check {
    let outcome = run(runtime, image, &Command { stdin: Bytes::from("hello"), ..shell("cat") }).await?;
    equal(outcome.stdout, Bytes::from("hello"))
}

async fn time_limit(runtime: &dyn Runtime, image: &Image) -> Check {
    let limits = Limits { time: Some(Duration::from_millis(300)), ..Limits::default() };
    let outcome = run(runtime, image, &Command { limits, ..shell("sleep 60") }).await?;
    equal(outcome.exit, Exit::Limit(LimitKind::Time))
}

async fn output_limit(runtime: &dyn Runtime, image: &Image) -> Check {
    let limits = Limits { output: Some(4), ..Limits::default() };
    let outcome = run(runtime, image, &Command { limits, ..shell("echo 0123456789") }).await?;
    holds(outcome.stdout == "0123", &format!("{:?} was kept", outcome.stdout))
}
