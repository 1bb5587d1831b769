//! The SFTP server of an embedded host: what OpenSSH's `sftp-server` does that a mirror needs, inside one
//! [`Root`].
//!
//! Requests are read ahead and answered in their order, as many as have arrived in one go on a thread that may
//! block. Names are bytes. Two things differ from OpenSSH: no path leaves the root, and `rename` on file systems
//! that know it is one atomic "unless it exists".

mod files;
mod wire;

use std::{io, sync::Arc};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    sync::mpsc,
};

use self::files::Files;
use super::confine::Root;

/// Packets read ahead. So many that a client which floods requests before it reads one answer still gets its
/// window updates through: the SSH connection stalls as a whole when a channel isn't read.
const READ_AHEAD: usize = 2048;
/// Requests answered in one go.
const BATCH: usize = 64;

/// Serves one SFTP session over `stream`, until the client ends it. `home` is where relative paths begin.
pub(crate) async fn serve<S>(stream: S, root: Arc<Root>, home: Vec<u8>) -> io::Result<()>
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (mut input, mut output) = tokio::io::split(stream);
    let (sender, mut arrived) = mpsc::channel(READ_AHEAD);
    let reader = tokio::spawn(async move {
        while let Some(packet) = read_packet(&mut input).await? {
            if sender.send(packet).await.is_err() {
                break;
            }
        }
        io::Result::Ok(())
    });
    let mut files = Files::new(root, home);
    let mut packets = Vec::with_capacity(BATCH);
    while arrived.recv_many(&mut packets, BATCH).await > 0 {
        let batch = std::mem::take(&mut packets);
        let answered = tokio::task::spawn_blocking(move || {
            let replies: Option<Vec<u8>> = batch.iter().try_fold(Vec::new(), |mut replies, packet| {
                replies.extend(files.answer(packet)?);
                Some(replies)
            });
            (files, replies)
        });
        let replies;
        (files, replies) = answered.await.map_err(io::Error::other)?;
        let Some(replies) = replies else {
            reader.abort();
            return Err(io::Error::new(io::ErrorKind::InvalidData, "not an SFTP packet"));
        };
        output.write_all(&replies).await?;
        output.flush().await?;
    }
    reader.await.map_err(io::Error::other)?
}

/// The next packet without its length, or `None` where the client has ended between two packets.
async fn read_packet(input: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length).await {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    };
    let length = u32::from_be_bytes(length);
    if length > wire::PACKET_MAX_BYTES {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("SFTP packet of {length} bytes")));
    }
    let mut packet = vec![0; length as usize];
    input.read_exact(&mut packet).await?;
    Ok(Some(packet))
}
