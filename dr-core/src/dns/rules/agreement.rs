//! Whether all servers give the same answers: every record set, as a set, whatever the serial says.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use crate::dns::facts::Answer;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Seen, Serving};
use crate::estate::{DnsName, RecordKey, RecordType};
use crate::report::{Finding, code};

/// Different data for the same name. Which server is right is the operator's to say: each group is named with what it says.
pub(super) fn record_sets(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let found: Vec<(&RecordKey, Finding)> =
        seen.keys.iter().filter_map(|key| Some((*key, differing(seen, key, answers(seen, key))?))).collect();
    // A name that one server does not have is told once, by the records that the others have: not for every other type, too.
    let with_data: BTreeSet<&DnsName> =
        found.iter().filter(|(key, _)| seen.set(key).is_some()).map(|(key, _)| &key.owner).collect();
    let told =
        |key: &RecordKey| seen.set(key).is_none() && with_data.contains(&key.owner) && only_denied(seen, key);
    let mut findings: Vec<Finding> =
        found.iter().filter(|(key, _)| !told(key)).map(|(_, finding)| finding.clone()).collect();
    findings.extend(soa_under_one_serial(seen));
    findings
}

/// Whether all servers say that there is no such record set, only in different ways.
fn only_denied(seen: &Seen<'_>, key: &RecordKey) -> bool {
    let mut said = seen.serving.iter().filter_map(|serving| seen.said(serving.server, key));
    said.all(|answer| matches!(answer, Answer::NoData { .. } | Answer::NxDomain { .. }))
}

type Said<'a> = Vec<(&'a str, String)>;

/// What each server with authority for the zone says about a record set.
fn answers<'a>(seen: &Seen<'a>, key: &RecordKey) -> Said<'a> {
    let said = |server| {
        let answer = seen.said(server, key)?;
        // Silence and garbage have rules of their own: they are no data.
        let is_data =
            !matches!(answer, Answer::Silent | Answer::Unreachable { .. } | Answer::Malformed { .. });
        is_data.then(|| (server.name.as_str(), with_owner(key, answer)))
    };
    seen.serving.iter().filter_map(|serving| said(serving.server)).collect()
}

/// The words of an answer; behind an alias, with the name at its end.
fn with_owner(key: &RecordKey, answer: &Answer) -> String {
    match answer {
        Answer::Records { set, .. } if set.key() != *key => {
            format!("{} {} {}", set.owner, set.rtype, answer.in_words())
        }
        _ => answer.in_words(),
    }
}

fn differing(seen: &Seen<'_>, key: &RecordKey, said: Said<'_>) -> Option<Finding> {
    let groups = groups(&said);
    if groups.len() < 2 {
        return None;
    }
    let is_ns = key.rtype == RecordType::NS && key.owner == seen.spec.zone.apex();
    let code = if is_ns { code::DNS_NS_SET_DIFFERS } else { code::DNS_RECORD_SET_DIFFERS };
    let says = groups.iter().map(|(answer, names)| {
        let verb = if names.len() == 1 { "says" } else { "say" };
        format!("{} {verb} {answer}", listed(names.iter().copied()))
    });
    let message = format!("{key}: {}{}", says.collect::<Vec<_>>().join("; "), explanation(seen));
    let mut finding = Finding::new(code, seen.zone_subject(), message).with("record_set", key);
    for (name, answer) in said {
        finding = finding.with(name, answer);
    }
    Some(finding)
}

/// The servers by what they say; the largest group first.
fn groups<'a>(said: &'a Said<'_>) -> Vec<(&'a str, Vec<&'a str>)> {
    let mut groups: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, answer) in said {
        groups.entry(answer).or_default().push(name);
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    groups
}

/// A transfer repairs different data only where the serials differ too: worth saying.
fn explanation(seen: &Seen<'_>) -> &'static str {
    let mut serials = seen.serving.iter().map(|serving| serving.soa.serial);
    let first = serials.next();
    if serials.all(|serial| Some(serial) == first) {
        " (under the same serial, so no transfer will repair it)"
    } else {
        " (their serials differ too)"
    }
}

/// SOA records that differ although the serial does not.
fn soa_under_one_serial(seen: &Seen<'_>) -> Option<Finding> {
    let first = seen.serving.first()?.soa.serial;
    let one_serial = seen.serving.iter().all(|serving| serving.soa.serial == first);
    let said = || {
        let data = |serving: &Serving<'_>| serving.set.rdata.iter().cloned().collect::<Vec<_>>().join(", ");
        seen.serving.iter().map(|serving| (serving.server.name.as_str(), data(serving))).collect()
    };
    one_serial.then(|| differing(seen, &seen.spec.soa_key(), said())).flatten()
}

/// The same data with different TTLs.
pub(super) fn ttls(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    seen.keys.iter().filter_map(|key| differing_ttl(seen, key)).collect()
}

fn differing_ttl(seen: &Seen<'_>, key: &RecordKey) -> Option<Finding> {
    let sets: Vec<_> = seen
        .serving
        .iter()
        .filter_map(|serving| match seen.said(serving.server, key)? {
            Answer::Records { set, .. } => Some((serving.server.name.as_str(), set)),
            _ => None,
        })
        .collect();
    let (_, first) = sets.first()?;
    let same_data = sets.iter().all(|(_, set)| set.same_data(first));
    if !same_data || sets.iter().all(|(_, set)| set.ttl == first.ttl) {
        return None;
    }
    let said: Said<'_> = sets.iter().map(|(name, set)| (*name, format!("{} s", set.ttl))).collect();
    let says = groups(&said);
    let says: Vec<String> =
        says.iter().map(|(ttl, names)| format!("{ttl} on {}", listed(names.iter().copied()))).collect();
    let message = format!("{key} has the TTL {}", says.join(", "));
    let mut finding =
        Finding::new(code::DNS_TTL_DIFFERS, seen.zone_subject(), message).with("record_set", key);
    for (name, set) in sets {
        finding = finding.with(name, set.ttl);
    }
    Some(finding)
}
