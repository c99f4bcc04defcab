//! A network of a container's own: a loopback, or not even that.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use patchkit_core::{Connection, Error, Network, Result};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use super::loopback;
use crate::file::blocking;

/// How long a loopback may take to connect.
const PATIENCE: Duration = Duration::from_secs(5);

/// A network namespace, which is there as long as this lives or somebody is in it.
#[derive(Debug)]
pub(super) struct Namespace(OwnedFd);

/// Whether a namespace has a loopback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loopback {
    Down,
    Up,
}

impl Namespace {
    /// A new one. Needs root.
    pub(super) fn new(loopback: Loopback) -> io::Result<Self> {
        apart(move || {
            #[allow(deprecated, reason = "what is unsafe is to unshare file descriptors, which this does not")]
            rustix::thread::unshare(UnshareFlags::NEWNET)?;
            if loopback == Loopback::Up {
                loopback::bring_up()?;
            }
            Ok(Self(File::open("/proc/thread-self/ns/net")?.into()))
        })
    }

    /// That of a process.
    #[cfg(feature = "engine")]
    pub(super) fn of(pid: u32) -> Result<Self> {
        let opened = File::open(format!("/proc/{pid}/ns/net"));
        opened.map(|file| Self(file.into())).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => Error::unavailable("the container has ended"),
            _ => Error::denied(format!("its network cannot be opened: {error}")).because(error),
        })
    }

    /// Where other processes find it.
    pub(super) fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }

    /// The same one.
    pub(super) fn share(&self) -> Result<Self> {
        let shared = self.0.try_clone();
        shared.map(Self).map_err(|error| Error::unexpected(error.to_string()).because(error))
    }

    /// Connects to a port of its loopback. Blocks.
    fn connect(self, port: u16) -> Result<TcpStream> {
        let Self(namespace) = self;
        let entered = apart(move || {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            Ok(connect(port))
        });
        entered.map_err(|error| Error::denied(format!("its network cannot be entered: {error}")).because(error))?
    }
}

/// On whose loopback a port is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Container,
    Host,
}

impl Side {
    /// Where it is in a network; [`Denied`](patchkit_core::ErrorKind::Denied) where that does not have it.
    pub(super) fn of(port: u16, network: &Network) -> Result<Self> {
        match network {
            Network::Host => Ok(Self::Host),
            Network::Ports(ports) if ports.contains(&port) => Ok(Self::Container),
            _ => Err(Error::denied("it is no port of the container's network")),
        }
    }
}

/// Connects to a port of the loopback of a network, ours where none is given.
pub(super) async fn dial(namespace: Option<Namespace>, port: u16) -> Result<Box<dyn Connection>> {
    let connected = blocking(move || namespace.map_or_else(|| connect(port), |namespace| namespace.connect(port)));
    let stream = tokio::net::TcpStream::from_std(connected.await?).map_err(refused)?;
    Ok(Box::new(stream))
}

/// Connects to a port of the loopback of the network we are in. Blocks.
fn connect(port: u16) -> Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE);
    let stream = stream.map_err(refused)?;
    stream.set_nonblocking(true).map_err(refused)?;
    Ok(stream)
}

fn refused(error: io::Error) -> Error {
    Error::unavailable(format!("nobody listens: {error}")).because(error)
}

/// Does something in a thread that ends after it, since it changes what the thread belongs to.
fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let thread = std::thread::Builder::new().name("network".into()).spawn(work)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
