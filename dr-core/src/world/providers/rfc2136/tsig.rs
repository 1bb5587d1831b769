//! Signatures of messages (RFC 8945): ours made by the wire library, the primary's verified here.
//!
//! The library's own verification is not used: it hides why a primary refused a signature, and some responses make it panic.

use hickory_proto::op::{Header, Message, Query};
use hickory_proto::rr::rdata::tsig::{TSIG, TsigAlgorithm as Algorithm, TsigError};
use hickory_proto::rr::{DNSClass, Name, Record, TSigner};
use hickory_proto::serialize::binary::{BinDecodable, BinDecoder, BinEncoder};

use crate::estate::{DnsName, TsigAlgorithm};
use crate::secret::Secret;
use crate::world::resolver::wire::wire_name;

/// How far apart the clocks may be, in seconds (RFC 8945 section 10 recommends it).
const FUDGE: u16 = 300;

/// A key, ready to sign.
pub(super) struct Signer(pub(super) TSigner);

impl Signer {
    pub(super) fn new(name: &DnsName, algorithm: TsigAlgorithm, secret: &Secret) -> Result<Self, String> {
        let key = data_encoding::BASE64
            .decode(secret.reveal().trim().as_bytes())
            .map_err(|_| "its secret is not base64".to_owned())?;
        if key.is_empty() {
            return Err("its secret is empty".to_owned());
        }
        let algorithm = match algorithm {
            TsigAlgorithm::HmacSha256 => Algorithm::HmacSha256,
            TsigAlgorithm::HmacSha384 => Algorithm::HmacSha384,
            TsigAlgorithm::HmacSha512 => Algorithm::HmacSha512,
        };
        TSigner::new(key, algorithm, wire_name(name)?, FUDGE).map(Self).map_err(|why| why.to_string())
    }
}

/// A message as it went out.
pub(super) struct Sent {
    pub(super) id: u16,
    pub(super) octets: Vec<u8>,
    /// The signature, which the response's covers too.
    pub(super) mac: Vec<u8>,
}

/// Signs the message, if there is a key, and puts it into octets.
pub(super) fn seal(mut message: Message, signer: Option<&Signer>, now: u64) -> Result<Sent, String> {
    // Everything else in it was checked before: what cannot be encoded is too long.
    let too_long =
        |why: &dyn std::fmt::Display| format!("it does not fit into one message of 65,535 octets ({why})");
    if let Some(Signer(signer)) = signer {
        message.finalize(signer, now).map_err(|why| too_long(&why))?;
    }
    let octets = message.to_vec().map_err(|why| too_long(&why))?;
    if octets.len() > usize::from(u16::MAX) || message_was_cut(&octets) {
        return Err(too_long(&octets.len()));
    }
    let mac = message.signature().map(|signature| signature.data.mac.clone()).unwrap_or_default();
    Ok(Sent { id: message.metadata.id, octets, mac })
}

/// The library leaves out what does not fit, and sets the bit for it.
fn message_was_cut(octets: &[u8]) -> bool {
    octets.get(2).is_none_or(|flags| flags & 0x02 != 0)
}

/// What the signature of a response says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// It is the primary's.
    Valid,
    /// There is none.
    Missing,
    /// The primary did not accept ours.
    Refused(TsigError, Option<u64>),
    /// It is wrong, and why.
    Wrong(&'static str),
}

/// Verifies the signature of a response to `sent` (RFC 8945 section 5.3).
pub(super) fn verify(octets: &[u8], response: &Message, sent: &Sent, signer: &Signer, now: u64) -> Signature {
    let Some(record) = response.signature() else { return Signature::Missing };
    let Signer(signer) = signer;
    let tsig = &record.data;
    // A primary that does not know the key, or finds our signature wrong, cannot sign (section 5.2.1 and 5.2.2).
    if let Some(error @ (TsigError::BadKey | TsigError::BadSig)) = tsig.error {
        return Signature::Refused(error, None);
    }
    if record.name != *signer.signer_name() || tsig.algorithm != *signer.algorithm() {
        return Signature::Wrong("it is signed with another key");
    }
    // The signature covers these two as they must be, not as they are.
    if record.dns_class != DNSClass::ANY || record.ttl != 0 {
        return Signature::Wrong("its signature is malformed");
    }
    let Some(signed) = signed_octets(octets, record, sent) else {
        return Signature::Wrong("its signature cannot be read");
    };
    // The library compares in constant time; a shortened signature is not accepted.
    if tsig.algorithm.verify_mac(signer.key(), &signed, &tsig.mac).is_err() {
        return Signature::Wrong("its signature does not fit");
    }
    if let Some(error) = tsig.error {
        return Signature::Refused(error, server_time(tsig));
    }
    if now.abs_diff(tsig.time) > u64::from(tsig.fudge) {
        return Signature::Wrong("its signature is too old or from the future");
    }
    Signature::Valid
}

/// The octets that the signature covers: our signature, the response before its TSIG record, and that record's own values.
fn signed_octets(octets: &[u8], record: &Record<TSIG>, sent: &Sent) -> Option<Vec<u8>> {
    let end = tsig_offset(octets)?;
    let mut signed = Vec::with_capacity(octets.len() + sent.mac.len() + 2);
    signed.extend(u16::try_from(sent.mac.len()).ok()?.to_be_bytes());
    signed.extend(&sent.mac);
    signed.extend(record.data.oid.to_be_bytes());
    signed.extend(octets.get(2..10)?);
    let additional = u16::from_be_bytes(octets.get(10..12)?.try_into().ok()?);
    signed.extend(additional.checked_sub(1)?.to_be_bytes());
    signed.extend(octets.get(12..end)?);
    let mut values = Vec::new();
    record.data.emit_tsig_for_mac(&mut BinEncoder::new(&mut values), &key_name(&record.name)).ok()?;
    signed.extend(values);
    Some(signed)
}

/// The name of a key counts in lower case.
fn key_name(name: &Name) -> Name {
    name.to_lowercase()
}

/// Where the last record begins.
fn tsig_offset(octets: &[u8]) -> Option<usize> {
    let mut decoder = BinDecoder::new(octets);
    let counts = Header::read(&mut decoder).ok()?.counts;
    for _ in 0..counts.queries {
        Query::read(&mut decoder).ok()?;
    }
    let sections = [counts.answers, counts.authorities, counts.additionals];
    let records: usize = sections.into_iter().map(usize::from).sum();
    for _ in 0..records.checked_sub(1)? {
        Record::<hickory_proto::rr::RData>::read(&mut decoder).ok()?;
    }
    Some(decoder.index())
}

/// With BADTIME a primary tells its clock, in 48 bits (section 5.2.3).
fn server_time(tsig: &TSIG) -> Option<u64> {
    let [a, b, c, d, e, f] = *tsig.other.as_slice() else { return None };
    Some(u64::from_be_bytes([0, 0, a, b, c, d, e, f]))
}
