use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use serde::Serialize;
use thiserror::Error;

use super::{Check, Weakness};

/// The state of a socket that listens (Linux, `include/net/tcp_states.h`, `TCP_LISTEN`).
const LISTEN: u8 = 0x0a;
/// The most lines of a table that are read.
const MAX_LINES: usize = 1 << 20;

/// A TCP socket that is listened on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Socket {
    /// The address; unspecified for every address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

/// The TCP sockets that a container listens on.
///
/// ```
/// use patchkit_rollout::verify::hardening::Listening;
///
/// # let tcp = b"  sl  local_address rem_address   st\n   0: 00000000:0050 00000000:0000 0A x\n";
/// let listening = Listening::parse(tcp, b"")?;
/// assert_eq!(listening.ports().collect::<Vec<_>>(), [80]);
/// # Ok::<_, patchkit_rollout::verify::hardening::ParseListeningError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Listening {
    /// Each once.
    pub sockets: BTreeSet<Socket>,
}

/// Why a text is no table of sockets.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ParseListeningError {
    /// A line is none of a socket.
    #[error("/proc/net/{table}: line {line}: {what}")]
    Line {
        /// `tcp` or `tcp6`.
        table: &'static str,
        /// From 1; the first is the heading.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

impl Listening {
    /// Reads `/proc/net/tcp` and `/proc/net/tcp6` (`proc_net(5)`), as they stand in the network of the container:
    /// `/proc/1/net/tcp` there. An empty text is no table: the kernel has none for that family.
    ///
    /// Addresses are in the byte order of the machine that runs the container, which must be this one's.
    ///
    /// # Errors
    /// [`ParseListeningError`], with the line.
    pub fn parse(tcp: &[u8], tcp6: &[u8]) -> Result<Self, ParseListeningError> {
        let mut sockets = BTreeSet::new();
        for (table, text, words) in [("tcp", tcp, 1), ("tcp6", tcp6, 4)] {
            for (place, line) in text.split(|byte| *byte == b'\n').take(MAX_LINES).enumerate().skip(1) {
                if line.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                let fault = |what| ParseListeningError::Line { table, line: place + 1, what };
                let line = std::str::from_utf8(line).map_err(|_| fault("it is no text"))?;
                sockets.extend(socket(line, words).map_err(fault)?);
            }
        }
        Ok(Self { sockets })
    }

    /// The ports, in order, each once.
    pub fn ports(&self) -> impl Iterator<Item = u16> {
        self.sockets.iter().map(|socket| socket.port).collect::<BTreeSet<_>>().into_iter()
    }

    /// As weaknesses: whether a port is reached from elsewhere matters, which address it has does not.
    pub(super) fn weaknesses(&self) -> BTreeSet<Weakness> {
        let weakness = |socket: &Socket| {
            let from = if is_loopback(socket.address) { "from inside only" } else { "from everywhere" };
            Weakness::new(Check::ListeningPort, format!("tcp port {}", socket.port), format!("can be reached {from}"))
        };
        self.sockets.iter().map(weakness).collect()
    }
}

fn is_loopback(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback(),
        IpAddr::V6(address) => address.to_ipv4_mapped().map_or(address.is_loopback(), |address| address.is_loopback()),
    }
}

/// The socket of a line whose addresses have so many words of 32 bits; `None` where nobody listens on it.
fn socket(line: &str, words: usize) -> Result<Option<Socket>, &'static str> {
    let mut fields = line.split_ascii_whitespace().skip(1);
    let (local, state) = (fields.next().ok_or("it has no local address")?, fields.nth(1).ok_or("it has no state")?);
    let (address, port) = local.split_once(':').ok_or("its local address has no port")?;
    if address.len() != words * 8 || !address.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("its local address is none");
    }
    let port = u16::from_str_radix(port, 16).map_err(|_| "its port is none")?;
    let state = u8::from_str_radix(state, 16).map_err(|_| "its state is none")?;
    let address = address_of(address).ok_or("its local address is none")?;
    Ok((state == LISTEN).then_some(Socket { address, port }))
}

fn address_of(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::with_capacity(16);
    for word in hex.as_bytes().chunks(8) {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend(word.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, ToSocketAddrs};

    use super::*;

    #[test]
    fn finds_the_sockets_of_this_machine() {
        let listeners: Vec<_> = ["127.0.0.1:0", "[::1]:0"].iter().filter_map(|at| TcpListener::bind(at).ok()).collect();
        assert!(!listeners.is_empty());
        let read = |table: &str| std::fs::read(format!("/proc/self/net/{table}")).unwrap_or_default();
        let listening = Listening::parse(&read("tcp"), &read("tcp6")).unwrap();
        for listener in &listeners {
            let at = listener.local_addr().unwrap().to_socket_addrs().unwrap().next().unwrap();
            let socket = Socket { address: at.ip(), port: at.port() };
            assert!(listening.sockets.contains(&socket), "{socket:?} in {listening:?}");
        }
    }

    #[test]
    fn names_the_line_of_a_fault() {
        for (line, what) in [
            ("0:", "it has no local address"),
            ("0: 0100007F:0050 x", "it has no state"),
            ("0: 0100007F x 0A", "its local address has no port"),
            ("0: 0100007:0050 x 0A", "its local address is none"),
            ("0: +100007F:0050 x 0A", "its local address is none"),
            ("0: 0100007F:10050 x 0A", "its port is none"),
            ("0: 0100007F:0050 x 0G", "its state is none"),
        ] {
            let error = Listening::parse(format!("heading\n{line}\n").as_bytes(), b"").unwrap_err();
            assert_eq!(error, ParseListeningError::Line { table: "tcp", line: 2, what });
        }
        let established = b"heading\n0: 0100007F:0050 0100007F:0051 01\n\n";
        assert_eq!(Listening::parse(established, b"").unwrap(), Listening::default());
    }
}
