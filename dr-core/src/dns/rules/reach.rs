//! Whether the addresses of name servers and mail exchanges are ones that the world can use.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::delegation::addresses;
use super::listed;
use crate::dns::facts::Answer;
use crate::dns::follow::reverse;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen};
use crate::estate::{DnsName, RecordKey, RecordType};
use crate::report::{Finding, code};

/// An address that the internet does not reach (RFC 6890 and the registries of special purpose addresses).
pub(super) fn not_public(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |(name, addresses): (DnsName, BTreeSet<IpAddr>)| {
        let inner: Vec<String> =
            addresses.into_iter().filter(|address| is_special(*address)).map(|a| a.to_string()).collect();
        let message = format!(
            "the name server {name} has an address that the internet does not reach: {}",
            listed(inner.iter().map(String::as_str))
        );
        (!inner.is_empty()).then(|| seen.of_zone(code::DNS_ADDRESS_NOT_PUBLIC, message).with("name", name))
    };
    addresses(seen).into_iter().filter_map(finding).collect()
}

/// Blocks for documentation are not among them: nobody routes them either, but who uses them is writing an example.
fn is_special(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [a, b, ..] = address.octets();
            address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_multicast()
                || a == 0
                || a >= 240
                || (a == 100 && b & 0xc0 == 64)
                || (a == 198 && b & 0xfe == 18)
        }
        IpAddr::V6(address) => {
            let first = address.segments()[0];
            address.is_loopback()
                || address.is_unspecified()
                || address.is_multicast()
                || first & 0xfe00 == 0xfc00
                || first & 0xffc0 == 0xfe80
                || address.to_ipv4_mapped().is_some()
        }
    }
}

/// The hosts whose addresses should have a name: name servers and mail exchanges.
fn hosts(seen: &Seen<'_>) -> BTreeMap<IpAddr, BTreeSet<DnsName>> {
    let mut hosts: BTreeMap<IpAddr, BTreeSet<DnsName>> = BTreeMap::new();
    for name in seen.name_servers().into_iter().chain(seen.exchanges()) {
        if let Leads::To(addresses) = seen.leads(&name) {
            addresses.into_iter().for_each(|address| {
                hosts.entry(address).or_default().insert(name.clone());
            });
        }
    }
    hosts
}

/// What the resolver said about the reverse name of an address.
fn pointers<'a>(seen: &Seen<'a>, address: IpAddr) -> Option<&'a Answer> {
    let key = RecordKey::new(reverse(address).parse().ok()?, RecordType::PTR);
    seen.asked(&key)
}

/// Many mail servers refuse a sender whose address has no name.
pub(super) fn no_pointer(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |(address, names): (IpAddr, BTreeSet<DnsName>)| {
        let none = matches!(pointers(seen, address)?, Answer::NoData { .. } | Answer::NxDomain { .. });
        let message = format!(
            "{address}, the address of {}, has no name (PTR)",
            listed(names.iter().map(DnsName::as_str))
        );
        none.then(|| seen.of_zone(code::DNS_PTR_MISSING, message).with("address", address))
    };
    hosts(seen).into_iter().filter_map(finding).collect()
}

/// The name of an address is another one than that of the host.
pub(super) fn other_pointer(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |(address, names): (IpAddr, BTreeSet<DnsName>)| {
        let Answer::Records { set, .. } = pointers(seen, address)? else { return None };
        let is_known = set.rdata.iter().any(|name| names.iter().any(|host| host.as_str() == name));
        let message = format!(
            "{address}, the address of {}, is called {}",
            listed(names.iter().map(DnsName::as_str)),
            listed(set.rdata.iter().map(String::as_str))
        );
        (!is_known).then(|| seen.of_zone(code::DNS_PTR_DIFFERS, message).with("address", address))
    };
    hosts(seen).into_iter().filter_map(finding).collect()
}
