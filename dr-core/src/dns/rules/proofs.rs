//! DNSSEC: signatures that hold, a chain from the parent's word, and denials that prove what they say.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use data_encoding::{BASE32HEX_NOPAD, HEXLOWER};
use sha1::{Digest, Sha1};

use super::each_server;
use super::keys::{fits, keys, signers};
use crate::dns::judge::Thresholds;
use crate::dns::probe::{Entry, Heard, Probe};
use crate::dns::rdata::{name_from_wire, name_to_wire};
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::report::{Finding, code};

/// More rounds of hashing than anyone should ask for are not computed.
const MOST_ITERATIONS: u16 = 500;

/// A signature that the key did not make over these records: something was changed behind the signer's back.
pub(super) fn wrong(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let mut of = seen.proofs.iter().filter(|proof| proof.server == server.address);
        let proof = of.find(|proof| {
            // With two signatures by two keys one may be of a key that is on its way out; whoever validates takes the other.
            let alike = |other: &&crate::dns::Proof| {
                (other.server, other.probe, &other.owner, &other.covers)
                    == (proof.server, proof.probe, &proof.owner, &proof.covers)
            };
            !proof.holds && !seen.proofs.iter().filter(alike).any(|other| other.holds)
        })?;
        let message = format!(
            "{server}: the signature by key {} over {} {} does not hold: whoever validates throws the answer away",
            proof.tag, proof.owner, proof.covers
        );
        Some(seen.of_server(server, code::DNS_SIGNATURE_WRONG, message).with("tag", proof.tag))
    })
}

/// The parent's word is of a key that has not signed the zone's keys: the chain ends there.
pub(super) fn chain(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(signers) = signers(seen) else { return vec![] };
    let keys = keys(seen);
    let over_keys = seen.proofs.iter().filter(|proof| proof.probe == Probe::Keys && proof.covers == "DNSKEY");
    let by: BTreeSet<u16> = over_keys.filter(|proof| proof.holds).map(|proof| proof.tag).collect();
    let meant: Vec<u16> =
        signers.iter().filter(|signer| fits(seen, signer, &keys)).map(|signer| signer.tag).collect();
    if meant.is_empty() || by.is_empty() || meant.iter().any(|tag| by.contains(tag)) {
        return vec![];
    }
    let numbers =
        |tags: &mut dyn Iterator<Item = u16>| tags.map(|tag| tag.to_string()).collect::<Vec<_>>().join(", ");
    let message = format!(
        "the parent's DS records are of key {}, but the zone's keys are signed by {} only: whoever validates sees nothing of the zone",
        numbers(&mut meant.iter().copied()),
        numbers(&mut by.iter().copied())
    );
    vec![seen.of_zone(code::DNS_DS_SIGNS_NOTHING, message)]
}

/// A denial whose records do not prove that the name is not there (RFC 4035 section 5.4, RFC 5155 section 8).
pub(super) fn denial(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    if keys(seen).is_empty() {
        return vec![];
    }
    each_server(seen, |server: &Server| {
        let heard = seen.heard(server, Probe::Missing)?;
        let name = Probe::Missing.shape(&seen.spec.zone).owner;
        let says_no = heard.rcode == "NXDOMAIN" && heard.answers.is_empty();
        let why = says_no.then(|| unproven(heard, &name, seen.spec.zone.as_str()))??;
        let message = format!(
            "{server} denies {name}, and its records do not prove that: {why}; whoever validates throws the answer away"
        );
        Some(seen.of_server(server, code::DNS_DENIAL_WRONG, message))
    })
}

/// What is not proven of a name right below the zone's apex; none if all is, or if there is no proof to look at, which is another fault.
fn unproven(heard: &Heard, name: &str, zone: &str) -> Option<&'static str> {
    let of = |rtype: &'static str| heard.authorities.iter().filter(move |entry| entry.rtype == rtype);
    let wildcard = format!("*.{zone}");
    let spans: Vec<Span> = of("NSEC").filter_map(Span::of_names).collect();
    if of("NSEC").next().is_some() {
        let [name, wildcard] = [name, &wildcard].map(|name| name_to_wire(name).map(|wire| labels(&wire)));
        let covers = |name: &[Vec<u8>]| spans.iter().any(|span| span.covers(name));
        return match (name, wildcard) {
            (Ok(name), _) if !covers(&name) => Some("no NSEC record spans it"),
            (_, Ok(wildcard)) if !covers(&wildcard) => Some("a wildcard could answer for it"),
            _ => None,
        };
    }
    let hashes: Vec<Hashes> = of("NSEC3").filter_map(Hashes::of).collect();
    let first = hashes.first()?;
    let hash = |name: &str| Some(vec![first.hash(&name_to_wire(name).ok()?.to_ascii_lowercase())?]);
    let (apex, name, wildcard) = (hash(zone)?, hash(name)?, hash(&wildcard)?);
    let covers = |hash: &[Vec<u8>]| hashes.iter().any(|of| of.span.covers(hash));
    if !hashes.iter().any(|of| of.span.from == apex) {
        return Some("no NSEC3 record is of the zone itself");
    }
    match (covers(&name), covers(&wildcard)) {
        (false, _) => Some("no NSEC3 record spans it"),
        (_, false) => Some("a wildcard could answer for it"),
        _ => None,
    }
}

/// From one name that is there to the next; the last leads back to the first. Names are lists of labels, the top first, so that they sort as
/// RFC 4034 section 6.1 says; hashes are one label.
struct Span {
    from: Vec<Vec<u8>>,
    next: Vec<Vec<u8>>,
}

impl Span {
    fn of_names(entry: &Entry) -> Option<Self> {
        let wire = raw(entry)?;
        let mut rest = wire.as_slice();
        name_from_wire(&mut rest).ok()?;
        let next = wire.get(..wire.len() - rest.len())?;
        Some(Self { from: labels(&name_to_wire(&entry.owner).ok()?), next: labels(next) })
    }

    /// Whether what lies strictly between includes this.
    fn covers(&self, name: &[Vec<u8>]) -> bool {
        let after = self.from.as_slice().cmp(name) == Ordering::Less;
        let before = name.cmp(self.next.as_slice()) == Ordering::Less;
        if self.from < self.next { after && before } else { after || before }
    }
}

/// A record of NSEC3 (RFC 5155 section 3).
struct Hashes {
    salt: Vec<u8>,
    iterations: u16,
    span: Span,
}

impl Hashes {
    fn of(entry: &Entry) -> Option<Self> {
        let wire = raw(entry)?;
        let [1, _flags, high, low, salt_octets, rest @ ..] = wire.as_slice() else { return None };
        let (salt, rest) = rest.split_at_checked(usize::from(*salt_octets))?;
        let (octets, rest) = rest.split_first()?;
        let next = rest.get(..usize::from(*octets))?.to_vec();
        let from =
            BASE32HEX_NOPAD.decode(entry.owner.split('.').next()?.to_ascii_uppercase().as_bytes()).ok()?;
        let iterations = u16::from_be_bytes([*high, *low]);
        Some(Self { salt: salt.to_vec(), iterations, span: Span { from: vec![from], next: vec![next] } })
    }

    /// RFC 5155 section 5.
    fn hash(&self, wire: &[u8]) -> Option<Vec<u8>> {
        let once = |octets: &[u8]| Sha1::digest([octets, &self.salt].concat()).to_vec();
        let rounds = (self.iterations <= MOST_ITERATIONS).then_some(self.iterations)?;
        Some((0..rounds).fold(once(wire), |hash, _| once(&hash)))
    }
}

fn raw(entry: &Entry) -> Option<Vec<u8>> {
    HEXLOWER.decode(entry.rdata.strip_prefix("\\# ")?.split(' ').nth(1)?.as_bytes()).ok()
}

/// The labels of a name in octets, in lower case, the top first.
fn labels(wire: &[u8]) -> Vec<Vec<u8>> {
    let (mut labels, mut rest) = (vec![], wire);
    while let Some((length, after)) = rest.split_first().filter(|(length, _)| **length > 0) {
        let Some((label, more)) = after.split_at_checked(usize::from(*length)) else { break };
        labels.push(label.to_ascii_lowercase());
        rest = more;
    }
    labels.reverse();
    labels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_the_rfc() {
        // RFC 5155 appendix A: salt aabbccdd, 12 iterations.
        let of = Hashes {
            salt: vec![0xaa, 0xbb, 0xcc, 0xdd],
            iterations: 12,
            span: Span { from: vec![], next: vec![] },
        };
        let hash = |name: &str| {
            BASE32HEX_NOPAD.encode(&of.hash(&name_to_wire(name).unwrap()).unwrap()).to_lowercase()
        };
        assert_eq!(hash("example"), "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom");
        assert_eq!(hash("a.example"), "35mthgpgcu1qg68fab165klnsnk3dpvl");
        assert_eq!(hash("*.w.example"), "r53bq7cc2uvmubfu5ocmm6pers9tk9en");
    }

    #[test]
    fn spans_are_open_and_go_round() {
        let name = |text: &str| labels(&name_to_wire(text).unwrap());
        let span = |from, next| Span { from: name(from), next: name(next) };
        // The order of RFC 4034 section 6.1: by labels from the top, not by characters.
        assert!(span("a.example", "z.example").covers(&name("zABC.a.example")));
        assert!(!span("a.example", "z.example").covers(&name("a.example")));
        assert!(!span("a.example", "z.example").covers(&name("z.example")));
        let last = span("z.example", "example");
        assert!(last.covers(&name("zz.example")) && !last.covers(&name("y.example")));
        assert!(span("example", "example").covers(&name("a.example")), "a zone of one name");
    }
}
