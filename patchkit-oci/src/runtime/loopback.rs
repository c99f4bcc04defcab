//! The loopback interface of a new network namespace (rtnetlink, RFC 3549 and `rtnetlink(7)`).

use std::io;

use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketType, netlink::SocketAddrNetlink, recv, sendto, socket,
};

/// `NETLINK_ROUTE` is protocol 0.
const ROUTE: Option<Protocol> = None;
const RTM_NEWLINK: u16 = 16;
const NLM_F_REQUEST_ACK: u16 = 1 | 4;
const IFF_UP: u32 = 1;

/// The loopback's index in every network namespace.
const INDEX: u32 = 1;

/// Bytes of a message's header, of the interface's description, and of both.
const HEADER: usize = 16;
const LENGTH: u32 = 32;

/// Brings up that of our thread's network.
pub(super) fn bring_up() -> io::Result<()> {
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, ROUTE)?;
    sendto(&socket, &request(), SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
    let mut answer = [0; 256];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    let code = answer[..length].get(HEADER..HEADER + 4).and_then(|code| code.try_into().ok()).map(i32::from_ne_bytes);
    match code {
        Some(0) => Ok(()),
        Some(code) => Err(io::Error::from_raw_os_error(-code)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// `nlmsghdr` (length, type, flags, sequence, port) and `ifinfomsg` (family, type, index, flags, changed flags).
fn request() -> Vec<u8> {
    let mut bytes = LENGTH.to_ne_bytes().to_vec();
    bytes.extend(RTM_NEWLINK.to_ne_bytes());
    bytes.extend(NLM_F_REQUEST_ACK.to_ne_bytes());
    bytes.extend([0; 8 + 4]);
    for field in [INDEX, IFF_UP, IFF_UP] {
        bytes.extend(field.to_ne_bytes());
    }
    bytes
}
