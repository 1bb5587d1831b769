//! Whether each server, and any server, has authority for the zone.

use crate::dns::facts::{Answer, Transport};
use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::dns::spec::Server;
use crate::report::{Finding, code};

/// A server that answers, but not with authority: lame, in one of several ways (RFC 9499 section 7 says why to name the way).
pub(super) fn lame(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |server: &Server| {
        if seen.serving.iter().any(|serving| serving.server == server) {
            return None;
        }
        let (kind, how) = kind_of_lameness(seen.soa(server, Transport::Udp)?)?;
        let message = format!("{server} {how}");
        let finding = seen.about(server, |subject| Finding::new(code::DNS_SERVER_LAME, subject, message));
        Some(finding.with("kind", kind))
    };
    seen.spec.servers.iter().filter_map(finding).collect()
}

fn kind_of_lameness(answer: &Answer) -> Option<(&str, String)> {
    let said = |kind, how: &str| Some((kind, how.to_owned()));
    match answer {
        Answer::Records { authoritative: false, .. } => {
            said("not_authoritative", "answers without authority (AA), as a cache would")
        }
        Answer::Records { .. } => said("no_soa", "answers with something other than the zone's SOA record"),
        Answer::NoData { .. } => said("no_soa", "has no SOA record for the zone"),
        Answer::NxDomain { .. } => said("no_such_zone", "says that the zone's name does not exist"),
        Answer::Referral => said("referral", "refers to other servers instead of answering"),
        Answer::Failed { rcode } if rcode == "SERVFAIL" => {
            said("SERVFAIL", "answers SERVFAIL: the zone is configured there, but not loaded or expired")
        }
        Answer::Failed { rcode } => Some((rcode.as_str(), format!("answers {rcode} for the zone"))),
        // These have rules of their own.
        Answer::Silent | Answer::Unreachable { .. } | Answer::Malformed { .. } => None,
    }
}

/// No server at all answers for the zone.
pub(super) fn nobody(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    if !seen.serving.is_empty() {
        return vec![];
    }
    let message = match seen.spec.servers.len() {
        0 => "no name server is known for the zone, so none was asked".to_owned(),
        1 => "the only name server does not answer for the zone".to_owned(),
        count => format!("none of the {count} name servers answers for the zone"),
    };
    vec![Finding::new(code::DNS_NO_SERVER_ANSWERS, seen.zone_subject(), message)]
}
