//! The zone's own name servers: how many, where, and whether they are the ones that were checked.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen};
use crate::estate::{DnsName, Network};
use crate::report::{Code, Finding, code};

/// One server is none on the day it fails (RFC 2182 section 5 advises three).
pub(super) fn too_few(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let names = seen.name_servers();
    let [only] = names.as_slice() else { return vec![] };
    let message = format!("the zone has one name server only: {only}");
    vec![seen.of_zone(code::DNS_TOO_FEW_SERVERS, message)]
}

/// The addresses of each name server that has any.
pub(super) fn addresses(seen: &Seen<'_>) -> BTreeMap<DnsName, BTreeSet<IpAddr>> {
    let found = seen.name_servers().into_iter().filter_map(|name| match seen.leads(&name) {
        Leads::To(addresses) => Some((name, addresses)),
        _ => None,
    });
    found.collect()
}

/// Two names, one machine.
pub(super) fn shared_address(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let mut at: BTreeMap<IpAddr, Vec<String>> = BTreeMap::new();
    for (name, addresses) in addresses(seen) {
        addresses.into_iter().for_each(|address| at.entry(address).or_default().push(name.to_string()));
    }
    let finding = |(address, names): (IpAddr, Vec<String>)| {
        let message = format!(
            "{} have one address, {address}: one failure takes them all",
            listed(names.iter().map(String::as_str))
        );
        (names.len() > 1)
            .then(|| seen.of_zone(code::DNS_SERVERS_SHARE_ADDRESS, message).with("address", address))
    };
    at.into_iter().filter_map(finding).collect()
}

/// All of them in one network: /24, or /48 for IPv6, as far as the outside can tell.
pub(super) fn one_network(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let all: BTreeSet<IpAddr> = addresses(seen).into_values().flatten().collect();
    let networks: BTreeSet<Network> = all.iter().copied().map(network).collect();
    let (Some(network), true) = (networks.first(), networks.len() == 1 && all.len() > 1) else {
        return vec![];
    };
    let message =
        format!("all name servers are in the network {network}: one line or one provider takes them all");
    vec![seen.of_zone(code::DNS_ONE_NETWORK, message).with("network", network)]
}

/// What is one network to the outside.
pub(super) fn network(address: IpAddr) -> Network {
    Network::around(address, if address.is_ipv4() { 24 } else { 48 })
}

/// An alias as a name server is not looked up by many resolvers (RFC 2181 section 10.3).
pub(super) fn is_alias(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    aliases(seen, seen.name_servers(), "name server", code::DNS_NS_IS_ALIAS)
}

/// A name server that nobody can ask.
pub(super) fn without_address(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    nowhere(seen, seen.name_servers(), "name server", code::DNS_NS_WITHOUT_ADDRESS)
}

/// Hosts of this kind that are aliases.
pub(super) fn aliases(seen: &Seen<'_>, hosts: Vec<DnsName>, kind: &str, code: Code) -> Vec<Finding> {
    let finding = |name: DnsName| match seen.leads(&name) {
        Leads::Alias(target) => {
            let message = format!("the {kind} {name} is an alias for {target}");
            Some(seen.of_zone(code, message).with("name", name))
        }
        _ => None,
    };
    hosts.into_iter().filter_map(finding).collect()
}

/// Hosts of this kind that have no address.
pub(super) fn nowhere(seen: &Seen<'_>, hosts: Vec<DnsName>, kind: &str, code: Code) -> Vec<Finding> {
    let lost = hosts.into_iter().filter(|name| seen.leads(name) == Leads::Nowhere);
    lost.map(|name| seen.of_zone(code, format!("the {kind} {name} has no address")).with("name", name))
        .collect()
}

/// The addresses of all name servers, if every one of them is known.
fn all_addresses(seen: &Seen<'_>) -> Option<BTreeSet<IpAddr>> {
    let names = seen.name_servers();
    let known = addresses(seen);
    (!names.is_empty() && names.len() == known.len()).then(|| known.into_values().flatten().collect())
}

/// A server that has the zone, but that no visitor asks.
pub(super) fn unlisted(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(listed) = all_addresses(seen) else { return vec![] };
    let serving = seen.serving.iter().map(|serving| serving.server);
    let others = serving
        .filter(|server| Some(server.address) != seen.spec.primary && !listed.contains(&server.address.ip()));
    let finding = |server| {
        let message = format!("{server} has the zone, but no NS record leads to it");
        seen.of_server(server, code::DNS_SERVER_UNLISTED, message)
    };
    others.map(finding).collect()
}

/// A name server of the zone that was not checked: the one that is forgotten is the one that is wrong.
pub(super) fn not_asked(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let asked: BTreeSet<IpAddr> = seen.spec.servers.iter().map(|server| server.address.ip()).collect();
    let finding = |(name, addresses): (DnsName, BTreeSet<IpAddr>)| {
        let missed: Vec<String> = addresses.difference(&asked).map(ToString::to_string).collect();
        let message = format!(
            "the name server {name} was not checked at {}",
            listed(missed.iter().map(String::as_str))
        );
        (!missed.is_empty()).then(|| seen.of_zone(code::DNS_SERVER_NOT_CHECKED, message).with("name", name))
    };
    addresses(seen).into_iter().filter_map(finding).collect()
}
