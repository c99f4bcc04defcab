//! A container runtime that needs nothing installed and no root: the part of runc's command line that running an image
//! takes, on OCI bundles (runtime-spec 1.x), for Linux 5.8 and later on x86-64 and AArch64.
//!
//! A program that embeds it hands over in its first lines, while it has one thread:
//!
//! ```no_run
//! use std::process::ExitCode;
//! use patchkit_oci::runtime::builtin;
//!
//! fn main() -> ExitCode {
//!     let mut args = std::env::args_os().skip(1);
//!     if args.next().is_some_and(|first| first == builtin::WORD) {
//!         return builtin::main(args);
//!     }
//!     ExitCode::SUCCESS
//! }
//! ```
//!
//! Then `PROGRAM __container …` understands `--root DIR` followed by
//! - `run --bundle DIR [--pid-file FILE] ID`: runs the bundle's process in the foreground. The exit status is the
//!   process's, 128 + n for a signal, 127 where the program is not found, 126 where it cannot be executed, 125 where the
//!   container could not be made (one line on standard error says why).
//! - `exec --process FILE [--pid-file FILE] ID`: runs another process in it, with the same statuses.
//! - `connect PORT ID`: copies bytes between its standard streams and a TCP port on the container's loopback, each
//!   direction until its end. A line feed on standard output comes first, once it is connected; 111 is the exit status
//!   where nobody listens or the container has ended.
//! - `kill ID SIGNAL`, `state ID`, `delete [--force] ID`.
//!
//! # Processes
//! `run` watches from outside. Its child is pid 1 of the container: it makes the mounts, reaps, and passes signals on;
//! pid 2 becomes the command, and when it ends everything ends. When `run` or its caller is killed, pid 1 is killed by
//! the kernel, and with it everything in the container; a keeper outside removes control groups and state.
//!
//! # Always so
//! No new privileges, and a deny-list of system calls: what `linux.seccomp` says is not read. Programs of 32 bits are
//! killed. A caller other than root gets a user namespace whether the configuration names one or not. What cannot be
//! kept (hooks, a terminal, a limit that no control group or resource limit can hold) is refused, not ignored.

mod arguments;
mod capability;
mod cgroup;
mod channel;
mod connect;
mod enter;
mod exec;
mod fault;
mod init;
mod keeper;
mod limits;
mod mapping;
mod namespace;
mod rootfs;
mod run;
mod seccomp;
mod shield;
mod spec;
mod state;
mod watch;

use std::{ffi::OsString, process::ExitCode};

use arguments::Invocation;
pub(super) use connect::{CONNECTED, REFUSED};
use fault::Fault;

/// The first argument by which a program is asked to be the runtime.
pub const WORD: &str = "__container";

/// Runs the runtime with the arguments after the program's name; a leading [`WORD`] is skipped.
///
/// It must be called while the process has one thread: namespaces are entered by threads.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    match Invocation::parse(args).and_then(perform) {
        Ok(status) => ExitCode::from(status),
        Err(fault) => {
            eprintln!("patchkit-container: {fault}");
            ExitCode::from(fault.status())
        }
    }
}

fn perform(invocation: Invocation) -> Result<u8, Fault> {
    match invocation {
        Invocation::Connect { root, id, port } => connect::connect(&root, &id, port),
        Invocation::Delete { root, id, force } => state::delete(&root, &id, force),
        Invocation::Enter => enter::enter(),
        Invocation::Exec { root, id, process, pid_file } => exec::exec(&root, &id, &process, pid_file.as_deref()),
        Invocation::Init => init::init(),
        Invocation::Join => exec::join(),
        Invocation::Keep => keeper::keep(),
        Invocation::Kill { root, id, signal } => state::kill(&root, &id, signal),
        Invocation::Run { root, id, bundle, pid_file } => run::run(&root, &id, &bundle, pid_file.as_deref()),
        Invocation::State { root, id } => state::show(&root, &id),
    }
}

/// Reads a bundle's `config.json` as the runtime would, and says what it refuses about it.
///
/// # Errors
/// [`Invalid`](patchkit_core::ErrorKind::Invalid), with the field or the line and column.
pub fn check_config(bytes: &[u8]) -> patchkit_core::Result<()> {
    let refused = |fault: Fault| patchkit_core::Error::new(patchkit_core::ErrorKind::Invalid, fault.to_string());
    spec::Config::parse(bytes).map(drop).map_err(refused)
}
