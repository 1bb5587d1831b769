//! Zone transfers (RFC 5936, RFC 1995): messages in, the zone or what changed in it out. Bounded, and in any order that servers choose.

use std::collections::{BTreeMap, BTreeSet};

use super::message::{Message, Record, name_text};
use super::probe::Reply;
use super::serial::Serial;
use super::soa::Soa;
use crate::estate::{RecordKey, RecordSet, RecordType, ZoneName};

const SOA: u16 = 6;
const AXFR: u16 = 252;
const IXFR: u16 = 251;
const IN: u16 = 1;
/// What is kept of a zone may have so many octets for each that came.
const KEPT_PER_OCTET: usize = 4;

/// How much is taken from a server.
///
/// ```
/// use dr_core::dns::TransferLimits;
/// assert_eq!(TransferLimits::default().octets, 64 << 20);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferLimits {
    /// So many octets of messages.
    pub octets: usize,
    /// So many records.
    pub records: usize,
}

impl Default for TransferLimits {
    fn default() -> Self {
        Self { octets: 64 << 20, records: 1_000_000 }
    }
}

/// A record as a zone has it: its owner in octets without compression, in lower case; its type; its data likewise.
///
/// ```
/// use dr_core::dns::ZoneRecord;
/// let record = ZoneRecord { owner: b"\x03www\x07example\x03org\0".to_vec(), rtype: 1, rdata: vec![192, 0, 2, 1], ttl: 60 };
/// assert_eq!(record.to_string(), "www.example.org. 60 IN A 192.0.2.1");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ZoneRecord {
    /// The owner, as octets of a message.
    pub owner: Vec<u8>,
    /// The number of the type.
    pub rtype: u16,
    /// The data, as octets of a message.
    pub rdata: Vec<u8>,
    /// Time to live in seconds.
    pub ttl: u32,
}

impl ZoneRecord {
    /// The record as a set of one, where owner and type are ones that dr writes.
    #[must_use]
    pub fn to_set(&self) -> Option<RecordSet> {
        let rtype = known_type(self.rtype)?;
        let owner = name_text(&self.owner).ok()?.parse().ok()?;
        let text = super::rdata::rdata_from_wire(rtype, &self.rdata).ok()?;
        Some(RecordSet::new(owner, rtype, self.ttl, [text]))
    }
}

/// As a line of a zone file (RFC 1035 section 5, RFC 3597 section 5 for types that dr does not know).
impl std::fmt::Display for ZoneRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let owner = name_text(&self.owner).map_err(|_| std::fmt::Error)?;
        let dot = if owner == "." { "" } else { "." };
        write!(f, "{owner}{dot} {} IN ", self.ttl)?;
        let text = known_type(self.rtype)
            .and_then(|rtype| Some((rtype, super::rdata::rdata_from_wire(rtype, &self.rdata).ok()?)));
        match text {
            Some((rtype, text)) => write!(f, "{rtype} {text}"),
            None => {
                let hex = data_encoding::HEXLOWER.encode(&self.rdata);
                write!(f, "TYPE{} \\# {} {hex}", self.rtype, self.rdata.len())
            }
        }
    }
}

/// One step from a version of a zone to a newer one.
///
/// ```
/// use dr_core::dns::{Difference, Serial};
/// let nothing = Difference { from: Serial(1), to: Serial(2), gone: [].into(), new: [].into() };
/// assert!(nothing.to > nothing.from);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The version before.
    pub from: Serial,
    /// The version after.
    pub to: Serial,
    /// Records that are no longer there, SOA aside.
    pub gone: BTreeSet<ZoneRecord>,
    /// Records that are new, SOA aside.
    pub new: BTreeSet<ZoneRecord>,
}

/// What a server gave.
///
/// ```
/// use dr_core::dns::{Serial, Transferred};
/// assert!(Transferred::UpToDate { serial: Serial(7) }.sets().is_empty());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Transferred {
    /// The whole zone; also as an answer to the question for changes.
    Whole {
        /// Its version.
        serial: Serial,
        /// Every record, the SOA record once.
        records: BTreeSet<ZoneRecord>,
    },
    /// What changed since the version that was asked about, step by step.
    Changes {
        /// Oldest first; never empty.
        steps: Vec<Difference>,
    },
    /// Nothing: the server has no newer version.
    UpToDate {
        /// Its version.
        serial: Serial,
    },
}

impl Transferred {
    /// The record sets of a whole zone that dr reads and writes; records of other types are left out. Empty for anything else.
    #[must_use]
    pub fn sets(&self) -> Vec<RecordSet> {
        let Self::Whole { records, .. } = self else { return vec![] };
        let mut sets: BTreeMap<_, RecordSet> = BTreeMap::new();
        for set in records.iter().filter_map(ZoneRecord::to_set) {
            let there = sets.entry(set.key()).or_insert_with(|| set.clone());
            // One set has one TTL; the lowest is what resolvers go by (RFC 2181 section 5.2).
            there.ttl = there.ttl.min(set.ttl);
            there.rdata.extend(set.rdata);
        }
        sets.into_values().collect()
    }

    /// The zone as a reply to a probe: how many records, and the record sets that are to be compared.
    pub(crate) fn reply(&self) -> Reply {
        /// So many record sets are kept.
        const SETS: usize = 5_000;
        let records = match self {
            Self::Whole { records, .. } => u64::try_from(records.len()).unwrap_or(u64::MAX),
            _ => 0,
        };
        let told = |key: &RecordKey| !matches!(key.rtype, RecordType::SOA | RecordType::DNSKEY);
        let keys = self.sets().iter().map(RecordSet::key).filter(told).take(SETS).collect();
        Reply::Transferred { records, keys }
    }
}

/// Why there is no transfer.
///
/// ```
/// use dr_core::dns::TransferFault;
/// assert_eq!(TransferFault::TooLarge("records").to_string(), "the zone has more records than are taken");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransferFault {
    /// The server says no, by the number of its response code.
    Rcode(u8),
    /// What it sent is no transfer of this zone, and why.
    Malformed(String),
    /// It is larger than allowed, and what is.
    TooLarge(&'static str),
}

impl std::fmt::Display for TransferFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rcode(number) => write!(f, "the server says no (response code {number})"),
            Self::Malformed(why) => write!(f, "what came is no transfer: {why}"),
            Self::TooLarge(what) => write!(f, "the zone has more {what} than are taken"),
        }
    }
}

/// Takes the messages of a transfer one after another.
///
/// ```
/// use dr_core::dns::{Transfer, TransferFault, TransferLimits};
/// let mut transfer = Transfer::new("example.org".parse().unwrap(), None, TransferLimits::default());
/// let question = transfer.question(7).unwrap();
/// let mut refused = question.clone();
/// (refused[2], refused[3]) = (0x80, 5);
/// assert_eq!(transfer.take(&refused), Err(TransferFault::Rcode(5)), "REFUSED");
/// ```
#[derive(Clone, Debug)]
pub struct Transfer {
    zone: ZoneName,
    apex: Vec<u8>,
    since: Option<Serial>,
    limits: TransferLimits,
    octets: usize,
    kept: usize,
    taken: usize,
    id: Option<[u8; 2]>,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// Nothing came yet.
    Start,
    /// The first SOA record came: what follows says whether this is the zone or what changed.
    Opened { soa: ZoneRecord, serial: Serial },
    /// The whole zone, up to the SOA record that ends it.
    Whole { serial: Serial, records: BTreeSet<ZoneRecord>, soa: ZoneRecord },
    /// Changes: those that are complete, and the one in hand, whose new records come once its second SOA record came.
    Changes { last: Serial, soa: ZoneRecord, steps: Vec<Difference>, step: Difference, adds: bool },
    /// All of it came.
    Done(Transferred),
}

impl Transfer {
    /// Of the whole zone, or of what changed since a version, where the server keeps that.
    #[must_use]
    pub fn new(zone: ZoneName, since: Option<Serial>, limits: TransferLimits) -> Self {
        let apex = super::rdata::name_to_wire(zone.as_str()).unwrap_or_default();
        Self { zone, apex, since, limits, octets: 0, kept: 0, taken: 0, id: None, state: State::Start }
    }

    /// The message that asks for it.
    pub fn question(&mut self, id: u16) -> Result<Vec<u8>, String> {
        self.id = Some(id.to_be_bytes());
        let mut message = id.to_be_bytes().to_vec();
        message.extend([0, 0, 0, 1, 0, 0, 0, u8::from(self.since.is_some()), 0, 0]);
        message.extend(super::rdata::name_to_wire(self.zone.as_str())?);
        message.extend(if self.since.is_some() { IXFR } else { AXFR }.to_be_bytes());
        message.extend(IN.to_be_bytes());
        if let Some(since) = self.since {
            // Of the SOA record only its serial is looked at (RFC 1995 section 3).
            let data = super::rdata::rdata_to_wire(RecordType::SOA, &format!(". . {since} 0 0 0 0"))?;
            message.extend(&self.apex);
            message.extend([0, 6, 0, 1, 0, 0, 0, 0]);
            message.extend(u16::try_from(data.len()).map_err(|why| why.to_string())?.to_be_bytes());
            message.extend(data);
        }
        Ok(message)
    }

    /// Takes the next message; true when that was the last. A message after the last is an error.
    pub fn take(&mut self, octets: &[u8]) -> Result<bool, TransferFault> {
        self.octets += octets.len();
        if self.octets > self.limits.octets {
            return Err(TransferFault::TooLarge("octets"));
        }
        let malformed = |why: &str| TransferFault::Malformed(why.to_owned());
        let message = Message::read(octets).map_err(TransferFault::Malformed)?;
        if !message.is_response() || self.id.is_some_and(|id| id != message.id()) {
            return Err(malformed("it answers something else"));
        }
        if message.rcode() != 0 {
            return Err(TransferFault::Rcode(message.rcode()));
        }
        let asked = if self.since.is_some() { IXFR } else { AXFR };
        if message.question.as_ref().is_some_and(|of| of.name != self.apex || of.rtype != asked) {
            return Err(malformed("it answers another question"));
        }
        if message.answers.is_empty() {
            return Err(malformed("a message has no records"));
        }
        for record in &message.answers {
            self.record(record, octets)?;
        }
        // A single SOA record is all that a server without anything newer says.
        if let (State::Opened { serial, .. }, Some(since)) = (&self.state, self.since)
            && serial.ahead_of(since).is_none()
        {
            self.state = State::Done(Transferred::UpToDate { serial: *serial });
        }
        Ok(matches!(self.state, State::Done(_)))
    }

    /// What came; none before the last message was taken.
    #[must_use]
    pub fn finish(self) -> Option<Transferred> {
        match self.state {
            State::Done(transferred) => Some(transferred),
            _ => None,
        }
    }

    /// How many records came so far.
    #[must_use]
    pub fn records(&self) -> usize {
        self.taken
    }

    fn record(&mut self, record: &Record, octets: &[u8]) -> Result<(), TransferFault> {
        let malformed = |why: String| TransferFault::Malformed(why);
        self.taken += 1;
        if self.taken > self.limits.records {
            return Err(TransferFault::TooLarge("records"));
        }
        let is_within =
            self.apex == [0] || record.owner == self.apex || ends_with_labels(&record.owner, &self.apex);
        if record.class != IN || !is_within {
            let owner = name_text(&record.owner).unwrap_or_default();
            return Err(malformed(format!("{owner} is not in the zone {}", self.zone)));
        }
        let rdata = record.plain_data(octets).map_err(malformed)?;
        // Compressed, a name costs two octets a record; kept, it costs its length.
        self.kept += record.owner.len() + rdata.len();
        if self.kept > self.limits.octets.saturating_mul(KEPT_PER_OCTET) {
            return Err(TransferFault::TooLarge("octets"));
        }
        let (owner, rtype) = (record.owner.clone(), record.rtype);
        let one = ZoneRecord { owner, rtype, rdata, ttl: record.ttl };
        let serial = if rtype == SOA { Some(self.serial_of(&one)?) } else { None };
        let state = std::mem::replace(&mut self.state, State::Start);
        self.state = next(state, one, serial, self.since).map_err(malformed)?;
        Ok(())
    }

    fn serial_of(&self, record: &ZoneRecord) -> Result<Serial, TransferFault> {
        let text = super::rdata::rdata_from_wire(RecordType::SOA, &record.rdata);
        let soa = text.ok().and_then(|text| Soa::from_rdata(&text)).filter(|_| record.owner == self.apex);
        soa.map(|soa| soa.serial)
            .ok_or_else(|| TransferFault::Malformed("an SOA record is none of the zone".to_owned()))
    }
}

/// What one more record makes of it; `serial` is that of an SOA record.
fn next(
    state: State,
    record: ZoneRecord,
    serial: Option<Serial>,
    since: Option<Serial>,
) -> Result<State, String> {
    let from_here = |serial| Difference { from: serial, to: serial, gone: [].into(), new: [].into() };
    Ok(match (state, serial) {
        (State::Start, Some(serial)) => State::Opened { soa: record, serial },
        (State::Start, None) => return Err("it does not begin with the SOA record".to_owned()),
        (State::Opened { soa, serial: last }, Some(from)) if since.is_some() && from != last => {
            if since != Some(from) {
                return Err(format!("its changes begin at {from}, not at what was asked for"));
            }
            State::Changes { last, soa, steps: vec![], step: from_here(from), adds: false }
        }
        // A zone of nothing but its SOA record.
        (State::Opened { soa, serial }, Some(again)) if again == serial && record == soa => {
            State::Done(Transferred::Whole { serial, records: [soa].into() })
        }
        (State::Opened { .. }, Some(_)) => return Err("it begins with two SOA records".to_owned()),
        (State::Opened { soa, serial }, None) => {
            State::Whole { serial, records: [soa.clone(), record].into(), soa }
        }
        (State::Whole { serial, records, soa }, Some(_)) => {
            if record != soa {
                return Err(
                    "it ends with another SOA record than it begins with: the zone changed meanwhile"
                        .to_owned(),
                );
            }
            State::Done(Transferred::Whole { serial, records })
        }
        (State::Whole { serial, mut records, soa }, None) => {
            records.insert(record);
            State::Whole { serial, records, soa }
        }
        (State::Changes { last, soa, steps, mut step, adds: false }, Some(to)) => {
            step.to = to;
            State::Changes { last, soa, steps, step, adds: true }
        }
        (State::Changes { last, soa, mut steps, step, adds: true }, Some(serial)) => {
            let reached = step.to;
            if serial != reached {
                return Err(format!("a change begins at {serial}, and the one before ended at {reached}"));
            }
            steps.push(step);
            if reached == last && record == soa {
                return Ok(State::Done(Transferred::Changes { steps }));
            }
            State::Changes { last, soa, steps, step: from_here(serial), adds: false }
        }
        (State::Changes { last, soa, steps, mut step, adds }, None) => {
            if adds {
                step.new.insert(record)
            } else {
                step.gone.insert(record)
            };
            State::Changes { last, soa, steps, step, adds }
        }
        (State::Done(_), _) => return Err("it goes on behind its last record".to_owned()),
    })
}

/// Whether a name in octets is below another.
fn ends_with_labels(owner: &[u8], apex: &[u8]) -> bool {
    let mut rest = owner;
    while let Some((length, after)) = rest.split_first() {
        if *length == 0 {
            return false;
        }
        rest = after.get(usize::from(*length)..).unwrap_or_default();
        if rest == apex {
            return true;
        }
    }
    false
}

fn known_type(number: u16) -> Option<RecordType> {
    Some(match number {
        1 => RecordType::A,
        2 => RecordType::NS,
        5 => RecordType::CNAME,
        6 => RecordType::SOA,
        12 => RecordType::PTR,
        15 => RecordType::MX,
        16 => RecordType::TXT,
        28 => RecordType::AAAA,
        33 => RecordType::SRV,
        43 => RecordType::DS,
        44 => RecordType::SSHFP,
        48 => RecordType::DNSKEY,
        52 => RecordType::TLSA,
        257 => RecordType::CAA,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
