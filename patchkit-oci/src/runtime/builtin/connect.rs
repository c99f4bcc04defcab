//! `connect`: bytes between the standard streams and a port of a container that runs.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::AsFd,
    path::Path,
    thread,
    time::Duration,
};

use nix::sched::{CloneFlags, setns};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

use super::{Fault, exec::flags, fault::Blame, shield, state::Record};

/// The exit status where nobody listens, or the container has ended.
pub(crate) const REFUSED: u8 = 111;

/// What comes before the port's bytes on standard output: somebody listens.
pub(crate) const CONNECTED: u8 = b'\n';

/// How long a loopback may take to connect.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn connect(root: &Path, id: &str, port: u16) -> Result<u8, Fault> {
    shield::close_inherited()?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).blame("connect")?;
    enter(root, id)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let refused = |error: io::Error| Fault::new(format!("port {port}"), error).with_status(REFUSED);
    let stream = TcpStream::connect_timeout(&address, PATIENCE).map_err(refused)?;
    relay(&stream).blame(format!("port {port}"))?;
    Ok(0)
}

/// Enters the container's network, and the user namespace that owns it.
fn enter(root: &Path, id: &str) -> Result<(), Fault> {
    let record = Record::read(root, id).map_err(|fault| fault.with_status(REFUSED))?;
    let init = record.running(id).map_err(|fault| fault.with_status(REFUSED))?.handle();
    let init = init.ok_or_else(|| Fault::new(id, "it has ended").with_status(REFUSED))?;
    let wanted = flags(record.namespaces.iter()) & (CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUSER);
    if wanted.is_empty() { Ok(()) } else { setns(&init, wanted).blame(id) }
}

/// Copies both ways, until both sides have said that no more comes. An end is passed on alone; a fault ends it all.
fn relay(stream: &TcpStream) -> io::Result<()> {
    let (input, mut output) = (file(rustix::stdio::stdin())?, file(rustix::stdio::stdout())?);
    let sending = stream.try_clone()?;
    io::Write::write_all(&mut output, &[CONNECTED])?;
    let sender = thread::spawn(move || send(input, &sending));
    io::copy(&mut &*stream, &mut output)?;
    drop(output);
    rustix::stdio::dup2_stdout(File::options().write(true).open("/dev/null")?)?;
    sender.join().unwrap_or_else(|_| Err(io::Error::other("the thread that sends stopped")))
}

fn send(mut input: File, mut stream: &TcpStream) -> io::Result<()> {
    let sent = io::copy(&mut input, &mut stream).map(drop);
    // After a fault nothing more is received either.
    let how = if sent.is_ok() { Shutdown::Write } else { Shutdown::Both };
    match stream.shutdown(how) {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => sent,
        shut => sent.and(shut),
    }
}

fn file(stream: impl AsFd) -> io::Result<File> {
    Ok(stream.as_fd().try_clone_to_owned()?.into())
}
