//! Records that do harm although every server agrees about them.

use std::collections::BTreeMap;

use super::{each_server, listed};
use crate::dns::judge::Thresholds;
use crate::dns::probe::Probe;
use crate::dns::seen::Seen;
use crate::estate::{RecordKey, RecordType};
use crate::report::{Finding, code};

/// An alias at the apex takes the zone's mail and name servers away (RFC 1034 section 3.6.2).
pub(super) fn apex_alias(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let zone = seen.spec.zone.as_str();
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::ApexAlias)?;
        let alias = heard.answers_of("CNAME").find(|entry| entry.owner == zone)?;
        let message = format!("{server} has an alias at the zone's apex, for {}", alias.rdata);
        Some(seen.of_server(server, code::DNS_APEX_IS_ALIAS, message))
    })
}

/// Every name exists: a name that was forgotten in a failover shows the wrong site instead of an error.
pub(super) fn wildcard(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let answers = seen.serving.iter().filter_map(|serving| {
        let heard = seen.heard(serving.server, Probe::Missing)?;
        heard.answers.iter().find(|entry| matches!(entry.rtype.as_str(), "A" | "AAAA" | "CNAME"))
    });
    let mut answers = answers.map(|entry| entry.rdata.as_str());
    let finding = |rdata: &str| {
        let message = format!("names that are nowhere written exist too, and lead to {rdata} (a wildcard)");
        seen.of_zone(code::DNS_WILDCARD, message).with("leads_to", rdata)
    };
    answers.next().map(finding).into_iter().collect()
}

/// A certification authority that is needed, on the standby too, may not issue (RFC 8659 section 4).
pub(super) fn issuers(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(set) = seen.at_apex(RecordType::CAA) else { return vec![] };
    let issuers: Vec<&str> = set
        .rdata
        .iter()
        .filter_map(|rdata| {
            let mut fields = rdata.splitn(3, ' ');
            let (_, tag, value) = (fields.next()?, fields.next()?, fields.next()?);
            (tag == "issue").then(|| value.trim_matches('"').split(';').next().unwrap_or_default().trim())
        })
        .collect();
    if issuers.is_empty() {
        return vec![];
    }
    let needed = seen.spec.issuers.iter().filter(|needed| !issuers.contains(&needed.as_str()));
    let finding = |needed: &String| {
        let who = listed(issuers.iter().copied().filter(|issuer| !issuer.is_empty()));
        let who = if who.is_empty() { "nobody".to_owned() } else { who };
        let message = format!("the CAA records let {who} issue certificates, not {needed}");
        seen.of_zone(code::DNS_CAA_EXCLUDES, message).with("issuer", needed)
    };
    needed.map(finding).collect()
}

/// The SSHFP records of a name, by algorithm.
fn fingerprints<'a>(seen: &Seen<'a>, key: &RecordKey) -> BTreeMap<&'a str, Vec<(&'a str, &'a str)>> {
    let mut found: BTreeMap<&str, Vec<(&str, &str)>> = BTreeMap::new();
    for rdata in seen.set(key).into_iter().flat_map(|set| &set.rdata) {
        let mut fields = rdata.split(' ');
        if let (Some(algorithm), Some(hash), Some(print)) = (fields.next(), fields.next(), fields.next()) {
            found.entry(algorithm).or_default().push((hash, print));
        }
    }
    found
}

/// Several fingerprints of one algorithm and one hash: ssh takes none of them.
pub(super) fn fingerprints_twice(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let keys = seen.keys.iter().filter(|key| key.rtype == RecordType::SSHFP);
    let finding = |key: &&RecordKey| {
        let prints = fingerprints(seen, key);
        let twice = prints.into_iter().find(|(_, prints)| {
            prints
                .iter()
                .enumerate()
                .any(|(at, (hash, _))| prints.iter().skip(at + 1).any(|(other, _)| other == hash))
        });
        let (algorithm, _) = twice?;
        let message = format!("{key} has fingerprints of several keys of algorithm {algorithm}");
        Some(seen.of_zone(code::SSHFP_TWICE, message).with("record_set", key))
    };
    keys.filter_map(finding).collect()
}

/// Fingerprints at a name that leads to another host after a failover.
pub(super) fn fingerprints_move(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let moving = seen.spec.moving.iter().map(|name| RecordKey::new(name.clone(), RecordType::SSHFP));
    let finding = |key: RecordKey| {
        seen.set(&key)?;
        let message = format!("{} moves in a failover, and its SSHFP records do not", key.owner);
        Some(seen.of_zone(code::SSHFP_MOVES, message).with("record_set", key))
    };
    moving.filter_map(finding).collect()
}
