//! Which address records send visitors to another host.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::dns::SetChange;
use crate::error::{Error, ErrorKind, Result};
use crate::estate::{DnsName, Host, HostId, RecordKey, RecordSet, RecordType};

/// The changes that bring `name` from one host to another, `sets` being what its zone has now. TTLs are kept. Empty if there is
/// nothing to change, or if the name has no addresses: nobody reaches the site by it.
///
/// An alias is left alone if it leads to another of `names`, which is moved itself. What this function does not understand (an
/// alias to elsewhere, an address that belongs to neither host) it refuses to overwrite.
pub(super) fn moved(
    name: &DnsName,
    names: &[DnsName],
    sets: &[RecordSet],
    from: (&HostId, &Host),
    to: (&HostId, &Host),
) -> Result<Vec<SetChange>> {
    let now = |rtype| sets.iter().find(|set| set.owner == *name && set.rtype == rtype);
    let refused = |why: String, hint: String| {
        Err(Error::new(ErrorKind::Refused, format!("move {name} from {} to {}", from.0, to.0), why)
            .hint(hint))
    };
    if let Some(alias) = now(RecordType::CNAME) {
        let leads_to = |other: &DnsName| alias.rdata.contains(other.as_str());
        if names.iter().any(leads_to) {
            return Ok(vec![]);
        }
        return refused(
            format!("it is an alias ({alias})"),
            "list the name that it leads to among the site's names, or take this one out".to_owned(),
        );
    }
    for set in [RecordType::A, RecordType::AAAA].into_iter().filter_map(now) {
        if let Some(foreign) = set.rdata.iter().find(|text| !belongs(text, from.1) && !belongs(text, to.1)) {
            return refused(
                format!("it has the address {foreign}, which belongs to neither host"),
                format!(
                    "add the address to {} or {} in the estate, or take {name} out of the site",
                    from.0, to.0
                ),
            );
        }
    }
    let families = families(now(RecordType::A), now(RecordType::AAAA), to.1);
    let change = |rtype: RecordType| {
        let old = now(rtype).cloned();
        let ttl = old.as_ref().or_else(|| now(other_family(rtype))).map_or(0, |set| set.ttl);
        let data = addresses(to.1, rtype);
        let new = (families.contains(&rtype) && !data.is_empty())
            .then(|| RecordSet::new(name.clone(), rtype, ttl, data));
        (old != new).then(|| SetChange { key: RecordKey::new(name.clone(), rtype), from: old, to: new })
    };
    Ok([RecordType::A, RecordType::AAAA].into_iter().filter_map(change).collect())
}

/// The families that the name will have: those that it has now; if the new host has an address in none of them, all that the new
/// host has. A family that the name never had is not added for the sake of completeness: somebody may have left it out knowingly.
fn families(a: Option<&RecordSet>, aaaa: Option<&RecordSet>, to: &Host) -> BTreeSet<RecordType> {
    let now: BTreeSet<RecordType> = [a, aaaa].into_iter().flatten().map(|set| set.rtype).collect();
    let served = |rtype: &RecordType| !addresses(to, *rtype).is_empty();
    if now.is_empty() || now.iter().any(served) { now } else { [RecordType::A, RecordType::AAAA].into() }
}

fn other_family(rtype: RecordType) -> RecordType {
    if rtype == RecordType::A { RecordType::AAAA } else { RecordType::A }
}

fn addresses(host: &Host, rtype: RecordType) -> Vec<String> {
    let wanted = |ip: &&IpAddr| ip.is_ipv4() == (rtype == RecordType::A);
    host.addresses.iter().filter(wanted).map(ToString::to_string).collect()
}

fn belongs(text: &str, host: &Host) -> bool {
    text.parse::<IpAddr>().is_ok_and(|ip| host.addresses.contains(&ip))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(addresses: &[&str]) -> Host {
        let mut host = Host::new("root@h".parse().unwrap());
        host.addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        host
    }

    /// Record sets as `TYPE TTL data…`, one a string; the name is always www.example.org.
    fn sets(lines: &[&str]) -> Vec<RecordSet> {
        lines
            .iter()
            .map(|line| {
                let mut words = line.split(' ');
                let rtype = words.next().unwrap().parse().unwrap();
                let ttl = words.next().unwrap().parse().unwrap();
                RecordSet::new("www.example.org".parse().unwrap(), rtype, ttl, words)
            })
            .collect()
    }

    fn check(now: &[&str], from: &[&str], to: &[&str], expected: Result<&[&str], &str>) {
        let names = ["www.example.org".parse().unwrap(), "example.org".parse().unwrap()];
        let (uk, us) = ("uk".parse().unwrap(), "us".parse().unwrap());
        let (from, to, now) = (host(from), host(to), sets(now));
        match (moved(&names[0], &names, &now, (&uk, &from), (&us, &to)), expected) {
            (Ok(changes), Ok(expected)) => {
                let mut after = now.clone();
                for change in &changes {
                    assert_eq!(after.iter().find(|set| set.key() == change.key).cloned(), change.from);
                    after.retain(|set| set.key() != change.key);
                    after.extend(change.to.clone());
                }
                after.sort();
                let mut wanted = sets(expected);
                wanted.sort();
                assert_eq!(after, wanted);
            }
            (Err(why), Err(said)) => assert!(why.to_string().contains(said), "{why}"),
            (got, expected) => panic!("{got:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn each_family_follows_the_new_host() {
        let (uk, us) = (["192.0.2.1", "2001:db8::1"], ["198.51.100.1", "2001:db8:1::1"]);
        check(&["A 300 192.0.2.1"], &uk, &us, Ok(&["A 300 198.51.100.1"]));
        check(
            &["A 300 192.0.2.1", "AAAA 60 2001:db8::1"],
            &uk,
            &us,
            Ok(&["A 300 198.51.100.1", "AAAA 60 2001:db8:1::1"]),
        );
        // The new host has no IPv6: an address record left behind would send half of the visitors to the dead host.
        check(&["A 300 192.0.2.1", "AAAA 60 2001:db8::1"], &uk, &us[..1], Ok(&["A 300 198.51.100.1"]));
        // Nothing in common: the other family takes over, with the TTL of the one that goes.
        check(&["A 300 192.0.2.1"], &uk, &us[1..], Ok(&["AAAA 300 2001:db8:1::1"]));
        check(&["A 60 192.0.2.1 192.0.2.2"], &["192.0.2.1", "192.0.2.2"], &us, Ok(&["A 60 198.51.100.1"]));
        // Both hosts in turn: only the new one stays.
        check(&["A 60 192.0.2.1 198.51.100.1"], &uk, &us, Ok(&["A 60 198.51.100.1"]));
    }

    #[test]
    fn nothing_to_do_is_nothing_done() {
        check(&["A 300 198.51.100.1"], &["192.0.2.1"], &["198.51.100.1"], Ok(&["A 300 198.51.100.1"]));
        check(&[], &["192.0.2.1"], &["198.51.100.1"], Ok(&[]));
        check(&["CNAME 300 example.org"], &["192.0.2.1"], &["198.51.100.1"], Ok(&["CNAME 300 example.org"]));
    }

    #[test]
    fn what_is_not_understood_is_not_overwritten() {
        check(&["A 300 203.0.113.9"], &["192.0.2.1"], &["198.51.100.1"], Err("203.0.113.9"));
        check(&["A 300 192.0.2.1 203.0.113.9"], &["192.0.2.1"], &["198.51.100.1"], Err("203.0.113.9"));
        check(&["CNAME 300 shop.cdn.example"], &["192.0.2.1"], &["198.51.100.1"], Err("alias"));
    }
}
