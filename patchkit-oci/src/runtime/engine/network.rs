//! Ports on a container's loopback, reached from inside its network namespace.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, TcpStream},
    thread,
};

use nix::sched::{CloneFlags, setns};
use patchkit_core::{Connection, Error, Network, Result};

use crate::file::blocking;

/// Connects to a port on the loopback of the network that a process has.
pub(super) async fn connect(network: &Network, pid: Option<u32>, port: u16) -> Result<Box<dyn Connection>> {
    let connected = match network {
        Network::Host => blocking(move || dial(port).map_err(refused)).await?,
        Network::Ports(ports) if ports.contains(&port) => {
            let pid = pid.ok_or_else(|| Error::unavailable("the container has ended"))?;
            blocking(move || dial_in(pid, port)).await?
        }
        _ => return Err(Error::denied("the container's network does not have it").on(format!("port {port}"))),
    };
    connected
        .set_nonblocking(true)
        .and_then(|()| tokio::net::TcpStream::from_std(connected))
        .map_or_else(|error| Err(refused(error)), |stream| Ok(Box::new(stream) as Box<dyn Connection>))
}

fn dial(port: u16) -> io::Result<TcpStream> {
    TcpStream::connect((Ipv4Addr::LOCALHOST, port))
}

fn refused(error: io::Error) -> Error {
    Error::unavailable(format!("nobody listens: {error}")).because(error)
}

/// A thread of its own enters the namespace, and ends there. What it connects stays connected.
fn dial_in(pid: u32, port: u16) -> Result<TcpStream> {
    let namespace = File::open(format!("/proc/{pid}/ns/net")).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Error::unavailable("the container has ended"),
        _ => Error::denied(format!("its network namespace cannot be opened: {error}")),
    })?;
    let dialled = thread::spawn(move || {
        let entered = setns(namespace, CloneFlags::CLONE_NEWNET);
        entered.map_err(|error| Error::denied(format!("its network namespace cannot be entered: {error}")))?;
        dial(port).map_err(refused)
    });
    dialled.join().map_err(|_| Error::unexpected("the thread that connects stopped"))?
}
