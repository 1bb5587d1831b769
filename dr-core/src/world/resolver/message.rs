//! The messages of one question: what goes out, and what may come in.

use hickory_proto::op::{Edns, Header, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as WireType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::wire::{dns_name, mnemonic, rdata_text, wire_name, wire_type};
use crate::dns::{Answer, Question};
use crate::estate::{RecordSet, RecordType};

/// The largest answer we take over UDP: what fits every path without fragments (RFC 9715).
const UDP_PAYLOAD: u16 = 1232;
/// A chain of aliases longer than this is no answer.
const LONGEST_CHAIN: usize = 16;

/// A question, ready to be sent.
pub(super) struct Query {
    id: u16,
    name: Name,
    rtype: WireType,
    question: Question,
    /// With EDNS (RFC 6891).
    pub(super) message: Vec<u8>,
    /// For a server that does not know EDNS.
    pub(super) without_edns: Vec<u8>,
}

/// What a message is to us.
#[derive(Debug)]
pub(super) enum Heard {
    /// The answer.
    Answer(Answer),
    /// The beginning of the answer: the whole has to be asked for over TCP.
    Truncated,
    /// A refusal that EDNS may be the reason of.
    NoEdns(Answer),
    /// No answer to our question, and why.
    NotOurs(String),
}

impl Query {
    /// Under a random identifier. The error says why the question cannot be put.
    pub(super) fn new(question: &Question) -> Result<Self, String> {
        let id = getrandom::u32().map_err(|why| format!("no random numbers: {why}"))?.to_be_bytes();
        Self::with_id(question, u16::from_be_bytes([id[0], id[1]]))
    }

    fn with_id(question: &Question, id: u16) -> Result<Self, String> {
        let (name, rtype) = (wire_name(&question.key.owner)?, wire_type(question.key.rtype));
        let mut message = Message::new(id, MessageType::Query, OpCode::Query);
        message.metadata.recursion_desired = question.recursive;
        message.add_query(Asked::query(name.clone(), rtype));
        let encode = |message: &Message| message.to_vec().map_err(|why| why.to_string());
        let without_edns = encode(&message)?;
        let mut edns = Edns::new();
        edns.set_max_payload(UDP_PAYLOAD);
        message.set_edns(edns);
        let message = encode(&message)?;
        Ok(Self { id, name, rtype, question: question.clone(), message, without_edns })
    }

    /// Reads a message that came in. Nothing in it is trusted, and nothing in it makes this panic.
    pub(super) fn hear(&self, octets: &[u8]) -> Heard {
        let mut decoder = BinDecoder::new(octets);
        let header = match Header::read(&mut decoder) {
            Ok(header) if header.message_type == MessageType::Response => header,
            Ok(_) => return Heard::NotOurs("it is no response".to_owned()),
            Err(_) => return Heard::NotOurs("it is shorter than a header".to_owned()),
        };
        if header.id != self.id || header.op_code != OpCode::Query {
            return Heard::NotOurs("it answers another question (its identifier differs)".to_owned());
        }
        let failed = !matches!(header.response_code, ResponseCode::NoError | ResponseCode::NXDomain);
        // Some servers send a bare header when they refuse.
        let bare = failed && header.counts.queries == 0;
        if !bare && (header.counts.queries != 1 || !self.is_repeated_by(&mut decoder)) {
            return Heard::NotOurs("it does not repeat the question".to_owned());
        }
        match Message::from_vec(octets) {
            Ok(message) => self.read(&message),
            Err(_) if header.truncation => Heard::Truncated,
            Err(why) => Heard::Answer(Answer::Malformed { why: why.to_string() }),
        }
    }

    fn is_repeated_by(&self, decoder: &mut BinDecoder<'_>) -> bool {
        Asked::read(decoder).is_ok_and(|asked| {
            *asked.name() == self.name
                && asked.query_type() == self.rtype
                && asked.query_class() == DNSClass::IN
        })
    }

    fn read(&self, message: &Message) -> Heard {
        let authoritative = message.metadata.authoritative;
        match message.metadata.response_code {
            ResponseCode::NoError if message.metadata.truncation => Heard::Truncated,
            ResponseCode::NoError => Heard::Answer(self.find(message)),
            ResponseCode::NXDomain => Heard::Answer(Answer::NxDomain { authoritative }),
            rcode => {
                let failed = Answer::Failed { rcode: mnemonic(rcode) };
                // The library reads 16 as BADSIG; in the answer to a question it is BADVERS.
                let may_be_edns =
                    matches!(rcode, ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADSIG);
                if may_be_edns { Heard::NoEdns(failed) } else { Heard::Answer(failed) }
            }
        }
    }

    /// The record set that was asked for, behind aliases if there are any: only within this answer.
    fn find(&self, message: &Message) -> Answer {
        let authoritative = message.metadata.authoritative;
        let mut at = &self.name;
        let mut last_alias: Option<&Record> = None;
        for _ in 0..LONGEST_CHAIN {
            let set = records(message, at, self.rtype);
            if !set.is_empty() {
                return in_words(at, self.question.key.rtype, &set, authoritative);
            }
            let alias = records(message, at, WireType::CNAME).into_iter().next();
            let Some((record, RData::CNAME(target))) = alias.map(|record| (record, &record.data)) else {
                return self.without_records(message, last_alias);
            };
            last_alias = Some(record);
            at = &target.0;
        }
        Answer::Malformed { why: "its aliases (CNAME) go round in a circle or without end".to_owned() }
    }

    /// There is no such record set in the answer: does it exist elsewhere, or not at all?
    fn without_records(&self, message: &Message, last_alias: Option<&Record>) -> Answer {
        let authoritative = message.metadata.authoritative;
        let has = |rtype| message.authorities.iter().any(|record| record.record_type() == rtype);
        let negative = has(WireType::SOA);
        match last_alias {
            // The alias leads out of what this server knows: the alias itself is all it can say.
            Some(alias) if !negative => in_words(&alias.name, RecordType::CNAME, &[alias], authoritative),
            _ if !authoritative && !negative && has(WireType::NS) => Answer::Referral,
            _ => Answer::NoData { authoritative },
        }
    }
}

fn records<'m>(message: &'m Message, owner: &Name, rtype: WireType) -> Vec<&'m Record> {
    let wanted = |record: &&Record| {
        record.record_type() == rtype && record.dns_class == DNSClass::IN && record.name == *owner
    };
    message.answers.iter().filter(wanted).collect()
}

fn in_words(owner: &Name, rtype: RecordType, records: &[&Record], authoritative: bool) -> Answer {
    let read = || {
        let owner = dns_name(owner)?;
        let data = records.iter().map(|record| rdata_text(rtype, &record.data));
        let rdata = data.collect::<Result<_, String>>()?;
        // Records of one set with several TTLs are an error; the lowest counts (RFC 2181 section 5.2).
        let ttl = records.iter().map(|record| lifetime(record.ttl)).min().unwrap_or(0);
        Ok(RecordSet { owner, rtype, ttl, rdata })
    };
    match read() {
        Ok(set) => Answer::Records { set, authoritative },
        Err(why) => Answer::Malformed { why },
    }
}

/// A TTL with its highest bit set counts as zero (RFC 2181 section 8).
fn lifetime(ttl: u32) -> u32 {
    if ttl > 0x7fff_ffff { 0 } else { ttl }
}

#[cfg(test)]
mod tests;
