//! Whether something of a container is left after its end.

use std::time::Duration;

use patchkit_core::{Context, Reason, Result};

/// A process, by what never comes again: its id with the time it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id, in the name space of whoever looks.
    pub id: u32,
    /// When it started, in the kernel's ticks after the machine's start.
    pub started: u64,
}

impl Process {
    /// A living process, from its `/proc/PID/stat`, see proc(5). Nothing for one that has ended but was not waited for,
    /// and for what is not such a file.
    #[must_use]
    pub fn read(stat: &[u8]) -> Option<Self> {
        let (id, rest) = split(stat)?;
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!has_ended(state)).then_some(Self { id, started })
    }
}

/// Whether the `/proc/PID/stat` is that of a process that has ended.
pub(in super::super) fn is_ended(stat: &[u8]) -> bool {
    split(stat).is_some_and(|(_, rest)| rest.split_ascii_whitespace().next().is_some_and(has_ended))
}

fn has_ended(state: &str) -> bool {
    matches!(state, "X" | "Z" | "x")
}

/// The id, and what follows the name. The name may hold anything, also brackets and spaces.
fn split(stat: &[u8]) -> Option<(u32, &str)> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let id = std::str::from_utf8(&stat[..open]).ok()?.trim().parse().ok()?;
    Some((id, std::str::from_utf8(stat.get(close + 1..)?).ok()?))
}

/// Whether none of the processes that were in a container is alive after its end. The caller says which are, as seen
/// from the host; those that are get the time of grace to go, since the kernel ends them one after another.
///
/// A list without processes shows nothing, so the reason does not hold.
///
/// # Errors
/// [`Cancel`](patchkit_core::ErrorKind::Cancel).
pub async fn none_survives(
    were: &[Process],
    is_alive: impl Fn(&Process) -> bool + Send + Sync,
    grace: Duration,
    cx: &Context,
) -> Result<Reason> {
    if were.is_empty() {
        return Ok(Reason::no("could not tell whether a process survives: none was seen in the container"));
    }
    let begun = cx.now();
    loop {
        let alive: Vec<_> = were.iter().filter(|process| is_alive(process)).map(|process| process.id).collect();
        if alive.is_empty() {
            return Ok(Reason::yes(format!("none of {} processes survives the container", were.len())));
        }
        if cx.now().duration_since(begun).unsigned_abs() >= grace {
            return Ok(Reason::no(format!("processes survive the container: {alive:?}")));
        }
        cx.sleep(Duration::from_millis(20)).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_hold_brackets() {
        let stat = |state| format!("17 (a) (b) {state} {} 4242 0\n", vec!["0"; 18].join(" "));
        assert_eq!(Process::read(stat("S").as_bytes()), Some(Process { id: 17, started: 4242 }));
        assert_eq!(Process::read(stat("Z").as_bytes()), None);
        assert!(is_ended(stat("Z").as_bytes()) && !is_ended(stat("R").as_bytes()));
        for odd in ["", "17", ")(", "17 (a", "x (a) S"] {
            assert_eq!(Process::read(odd.as_bytes()), None);
        }
    }

    #[tokio::test]
    async fn a_survivor_is_named() {
        let child = |seconds: &str| std::process::Command::new("sleep").arg(seconds).spawn().unwrap();
        let seen = |id: u32| Process::read(&std::fs::read(format!("/proc/{id}/stat")).unwrap()).unwrap();
        let alive = |process: &Process| {
            std::fs::read(format!("/proc/{}/stat", process.id)).ok().and_then(|stat| Process::read(&stat))
                == Some(*process)
        };
        let (mut long, mut short) = (child("60"), child("0.2"));
        let both = [seen(long.id()), seen(short.id())];
        let cx = Context::new();
        let reason = none_survives(&both, alive, Duration::from_millis(600), &cx).await.unwrap();
        assert_eq!(reason, Reason::no(format!("processes survive the container: [{}]", long.id())));
        long.kill().unwrap();
        assert!(none_survives(&both, alive, Duration::from_secs(5), &cx).await.unwrap().holds);
        assert!(!none_survives(&[], alive, Duration::ZERO, &cx).await.unwrap().holds);
        long.wait().unwrap();
        short.wait().unwrap();
    }
}
