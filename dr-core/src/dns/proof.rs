//! What signatures are over (RFC 4034 section 3.1.8.1): the octets that a zone's key has signed, from records as they were heard.

use std::net::SocketAddr;

use data_encoding::{BASE64, HEXLOWER};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::judge::ZoneFacts;
use super::keys::ZoneKey;
use super::probe::{Entry, Exchange, Heard, Probe, Reply};
use super::rdata::{name_to_wire, rdata_to_wire};
use crate::estate::RecordType;

const IN: [u8; 2] = [0, 1];

/// Whether a signature holds, by the key of the server that gave it.
///
/// ```
/// use dr_core::dns::{Probe, Proof};
/// let proof = Proof {
///     server: "192.0.2.1:53".parse().unwrap(), probe: Probe::Apex, owner: "example.org".into(), covers: "SOA".into(), tag: 7, holds: false,
/// };
/// assert_eq!(serde_json::from_str::<Proof>(&serde_json::to_string(&proof).unwrap()).unwrap(), proof, "a capture replays");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// Whose answer it was.
    pub server: SocketAddr,
    /// To which probe.
    pub probe: Probe,
    /// Whose records are signed.
    pub owner: String,
    /// The type of the records.
    pub covers: String,
    /// The tag of the key.
    pub tag: u16,
    /// Whether the key has signed these records.
    pub holds: bool,
}

/// Verifies every signature in the answers, each by the keys that the same server gives. `verify` is given the algorithm's number
/// (RFC 8624), the key, the octets that are signed and the signature, as DNS has them, and says none to an algorithm that it does not
/// know. Signatures without a key are left out: that is another fault.
///
/// ```
/// use dr_core::dns::{ZoneFacts, ZoneSpec, proofs};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec![]);
/// let facts = ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] };
/// assert!(proofs(&facts, |_, _, _, _| Some(true)).is_empty(), "nothing was heard");
/// ```
pub fn proofs(facts: &ZoneFacts, verify: impl Fn(u8, &[u8], &[u8], &[u8]) -> Option<bool>) -> Vec<Proof> {
    let is_ours = |said: &&Exchange| facts.spec.servers.iter().any(|server| server.address == said.server);
    let heard = facts.probes.iter().filter(is_ours).filter_map(|said| Some((said, message(said)?)));
    let mut found = vec![];
    for (said, heard) in heard {
        let keys = keys_at(facts, said.server);
        let both: Vec<&Entry> = heard.answers.iter().chain(&heard.authorities).collect();
        for signed in both.iter().filter_map(|entry| Signed::of(entry, &both)) {
            let fits = |key: &&ZoneKey| {
                key.tag() == signed.tag && key.algorithm == signed.algorithm && key.is_in_use()
            };
            let said_of =
                |key: &ZoneKey| verify(key.algorithm, key.public(), &signed.octets, &signed.signature);
            // Two keys may have one tag: one of them has to be it.
            let by_key: Vec<bool> = keys.iter().filter(fits).filter_map(said_of).collect();
            let Signed { owner, covers, tag, .. } = signed;
            found.extend((!by_key.is_empty()).then(|| Proof {
                server: said.server,
                probe: said.probe,
                owner,
                covers,
                tag,
                holds: by_key.contains(&true),
            }));
        }
    }
    found
}

fn message(said: &Exchange) -> Option<&Heard> {
    match &said.reply {
        Reply::Message(heard) => Some(heard),
        _ => None,
    }
}

fn keys_at(facts: &ZoneFacts, server: SocketAddr) -> Vec<ZoneKey> {
    let of = facts.probes.iter().filter(|said| said.server == server && said.probe == Probe::Keys);
    let entries = of.filter_map(message).flat_map(|heard| heard.answers_of("DNSKEY"));
    entries.filter_map(|entry| ZoneKey::from_rdata(&entry.rdata)).collect()
}

/// A signature with what it is over.
struct Signed {
    owner: String,
    covers: String,
    tag: u16,
    algorithm: u8,
    octets: Vec<u8>,
    signature: Vec<u8>,
}

impl Signed {
    /// None if it is no signature, if what it is over is not there, or of a form that dr does not know.
    fn of(entry: &Entry, all: &[&Entry]) -> Option<Self> {
        if entry.rtype != "RRSIG" {
            return None;
        }
        let fields: Vec<&str> = entry.rdata.split(' ').collect();
        let [covers, algorithm, labels, ttl, until, from, tag, signer, signature] = fields.as_slice() else {
            return None;
        };
        let number: u16 = covers.parse().ok()?;
        let (algorithm, labels): (u8, u8) = (algorithm.parse().ok()?, labels.parse().ok()?);
        let (ttl, tag): (u32, u16) = (ttl.parse().ok()?, tag.parse().ok()?);
        let mut octets = number.to_be_bytes().to_vec();
        octets.extend([algorithm, labels]);
        for time in [ttl, until.parse().ok()?, from.parse().ok()?] {
            octets.extend(u32::to_be_bytes(time));
        }
        octets.extend(tag.to_be_bytes());
        octets.extend(name_to_wire(signer).ok()?.to_ascii_lowercase());
        let records = all.iter().filter(|of| of.owner == entry.owner && number_of(&of.rtype) == Some(number));
        let records: Vec<&&Entry> = records.collect();
        let covers = records.first()?.rtype.clone();
        let mut data = records.iter().map(|of| rdata_wire(of)).collect::<Option<Vec<Vec<u8>>>>()?;
        data.sort();
        data.dedup();
        let owner = signed_owner(&entry.owner, labels)?;
        for rdata in data {
            octets.extend(&owner);
            octets.extend(number.to_be_bytes());
            octets.extend(IN);
            octets.extend(ttl.to_be_bytes());
            octets.extend(u16::try_from(rdata.len()).ok()?.to_be_bytes());
            octets.extend(rdata);
        }
        let signature = BASE64.decode(signature.as_bytes()).ok()?;
        Some(Self { owner: entry.owner.clone(), covers, tag, algorithm, octets, signature })
    }
}

/// The name that was signed: with fewer labels than the answer's, it is the wildcard that the answer was made of (RFC 4035 section 5.3.2).
fn signed_owner(owner: &str, labels: u8) -> Option<Vec<u8>> {
    let wire = name_to_wire(owner).ok()?.to_ascii_lowercase();
    let mut at = Vec::new();
    let mut begins = 0;
    while *wire.get(begins)? != 0 {
        at.push(begins);
        begins += 1 + usize::from(wire[begins]);
    }
    let is_wildcard = wire.starts_with(b"\x01*");
    match (at.len() - usize::from(is_wildcard)).checked_sub(usize::from(labels))? {
        0 => Some(wire),
        // What is left of the name begins at that label; of the root it is the end.
        more => Some([b"\x01*", wire.get(at.get(more).copied().unwrap_or(begins)..)?].concat()),
    }
}

fn rdata_wire(entry: &Entry) -> Option<Vec<u8>> {
    if let Some(raw) = entry.rdata.strip_prefix("\\# ") {
        return HEXLOWER.decode(raw.split(' ').nth(1).unwrap_or_default().as_bytes()).ok();
    }
    let alike = match entry.rtype.as_str() {
        "CDS" => RecordType::DS,
        "CDNSKEY" => RecordType::DNSKEY,
        other => other.parse().ok()?,
    };
    rdata_to_wire(alike, &entry.rdata).ok()
}

/// The number of a type whose data is kept octet for octet; none for the others, which are not verified.
fn number_of(mnemonic: &str) -> Option<u16> {
    const KNOWN: [(&str, u16); 16] = [
        ("A", 1),
        ("NS", 2),
        ("CNAME", 5),
        ("SOA", 6),
        ("PTR", 12),
        ("MX", 15),
        ("TXT", 16),
        ("AAAA", 28),
        ("SRV", 33),
        ("DS", 43),
        ("SSHFP", 44),
        ("NSEC", 47),
        ("DNSKEY", 48),
        ("NSEC3", 50),
        ("CDS", 59),
        ("CDNSKEY", 60),
    ];
    KNOWN.iter().find(|(name, _)| *name == mnemonic).map(|(_, number)| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_that_was_signed() {
        let owner = |name: &str, labels| signed_owner(name, labels);
        assert_eq!(owner("a.example.org", 3).unwrap(), b"\x01a\x07example\x03org\0");
        assert_eq!(owner("a.b.example.org", 2).unwrap(), b"\x01*\x07example\x03org\0");
        assert_eq!(owner("*.example.org", 2).unwrap(), b"\x01*\x07example\x03org\0");
        assert_eq!(owner("org", 0).unwrap(), b"\x01*\0");
        assert_eq!(owner("org", 2), None, "more labels than there are");
    }
}
