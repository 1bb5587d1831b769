//! What the parent's servers say of the zone: the delegation, its glue, and how long it is remembered.

use std::collections::{BTreeMap, BTreeSet};

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::probe::{Entry, Heard, Probe, Reply};
use crate::dns::seen::{Leads, Seen};
use crate::dns::spec::Server;
use crate::estate::DnsName;
use crate::report::{Finding, Subject, code};
use crate::time::Period;

fn parent_subject(server: &Server) -> Subject {
    Subject::new("parent", &server.name)
}

/// A server of the parent that says nothing: what it would say is not known.
pub(super) fn silent(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |server: &Server| {
        let reply = seen.reply(server, Probe::Delegation)?;
        let silent = !matches!(reply, Reply::Message(_));
        let message =
            format!("the parent's server {server} does not answer when asked for {}", seen.spec.zone);
        silent.then(|| Finding::new(code::DNS_PARENT_SILENT, parent_subject(server), message))
    };
    seen.spec.parents.iter().filter_map(finding).collect()
}

/// What one parent server delegates.
struct Delegation<'a> {
    server: &'a Server,
    heard: &'a Heard,
    names: BTreeSet<&'a str>,
}

/// The NS records stand in the authority section of a referral, or in the answer of a server that has both zones.
fn delegations<'a>(seen: &Seen<'a>) -> Vec<Delegation<'a>> {
    let zone = seen.spec.zone.as_str();
    let found = seen.spec.parents.iter().filter_map(|server| {
        let heard = seen.heard(server, Probe::Delegation)?;
        let names =
            records(heard).filter(|entry| entry.owner == zone).map(|entry| entry.rdata.as_str()).collect();
        Some(Delegation { server, heard, names })
    });
    found.collect()
}

fn records(heard: &Heard) -> impl Iterator<Item = &Entry> {
    heard.answers.iter().chain(&heard.authorities).filter(|entry| entry.rtype == "NS")
}

/// The parent does not know the zone: nobody finds it.
pub(super) fn not_delegated(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |delegation: Delegation<'_>| {
        let Delegation { server, heard, names } = delegation;
        let message =
            format!("the parent's server {server} has no delegation of {} ({})", seen.spec.zone, heard.rcode);
        names.is_empty().then(|| seen.of_zone(code::DNS_NOT_DELEGATED, message).with("parent", &server.name))
    };
    delegations(seen).into_iter().filter_map(finding).collect()
}

/// The parent names other servers than the zone does.
pub(super) fn differs(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let own: BTreeSet<String> = seen.name_servers().iter().map(ToString::to_string).collect();
    if own.is_empty() {
        return vec![];
    }
    // Where the parent's servers disagree, the first stands for them: that has a code of its own.
    let Some(delegation) = delegations(seen).into_iter().find(|delegation| !delegation.names.is_empty())
    else {
        return vec![];
    };
    let only_parent: Vec<&str> =
        delegation.names.iter().copied().filter(|name| !own.contains(*name)).collect();
    let only_zone: Vec<&str> =
        own.iter().map(String::as_str).filter(|name| !delegation.names.contains(name)).collect();
    let said = [("the parent", only_parent), ("the zone", only_zone)];
    let said: Vec<String> = said
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(who, names)| format!("only {who} names {}", listed(names)))
        .collect();
    if said.is_empty() {
        return vec![];
    }
    vec![seen.of_zone(code::DNS_DELEGATION_DIFFERS, said.join("; ")).with("parent", &delegation.server.name)]
}

/// The parent's servers do not delegate alike.
pub(super) fn disagree(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let all: Vec<Delegation<'_>> =
        delegations(seen).into_iter().filter(|delegation| !delegation.names.is_empty()).collect();
    let Some(first) = all.first() else { return vec![] };
    if all.iter().all(|delegation| delegation.names == first.names) {
        return vec![];
    }
    let says = |delegation: &Delegation<'_>| {
        format!("{} names {}", delegation.server.name, listed(delegation.names.iter().copied()))
    };
    let said: Vec<String> = all.iter().map(says).collect();
    vec![
        seen.of_zone(code::DNS_PARENTS_DIFFER, format!("the parent's servers disagree: {}", said.join("; "))),
    ]
}

/// The addresses in the parent, by name.
fn glue<'a>(delegation: &Delegation<'a>) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut glue: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let entries =
        delegation.heard.additionals.iter().filter(|entry| matches!(entry.rtype.as_str(), "A" | "AAAA"));
    for entry in entries.filter(|entry| delegation.names.contains(entry.owner.as_str())) {
        glue.entry(&entry.owner).or_default().insert(&entry.rdata);
    }
    glue
}

/// Glue that is not what the zone says: part of the visitors asks a server that is not there any more.
pub(super) fn glue_differs(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
    for delegation in delegations(seen) {
        for (name, in_parent) in glue(&delegation) {
            let Ok(host) = name.parse::<DnsName>() else { continue };
            // Names outside of the zone are another zone's to say.
            let Leads::To(own) = seen.leads(&host) else { continue };
            let own: BTreeSet<String> = own.iter().map(ToString::to_string).collect();
            if !seen.spec.zone.contains(&host) || in_parent.iter().all(|address| own.contains(*address)) {
                continue;
            }
            let message = format!(
                "the parent says that {name} is at {}, the zone says {}",
                listed(in_parent.iter().copied()),
                listed(own.iter().map(String::as_str))
            );
            findings.entry(name.to_owned()).or_insert_with(|| {
                seen.of_zone(code::DNS_GLUE_DIFFERS, message)
                    .with("name", name)
                    .with("parent", &delegation.server.name)
            });
        }
    }
    findings.into_values().collect()
}

/// A name server within the zone, without its address at the parent: nobody can begin to ask.
pub(super) fn glue_missing(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(delegation) = delegations(seen).into_iter().next() else { return vec![] };
    let has = glue(&delegation);
    let without = delegation.names.iter().filter(|name| {
        let ours = name.parse::<DnsName>().is_ok_and(|name| seen.spec.zone.contains(&name));
        ours && !has.contains_key(**name)
    });
    // A server that has both zones answers from the child and needs no glue.
    let is_referral = !delegation.heard.authoritative;
    let finding = |name: &&str| {
        let message = format!("the parent gives no address for {name}, which is within the zone");
        seen.of_zone(code::DNS_GLUE_MISSING, message).with("name", name)
    };
    without.filter(|_| is_referral).map(finding).collect()
}

/// The delegation does not fit into 512 octets, so some must ask again over TCP.
pub(super) fn truncated(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let is_truncated =
        |server: &&Server| seen.heard(server, Probe::SmallDelegation).is_some_and(|heard| heard.truncated);
    let message = "the delegation does not fit into a message of 512 octets";
    let found = seen.spec.parents.iter().find(is_truncated);
    found.map(|_| seen.of_zone(code::DNS_REFERRAL_TRUNCATED, message)).into_iter().collect()
}

/// What the parent lets resolvers remember cannot be waited out in a disaster: a name server that burned stays in caches so long.
pub(super) fn ttl_over_rto(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let zone = seen.spec.zone.as_str();
    let delegations = delegations(seen);
    let entries = delegations.iter().flat_map(|delegation| {
        let own = records(delegation.heard).filter(|entry| entry.owner == zone);
        let names = &delegation.names;
        own.chain(delegation.heard.additionals.iter().filter(|entry| names.contains(entry.owner.as_str())))
    });
    let longest = entries.max_by_key(|entry| entry.ttl);
    let finding = |entry: &Entry| {
        let (ttl, rto) = (Period::from_secs(u64::from(entry.ttl)), thresholds.rto);
        let message = format!(
            "resolvers remember {} {} from the parent for {ttl}, and the recovery time objective is {rto}: a failover that needs other name servers takes longer",
            entry.owner, entry.rtype
        );
        seen.of_zone(code::DNS_PARENT_TTL_OVER_RTO, message).with("ttl", entry.ttl)
    };
    longest.filter(|entry| u64::from(entry.ttl) > thresholds.rto.as_secs()).map(finding).into_iter().collect()
}
