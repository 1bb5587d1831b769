//! Keys and signatures.

use super::Seed::After;
use super::{Case, DAY, every};
use crate::dns::Probe;
use crate::dns::rules::seeded::scene::{NOW, SIGNING, WEAK_KEY, ZONE, ZONE_KEY, entry, signature, signer};

pub(super) const CASES: &[Case] = &[
    // DNSSEC.
    (
        "the parent promises another key",
        After(|f| {
            let other = signer(WEAK_KEY);
            ["p1", "p2"].into_iter().for_each(|parent| {
                f.alter(parent, Probe::Signer, |heard| heard.answers[0].rdata = other.clone());
            });
        }),
        &["dns.ds_matches_no_key example.org"],
    ),
    (
        "promised and not signed",
        After(|f| {
            every(f, Probe::Keys, |heard| heard.answers.clear());
            every(f, Probe::Apex, without_signatures);
            every(f, Probe::Missing, |heard| heard.authorities.clear());
        }),
        &["dns.ds_matches_no_key example.org"],
    ),
    (
        "a promise of a key that is gone",
        After(|f| {
            f.alter("p1", Probe::Signer, |heard| {
                heard.answers.push(entry(ZONE, "DS", 600, &signer(WEAK_KEY)));
            });
        }),
        &["dns.ds_stale example.org"],
    ),
    (
        "a promise by SHA-1",
        After(|f| {
            let key = crate::dns::keys::ZoneKey::from_rdata(SIGNING).unwrap();
            let mut signed = b"\x07example\x03org\x00".to_vec();
            signed.extend([1, 1, 3, 13]);
            signed
                .extend(data_encoding::BASE64.decode(SIGNING.split(' ').nth(3).unwrap().as_bytes()).unwrap());
            let digest = <sha1::Sha1 as sha2::Digest>::digest(signed);
            let weak = format!("{} 13 1 {}", key.tag(), data_encoding::HEXLOWER.encode(&digest));
            ["p1", "p2"].into_iter().for_each(|parent| {
                f.alter(parent, Probe::Signer, |heard| heard.answers[0].rdata = weak.clone());
            });
        }),
        &["dns.ds_weak example.org"],
    ),
    (
        "signed, and nobody knows",
        After(|f| {
            ["p1", "p2"]
                .into_iter()
                .for_each(|parent| f.alter(parent, Probe::Signer, |heard| heard.answers.clear()));
        }),
        &["dns.ds_missing example.org"],
    ),
    (
        "a key less on one server",
        After(|f| {
            f.alter("ns2", Probe::Keys, |heard| {
                heard.answers[1] = entry(ZONE, "DNSKEY", 300, "256 3 13 AAAA");
            });
            f.alter("ns2", Probe::Apex, |heard| {
                without_signatures(heard);
                heard.answers.push(signature(6, SIGNING, NOW - DAY, NOW + 10 * DAY));
            });
        }),
        &["dns.keys_differ example.org"],
    ),
    (
        "a weak key",
        After(|f| {
            every(f, Probe::Keys, |heard| {
                heard.answers.push(entry(ZONE, "DNSKEY", 300, WEAK_KEY));
                heard.answers.push(signature(48, WEAK_KEY, NOW - DAY, NOW + 10 * DAY));
            });
            every(f, Probe::Apex, |heard| {
                heard.answers.push(signature(6, WEAK_KEY, NOW - DAY, NOW + 10 * DAY));
            });
        }),
        &["dns.key_weak example.org"],
    ),
    (
        "an algorithm that does not sign",
        After(|f| {
            let key = "256 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
            every(f, Probe::Keys, |heard| heard.answers.push(entry(ZONE, "DNSKEY", 300, key)));
        }),
        &["dns.algorithm_unsigned ns1", "dns.algorithm_unsigned ns2", "dns.algorithm_unsigned ns3"],
    ),
    (
        "one server wants another key of the parent",
        After(|f| {
            f.alter("ns3", Probe::Cds, |heard| heard.answers.push(entry(ZONE, "CDS", 300, &signer(SIGNING))));
        }),
        &["dns.cds_differs example.org"],
    ),
    (
        "a wish for a key that is not there",
        After(|f| {
            every(f, Probe::Cds, |heard| heard.answers.push(entry(ZONE, "CDS", 300, &signer(WEAK_KEY))));
        }),
        &["dns.cds_matches_no_key example.org"],
    ),
    (
        "a wish for a whole key that is not there",
        After(|f| {
            every(f, Probe::Cdnskey, |heard| heard.answers.push(entry(ZONE, "CDNSKEY", 300, WEAK_KEY)));
        }),
        &["dns.cds_matches_no_key example.org"],
    ),
    (
        "no signature on one server",
        After(|f| f.alter("ns2", Probe::Apex, without_signatures)),
        &["dns.signature_missing ns2"],
    ),
    (
        "keys without a signature",
        After(|f| f.alter("ns3", Probe::Keys, without_signatures)),
        &["dns.signature_missing ns3"],
    ),
    (
        "a signature that is over on one server",
        After(|f| f.alter("ns2", Probe::Apex, |heard| signed(heard, NOW - 20 * DAY, NOW - 60))),
        &["dns.signature_expired ns2"],
    ),
    (
        "a signature from tomorrow",
        After(|f| f.alter("ns1", Probe::Apex, |heard| signed(heard, NOW + DAY, NOW + 10 * DAY))),
        &["dns.signature_not_yet ns1"],
    ),
    (
        "a signature with two days left",
        After(|f| f.alter("ns3", Probe::Apex, |heard| signed(heard, NOW - 12 * DAY, NOW + 2 * DAY))),
        &["dns.signature_ends_soon ns3"],
    ),
    (
        "a signature for a year",
        After(|f| f.alter("ns1", Probe::Apex, |heard| signed(heard, NOW - DAY, NOW + 364 * DAY))),
        &["dns.signature_long ns1"],
    ),
    (
        "a signature by a key that is gone",
        After(|f| {
            let other = "256 3 13 AAAA";
            f.alter("ns3", Probe::Apex, |heard| {
                without_signatures(heard);
                heard.answers.push(signature(6, other, NOW - DAY, NOW + 10 * DAY));
            });
        }),
        &["dns.signature_without_key ns3"],
    ),
    (
        "denied without proof",
        After(|f| f.alter("ns2", Probe::Missing, |heard| heard.authorities.clear())),
        &["dns.denial_missing ns2"],
    ),
    (
        "names hashed again and again",
        After(|f| {
            every(f, Probe::DenialParameters, |heard| {
                heard.answers.push(entry(ZONE, "NSEC3PARAM", 0, "1 0 10 aabb"));
            });
        }),
        &["dns.denial_iterations example.org"],
    ),
    (
        "a record that was changed behind the signer's back",
        After(|f| prove(f, "ns2", Probe::Signed, "A", false)),
        &["dns.signature_wrong ns2"],
    ),
    (
        "the keys are signed by another key than the parent means",
        After(|f| prove(f, "ns1", Probe::Keys, "DNSKEY", true)),
        &["dns.ds_signs_nothing example.org"],
    ),
    (
        "a denial of something else",
        After(|f| {
            // From zz.example.org to the apex.
            f.alter("ns3", Probe::Missing, |heard| heard.authorities[0].owner = "zz.example.org".to_owned());
        }),
        &["dns.denial_wrong ns3"],
    ),
    (
        "a denial that leaves room for a wildcard",
        After(|f| {
            f.alter("ns1", Probe::Missing, |heard| heard.authorities[0].owner = "a.example.org".to_owned());
        }),
        &["dns.denial_wrong ns1"],
    ),
    (
        "hashes of another zone",
        After(|f| {
            f.alter("ns2", Probe::Missing, |heard| {
                let owner = "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom.example.org";
                let hash = "2t7b4g4vsa5smi47k61mv5bv1a22bojr";
                let next = data_encoding::BASE32HEX_NOPAD.decode(hash.to_uppercase().as_bytes()).unwrap();
                let rdata = format!("\\# 26 010000000014{}", data_encoding::HEXLOWER.encode(&next));
                heard.authorities = vec![entry(owner, "NSEC3", 300, &rdata)];
            });
        }),
        &["dns.denial_wrong ns2"],
    ),
];

fn without_signatures(heard: &mut crate::dns::Heard) {
    heard.answers.retain(|entry| entry.rtype != "RRSIG");
}

/// A signature over the SOA record instead of the one that is there.
fn signed(heard: &mut crate::dns::Heard, from: u32, until: u32) {
    without_signatures(heard);
    heard.answers.push(signature(6, ZONE_KEY, from, until));
}

/// What verifying a signature by the key that is not the parent's has come to.
fn prove(facts: &mut crate::dns::ZoneFacts, who: &str, probe: Probe, covers: &str, holds: bool) {
    let server = facts.spec.servers.iter().find(|server| server.name == who).unwrap().address;
    let tag = crate::dns::keys::ZoneKey::from_rdata(ZONE_KEY).unwrap().tag();
    let (owner, covers) = (ZONE.to_owned(), covers.to_owned());
    facts.proofs.push(crate::dns::Proof { server, probe, owner, covers, tag, holds });
}
