//! The questions that answers lead to: where name servers and mail exchanges are, and what their addresses are called.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use super::facts::{Question, Transport};
use super::judge::ZoneFacts;
use super::rules::spf;
use super::seen::{Leads, Seen};
use crate::estate::{DnsName, RecordKey, RecordType};

/// What is to be asked next, and whom: names of the zone are put to every server that has authority for it, all others and
/// reverse names to the resolver, if there is one. Empty when everything was asked.
///
/// ```
/// use dr_core::dns::{ZoneFacts, ZoneSpec, follow_up};
/// let spec = ZoneSpec::new("example.org".parse().unwrap(), vec![]);
/// let facts = ZoneFacts { spec, at: Default::default(), facts: vec![], probes: vec![], proofs: vec![] };
/// assert!(follow_up(&facts).is_empty(), "no answers, no further questions");
/// ```
#[must_use]
pub fn follow_up(facts: &ZoneFacts) -> Vec<(SocketAddr, Question)> {
    let seen = Seen::new(facts);
    let asked: BTreeSet<(SocketAddr, &Question)> =
        facts.facts.iter().map(|fact| (fact.server, &fact.question)).collect();
    let mut wanted = BTreeSet::new();
    for key in keys(&seen) {
        let is_ours = facts.spec.zone.contains(&key.owner);
        let question = Question { key, transport: Transport::Udp, recursive: !is_ours };
        if is_ours {
            let servers = seen.serving.iter().map(|serving| serving.server.address);
            wanted.extend(servers.map(|server| (server, question.clone())));
        } else {
            wanted.extend(facts.spec.resolver.map(|resolver| (resolver, question)));
        }
    }
    wanted.into_iter().filter(|(server, question)| !asked.contains(&(*server, question))).collect()
}

fn keys(seen: &Seen<'_>) -> BTreeSet<RecordKey> {
    let mut hosts: BTreeSet<DnsName> = seen.name_servers().into_iter().chain(seen.exchanges()).collect();
    let addresses: Vec<IpAddr> = hosts
        .iter()
        .filter_map(|name| match seen.leads(name) {
            Leads::To(addresses) => Some(addresses),
            _ => None,
        })
        .flatten()
        .collect();
    hosts.extend(seen.serving.iter().filter_map(|serving| serving.soa.primary.parse().ok()));
    hosts.extend(seen.spec.status.iter().cloned());
    let (texts, senders) = spf::names(seen);
    hosts.extend(senders);
    let of_hosts = hosts
        .into_iter()
        .flat_map(|name| [RecordType::A, RecordType::AAAA].map(|rtype| RecordKey::new(name.clone(), rtype)));
    let pointers = addresses.into_iter().filter_map(|address| reverse(address).parse().ok());
    of_hosts
        .chain(seen.spec.records.iter().cloned())
        .chain(pointers.map(|name| RecordKey::new(name, RecordType::PTR)))
        .chain(texts.into_iter().map(|name| RecordKey::new(name, RecordType::TXT)))
        .collect()
}

/// The name under which an address has its PTR record (RFC 1035 section 3.5, RFC 3596 section 2.5).
pub(super) fn reverse(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(address) => {
            let nibbles = address.octets().into_iter().rev().flat_map(|octet| [octet & 15, octet >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reverse_names() {
        let check = |address: &str, name: &str| assert_eq!(super::reverse(address.parse().unwrap()), name);
        check("192.0.2.10", "10.2.0.192.in-addr.arpa");
        check("2001:db8::1", "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
    }
}
