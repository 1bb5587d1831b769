//! One question over a TCP connection of its own, and what all sockets have in common.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use super::message::{Heard, Query};
use crate::dns::Answer;

/// Any address and port of the server's kind.
pub(super) fn any_port(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

/// Puts the question over a TCP connection of its own.
pub(super) async fn over_tcp(server: SocketAddr, query: &Query, deadline: Instant) -> Answer {
    let mut garbage = None;
    let talk = async {
        let mut stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        write_message(&mut stream, &query.message).await?;
        let mut edns = true;
        loop {
            match query.hear(&read_message(&mut stream).await?) {
                Heard::Answer(answer) => return Ok(answer),
                Heard::Truncated => {
                    return Ok(Answer::Malformed { why: "it is truncated even over TCP".to_owned() });
                }
                Heard::NoEdns(_) if edns => {
                    edns = false;
                    write_message(&mut stream, &query.without_edns).await?;
                }
                Heard::NoEdns(answer) => return Ok(answer),
                Heard::NotOurs(why) => garbage = Some(why),
            }
        }
    };
    let heard: Result<std::io::Result<Answer>, _> = timeout_at(deadline, talk).await;
    match (heard, garbage) {
        (Ok(Ok(answer)), _) => answer,
        (_, Some(why)) => Answer::Malformed { why },
        (Ok(Err(error)), None) => unreachable_by(&error),
        (Err(_), None) => Answer::Silent,
    }
}

/// Sends a message with its length before it (RFC 1035 section 4.2.2), in one write.
pub(in crate::world) async fn write_message(stream: &mut TcpStream, message: &[u8]) -> std::io::Result<()> {
    let length = u16::try_from(message.len())
        .map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidInput, "longer than a message may be"))?;
    let mut framed = Vec::with_capacity(message.len() + 2);
    framed.extend(length.to_be_bytes());
    framed.extend(message);
    stream.write_all(&framed).await
}

/// Receives one message.
pub(in crate::world) async fn read_message(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let length = stream.read_u16().await?;
    let mut message = vec![0; usize::from(length)];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

pub(super) fn unreachable_by(error: &std::io::Error) -> Answer {
    Answer::Unreachable { why: why(error) }
}

/// What the operating system said, in words without numbers.
pub(in crate::world) fn why(error: &std::io::Error) -> String {
    if error.kind() == std::io::ErrorKind::UnexpectedEof {
        return "the connection was closed before an answer".to_owned();
    }
    let said = error.to_string();
    said.split(" (os error").next().unwrap_or(&said).to_lowercase()
}
