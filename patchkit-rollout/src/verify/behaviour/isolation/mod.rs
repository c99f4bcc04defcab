//! What a container must not be able to do, shown by trying it, and that nothing outlives it.
//!
//! A forbidden thing is shown to be impossible only by its failing in the expected way. A program that is not there, was
//! not finished, or crashed shows nothing: the reason then says that we could not tell, and does not hold.

mod confinement;
mod survivor;

use patchkit_core::{Command, Container, Context, ErrorKind, Exit, Outcome, Reason, Result};
use regex::Regex;
use serde::{Deserialize, Serialize};

pub use confinement::{Expectation, confined};
pub(super) use survivor::is_ended;
pub use survivor::{Process, none_survives};

/// Something that must fail in the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Forbidden {
    /// What it is, as a verb phrase: `write to /etc`.
    pub what: String,
    /// Program and arguments that try it.
    pub command: Vec<String>,
    /// The user who tries it; the image's where none is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Program and arguments that must succeed, to show that the failure above is not the program's own: the same one,
    /// trying what is allowed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub control: Vec<String>,
    /// A regular expression that what it writes must match, so that it fails for the expected cause: `Permission denied`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub says: Option<String>,
}

impl Forbidden {
    /// A thing that must fail, by what it is and the command that tries it.
    pub fn new<S: Into<String>>(what: impl Into<String>, command: impl IntoIterator<Item = S>) -> Self {
        let command = command.into_iter().map(Into::into).collect();
        Self { what: what.into(), command, user: None, control: Vec::new(), says: None }
    }

    /// Tries it. The reason holds where it fails as expected.
    ///
    /// # Errors
    /// [`Cancel`](ErrorKind::Cancel), and [`Invalid`](ErrorKind::Invalid) for an empty command or a wrong expression.
    pub async fn check(&self, container: &dyn Container, cx: &Context) -> Result<Reason> {
        let says = self.says.as_deref().map(expression).transpose()?;
        if self.command.is_empty() {
            return Err(patchkit_core::Error::invalid("nothing is tried").on(&self.what));
        }
        if let Some(fault) = self.control_fault(container, cx).await? {
            return Ok(self.untold(format!("the control {fault}")));
        }
        Ok(match self.tried(&self.command, container, cx).await? {
            Ok(outcome) => self.judge(&outcome, says.as_ref()),
            Err(message) => self.untold(message),
        })
    }

    async fn control_fault(&self, container: &dyn Container, cx: &Context) -> Result<Option<String>> {
        if self.control.is_empty() {
            return Ok(None);
        }
        Ok(match self.tried(&self.control, container, cx).await? {
            Ok(Outcome { exit: Exit::Code(0), .. }) => None,
            Ok(outcome) => Some(format!("failed: {}", ending(&outcome))),
            Err(message) => Some(message),
        })
    }

    async fn tried(&self, args: &[String], container: &dyn Container, cx: &Context) -> Result<Result<Outcome, String>> {
        let command = Command { args: args.to_vec(), user: self.user.clone(), ..Command::default() };
        match container.exec(&command, cx).await {
            Ok(outcome) => Ok(Ok(outcome)),
            Err(error) if error.kind() == ErrorKind::Cancel => Err(error),
            Err(error) => Ok(Err(format!("could not be run: {error}"))),
        }
    }

    fn judge(&self, outcome: &Outcome, says: Option<&Regex>) -> Reason {
        let how = ending(outcome);
        match outcome.exit {
            Exit::Code(0) => Reason::no(format!("the container could {}", self.what)),
            Exit::Code(126 | 127) => self.untold(format!("the program cannot be run: {how}")),
            Exit::Code(_) | Exit::Signal(SIGSYS) if says.is_none_or(|says| is_said(outcome, says)) => {
                Reason::yes(format!("the container cannot {}: {how}", self.what))
            }
            Exit::Code(_) | Exit::Signal(SIGSYS) => self.untold(format!("it failed for another cause: {how}")),
            Exit::Limit(_) | Exit::Signal(_) => self.untold(how),
        }
    }

    fn untold(&self, message: String) -> Reason {
        Reason::no(format!("could not tell whether the container can {}: {message}", self.what))
    }
}

/// How seccomp ends a process that calls what is forbidden.
const SIGSYS: i32 = 31;

/// Tries each of the forbidden things: a reason for each, in order.
///
/// # Errors
/// Those of [`Forbidden::check`].
pub async fn forbidden(all: &[Forbidden], container: &dyn Container, cx: &Context) -> Result<Vec<Reason>> {
    let mut reasons = Vec::with_capacity(all.len());
    for one in all {
        reasons.push(one.check(container, cx).await?);
    }
    Ok(reasons)
}

fn expression(text: &str) -> Result<Regex> {
    Regex::new(text).map_err(|error| patchkit_core::Error::invalid(error.to_string()).on(text).because(error))
}

fn is_said(outcome: &Outcome, says: &Regex) -> bool {
    [&outcome.stdout, &outcome.stderr].iter().any(|stream| says.is_match(&String::from_utf8_lossy(stream)))
}

/// How it ended, with the last line that it wrote.
fn ending(outcome: &Outcome) -> String {
    let exit = match outcome.exit {
        Exit::Code(code) => format!("status {code}"),
        Exit::Limit(kind) => format!("ended by the limit of {kind:?}").to_lowercase(),
        Exit::Signal(signal) => format!("ended by signal {signal}"),
    };
    let text = String::from_utf8_lossy(if outcome.stderr.is_empty() { &outcome.stdout } else { &outcome.stderr });
    match text.lines().rev().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{exit}, {}", line.trim().chars().take(200).collect::<String>()),
        None => exit,
    }
}
