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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn packet(kind: u8, id: u32, fields: &[&[u8]]) -> Vec<u8> {
        let body = [&[kind], &id.to_be_bytes()[..], &fields.concat()].concat();
        [&u32::try_from(body.len()).unwrap().to_be_bytes()[..], &body].concat()
    }

    /// Asks for everything before it reads one answer, over a pipe that holds little: a server that reads only
    /// after it has answered would wait for this client, and this client for it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_client_that_asks_far_ahead_is_not_waited_for() {
        const READS: u32 = 1500;
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("file"), vec![7; 64 * 1024]).unwrap();
        let root = Arc::new(Root::open(directory.path()).unwrap());
        let (mut client, server) = tokio::io::duplex(16 * 1024);
        let session = tokio::spawn(serve(server, root, b"/".to_vec()));

        let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes()[..], bytes].concat();
        client.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.unwrap();
        assert_eq!(read_packet(&mut client).await.unwrap().unwrap()[..5], [2, 0, 0, 0, 3]);
        client.write_all(&packet(3, 1, &[&string(b"file"), &1_u32.to_be_bytes(), &[0; 4]])).await.unwrap();
        let handle = read_packet(&mut client).await.unwrap().unwrap()[5..].to_vec();
        let asked_and_answered = async {
            for id in 0..READS {
                let read = packet(5, id, &[&handle, &0_u64.to_be_bytes(), &(64 * 1024_u32).to_be_bytes()]);
                client.write_all(&read).await.unwrap();
            }
            for id in 0..READS {
                let answer = read_packet(&mut client).await.unwrap().unwrap();
                assert_eq!(
                    (answer[0], &answer[1..5], answer.len()),
                    (103, &id.to_be_bytes()[..], 9 + 64 * 1024)
                );
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asked_and_answered).await.unwrap();
        client.shutdown().await.unwrap();
        session.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn nonsense_ends_the_session_and_nothing_else() {
        let directory = tempfile::tempdir().unwrap();
        let root = Arc::new(Root::open(directory.path()).unwrap());
        for nonsense in
            [&[0xff, 0xff, 0xff, 0xff, 1][..], &[0, 0, 0, 0], &[0, 0, 0, 9, 1], &[0, 0, 0, 2, 5, 5]]
        {
            let (mut client, server) = tokio::io::duplex(1024);
            client.write_all(nonsense).await.unwrap();
            client.shutdown().await.unwrap();
            let ended =
                tokio::time::timeout(Duration::from_secs(10), serve(server, root.clone(), Vec::new()));
            assert!(ended.await.unwrap().is_err(), "{nonsense:?}");
        }
    }
}
