//! One question over one socket.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::message::{Heard, Query};
use crate::dns::Answer;

/// How the time is divided among the three times a question is sent over UDP: a late answer to an earlier one counts too.
const SHARES: [u32; 3] = [1, 2, 4];
/// After the network refused a question, it is sent again so much later: the server may be restarting.
const AFTER_REFUSAL: Duration = Duration::from_millis(20);
/// Room for more than we tell servers that we take over UDP.
const LARGEST: usize = 4096;

/// What came over UDP.
pub(super) enum Udp {
    Answer(Answer),
    Truncated,
}

/// Sends the question at most three times and waits for a valid answer until `deadline`.
pub(super) async fn over_udp(server: SocketAddr, query: &Query, deadline: Instant) -> Udp {
    let socket = match connected(server).await {
        Ok(socket) => socket,
        Err(error) => return Udp::Answer(unreachable_by(&error)),
    };
    let mut conversation = Conversation { socket, query, edns: true, refused: None, garbage: None };
    let unit = deadline.saturating_duration_since(Instant::now()) / SHARES.iter().sum::<u32>();
    let mut until = Instant::now();
    for share in SHARES {
        until = (until.max(Instant::now()) + unit * share).min(deadline);
        if let Some(heard) = conversation.send_and_wait(until).await {
            return heard;
        }
    }
    Udp::Answer(match (conversation.refused, conversation.garbage) {
        (Some(error), _) => unreachable_by(&error),
        (None, Some(why)) => Answer::Malformed { why },
        (None, None) => Answer::Silent,
    })
}

/// A socket that receives only from the server that is asked, on a port that the system chose at random.
async fn connected(server: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(any_port(server)).await?;
    socket.connect(server).await?;
    Ok(socket)
}

/// Any address and port of the server's kind.
pub(super) fn any_port(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

struct Conversation<'q> {
    socket: UdpSocket,
    query: &'q Query,
    edns: bool,
    refused: Option<std::io::Error>,
    garbage: Option<String>,
}

impl Conversation<'_> {
    /// Sends once and listens until `until`; none when the question is to be sent again.
    async fn send_and_wait(&mut self, until: Instant) -> Option<Udp> {
        if let Err(error) = self.send().await {
            return self.after_refusal(error, until).await;
        }
        let mut buffer = vec![0; LARGEST];
        loop {
            let length = match timeout_at(until, self.socket.recv(&mut buffer)).await {
                Err(_) => return None,
                Ok(Err(error)) => return self.after_refusal(error, until).await,
                Ok(Ok(length)) => length,
            };
            match self.query.hear(&buffer[..length]) {
                Heard::Answer(answer) => return Some(Udp::Answer(answer)),
                Heard::Truncated => return Some(Udp::Truncated),
                Heard::NoEdns(_) if self.edns => {
                    self.edns = false;
                    if let Err(error) = self.send().await {
                        return self.after_refusal(error, until).await;
                    }
                }
                Heard::NoEdns(answer) => return Some(Udp::Answer(answer)),
                Heard::NotOurs(why) => self.garbage = Some(why),
            }
        }
    }

    async fn send(&mut self) -> std::io::Result<()> {
        let message = if self.edns { &self.query.message } else { &self.query.without_edns };
        self.socket.send(message).await.map(|_| self.refused = None)
    }

    async fn after_refusal(&mut self, error: std::io::Error, until: Instant) -> Option<Udp> {
        self.refused = Some(error);
        sleep_until(until.min(Instant::now() + AFTER_REFUSAL)).await;
        None
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

fn unreachable_by(error: &std::io::Error) -> Answer {
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
