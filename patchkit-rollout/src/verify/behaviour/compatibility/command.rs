use std::time::Duration;

use async_trait::async_trait;
use patchkit_core::{Command, Container, Context, Error, Exit, Outcome, Reason, Result};

use super::{Answer, Compatibility};

/// A command in the patched container whose exit status and answer on standard output decide: a client of a database
/// with a file of checks, or a migration that is only tried.
///
/// It is compatible where it exits with 0 and the last line with something on it that it writes is an [`Answer`] that
/// says so. Another status is a no, whatever was written. A program that is not there, or was ended by a limit or a
/// signal, has not answered.
#[derive(Clone, Debug)]
pub struct CommandHook {
    command: Command,
}

impl CommandHook {
    /// The hook that runs this command, for at most the given time.
    #[must_use]
    pub fn new(command: Command, limit: Duration) -> Self {
        let mut command = command;
        command.limits.time = Some(command.limits.time.map_or(limit, |time| time.min(limit)));
        Self { command }
    }
}

#[async_trait]
impl Compatibility for CommandHook {
    async fn check(&self, _before: &dyn Container, after: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
        let outcome = after.exec(&self.command, cx).await?;
        judge(&outcome).map_err(|error| error.during("ask about compatibility").on(self.command.args.join(" ")))
    }
}

fn judge(outcome: &Outcome) -> Result<Vec<Reason>> {
    let answer = last_line(&outcome.stdout).and_then(|line| serde_json::from_str::<Answer>(&line).ok());
    match outcome.exit {
        Exit::Code(0) => {
            let answer = answer.ok_or_else(|| Error::unsupported("its standard output does not end with an answer"))?;
            Ok(answer.reasons())
        }
        Exit::Code(code @ (126 | 127)) => Err(Error::unavailable(format!("it cannot be run: status {code}"))),
        Exit::Code(code) => {
            let said = last_line(&outcome.stderr).map(|line| format!(": {line}")).unwrap_or_default();
            let mut reasons = vec![Reason::no(format!("the check ended with status {code}{said}"))];
            reasons.extend(answer.filter(|answer| !answer.compatible).into_iter().flat_map(Answer::reasons));
            Ok(reasons)
        }
        Exit::Limit(kind) => Err(Error::unavailable(format!("it was ended by the limit of {kind:?}").to_lowercase())),
        Exit::Signal(signal) => Err(Error::unavailable(format!("it was ended by signal {signal}"))),
    }
}

fn last_line(stream: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(stream);
    text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
