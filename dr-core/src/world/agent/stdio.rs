//! Standard input and output as streams that nobody has to wait for on a thread.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::fs::FileType;
use tokio::net::unix::pipe;

use super::line::{Incoming, Outgoing};

/// sshd and the agent wake each other less often when more fits between them.
const PIPE_BYTES: usize = 1 << 20;

/// Both ends of what the process was given.
pub(in crate::world) fn own() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok((rustix::io::dup(rustix::stdio::stdin())?, rustix::io::dup(rustix::stdio::stdout())?))
}

pub(in crate::world) fn incoming(input: OwnedFd) -> io::Result<Incoming> {
    Ok(Incoming::Stream(match kind(&input)? {
        FileType::Fifo => Box::new(pipe::Receiver::from_owned_fd(input)?),
        FileType::Socket => Box::new(socket(input)?),
        _ => Box::new(tokio::fs::File::from_std(File::from(input))),
    }))
}

pub(in crate::world) fn outgoing(output: OwnedFd) -> io::Result<Outgoing> {
    Ok(Outgoing::Stream(match kind(&output)? {
        FileType::Fifo => Box::new(pipe::Sender::from_owned_fd(output)?),
        FileType::Socket => Box::new(socket(output)?),
        _ => Box::new(tokio::fs::File::from_std(File::from(output))),
    }))
}

fn kind(fd: impl AsFd) -> io::Result<FileType> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    if kind == FileType::Fifo {
        // A system that allows less stays with what it has.
        let _ = rustix::pipe::fcntl_setpipe_size(&fd, PIPE_BYTES);
    }
    Ok(kind)
}

fn socket(fd: OwnedFd) -> io::Result<tokio::net::UnixStream> {
    let socket = UnixStream::from(fd);
    socket.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(socket)
}
