//! What is lost together: name servers, mail exchanges, the page that tells visitors what happened, and the site itself.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::delegation::{addresses, network};
use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen};
use crate::estate::{DnsName, Whereabouts};
use crate::report::{Finding, code};

/// What the operator says of an address: of the networks that it is in, the smallest that says anything.
fn whereabouts<T>(seen: &Seen<'_>, address: IpAddr, of: impl Fn(&Whereabouts) -> Option<T>) -> Option<T> {
    let mut around: Vec<_> =
        seen.spec.networks.iter().filter(|known| known.network.contains(address)).collect();
    around.sort_by_key(|known| std::cmp::Reverse(known.network.bits()));
    around.into_iter().find_map(|known| of(&known.whereabouts))
}

fn place(seen: &Seen<'_>, address: IpAddr) -> Option<String> {
    whereabouts(seen, address, |there| there.place.clone())
}

/// The addresses of these names, if it is known of every name where it leads.
fn led(seen: &Seen<'_>, names: &[DnsName]) -> Option<BTreeSet<IpAddr>> {
    let mut all = BTreeSet::new();
    for name in names {
        match seen.leads(name) {
            Leads::To(addresses) => all.extend(addresses),
            _ => return None,
        }
    }
    (!all.is_empty()).then_some(all)
}

/// Where the site is now.
fn site(seen: &Seen<'_>) -> BTreeSet<IpAddr> {
    let led = seen.spec.moving.iter().filter_map(|name| match seen.leads(name) {
        Leads::To(addresses) => Some(addresses),
        _ => None,
    });
    led.flatten().collect()
}

/// What all of these addresses have in common with the site, in words; none if one of them has nothing.
fn in_common(
    seen: &Seen<'_>,
    of: &BTreeSet<IpAddr>,
    site: &BTreeSet<IpAddr>,
) -> Option<(&'static str, String)> {
    let all = |with: &dyn Fn(IpAddr, IpAddr) -> bool| {
        of.iter().all(|one| site.iter().any(|other| with(*one, *other)))
    };
    if of.is_empty() || site.is_empty() {
        return None;
    }
    if all(&|one, other| one == other) {
        return Some(("address", "on the same address as the site".to_owned()));
    }
    let same_place =
        |one, other| place(seen, one).is_some_and(|place_of| Some(place_of) == place(seen, other));
    if all(&same_place) {
        let places: BTreeSet<String> = of.iter().filter_map(|address| place(seen, *address)).collect();
        let named = listed(places.iter().map(String::as_str));
        return Some(("place", format!("in the same place as the site ({named})")));
    }
    // Places that are known to be different are different, whatever their addresses look like.
    let apart = |one, other| matches!((place(seen, one), place(seen, other)), (Some(a), Some(b)) if a != b);
    let same_network = |one, other| !apart(one, other) && network(one) == network(other);
    let together = all(&|one, other| same_network(one, other) || same_place(one, other));
    together.then(|| ("network", "in the same network as the site".to_owned()))
}

/// All name servers are in one place.
pub(super) fn one_place(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(all) = several(seen) else { return vec![] };
    let places: Option<BTreeSet<String>> = all.iter().map(|address| place(seen, *address)).collect();
    match places.as_ref().and_then(|places| Some((places.first()?, places.len()))) {
        Some((place, 1)) if servers_shared(seen).is_none() => {
            let message = format!("all name servers are in one place, {place}: one disaster takes them all");
            vec![seen.of_zone(code::DNS_ONE_PLACE, message).with("place", place)]
        }
        _ => vec![],
    }
}

/// All name servers are reached through one provider.
pub(super) fn one_system(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(all) = several(seen) else { return vec![] };
    let systems: Option<BTreeSet<u32>> =
        all.iter().map(|address| whereabouts(seen, *address, |there| there.asn)).collect();
    match systems.as_ref().and_then(|systems| Some((systems.first()?, systems.len()))) {
        Some((asn, 1)) => {
            let message =
                format!("all name servers are in AS{asn}: one mistake in its routing takes them all");
            vec![seen.of_zone(code::DNS_ONE_AS, message).with("asn", asn)]
        }
        _ => vec![],
    }
}

/// The addresses of all name servers, where there are several and all of them are known.
fn several(seen: &Seen<'_>) -> Option<BTreeSet<IpAddr>> {
    let names = seen.name_servers();
    let known = addresses(seen);
    let all: BTreeSet<IpAddr> = known.values().flatten().copied().collect();
    (names.len() > 1 && known.len() == names.len() && all.len() > 1).then_some(all)
}

/// What the name servers have in common with the site. That all of them are in one network has a finding of its own.
fn servers_shared(seen: &Seen<'_>) -> Option<(&'static str, String)> {
    in_common(seen, &several(seen)?, &site(seen)).filter(|(kind, _)| *kind != "network")
}

/// The name servers go when the site goes, and then nobody can send visitors anywhere else.
pub(super) fn servers(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |(kind, how)| {
        let message = format!("all name servers are {how}: with it goes what would send visitors elsewhere");
        seen.of_zone(code::DNS_SERVERS_SHARE_FATE, message).with("kind", kind)
    };
    servers_shared(seen).map(finding).into_iter().collect()
}

/// Every mail exchange is lost together with the site.
pub(super) fn mail(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let exchanges = seen.exchanges();
    let shared = led(seen, &exchanges).and_then(|mail| in_common(seen, &mail, &site(seen)));
    let finding = |(kind, how)| {
        let names = listed(exchanges.iter().map(DnsName::as_str));
        let message = format!("mail goes to {names} only, {how}: both are lost together");
        seen.of_zone(code::DNS_MAIL_SHARES_FATE, message).with("kind", kind)
    };
    shared.map(finding).into_iter().collect()
}

/// The page that is to tell visitors what happened is lost with what happened.
pub(super) fn status(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |name: &DnsName| {
        let shared = led(seen, std::slice::from_ref(name)).and_then(|at| in_common(seen, &at, &site(seen)));
        let in_zone = seen.spec.zone.contains(name);
        let zone = || ("zone", "in the zone itself, and cannot be found when that cannot".to_owned());
        let (kind, how) = shared.or_else(|| in_zone.then(zone))?;
        let message = format!("{name}, where visitors are told what happens, is {how}");
        Some(seen.of_zone(code::DNS_STATUS_SHARES_FATE, message).with("name", name).with("kind", kind))
    };
    seen.spec.status.iter().filter_map(finding).collect()
}
