//! The command line.

use std::{ffi::OsString, path::PathBuf};

use rustix::process::Signal;

use super::{Fault, WORD, state};

/// What is asked for.
#[derive(Debug)]
pub(super) enum Invocation {
    Connect { root: PathBuf, id: String, port: u16 },
    Delete { root: PathBuf, id: String, force: Force },
    Enter,
    Exec { root: PathBuf, id: String, process: PathBuf, pid_file: Option<PathBuf> },
    Init,
    Join,
    Keep,
    Kill { root: PathBuf, id: String, signal: Signal },
    Run { root: PathBuf, id: String, bundle: PathBuf, pid_file: Option<PathBuf> },
    State { root: PathBuf, id: String },
}

/// Whether a container that runs is killed to delete it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    Kill,
    Refuse,
}

/// What stands on the line, in whichever order.
#[derive(Default)]
struct Words {
    plain: Vec<String>,
    root: Option<PathBuf>,
    bundle: Option<PathBuf>,
    process: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    force: bool,
}

impl Invocation {
    pub(super) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Self, Fault> {
        let mut words = Words::read(args)?;
        let mut plain = std::mem::take(&mut words.plain).into_iter();
        let verb = plain.next().ok_or_else(|| usage("a command is missing"))?;
        let invocation = match verb.as_str() {
            "enter" => Self::Enter,
            "init" => Self::Init,
            "join" => Self::Join,
            "keep" => Self::Keep,
            _ => words.outer(&verb, &mut plain)?,
        };
        plain.next().map_or(Ok(invocation), |word| Err(usage(&format!("unexpected {word:?}"))))
    }
}

impl Words {
    fn read(args: impl IntoIterator<Item = OsString>) -> Result<Self, Fault> {
        let mut words = Self::default();
        let mut args = args.into_iter().peekable();
        args.next_if(|first| first == WORD);
        while let Some(arg) = args.next() {
            let mut value = || args.next().map(PathBuf::from).ok_or_else(|| usage(&format!("{arg:?} needs a value")));
            match arg.to_str() {
                Some("--root") => words.root = Some(value()?),
                Some("--bundle" | "-b") => words.bundle = Some(value()?),
                Some("--process" | "-p") => words.process = Some(value()?),
                Some("--pid-file") => words.pid_file = Some(value()?),
                Some("--force" | "-f") => words.force = true,
                Some(word) if !word.starts_with('-') => words.plain.push(word.to_owned()),
                _ => return Err(usage(&format!("unknown option {arg:?}"))),
            }
        }
        Ok(words)
    }

    fn outer(self, verb: &str, plain: &mut impl Iterator<Item = String>) -> Result<Invocation, Fault> {
        let port = if verb == "connect" { port(&plain.next().unwrap_or_default())? } else { 0 };
        let id = state::id(plain.next().ok_or_else(|| usage("an id is missing"))?)?;
        let root = self.root.ok_or_else(|| usage("--root is missing"))?;
        let pid_file = self.pid_file;
        Ok(match verb {
            "connect" => Invocation::Connect { root, id, port },
            "delete" => Invocation::Delete { root, id, force: if self.force { Force::Kill } else { Force::Refuse } },
            "exec" => {
                let process = self.process.ok_or_else(|| usage("--process is missing"))?;
                Invocation::Exec { root, id, process, pid_file }
            }
            "kill" => Invocation::Kill { root, id, signal: signal(&plain.next().unwrap_or_else(|| "TERM".into()))? },
            "run" => {
                let bundle = self.bundle.ok_or_else(|| usage("--bundle is missing"))?;
                Invocation::Run { root, id, bundle, pid_file }
            }
            "state" => Invocation::State { root, id },
            _ => return Err(usage(&format!("unknown command {verb:?}"))),
        })
    }
}

fn port(text: &str) -> Result<u16, Fault> {
    text.parse().map_err(|_| usage(&format!("{text:?} is no port")))
}

/// A signal by number or name, with or without `SIG`.
fn signal(text: &str) -> Result<Signal, Fault> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = name
        .parse()
        .ok()
        .or_else(|| format!("SIG{name}").parse().ok().map(|named: nix::sys::signal::Signal| named as i32));
    number.and_then(Signal::from_named_raw).ok_or_else(|| usage(&format!("unknown signal {text:?}")))
}

fn usage(why: &str) -> Fault {
    Fault::new("command line", why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Invocation, Fault> {
        Invocation::parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_stand_anywhere() {
        for line in ["--root /r run --bundle /b x", "__container run x --root /r -b /b"] {
            let Ok(Invocation::Run { root, id, bundle, pid_file: None }) = parse(line) else { panic!("{line}") };
            assert_eq!((root, id.as_str(), bundle), ("/r".into(), "x", "/b".into()));
        }
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for text in ["9", "KILL", "SIGKILL", "kill"] {
            assert_eq!(signal(text).unwrap(), Signal::KILL, "{text}");
        }
        assert!(signal("NONE").is_err() && signal("0").is_err() && signal("-1").is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "",
            "run",
            "--root /r run x",
            "--root",
            "--root /r state ../x",
            "--root /r state x y",
            "--root /r play x",
            "--root /r connect x",
            "--root /r connect 70000 x",
        ] {
            assert!(parse(line).is_err(), "{line}");
        }
    }
}
