//! A network of a container's own: a loopback, or not even that.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpStream},
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    time::Duration,
};

use patchkit_core::{Error, Result};
use rustix::{
    net::{AddressFamily, SendFlags, SocketFlags, SocketType, netlink},
    thread::{LinkNameSpaceType, UnshareFlags},
};

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
                raise_loopback()?;
            }
            Ok(Self(std::fs::File::open("/proc/thread-self/ns/net")?.into()))
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
    pub(super) fn connect(self, port: u16) -> io::Result<TcpStream> {
        let Self(namespace) = self;
        apart(move || {
            rustix::thread::move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            connect(port)
        })
    }
}

/// Connects to a port of the loopback of the network we are in. Blocks.
pub(super) fn connect(port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), PATIENCE)?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Does something in a thread that ends after it, since it changes what the thread belongs to.
fn apart<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    let thread = std::thread::Builder::new().name("network".into()).spawn(work)?;
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Asks the kernel to switch the loopback of our thread's network on (rtnetlink(7), `RTM_NEWLINK`).
fn raise_loopback() -> io::Result<()> {
    const NEW_LINK: u16 = 16;
    const REQUEST_WITH_ANSWER: u16 = 1 | 4;
    const UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend(32_u32.to_ne_bytes());
    message.extend(NEW_LINK.to_ne_bytes());
    message.extend(REQUEST_WITH_ANSWER.to_ne_bytes());
    message.extend([0; 8]);
    // Any family and type; the first interface, which is the loopback; UP, and only that is changed.
    message.extend([0; 4]);
    message.extend(1_u32.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    message.extend(UP.to_ne_bytes());
    let (family, protocol) = (AddressFamily::NETLINK, None);
    let socket = rustix::net::socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    rustix::net::sendto(&socket, &message, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0_u8; 256];
    let (read, _) = rustix::net::recv(&socket, &mut answer[..], rustix::net::RecvFlags::empty())?;
    // After the header of 16 bytes comes the negated error, 0 for none.
    let error = answer[..read].get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match error {
        Some(0) => Ok(()),
        Some(error) => Err(io::Error::from_raw_os_error(-error)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
