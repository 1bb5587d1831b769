//! Whether mail for the zone arrives, and whether it still would after a disaster.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::delegation::{aliases, nowhere};
use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen};
use crate::estate::{DnsName, RecordType};
use crate::report::{Finding, code};

/// A mail exchange is a host, not an alias (RFC 2181 section 10.3).
pub(super) fn is_alias(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    aliases(seen, seen.exchanges(), "mail exchange", code::DNS_MX_IS_ALIAS)
}

/// Mail to it waits, and comes back.
pub(super) fn without_address(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    nowhere(seen, seen.exchanges(), "mail exchange", code::DNS_MX_WITHOUT_ADDRESS)
}

/// "No mail here" (RFC 7505) beside a mail exchange.
pub(super) fn null_among_others(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(set) = seen.at_apex(RecordType::MX) else { return vec![] };
    let null = |rdata: &&String| rdata.split(' ').nth(1) == Some(".");
    let (nulls, all) = (set.rdata.iter().filter(null).count(), set.rdata.len());
    let message = "the MX records say that there is no mail here (a single dot), and where it goes";
    (nulls > 0 && all > nulls).then(|| seen.of_zone(code::DNS_MX_NULL_MIXED, message)).into_iter().collect()
}

/// Every mail exchange is the very host that the site moves away from when it is lost.
pub(super) fn shares_fate(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let addresses_of = |names: &mut dyn Iterator<Item = DnsName>| -> BTreeSet<IpAddr> {
        let led = names.filter_map(|name| match seen.leads(&name) {
            Leads::To(addresses) => Some(addresses),
            _ => None,
        });
        led.flatten().collect()
    };
    let exchanges = seen.exchanges();
    let mail = addresses_of(&mut exchanges.iter().cloned());
    let web = addresses_of(&mut seen.spec.moving.iter().cloned());
    let all_known = exchanges.iter().all(|name| matches!(seen.leads(name), Leads::To(_)));
    if mail.is_empty() || !all_known || !mail.is_subset(&web) {
        return vec![];
    }
    let names: Vec<&str> = exchanges.iter().map(DnsName::as_str).collect();
    let message = format!(
        "mail goes to {} only, on the same address as the site: both are lost together",
        listed(names)
    );
    vec![seen.of_zone(code::DNS_MAIL_SHARES_FATE, message)]
}
