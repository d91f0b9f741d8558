//! The port by which a command asks for what is outside. It is made in the command's
//! own network, where nothing else is, and handed to cairn, which answers there: so
//! no process within the confinement has a part in it.

use std::io::{self, IoSlice, IoSliceMut, Read};
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};

use rustix::cmsg_space;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

use super::plan::{self, Report};

/// The usual one of a proxy. A network that was just made has it free.
pub const PORT: u16 = 3128;

/// Makes the port and sends it with a report.
///
/// # Errors
/// When the other side is gone, or the network can't have it.
pub fn send(socket: impl AsFd) -> io::Result<()> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))?;
    let mut report = Vec::new();
    plan::send(&mut report, &Report::Listening)?;
    let ports = [port.as_fd()];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !control.push(SendAncillaryMessage::ScmRights(&ports)) {
        return Err(io::Error::other("no room for a descriptor"));
    }
    let sent = sendmsg(
        socket,
        &[IoSlice::new(&report)],
        &mut control,
        SendFlags::NOSIGNAL,
    )?;
    match sent == report.len() {
        true => Ok(()),
        false => Err(io::Error::other("sent in part")),
    }
}

/// Receives a report, and the port if there comes one with it.
///
/// # Errors
/// When the other side is gone or says something else.
pub fn receive<S: AsFd + Read>(mut socket: S) -> io::Result<(Report, Option<TcpListener>)> {
    let mut first = [0];
    let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    // What is handed over comes with the first byte.
    let received = retry_on_intr(|| {
        let first = &mut [IoSliceMut::new(&mut first)];
        recvmsg(&socket, first, &mut control, RecvFlags::CMSG_CLOEXEC)
    })?;
    let mut ports: Vec<OwnedFd> = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(descriptors) = message {
            ports.extend(descriptors);
        }
    }
    if received.bytes == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let report = plan::receive(first.as_slice().chain(&mut socket))?;
    Ok((report, ports.pop().map(TcpListener::from)))
}
