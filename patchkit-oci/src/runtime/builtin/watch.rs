//! Watching over what runs in a container, from outside.

use std::{
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::{Child, ExitStatus},
};

use nix::sys::{
    signal::SigSet,
    signalfd::{SfdFlags, SignalFd},
};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::Errno,
    process::{Pid, PidfdFlags, Signal, getppid, pidfd_open},
};

use super::{Fault, fault::Blame, state::Being};

const WHAT: &str = "watching";

/// Eyes on the signals that this process gets, and on its parent.
#[derive(Debug)]
pub(super) struct Watch {
    signals: SignalFd,
    /// None where the parent is outside of this process's namespace and cannot be seen.
    parent: Option<OwnedFd>,
}

impl Watch {
    /// From now on signals wait to be read.
    pub(super) fn begin() -> Result<Self, Fault> {
        let parent = getppid();
        let handle = parent.map(|parent| pidfd_open(parent, PidfdFlags::empty()).blame("the caller")).transpose()?;
        if parent != getppid() {
            return Err(Fault::new("the caller", "it has died"));
        }
        let all = SigSet::all();
        all.thread_block().blame(WHAT)?;
        let signals = SignalFd::with_flags(&all, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK).blame(WHAT)?;
        Ok(Self { signals, parent: handle })
    }

    /// Waits until the child ends, and passes signals on meanwhile. When the parent dies, the child is killed.
    pub(super) fn until_end(&self, child: &mut Child, to: Being) -> Result<ExitStatus, Fault> {
        let id = Pid::from_raw(child.id().cast_signed()).expect("a child has a number");
        let handle = pidfd_open(id, PidfdFlags::empty()).blame(WHAT)?;
        loop {
            let eyes = [Some(handle.as_fd()), Some(self.signals.as_fd()), self.parent.as_ref().map(AsFd::as_fd)];
            let mut eyes: Vec<_> =
                eyes.iter().flatten().map(|eye| PollFd::from_borrowed_fd(*eye, PollFlags::IN)).collect();
            match poll(&mut eyes, None) {
                Err(Errno::INTR) => continue,
                other => other.blame(WHAT)?,
            };
            if !eyes[0].revents().is_empty() {
                return child.wait().blame(WHAT);
            }
            self.pass_on(to)?;
            if eyes.get(2).is_some_and(|parent| !parent.revents().is_empty()) {
                child.kill().blame(WHAT)?;
            }
        }
    }

    fn pass_on(&self, to: Being) -> Result<(), Fault> {
        while let Some(signal) = self.signals.read_signal().blame(WHAT)? {
            let signal = Signal::from_named_raw(signal.ssi_signo.cast_signed());
            if let Some(signal) = signal.filter(|signal| ![Signal::CHILD, Signal::PIPE].contains(signal)) {
                let _ = to.signal(signal);
            }
        }
        Ok(())
    }
}

/// The exit status of a shell: the process's, or 128 and the signal.
pub(super) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255);
    u8::try_from(code).unwrap_or(255)
}
