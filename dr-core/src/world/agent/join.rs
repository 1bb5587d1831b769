//! More channels for one agent.
//!
//! sshd starts a process for each channel. One of them has the tree; the others hand it their input and output (SCM_RIGHTS,
//! unix(7)) and wait until it is done with them. So there is one lock, one staging area and one memory, and no byte is copied
//! for it. They meet at an abstract socket that nobody can find who does not know the agent's token, and both sides look at
//! whose process the other is.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::Duration;

use bytes::BytesMut;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};

use super::Restrictions;
use crate::digest::Digest;

/// Names an agent: unguessable.
pub(super) type Token = [u8; 32];
/// No greeting, and what was read behind it, is longer.
const REST_BYTES_MAX: u64 = 1 << 20;
/// Both are processes of one machine: they have no reason to wait.
const HANDOVER_WITHIN: Duration = Duration::from_secs(10);

/// The socket's name tells nothing of the token: names are seen by everybody (/proc/net/unix).
fn address(token: &[u8]) -> io::Result<SocketAddr> {
    SocketAddr::from_abstract_name(format!("dr-agent-{}", Digest::of(token)))
}

/// Only processes under the same restrictions work together.
fn proof(token: &[u8], restrictions: &Restrictions) -> Digest {
    let Restrictions { root, read_only, state_dir } = restrictions;
    Digest::of(format!("{}{root:?}{read_only}{state_dir:?}", Digest::of(token).short()).as_bytes())
}

fn is_ours(peer: &UnixStream) -> io::Result<bool> {
    let peer = rustix::net::sockopt::socket_peercred(peer)?;
    Ok(peer.uid == rustix::process::geteuid())
}

/// Where others find this agent.
pub(super) fn listen(token: &Token) -> io::Result<UnixListener> {
    let listener = UnixListener::bind_addr(&address(token)?)?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// A channel that another process handed over. That process ends when `guard` is dropped.
pub(super) struct Lane {
    pub(super) input: OwnedFd,
    pub(super) output: OwnedFd,
    /// What was read from it already.
    pub(super) rest: BytesMut,
    pub(super) guard: UnixStream,
}

/// Takes over a channel; none if who comes may not hand one over.
pub(super) fn take(
    mut peer: UnixStream,
    token: &Token,
    restrictions: &Restrictions,
) -> io::Result<Option<Lane>> {
    peer.set_nonblocking(false)?;
    peer.set_read_timeout(Some(HANDOVER_WITHIN))?;
    if !is_ours(&peer)? {
        return Ok(None);
    }
    let mut said = [0_u8; 64];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let got = rustix::net::recvmsg(
        &peer,
        &mut [IoSliceMut::new(&mut said)],
        &mut ancillary,
        RecvFlags::CMSG_CLOEXEC,
    )?;
    let mut handles = vec![];
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(given) = message {
            handles.extend(given);
        }
    }
    peer.read_exact(&mut said[got.bytes..])?;
    let is_meant = said[..32] == token[..] && said[32..] == proof(token, restrictions).as_bytes()[..];
    let [input, output] = match <[OwnedFd; 2]>::try_from(handles) {
        Ok(handles) if is_meant => handles,
        _ => return Ok(None),
    };
    let mut rest = vec![];
    (&mut peer).take(REST_BYTES_MAX).read_to_end(&mut rest)?;
    Ok(Some(Lane { input, output, rest: rest.as_slice().into(), guard: peer }))
}

/// Hands this process's input and output over to the agent with this token, and waits until it is done with them.
pub(super) fn hand_over(
    token: &[u8],
    restrictions: &Restrictions,
    input: OwnedFd,
    output: OwnedFd,
    rest: &[u8],
) -> io::Result<()> {
    let mut agent = UnixStream::connect_addr(&address(token)?)?;
    if !is_ours(&agent)? {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let handles = [input.as_fd(), output.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !ancillary.push(SendAncillaryMessage::ScmRights(&handles)) {
        return Err(io::ErrorKind::OutOfMemory.into());
    }
    let proof = proof(token, restrictions);
    let said = [token, proof.as_bytes()].concat();
    let sent = rustix::net::sendmsg(&agent, &[IoSlice::new(&said)], &mut ancillary, SendFlags::NOSIGNAL)?;
    agent.write_all(&said[sent..])?;
    agent.write_all(rest)?;
    agent.shutdown(std::net::Shutdown::Write)?;
    drop((input, output));
    // The agent says nothing; it closes the socket, or dies.
    agent.read_to_end(&mut vec![]).map(drop)
}
