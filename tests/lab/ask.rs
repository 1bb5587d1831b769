//! The smallest clients that can tell whether a server answers, independent of the code under test.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};

/// Asks `probe` until it answers, at most for `limit`; panics with `what` was waited for if it never does.
pub fn wait_for<T>(what: &str, limit: Duration, probe: impl FnMut() -> Option<T>) -> T {
    poll(limit, probe).unwrap_or_else(|| panic!("waited {limit:?} in vain for {what}"))
}

pub(crate) fn poll<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        let answer = probe();
        if answer.is_some() || Instant::now() >= deadline {
            return answer;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The serial of `zone` on one name server, or why there is none: silence, refusal, no authority.
///
/// # Errors
/// In words, for a test's message.
pub fn soa_serial(server: SocketAddr, zone: &str) -> Result<u32, String> {
    let serials = query(server, zone, RecordType::SOA)?;
    let serial = serials.iter().find_map(|data| match data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    });
    serial.ok_or_else(|| format!("no SOA of {zone} in the answer of {server}"))
}

/// The A records of `name` on one name server, in order.
///
/// # Errors
/// In words, for a test's message.
pub fn addresses(server: SocketAddr, name: &str) -> Result<Vec<Ipv4Addr>, String> {
    let mut found: Vec<Ipv4Addr> = query(server, name, RecordType::A)?
        .iter()
        .filter_map(|data| if let RData::A(a) = data { Some(a.0) } else { None })
        .collect();
    found.sort_unstable();
    Ok(found)
}

/// Tells a secondary that `zone` may have changed (RFC 1996). Whether it cares shows in what it answers later.
pub fn notify(server: SocketAddr, zone: &str) {
    // A lost message, or a server not there to take it: the same as a primary's NOTIFY getting lost.
    let _ = exchange(server, OpCode::Notify, zone, RecordType::SOA);
}

fn query(server: SocketAddr, name: &str, kind: RecordType) -> Result<Vec<RData>, String> {
    let words = |error: &dyn std::fmt::Display| format!("{server}, {name} {kind}: {error}");
    let answer = exchange(server, OpCode::Query, name, kind).map_err(|e| words(&e))?;
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(words(&answer.metadata.response_code));
    }
    if !answer.metadata.authoritative {
        return Err(words(&"not authoritative"));
    }
    Ok(answer.answers.into_iter().map(|record| record.data).collect())
}

fn exchange(server: SocketAddr, code: OpCode, name: &str, kind: RecordType) -> io::Result<Message> {
    static ID: AtomicU16 = AtomicU16::new(1);
    let name = Name::from_ascii(format!("{}.", name.trim_end_matches('.'))).map_err(io::Error::other)?;
    let mut message = Message::new(ID.fetch_add(1, Ordering::Relaxed), MessageType::Query, code);
    message.add_query(Query::query(name, kind));
    // A socket, and so a port, for each question: a late answer to another cannot arrive on it.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    socket.connect(server)?;
    socket.send(&message.to_vec().map_err(io::Error::other)?)?;
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer)?;
    let answer = Message::from_vec(&buffer[..length]).map_err(io::Error::other)?;
    if answer.metadata.id == message.metadata.id {
        Ok(answer)
    } else {
        Err(io::Error::other("another answer"))
    }
}

/// `GET path` from a web server, for the site called `host`: the status and the body.
///
/// # Errors
/// When it cannot be reached, or does not speak HTTP.
pub fn http_get(server: SocketAddr, host: &str, path: &str) -> io::Result<(u16, Vec<u8>)> {
    let mut stream = TcpStream::connect_timeout(&server, Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer");
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n").ok_or_else(malformed)?;
    let status = std::str::from_utf8(&answer[..end])
        .ok()
        .and_then(|head| head.split(' ').nth(1)?.parse().ok())
        .ok_or_else(malformed)?;
    Ok((status, answer.split_off(end + 4)))
}
