//! What each server makes of messages: EDNS, letters, sizes, and what it should keep to itself.

use super::each_server;
use crate::dns::facts::{Answer, Transport};
use crate::dns::judge::Thresholds;
use crate::dns::probe::{EdnsHeard, Heard, Probe, Reply};
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::estate::{RecordKey, RecordType};
use crate::report::{Code, Finding, code};

/// A TTL that counts down: the answer is from a cache, and what is changed at the primary shows late.
pub(super) fn cached(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let Answer::Records { set, authoritative: true } = seen.soa(server, Transport::Udp)? else {
            return None;
        };
        let later = seen.heard(server, Probe::Apex)?.answers_of("SOA").next()?;
        let counts_down = later.ttl < set.ttl && set.rdata.contains(&later.rdata);
        let message = format!(
            "{server} gave the SOA record with the TTL {} s, then {} s: it answers from a cache",
            set.ttl, later.ttl
        );
        counts_down.then(|| seen.of_server(server, code::DNS_ANSWERS_FROM_CACHE, message))
    })
}

/// No EDNS (RFC 6891): no large answers over UDP, no DNSSEC.
pub(super) fn no_edns(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::Apex)?;
        let how = match heard.rcode.as_str() {
            "FORMERR" | "NOTIMP" | "BADVERS" => format!("answers {} to a question with EDNS", heard.rcode),
            _ if heard.edns.is_none() => "leaves EDNS out of its answer".to_owned(),
            _ => return None,
        };
        Some(seen.of_server(server, code::DNS_EDNS_UNSUPPORTED, format!("{server} {how}")))
    })
}

fn speaks_edns(seen: &Seen<'_>, server: &Server) -> Option<()> {
    seen.heard(server, Probe::Apex)?.edns.as_ref().map(|_| ())
}

/// A finding when a server that speaks EDNS does not answer a probe as it should.
fn mishandled(
    seen: &Seen<'_>,
    (probe, code, what): (Probe, Code, &str),
    is_right: impl Fn(&Heard, &EdnsHeard) -> bool,
) -> Vec<Finding> {
    each_server(seen, |server| {
        speaks_edns(seen, server)?;
        let how = match seen.reply(server, probe)? {
            Reply::Message(heard) => match &heard.edns {
                Some(edns) if is_right(heard, edns) => return None,
                Some(_) => format!("answers {} to", heard.rcode),
                None => format!("answers {}, without EDNS, to", heard.rcode),
            },
            Reply::Malformed { why } => format!("sends no valid answer ({why}) to"),
            _ => "does not answer".to_owned(),
        };
        Some(seen.of_server(server, code, format!("{server} {how} {what}")).with("how", how))
    })
}

/// RFC 6891 section 6.1.3: an unknown version is answered with BADVERS.
pub(super) fn edns_version(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let what = "a question with EDNS version 1, which should be answered with BADVERS";
    mishandled(seen, (Probe::EdnsVersion, code::DNS_EDNS_VERSION_MISHANDLED, what), |heard, edns| {
        heard.rcode == "BADVERS" && edns.version == 0
    })
}

/// RFC 6891 section 6.1.2: an unknown option is ignored.
pub(super) fn edns_option(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let what = "a question with an unknown EDNS option, which should be ignored";
    let sent = Probe::EdnsOption.shape(&seen.spec.zone).edns.and_then(|edns| edns.option);
    mishandled(seen, (Probe::EdnsOption, code::DNS_EDNS_OPTION_MISHANDLED, what), |heard, edns| {
        heard.rcode == "NOERROR" && !edns.options.iter().any(|option| Some(*option) == sent)
    })
}

/// RFC 6891 section 6.1.4: an unknown flag is ignored, and zero in the answer.
pub(super) fn edns_flag(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let what = "a question with an unknown EDNS flag, which should be ignored and zero in the answer";
    mishandled(seen, (Probe::EdnsFlag, code::DNS_EDNS_FLAG_MISHANDLED, what), |heard, edns| {
        heard.rcode == "NOERROR" && edns.flags == 0
    })
}

/// RFC 4343: upper and lower case are the same; and the question is repeated as it was, which resolvers use against forgery.
pub(super) fn case(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let asked = Probe::Case.shape(&seen.spec.zone).owner;
    each_server(seen, |server| {
        let how = match seen.reply(server, Probe::Case)? {
            Reply::Message(heard) if heard.rcode != "NOERROR" || heard.answers.is_empty() => {
                format!("does not know {asked}, only {} ({})", seen.spec.zone, heard.rcode)
            }
            Reply::Message(heard) if heard.name != asked => format!("repeats {asked} as {}", heard.name),
            Reply::Message(_) => return None,
            _ => format!("does not answer when asked for {asked}"),
        };
        Some(seen.of_server(server, code::DNS_CASE_NOT_KEPT, format!("{server} {how}")))
    })
}

/// More octets over UDP than the client said that it takes.
pub(super) fn too_large(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::SmallBuffer)?;
        let message = format!("{server} sends {} octets to a client that takes 512", heard.octets);
        (heard.octets > 512)
            .then(|| seen.of_server(server, code::DNS_ANSWER_TOO_LARGE, message).with("octets", heard.octets))
    })
}

/// RFC 4074: a name with an IPv4 address only must not be denied when its IPv6 address is asked for. Where only some servers
/// do it, they disagree, which has a code of its own.
pub(super) fn aaaa(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let names = seen.keys.iter().filter(|key| key.rtype == RecordType::A).map(|key| &key.owner);
    let finding = |name: &crate::estate::DnsName| {
        let [a, aaaa] = [RecordType::A, RecordType::AAAA].map(|rtype| RecordKey::new(name.clone(), rtype));
        let wrong = |answer: &Answer| matches!(answer, Answer::NxDomain { .. } | Answer::Failed { .. });
        let mut said = seen.serving.iter().filter_map(|serving| seen.said(serving.server, &aaaa)).peekable();
        let first = said.peek()?.in_words();
        let all_wrong = said.all(wrong);
        seen.set(&a)?;
        let message =
            format!("{name} has an IPv4 address, but asked for an IPv6 address every server says: {first}");
        all_wrong.then(|| seen.of_zone(code::DNS_AAAA_MISHANDLED, message).with("name", name))
    };
    names.filter_map(finding).collect()
}

/// It looks up names for anyone: an amplifier for attacks, and its cache can be poisoned.
pub(super) fn recursion(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::Stranger)?;
        let answers = matches!(heard.rcode.as_str(), "NOERROR" | "NXDOMAIN") && heard.recursion_available;
        let message = format!("{server} looks up names that are not its own, for whoever asks");
        answers.then(|| seen.of_server(server, code::DNS_RECURSION_OPEN, message))
    })
}

/// It refers to the root for what it does not know: useless since 1990, and an amplifier.
pub(super) fn upward(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::Stranger)?;
        let to_root = heard.authorities.iter().any(|entry| entry.rtype == "NS" && entry.owner == ".");
        let message =
            format!("{server} refers to the root servers when asked for a name that is not its own");
        (to_root && !heard.authoritative && !heard.recursion_available)
            .then(|| seen.of_server(server, code::DNS_UPWARD_REFERRAL, message))
    })
}

/// The whole zone for whoever asks.
pub(super) fn transfer(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| match seen.reply(server, Probe::Transfer)? {
        Reply::Transferred { records, .. } => {
            let message = format!("{server} gave us the whole zone, {records} records, without a key");
            Some(seen.of_server(server, code::DNS_TRANSFER_OPEN, message).with("records", records))
        }
        _ => None,
    })
}

/// Who is to give the zone to all others does not give it to who has the key. The other servers may keep it for themselves, if it is known which
/// they are.
pub(super) fn signed_transfer(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(key) = &seen.spec.transfer_key else { return vec![] };
    let gives = [seen.spec.primary, seen.spec.standby_primary];
    let should = |server: &Server| seen.spec.primary.is_none() || gives.contains(&Some(server.address));
    each_server(seen, |server| match seen.reply(server, Probe::SignedTransfer)? {
        Reply::Refused { why } if should(server) => {
            let message = format!("{server} does not give the zone to who signs with {key}: {why}");
            Some(seen.of_server(server, code::DNS_TRANSFER_FAILS, message).with("key", key))
        }
        _ => None,
    })
}

/// What software it is, for whoever looks for a hole.
pub(super) fn version(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    each_server(seen, |server| {
        let heard = seen.heard(server, Probe::Version)?;
        let entry = heard.answers_of("TXT").find(|entry| entry.rdata.chars().any(|c| c.is_ascii_digit()))?;
        let message = format!("{server} says what software it is: {}", entry.rdata);
        Some(seen.of_server(server, code::DNS_VERSION_REVEALED, message).with("version", &entry.rdata))
    })
}
