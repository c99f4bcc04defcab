//! Messages and open files between the processes of the runtime: over a socket on the receiver's standard input.

use std::{
    fs::File,
    io::{IoSlice, IoSliceMut, Read, Write},
    mem::MaybeUninit,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    io::fcntl_dupfd_cloexec,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair, sockopt::set_socket_passcred,
    },
    process::Pid,
};
use serde::{Serialize, de::DeserializeOwned};

use super::{Fault, fault::Blame};

const WHAT: &str = "between processes of the runtime";

/// The most open files of a message.
const MAX_FILES: usize = 4;

/// The most bytes of a message.
const MAX_MESSAGE: u32 = 64 << 20;

/// One end. Nobody else has it, so that the other end sees when this process dies.
#[derive(Debug)]
pub(super) struct Channel(File);

/// What came with a message.
#[derive(Debug)]
pub(super) struct Received<T> {
    pub(super) message: T,
    pub(super) files: Vec<OwnedFd>,
    /// Who sent it, as seen from here; known at ends made by [`Channel::pair`].
    pub(super) sender: Option<Pid>,
}

impl Channel {
    /// An end for this process and one to be another's standard input.
    pub(super) fn pair() -> Result<(Self, OwnedFd), Fault> {
        let (ours, theirs) =
            socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).blame(WHAT)?;
        set_socket_passcred(&ours, true).blame(WHAT)?;
        Ok((Self(ours.into()), theirs))
    }

    /// The end that this process was started with; standard input then is empty.
    pub(super) fn inherited() -> Result<Self, Fault> {
        let end = fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).blame(WHAT)?;
        let null = File::open("/dev/null").blame("/dev/null")?;
        rustix::stdio::dup2_stdin(&null).blame("standard input")?;
        Ok(Self(end.into()))
    }

    pub(super) fn send(&self, message: &impl Serialize, files: &[BorrowedFd<'_>]) -> Result<(), Fault> {
        let body = serde_json::to_vec(message).blame(WHAT)?;
        let length = u32::try_from(body.len()).blame(WHAT)?.to_le_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !files.is_empty() {
            control.push(SendAncillaryMessage::ScmRights(files));
        }
        sendmsg(&self.0, &[IoSlice::new(&length)], &mut control, SendFlags::NOSIGNAL).blame(WHAT)?;
        (&self.0).write_all(&body).blame(WHAT)
    }

    /// The next message; `None` where the other end is gone.
    pub(super) fn receive<T: DeserializeOwned>(&self) -> Result<Option<Received<T>>, Fault> {
        let mut length = [0; 4];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FILES), ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let read = recvmsg(&self.0, &mut [IoSliceMut::new(&mut length)], &mut control, RecvFlags::CMSG_CLOEXEC);
        if read.blame(WHAT)?.bytes < length.len() {
            return Ok(None);
        }
        let (mut files, mut sender) = (Vec::new(), None);
        for message in control.drain() {
            match message {
                RecvAncillaryMessage::ScmRights(sent) => files.extend(sent),
                RecvAncillaryMessage::ScmCredentials(credentials) => sender = Some(credentials.pid),
                _ => {}
            }
        }
        let message = self.body(u32::from_le_bytes(length))?;
        Ok(Some(Received { message, files, sender }))
    }

    /// The next message, where the other end must still be there.
    pub(super) fn expect<T: DeserializeOwned>(&self) -> Result<Received<T>, Fault> {
        self.receive()?.ok_or_else(|| Fault::new(WHAT, "the other one has died"))
    }

    fn body<T: DeserializeOwned>(&self, length: u32) -> Result<T, Fault> {
        if length > MAX_MESSAGE {
            return Err(Fault::new(WHAT, "the message is too long"));
        }
        let mut body = vec![0; length as usize];
        (&self.0).read_exact(&mut body).blame(WHAT)?;
        serde_json::from_slice(&body).blame(WHAT)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
