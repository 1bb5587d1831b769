//! DNSSEC: the zone's keys, and what the parent says of them (RFC 4035).

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::keys::{Signer, ZoneKey};
use crate::dns::probe::Probe;
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::report::{Finding, code};

/// The zone's keys as one server gives them; none if it was not asked or gave no message.
pub(super) fn keys_of(seen: &Seen<'_>, server: &Server) -> Option<Vec<ZoneKey>> {
    let heard = seen.heard(server, Probe::Keys)?;
    Some(heard.answers_of("DNSKEY").filter_map(|entry| ZoneKey::from_rdata(&entry.rdata)).collect())
}

/// The keys that the first server with any gives.
pub(super) fn keys(seen: &Seen<'_>) -> Vec<ZoneKey> {
    let mut all = seen.serving.iter().filter_map(|serving| keys_of(seen, serving.server));
    all.find(|keys| !keys.is_empty()).unwrap_or_default()
}

/// What the parent says, of all its servers; none if no one was asked.
pub(super) fn signers(seen: &Seen<'_>) -> Option<Vec<Signer>> {
    let mut heard =
        seen.spec.parents.iter().filter_map(|server| seen.heard(server, Probe::Signer)).peekable();
    heard.peek()?;
    let zone = seen.spec.zone.as_str();
    let entries = heard.flat_map(|heard| heard.answers_of("DS").filter(|entry| entry.owner == zone));
    let rdata: BTreeSet<&str> = entries.map(|entry| entry.rdata.as_str()).collect();
    Some(rdata.into_iter().filter_map(Signer::from_rdata).collect())
}

pub(super) fn fits(seen: &Seen<'_>, signer: &Signer, keys: &[ZoneKey]) -> bool {
    keys.iter().any(|key| key.is_in_use() && signer.is_of(seen.spec.zone.as_str(), key))
}

/// Whether any server that has the zone was asked for its keys.
fn keys_were_asked(seen: &Seen<'_>) -> bool {
    seen.serving.iter().any(|serving| seen.heard(serving.server, Probe::Keys).is_some())
}

/// The parent promises keys, and the zone has none of them: validating resolvers take every answer for forged.
pub(super) fn signer_matches_nothing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let (keys, signers) = (keys(seen), signers(seen).unwrap_or_default());
    if signers.is_empty() || !keys_were_asked(seen) || signers.iter().any(|signer| fits(seen, signer, &keys))
    {
        return vec![];
    }
    let tags = listed_numbers(signers.iter().map(|signer| signer.tag));
    let has = if keys.is_empty() {
        "no keys".to_owned()
    } else {
        format!("keys {}", listed_numbers(keys.iter().map(ZoneKey::tag)))
    };
    let message = format!(
        "the parent's DS records are of key {tags}, and the zone has {has}: whoever validates sees nothing of it"
    );
    vec![seen.of_zone(code::DNS_DS_MATCHES_NO_KEY, message)]
}

fn listed_numbers(numbers: impl Iterator<Item = u16>) -> String {
    let numbers: BTreeSet<u16> = numbers.collect();
    let numbers: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    listed(numbers.iter().map(String::as_str))
}

/// A DS record of a key that is gone, beside one that is right.
pub(super) fn signer_stale(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let (keys, signers) = (keys(seen), signers(seen).unwrap_or_default());
    let (right, stale): (Vec<&Signer>, Vec<&Signer>) =
        signers.iter().partition(|signer| fits(seen, signer, &keys));
    // A tag whose other digest is right is no other key.
    let stale: Vec<u16> = stale
        .iter()
        .map(|signer| signer.tag)
        .filter(|tag| !right.iter().any(|signer| signer.tag == *tag))
        .collect();
    if right.is_empty() || stale.is_empty() {
        return vec![];
    }
    let message = format!(
        "the parent has DS records of key {}, which the zone does not have",
        listed_numbers(stale.into_iter())
    );
    vec![seen.of_zone(code::DNS_DS_STALE, message)]
}

/// Digests that should not be used any more (RFC 8624 section 3.3): where no better one is beside them.
pub(super) fn signer_weak(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let signers = signers(seen).unwrap_or_default();
    let is_weak = |signer: &&Signer| matches!(signer.digest_type, 1 | 3);
    let better = |weak: &Signer| signers.iter().any(|other| other.tag == weak.tag && !is_weak(&other));
    let weak: Vec<u16> =
        signers.iter().filter(is_weak).filter(|weak| !better(weak)).map(|signer| signer.tag).collect();
    if weak.is_empty() {
        return vec![];
    }
    let message = format!(
        "the parent's DS record of key {} has a digest that is broken (SHA-1 or GOST)",
        listed_numbers(weak.into_iter())
    );
    vec![seen.of_zone(code::DNS_DS_WEAK, message)]
}

/// Signed, but nobody can tell: the parent has no DS record.
pub(super) fn signer_missing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let nothing = signers(seen).is_some_and(|signers| signers.is_empty());
    let message = "the zone is signed, but the parent has no DS record, so nobody looks at the signatures";
    (nothing && !keys(seen).is_empty())
        .then(|| seen.of_zone(code::DNS_DS_MISSING, message))
        .into_iter()
        .collect()
}

/// Groups of servers by what they have; the largest first.
fn groups<'a>(said: impl Iterator<Item = (&'a Server, String)>) -> Vec<(String, Vec<&'a str>)> {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    said.for_each(|(server, what)| groups.entry(what).or_default().push(&server.name));
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    groups
}

fn who_has_what(groups: &[(String, Vec<&str>)]) -> String {
    let said = groups.iter().map(|(what, names)| format!("{} has {what}", listed(names.iter().copied())));
    said.collect::<Vec<String>>().join("; ")
}

/// Servers with other keys than the others.
pub(super) fn differ(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let said = seen.serving.iter().filter_map(|serving| {
        let keys = keys_of(seen, serving.server)?;
        let what = if keys.is_empty() {
            "no keys".to_owned()
        } else {
            format!("keys {}", listed_numbers(keys.iter().map(ZoneKey::tag)))
        };
        Some((serving.server, what))
    });
    let groups = groups(said);
    if groups.len() < 2 {
        return vec![];
    }
    vec![seen.of_zone(code::DNS_KEYS_DIFFER, format!("the zone's keys differ: {}", who_has_what(&groups)))]
}

/// Algorithms and sizes that will be broken, or are.
pub(super) fn weak(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |key: ZoneKey| {
        let why = key.weakness()?;
        let message = format!("the key {} is of a kind that should not be used any more: {why}", key.tag());
        Some(seen.of_zone(code::DNS_KEY_WEAK, message).with("tag", key.tag()))
    };
    keys(seen).into_iter().filter_map(finding).collect()
}

/// What a server wants the parent to have: the data of its CDS and CDNSKEY records.
fn wishes(seen: &Seen<'_>, server: &Server) -> Option<BTreeSet<(&'static str, String)>> {
    let of = |probe, rtype: &'static str| {
        let entries = seen.heard(server, probe)?.answers_of(rtype);
        Some(entries.map(|entry| (rtype, entry.rdata.clone())).collect::<Vec<_>>())
    };
    Some(of(Probe::Cds, "CDS")?.into_iter().chain(of(Probe::Cdnskey, "CDNSKEY")?).collect())
}

/// Servers that want different things of the parent (RFC 7344 section 6.1 has parents compare all of them).
pub(super) fn wishes_differ(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let said = seen.serving.iter().filter_map(|serving| {
        let wishes = wishes(seen, serving.server)?;
        let what: Vec<String> = wishes.iter().map(|(rtype, rdata)| format!("{rtype} {rdata}")).collect();
        Some((serving.server, if what.is_empty() { "neither".to_owned() } else { what.join(", ") }))
    });
    let groups = groups(said);
    if groups.len() < 2 {
        return vec![];
    }
    let message = format!("CDS and CDNSKEY records differ: {}", who_has_what(&groups));
    vec![seen.of_zone(code::DNS_CDS_DIFFERS, message)]
}

/// A wish for a key that the zone does not have: a parent that fulfils it takes the zone off the net.
pub(super) fn wishes_match_nothing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let keys = keys(seen);
    let Some(wishes) = seen.serving.iter().find_map(|serving| wishes(seen, serving.server)) else {
        return vec![];
    };
    let fulfilled = |rtype: &str, rdata: &str| match rtype {
        "CDS" => {
            Signer::from_rdata(rdata).is_none_or(|signer| signer.is_removal() || fits(seen, &signer, &keys))
        }
        _ => ZoneKey::from_rdata(rdata).is_none_or(|wish| wish.algorithm == 0 || keys.contains(&wish)),
    };
    let wrong: Vec<String> = wishes
        .iter()
        .filter(|(rtype, rdata)| !fulfilled(rtype, rdata))
        .map(|(rtype, rdata)| format!("{rtype} {rdata}"))
        .collect();
    if wrong.is_empty() {
        return vec![];
    }
    let message = format!("the zone asks its parent for a key that it does not have: {}", wrong.join(", "));
    vec![seen.of_zone(code::DNS_CDS_MATCHES_NO_KEY, message)]
}
