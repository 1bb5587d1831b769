//! Probes: one message of a given form to one server, and what came back as it came.

use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::rdata::opt::{EdnsOption, NSIDPayload};
use hickory_proto::rr::{DNSClass, Name, Record, RecordType as WireType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout_at};

use super::exchange::{any_port, connected, read_message, why, write_message};
use super::turns::Turns;
use super::wire::mnemonic;
use crate::dns::{
    EdnsHeard, EdnsShape, Entry, Heard, Probe, Reply, Shape, TransferFault, TransferLimits, entry_from_wire,
};
use crate::estate::{RecordType, ZoneName};
use crate::world::transfer::{self, Asked as Wanted, Failure, Patience};

/// The times at which a probe is sent over UDP, as shares of the time there is.
const SENT_AT: [f64; 3] = [0.0, 0.2, 0.5];
const LARGEST: usize = 65_535;
/// A zone is read up to so many octets.
const ZONE_OCTETS: usize = 64 << 20;

/// Puts a probe to a server.
pub(super) async fn inquire(
    turns: &Turns,
    server: SocketAddr,
    zone: &ZoneName,
    probe: Probe,
    within: Duration,
) -> Reply {
    let shape = probe.shape(zone);
    let inquiry = match Inquiry::new(&shape) {
        Ok(inquiry) => inquiry,
        Err(why) => return Reply::Unreachable { why },
    };
    if probe == Probe::Transfer {
        let turn = turns.at(server).await;
        return turn.during(transfer(server, zone, within)).await;
    }
    let begun = Instant::now();
    let from = match probe {
        Probe::Notify { from } => SocketAddr::new(from, 0),
        _ => any_port(server),
    };
    let reply = over_udp(server, from, &inquiry, begun, within).await.unwrap_or_else(|why| unreachable(&why));
    match reply {
        Reply::Message(heard) if heard.truncated && probe.wants_all() => {
            let turn = turns.at(server).await;
            let whole = turn.during(over_tcp(server, &inquiry, Instant::now() + within)).await;
            // Without the whole there is still its beginning.
            if let Reply::Message(mut whole) = whole {
                whole.octets = heard.octets;
                return Reply::Message(whole);
            }
            Reply::Message(heard)
        }
        reply => reply,
    }
}

struct Inquiry {
    id: u16,
    name: Name,
    rtype: WireType,
    octets: Vec<u8>,
}

impl Inquiry {
    fn new(shape: &Shape) -> Result<Self, String> {
        let random = getrandom::u32().map_err(|why| format!("no random numbers: {why}"))?.to_be_bytes();
        let id = u16::from_be_bytes([random[0], random[1]]);
        let labels = shape.owner.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
        let mut name = Name::from_labels(labels).map_err(|why| why.to_string())?;
        name.set_fqdn(true);
        let rtype = WireType::from(shape.rtype);
        let mut asked = Asked::query(name.clone(), rtype);
        if shape.chaos {
            asked.set_query_class(DNSClass::CH);
        }
        let code = if shape.notify { OpCode::Notify } else { OpCode::Query };
        let mut message = Message::new(id, MessageType::Query, code);
        message.metadata.recursion_desired = shape.recursive;
        // Who tells of a change has authority (RFC 1996 section 3.6).
        message.metadata.authoritative = shape.notify;
        message.add_query(asked);
        if let Some(shape) = shape.edns {
            message.set_edns(edns(shape)?);
        }
        Ok(Self { id, name, rtype, octets: message.to_vec().map_err(|why| why.to_string())? })
    }

    /// The message, if it answers this; the error says what is wrong with it. None: it answers something else.
    fn hear(&self, octets: &[u8]) -> Option<Result<Message, String>> {
        if octets.get(..2)? != self.id.to_be_bytes() || octets.get(2)? & 0x80 == 0 {
            return None;
        }
        let message = match Message::from_vec(octets) {
            Ok(message) => message,
            Err(why) => return Some(Err(why.to_string())),
        };
        let repeats = |asked: &Asked| *asked.name() == self.name && asked.query_type() == self.rtype;
        message.queries.iter().all(repeats).then_some(Ok(message))
    }
}

fn edns(shape: EdnsShape) -> Result<Edns, String> {
    let mut edns = Edns::new();
    edns.set_version(shape.version);
    edns.set_max_payload(shape.payload);
    edns.set_dnssec_ok(shape.dnssec_ok);
    edns.flags_mut().z = shape.flags;
    if shape.nsid {
        let nothing = NSIDPayload::new(vec![]).map_err(|why| why.to_string())?;
        edns.options_mut().insert(EdnsOption::NSID(nothing));
    }
    if let Some(code) = shape.option {
        edns.options_mut().insert(EdnsOption::Unknown(code, vec![]));
    }
    Ok(edns)
}

/// The socket is not connected: that an answer comes from another address is something to be told.
async fn over_udp(
    server: SocketAddr,
    from: SocketAddr,
    inquiry: &Inquiry,
    begun: Instant,
    within: Duration,
) -> std::io::Result<Reply> {
    let socket = UdpSocket::bind(from).await?;
    let mut buffer = vec![0; LARGEST];
    let mut worse = Reply::Silent;
    let ends = SENT_AT.into_iter().skip(1).chain([1.0]).map(|share| begun + within.mul_f64(share));
    for until in ends {
        socket.send_to(&inquiry.octets, server).await?;
        while let Ok(received) = timeout_at(until, socket.recv_from(&mut buffer)).await {
            let (length, from) = received?;
            match inquiry.hear(&buffer[..length]) {
                Some(_) if from != server => worse = Reply::Elsewhere { from: from.ip() },
                Some(Ok(message)) => return Ok(Reply::Message(Box::new(heard(&message, length)))),
                Some(Err(why)) => worse = Reply::Malformed { why },
                None => {}
            }
        }
        if !matches!(worse, Reply::Silent) {
            break;
        }
    }
    Ok(worse)
}

async fn over_tcp(server: SocketAddr, inquiry: &Inquiry, deadline: Instant) -> Reply {
    let talk = async {
        let mut stream = connected(server).await?;
        write_message(&mut stream, &inquiry.octets).await?;
        loop {
            let octets = read_message(&mut stream).await?;
            match inquiry.hear(&octets) {
                Some(Ok(message)) => return Ok(Reply::Message(Box::new(heard(&message, octets.len())))),
                Some(Err(why)) => return Ok(Reply::Malformed { why }),
                None => {}
            }
        }
    };
    timeout_at(deadline, talk).await.unwrap_or(Ok(Reply::Silent)).unwrap_or_else(|why| unreachable(&why))
}

/// Asks for the whole zone, as anyone may who has no key.
async fn transfer(server: SocketAddr, zone: &ZoneName, within: Duration) -> Reply {
    let limits = TransferLimits { octets: ZONE_OCTETS, ..TransferLimits::default() };
    let asked = Wanted { zone, server, since: None, limits };
    let patience = Patience { connect: within, message: within, whole: within };
    match transfer::transfer(&asked, None, patience).await {
        Ok(transferred) => transferred.reply(),
        Err(Failure::Fault(TransferFault::Rcode(number))) => {
            let rcode = mnemonic(ResponseCode::from(0, number));
            Reply::Message(Box::new(Heard { rcode, name: zone.to_string(), ..Heard::default() }))
        }
        Err(Failure::Fault(fault)) => Reply::Malformed { why: fault.to_string() },
        Err(Failure::Silent) => Reply::Silent,
        Err(Failure::Broken(error)) => unreachable(&error),
        Err(Failure::Question(why)) => Reply::Unreachable { why },
        Err(Failure::Tsig(fault, _)) => Reply::Malformed { why: fault.to_string() },
    }
}

fn unreachable(error: &std::io::Error) -> Reply {
    Reply::Unreachable { why: why(error) }
}

fn heard(message: &Message, octets: usize) -> Heard {
    let all = |records: &[Record]| records.iter().map(entry).collect();
    let asked = message.queries.first().map(|asked| text(asked.name())).unwrap_or_default();
    Heard {
        rcode: mnemonic(message.metadata.response_code),
        authoritative: message.metadata.authoritative,
        truncated: message.metadata.truncation,
        recursion_available: message.metadata.recursion_available,
        name: asked,
        octets: u32::try_from(octets).unwrap_or(u32::MAX),
        edns: message.edns.as_ref().map(edns_heard),
        answers: all(&message.answers),
        authorities: all(&message.authorities),
        additionals: all(&message.additionals),
    }
}

fn edns_heard(edns: &Edns) -> EdnsHeard {
    let options = edns.options().options.iter();
    let nsid = options.clone().find_map(|(_, option)| match option {
        EdnsOption::NSID(payload) => Some(HEXLOWER.encode(payload.as_ref())),
        _ => None,
    });
    EdnsHeard {
        version: edns.version(),
        payload: edns.max_payload(),
        dnssec_ok: edns.flags().dnssec_ok,
        flags: edns.flags().z,
        nsid,
        options: options.map(|(code, _)| u16::from(*code)).collect(),
    }
}

fn entry(record: &Record) -> Entry {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    // Canonical form is without compression.
    encoder.set_canonical_form(true);
    // What cannot be written again is left empty: rules then see a record without data.
    if record.data.emit(&mut encoder).is_err() {
        octets.clear();
    }
    let number = u16::from(record.record_type());
    let known: Option<RecordType> = record.record_type().to_string().parse().ok();
    let (rtype, rdata) = entry_from_wire(number, known, &octets);
    Entry { owner: text(&record.name).to_lowercase(), rtype, ttl: record.ttl, rdata }
}

/// The name without its final dot, letter for letter.
fn text(name: &Name) -> String {
    let text = name.to_ascii();
    if text == "." { text } else { text.trim_end_matches('.').to_owned() }
}
