//! SPF (RFC 7208): may both hosts send the zone's mail, and will receivers read the record to its end?

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen};
use crate::estate::{DnsName, RecordKey, RecordSet, RecordType};
use crate::report::{Finding, code};

/// So many terms that ask the DNS are looked at, no more (RFC 7208 section 4.6.4).
const LOOKUPS: usize = 10;
/// Records within records deeper than this are not followed.
const DEEPEST: usize = 11;

/// One term of a record, less its qualifier.
struct Term<'a> {
    qualifier: char,
    name: &'a str,
    value: Option<&'a str>,
}

/// The terms of a record's text after its version, or the one that is no term.
fn terms(text: &str) -> Result<Vec<Term<'_>>, &str> {
    text.split(' ').filter(|word| !word.is_empty()).skip(1).map(|word| term(word).ok_or(word)).collect()
}

fn term(word: &str) -> Option<Term<'_>> {
    let qualifier = word.chars().next()?;
    let (qualifier, rest) =
        if "+-~?".contains(qualifier) { (qualifier, word.get(1..)?) } else { ('+', word) };
    if let Some((name, value)) = rest.split_once('=') {
        let fine = name.starts_with(|c: char| c.is_ascii_alphabetic())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        return (fine && !value.is_empty() || name == "exp").then_some(Term {
            qualifier,
            name,
            value: Some(value),
        });
    }
    let (name, value) = match rest.find([':', '/']) {
        Some(at) if rest.as_bytes()[at] == b':' => (&rest[..at], Some(&rest[at + 1..])),
        Some(at) => (&rest[..at], Some(&rest[at..])),
        None => (rest, None),
    };
    let fine = match name.to_ascii_lowercase().as_str() {
        "all" => value.is_none(),
        "include" | "exists" => value.is_some_and(|value| !value.is_empty()),
        "a" | "mx" | "ptr" => value != Some(""),
        "ip4" => value.and_then(block).is_some_and(|(address, _)| address.is_ipv4()),
        "ip6" => value.and_then(block).is_some_and(|(address, _)| address.is_ipv6()),
        _ => false,
    };
    fine.then_some(Term { qualifier, name, value })
}

/// An address with the length of its prefix.
fn block(text: &str) -> Option<(IpAddr, u32)> {
    let (address, length) =
        text.split_once('/').map_or((text, None), |(address, length)| (address, Some(length)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let length = length.map_or(Some(longest), |length| length.parse().ok())?;
    (length <= longest).then_some((address, length))
}

fn holds((network, length): (IpAddr, u32), address: IpAddr) -> bool {
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    let same = (bits(network) ^ bits(address)).leading_zeros() >= length;
    network.is_ipv4() == address.is_ipv4() && same
}

/// The texts of a TXT record set that are SPF records, their strings joined.
fn records(set: &RecordSet) -> Vec<String> {
    let joined = |rdata: &String| rdata.trim_matches('"').split("\" \"").collect::<String>();
    let is_spf = |text: &String| {
        let text = text.to_ascii_lowercase();
        text == "v=spf1" || text.starts_with("v=spf1 ")
    };
    set.rdata.iter().map(joined).filter(is_spf).collect()
}

/// The one record of a name; none if there is none, several, or nobody asked.
fn record(seen: &Seen<'_>, name: &DnsName) -> Option<String> {
    let set = seen.set(&RecordKey::new(name.clone(), RecordType::TXT))?;
    let mut records = records(set).into_iter();
    records.next().filter(|_| records.next().is_none())
}

/// The names that the record leads to: whose texts, and whose addresses, are to be known.
pub(in crate::dns) fn names(seen: &Seen<'_>) -> (BTreeSet<DnsName>, BTreeSet<DnsName>) {
    let (mut texts, mut hosts) = (BTreeSet::new(), BTreeSet::new());
    walk(seen, &seen.spec.zone.apex(), DEEPEST, &mut |at, term| {
        let target = || term.value.and_then(|value| value.split('/').next()?.parse::<DnsName>().ok());
        match term.name.to_ascii_lowercase().as_str() {
            "include" | "redirect" => texts.extend(target()),
            "a" => hosts.extend(target().or_else(|| Some(at.clone()))),
            _ => {}
        }
    });
    (texts, hosts)
}

/// Goes through all terms, also of records within. True if everything could be read.
fn walk(seen: &Seen<'_>, at: &DnsName, deep: usize, visit: &mut dyn FnMut(&DnsName, &Term<'_>)) -> bool {
    let Some(text) = record(seen, at) else { return false };
    let Ok(terms) = terms(&text) else { return false };
    let mut whole = true;
    for term in &terms {
        visit(at, term);
        if matches!(term.name.to_ascii_lowercase().as_str(), "include" | "redirect") {
            let inner = term.value.and_then(|value| value.parse::<DnsName>().ok());
            whole &= deep > 0 && inner.is_some_and(|inner| walk(seen, &inner, deep - 1, visit));
        }
    }
    whole
}

/// Two records, or one that cannot be read: receivers take it for an error.
pub(super) fn broken(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(set) = seen.at_apex(RecordType::TXT) else { return vec![] };
    let records = records(set);
    let message = match records.as_slice() {
        [] => return vec![],
        [one] => match terms(one) {
            Ok(_) => return vec![],
            Err(word) => format!("the SPF record has a term that means nothing: {word}"),
        },
        several => format!("there are {} SPF records, and receivers want one", several.len()),
    };
    vec![seen.of_zone(code::DNS_SPF_BROKEN, message)]
}

/// Everybody may send.
pub(super) fn open(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let mut open = false;
    walk(seen, &seen.spec.zone.apex(), 0, &mut |_, term| {
        open |= term.qualifier == '+' && term.name.eq_ignore_ascii_case("all");
    });
    let message = "the SPF record ends in +all: everybody may send mail in the zone's name";
    open.then(|| seen.of_zone(code::DNS_SPF_OPEN, message)).into_iter().collect()
}

/// More terms that ask the DNS than receivers look at.
pub(super) fn lookups(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let mut count = 0;
    let whole = walk(seen, &seen.spec.zone.apex(), DEEPEST, &mut |_, term| {
        let asks = ["include", "a", "mx", "ptr", "exists", "redirect"];
        count += usize::from(asks.iter().any(|name| term.name.eq_ignore_ascii_case(name)));
    });
    let more = if whole { "" } else { "at least " };
    let message = format!("the SPF record needs {more}{count} lookups, and receivers stop after {LOOKUPS}");
    (count > LOOKUPS)
        .then(|| seen.of_zone(code::DNS_SPF_LOOKUPS, message).with("lookups", count))
        .into_iter()
        .collect()
}

/// A host that sends the zone's mail, today or after a failover, and may not.
pub(super) fn misses(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let mut blocks: Vec<(IpAddr, u32)> = vec![];
    let mut unknown = false;
    let whole = walk(seen, &seen.spec.zone.apex(), DEEPEST, &mut |at, term| {
        if term.qualifier != '+' {
            return;
        }
        let hosts = match (term.name.to_ascii_lowercase().as_str(), term.value) {
            ("ip4" | "ip6", Some(value)) => {
                blocks.extend(block(value));
                return;
            }
            ("a", None) => vec![at.clone()],
            ("a", Some(name)) => name.parse().into_iter().collect(),
            ("mx", None) if *at == seen.spec.zone.apex() => seen.exchanges(),
            ("all", _) => {
                blocks.extend(["0.0.0.0/0", "::/0"].into_iter().filter_map(block));
                return;
            }
            ("include" | "redirect", _) => return,
            _ => vec![],
        };
        unknown |= hosts.is_empty();
        for host in hosts {
            match seen.leads(&host) {
                Leads::To(addresses) => blocks.extend(
                    addresses.into_iter().map(|address| (address, if address.is_ipv4() { 32 } else { 128 })),
                ),
                Leads::Nowhere => {}
                Leads::Alias(_) | Leads::Unknown => unknown = true,
            }
        }
    });
    // What could not be read may allow it.
    if !whole || unknown {
        return vec![];
    }
    let missed =
        seen.spec.senders.iter().filter(|sender| !blocks.iter().any(|block| holds(*block, **sender)));
    let finding = |sender: &IpAddr| {
        let message = format!("the SPF record does not let {sender} send the zone's mail");
        seen.of_zone(code::DNS_SPF_MISSES_HOST, message).with("sender", sender)
    };
    missed.map(finding).collect()
}
