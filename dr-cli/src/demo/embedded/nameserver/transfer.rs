//! Between name servers: asking a primary for its zone (RFC 5936), telling a secondary that it changed
//! (RFC 1996).

use std::{
    io,
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_proto::{
    op::{Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RData, Record, RecordType},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::zone::{Zone, is_newer};

/// For a whole exchange with a primary.
const EXCHANGE_WITHIN: Duration = Duration::from_secs(5);
/// How often a NOTIFY is sent, and how long the first waits for its acknowledgement; each further waits double.
const NOTIFY_TRIES: u32 = 6;
const NOTIFY_FIRST_WAIT: Duration = Duration::from_millis(100);
/// The largest zone taken over.
const ZONE_MAX_RECORDS: usize = 1_000_000;

/// The zone at `primary`, or `None` where it is no newer than serial `known`.
pub(super) async fn newer_zone(
    primary: SocketAddr,
    origin: &Name,
    known: Option<u32>,
) -> io::Result<Option<Zone>> {
    timeout(EXCHANGE_WITHIN, exchange(primary, origin, known)).await?
}

async fn exchange(primary: SocketAddr, origin: &Name, known: Option<u32>) -> io::Result<Option<Zone>> {
    let mut stream = TcpStream::connect(primary).await?;
    stream.set_nodelay(true)?;
    if let Some(known) = known {
        let id = ask(&mut stream, origin, RecordType::SOA).await?;
        let answer = receive(&mut stream, id).await?;
        let serial = answer.answers.iter().find_map(serial_of);
        if !is_newer(serial.ok_or_else(|| bad("no SOA record in the answer"))?, known) {
            return Ok(None);
        }
    }
    let id = ask(&mut stream, origin, RecordType::AXFR).await?;
    let mut records: Vec<Record> = Vec::new();
    // It begins and ends with the SOA record.
    while records.len() < 2 || records.last().and_then(serial_of).is_none() {
        let answer = receive(&mut stream, id).await?;
        if answer.answers.is_empty() || records.len() > ZONE_MAX_RECORDS {
            return Err(bad("the transfer is empty, or has no end"));
        }
        records.extend(answer.answers);
    }
    let ends = [records.first(), records.last()].map(|record| record.and_then(serial_of));
    if ends[0] != ends[1] {
        return Err(bad("the zone changed while it was transferred"));
    }
    records.pop();
    Zone::from_records(origin, records).map(Some).map_err(io::Error::other)
}

fn serial_of(record: &Record) -> Option<u32> {
    match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

async fn ask(stream: &mut TcpStream, origin: &Name, kind: RecordType) -> io::Result<u16> {
    let id = random_id()?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(origin.clone(), kind));
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let length = u16::try_from(bytes.len()).map_err(io::Error::other)?;
    stream.write_all(&[&length.to_be_bytes(), bytes.as_slice()].concat()).await?;
    Ok(id)
}

async fn receive(stream: &mut TcpStream, id: u16) -> io::Result<Message> {
    let mut bytes = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut bytes).await?;
    let message = Message::from_vec(&bytes).map_err(|error| bad(&error.to_string()))?;
    if message.id != id || message.message_type != MessageType::Response {
        return Err(bad("an answer to something else"));
    }
    if message.response_code != ResponseCode::NoError || !message.authoritative {
        return Err(bad(&format!("{}, authoritative: {}", message.response_code, message.authoritative)));
    }
    Ok(message)
}

/// Tells `secondary` that the zone has changed to `soa`, again and again until it says it knows. `false`: it
/// never did.
pub(super) async fn notify(from: IpAddr, secondary: SocketAddr, soa: Record) -> io::Result<bool> {
    let id = random_id()?;
    let mut message = Message::new(id, MessageType::Query, OpCode::Notify);
    message.metadata.authoritative = true;
    message.add_query(Query::query(soa.name.clone(), RecordType::SOA));
    message.add_answer(soa);
    let bytes = message.to_vec().map_err(io::Error::other)?;
    let mut wait = NOTIFY_FIRST_WAIT;
    for _ in 0..NOTIFY_TRIES {
        // A new socket each time: an unreachable port leaves its error in the old one.
        let socket = UdpSocket::bind((from, 0)).await?;
        socket.connect(secondary).await?;
        let acknowledged = async {
            socket.send(&bytes).await?;
            let mut answer = [0; 512];
            loop {
                let length = socket.recv(&mut answer).await?;
                let Ok(answer) = Message::from_vec(&answer[..length]) else { continue };
                if answer.id == id && answer.message_type == MessageType::Response {
                    return io::Result::Ok(());
                }
            }
        };
        let started = tokio::time::Instant::now();
        if let Ok(Ok(())) = timeout(wait, acknowledged).await {
            return Ok(true);
        }
        tokio::time::sleep_until(started + wait).await;
        wait *= 2;
    }
    Ok(false)
}

fn random_id() -> io::Result<u16> {
    let mut id = [0; 2];
    getrandom::fill(&mut id).map_err(io::Error::other)?;
    Ok(u16::from_be_bytes(id))
}

fn bad(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the primary answered nonsense: {message}"))
}
