//! The `patchkit` command-line tool: the reference embedding, a few lines over the library for each command.

mod archive;
mod checking;
mod cli;
mod command;
mod looking;
mod output;
mod place;
mod present;
mod running;
mod scanning;

use std::{io::Write, process::ExitCode, time::Duration};

use patchkit_core::{Error, Stop};
use patchkit_oci::runtime::builtin;

use crate::cli::Cli;

/// How a command ended well.
pub(crate) enum Ended {
    /// It is done, or there was nothing to do.
    Done,
    /// There are findings at or above the asked severity.
    Findings,
}

fn main() -> ExitCode {
    // Containers call this program again as the built-in runtime, which must have one thread.
    let mut args = std::env::args_os().skip(1);
    if args.next().is_some_and(|first| first == builtin::WORD) {
        return builtin::main(args);
    }
    let tasks = tokio::runtime::Runtime::new().expect("the system gives threads");
    let code = tasks.block_on(run());
    // What still reads or writes for a container that is gone is not waited for.
    tasks.shutdown_timeout(Duration::from_secs(5));
    code
}

async fn run() -> ExitCode {
    let cli = Cli::read();
    let verbose = cli.global.verbose;
    trace(verbose);
    match command::run(cli).await {
        Ok(Ended::Done) => ExitCode::SUCCESS,
        Ok(Ended::Findings) => ExitCode::from(10),
        Err(stop) => ExitCode::from(explain(&stop, verbose)),
    }
}

/// Says why it stopped, in one line or, for a refusal, with all reasons; the exit status.
fn explain(stop: &Stop, verbose: bool) -> u8 {
    let mut stderr = anstream::stderr().lock();
    // Standard error that is closed is no reason to fail again.
    let _ = match stop {
        Stop::Failed(error) => writeln!(stderr, "error: {error} ({})", error.kind()),
        other => writeln!(stderr, "{other}"),
    };
    if let (true, Stop::Failed(error)) = (verbose, stop) {
        causes(error).for_each(|cause| drop(writeln!(stderr, "  because: {cause}")));
    }
    match stop {
        Stop::Failed(_) => 1,
        Stop::NothingToDo(_) => 0,
        Stop::Refused { .. } => 3,
        Stop::Waiting(_) => 4,
    }
}

fn causes(error: &Error) -> impl Iterator<Item = String> {
    let first = std::error::Error::source(error);
    std::iter::successors(first, |cause| cause.source()).map(ToString::to_string)
}

fn trace(verbose: bool) {
    let level = if verbose { tracing::Level::DEBUG } else { tracing::Level::WARN };
    let filter = tracing_subscriber::filter::Targets::new().with_default(tracing::Level::WARN).with_targets(
        ["patchkit_core", "patchkit_oci", "patchkit_scan", "patchkit_rollout"].map(|target| (target, level)),
    );
    use tracing_subscriber::prelude::*;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).without_time().with_target(false);
    tracing_subscriber::registry().with(lines).with(filter).init();
}
