//! The messages of one question: what goes out, and what may come in.

use std::sync::atomic::{AtomicBool, Ordering};

use hickory_proto::op::{Header, Message, MessageType, OpCode, Query as Asked, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType as WireType};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder};

use super::wire::{dns_name, mnemonic, rdata_text, wire_name, wire_type};
use crate::dns::{Answer, Question};
use crate::estate::{RecordSet, RecordType};

/// The largest answer we take over UDP: what fits every path without fragments (RFC 9715).
const UDP_PAYLOAD: u16 = 1232;
/// The OPT record (RFC 6891 section 6.1.2): the root's name, the type, what we take over UDP; version 0, no flags, no options.
const EDNS: [u8; 11] = {
    let [high, low] = UDP_PAYLOAD.to_be_bytes();
    [0, 0, 41, high, low, 0, 0, 0, 0, 0, 0]
};
/// A chain of aliases longer than this is no answer.
const LONGEST_CHAIN: usize = 16;

/// A question, ready to be sent.
pub(super) struct Query {
    pub(super) id: u16,
    name: Name,
    rtype: WireType,
    question: Question,
    /// With EDNS (RFC 6891).
    pub(super) message: Vec<u8>,
    /// For a server that does not know EDNS.
    pub(super) without_edns: Vec<u8>,
    /// What the answer that was heard last says of its signatures (AD).
    signed: AtomicBool,
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
        // A resolver that validates is asked to say so (RFC 6840 section 5.7).
        message.metadata.authentic_data = question.recursive;
        message.add_query(Asked::query(name.clone(), rtype));
        let without_edns = message.to_vec().map_err(|why| why.to_string())?;
        let mut message = without_edns.clone();
        message.extend(EDNS);
        // One additional record (ARCOUNT): the low octet of the last count of the header.
        message[11] = 1;
        let signed = AtomicBool::new(false);
        Ok(Self { id, name, rtype, question: question.clone(), message, without_edns, signed })
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
        self.signed.store(header.authentic_data, Ordering::Relaxed);
        let is_plain = header.response_code == ResponseCode::NoError && !header.truncation;
        if is_plain && let Some(answer) = self.found_at_once(&header, &mut decoder) {
            return Heard::Answer(answer);
        }
        match Message::from_vec(octets) {
            Ok(message) => self.read(&message),
            Err(_) if header.truncation => Heard::Truncated,
            Err(why) => Heard::Answer(Answer::Malformed { why: why.to_string() }),
        }
    }

    /// Whether the server says that it has validated the signatures of its answer.
    pub(super) fn is_called_signed(&self) -> bool {
        self.signed.load(Ordering::Relaxed)
    }

    /// The record set, if it is in the answer section: then nobody needs to read what comes after, which is most of the message.
    fn found_at_once(&self, header: &Header, decoder: &mut BinDecoder<'_>) -> Option<Answer> {
        let answers: Result<Vec<Record>, _> =
            (0..header.counts.answers).map(|_| Record::read(decoder)).collect();
        match self.find(&answers.ok()?, header.authoritative) {
            Found::Answer(answer) => Some(answer),
            Found::Nothing { .. } => None,
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
            ResponseCode::NoError => Heard::Answer(match self.find(&message.answers, authoritative) {
                Found::Answer(answer) => answer,
                Found::Nothing { last_alias } => self.without_records(message, last_alias),
            }),
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
    fn find<'r>(&self, answers: &'r [Record], authoritative: bool) -> Found<'r> {
        let mut at = &self.name;
        let mut last_alias: Option<&Record> = None;
        for _ in 0..LONGEST_CHAIN {
            let set = records(answers, at, self.rtype);
            if !set.is_empty() {
                return Found::Answer(self.in_words(at, self.question.key.rtype, &set, authoritative));
            }
            let alias = records(answers, at, WireType::CNAME).into_iter().next();
            let Some((record, RData::CNAME(target))) = alias.map(|record| (record, &record.data)) else {
                return Found::Nothing { last_alias };
            };
            last_alias = Some(record);
            at = &target.0;
        }
        let why = "its aliases (CNAME) go round in a circle or without end".to_owned();
        Found::Answer(Answer::Malformed { why })
    }

    /// There is no such record set in the answer: does it exist elsewhere, or not at all?
    fn without_records(&self, message: &Message, last_alias: Option<&Record>) -> Answer {
        let authoritative = message.metadata.authoritative;
        let has = |rtype| message.authorities.iter().any(|record| record.record_type() == rtype);
        let negative = has(WireType::SOA);
        match last_alias {
            // The alias leads out of what this server knows: the alias itself is all it can say.
            Some(alias) if !negative => {
                self.in_words(&alias.name, RecordType::CNAME, &[alias], authoritative)
            }
            _ if !authoritative && !negative && has(WireType::NS) => Answer::Referral,
            _ => Answer::NoData { authoritative },
        }
    }

    fn in_words(&self, owner: &Name, rtype: RecordType, records: &[&Record], authoritative: bool) -> Answer {
        let read = || {
            let owner = if *owner == self.name { self.question.key.owner.clone() } else { dns_name(owner)? };
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
}

/// What an answer section has.
enum Found<'r> {
    Answer(Answer),
    /// Not the record set; perhaps the alias that leads out of it.
    Nothing {
        last_alias: Option<&'r Record>,
    },
}

fn records<'m>(answers: &'m [Record], owner: &Name, rtype: WireType) -> Vec<&'m Record> {
    let wanted = |record: &&Record| {
        record.record_type() == rtype && record.dns_class == DNSClass::IN && record.name == *owner
    };
    answers.iter().filter(wanted).collect()
}

/// A TTL with its highest bit set counts as zero (RFC 2181 section 8).
fn lifetime(ttl: u32) -> u32 {
    if ttl > 0x7fff_ffff { 0 } else { ttl }
}

#[cfg(test)]
mod tests;
