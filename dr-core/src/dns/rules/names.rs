//! Names that are written as no name of a host or mailbox may be.

use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::estate::RecordType;
use crate::report::{Finding, code};

/// Names of hosts: of the zone itself, of name servers, of mail exchanges, of the primary (RFC 952, RFC 1123 section 2.1).
pub(super) fn hosts(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let data = |rtype| seen.at_apex(rtype).into_iter().flat_map(|set| &set.rdata);
    let mut names = vec![("the zone", seen.spec.zone.as_str())];
    names.extend(data(RecordType::NS).map(|name| ("the name server", name.as_str())));
    let exchanges = data(RecordType::MX).filter_map(|rdata| rdata.split(' ').nth(1));
    names.extend(exchanges.filter(|name| *name != ".").map(|name| ("the mail exchange", name)));
    let primary = seen.serving.first().map(|serving| serving.soa.primary.as_str());
    let is_new = |name: &&str| !names.iter().any(|(_, other)| other == name);
    let primary = primary.filter(is_new).map(|name| ("the primary in the SOA record", name));
    names.extend(primary);
    let finding = |(role, name): (&str, &str)| {
        let why = fault(name, role == "the zone")?;
        Some(seen.of_zone(code::DNS_HOST_NAME_BAD, format!("{role}, {name}, {why}")).with("name", name))
    };
    names.into_iter().filter_map(finding).collect()
}

/// Why a name is no name of a host; zones may be for other things than hosts (RFC 2317, `_tcp`).
fn fault(name: &str, is_zone: bool) -> Option<&'static str> {
    if name.parse::<std::net::IpAddr>().is_ok() {
        return Some("is an address where a name must stand");
    }
    if name == "." {
        return (!is_zone).then_some("is the root");
    }
    let mut labels = name.split('.').peekable();
    while let Some(label) = labels.next() {
        let is_last = labels.peek().is_none();
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let more = |c: char| is_zone && matches!(c, '_' | '/');
        if label.is_empty() || !label.chars().all(|c| letters(c) || more(c)) {
            return Some("has a character other than letters, digits and '-'");
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Some("has a label that begins or ends with '-'");
        }
        if label.get(2..4) == Some("--") && !label.starts_with("xn--") {
            return Some(
                "has '--' in the third and fourth place, which is kept for other encodings (RFC 5891)",
            );
        }
        if is_last && label.chars().all(|c| c.is_ascii_digit()) {
            return Some("ends in a number, so it is taken for an address");
        }
    }
    None
}

/// The mailbox in the SOA record: its first dot stands for the @ (RFC 1035 section 8).
pub(super) fn mailbox(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(serving) = seen.serving.first() else { return vec![] };
    let mailbox = serving.soa.mailbox.as_str();
    let why = match mailbox {
        "." => "is empty",
        _ if mailbox.contains('@') || mailbox.contains("\\@") => "has an @, where a dot must stand",
        _ => match domain_of(mailbox) {
            Some(domain) if fault(domain, false).is_none() => return vec![],
            Some(_) => "has no domain that a mail could go to",
            None => "has no domain",
        },
    };
    let message = format!("the mailbox in the SOA record, {mailbox}, {why}");
    vec![seen.of_zone(code::DNS_MAILBOX_BAD, message).with("mailbox", mailbox)]
}

/// What follows the first dot that is not escaped.
fn domain_of(mailbox: &str) -> Option<&str> {
    let mut escaped = false;
    for (at, c) in mailbox.char_indices() {
        match c {
            '\\' => escaped = !escaped,
            '.' if !escaped => return mailbox.get(at + 1..).filter(|domain| !domain.is_empty()),
            _ => escaped = false,
        }
    }
    None
}
