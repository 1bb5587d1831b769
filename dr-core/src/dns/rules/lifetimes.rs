//! Whether caches and secondaries keep things no longer, and no shorter, than a recovery allows.

use crate::dns::facts::Answer;
use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::estate::{RecordKey, RecordType};
use crate::report::{Finding, code};
use crate::time::Period;

/// Address records that a failover moves, with a TTL over the recovery time objective.
pub(super) fn over_rto(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let addresses =
        seen.spec.moving.iter().flat_map(|name| {
            [RecordType::A, RecordType::AAAA].map(|rtype| RecordKey::new(name.clone(), rtype))
        });
    let finding = |key: RecordKey| {
        let longest = seen.serving.iter().filter_map(|serving| match seen.said(serving.server, &key)? {
            Answer::Records { set, .. } => Some((set.ttl, &serving.server.name)),
            _ => None,
        });
        let (ttl, server) = longest.max_by_key(|(ttl, _)| *ttl)?;
        let rto = thresholds.rto;
        (u64::from(ttl) > rto.as_secs()).then(|| {
            let message = format!(
                "{key} may be remembered for {} ({server}), and the recovery time objective is {rto}",
                seconds(ttl)
            );
            Finding::new(code::DNS_TTL_OVER_RTO, seen.zone_subject(), message)
                .with("record_set", &key)
                .with("ttl", ttl)
                .with("rto", rto)
        })
    };
    addresses.filter_map(finding).collect()
}

/// A negative answer is remembered for the lesser of the SOA record's TTL and its last field (RFC 2308 section 5).
pub(super) fn negative_over_rto(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let longest = seen.serving.iter().map(|serving| serving.set.ttl.min(serving.soa.minimum)).max();
    let rto = thresholds.rto;
    let finding = |ttl: u32| {
        let message = format!(
            "that a name does not exist may be remembered for {}, and the recovery time objective is {rto}",
            seconds(ttl)
        );
        Finding::new(code::DNS_NEGATIVE_TTL_OVER_RTO, seen.zone_subject(), message)
            .with("ttl", ttl)
            .with("rto", rto)
    };
    longest.filter(|ttl| u64::from(*ttl) > rto.as_secs()).map(finding).into_iter().collect()
}

/// Secondaries that would stop answering too soon after the primary is lost.
pub(super) fn expire_short(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let shortest = seen.serving.iter().map(|serving| serving.soa.expire).min();
    let finding = |expire: u32| {
        let message = format!(
            "secondaries stop answering {} after they last reached the primary; {} is advised",
            seconds(expire),
            thresholds.expire
        );
        Finding::new(code::DNS_EXPIRE_SHORT, seen.zone_subject(), message).with("expire", expire)
    };
    shortest
        .filter(|expire| u64::from(*expire) < thresholds.expire.as_secs())
        .map(finding)
        .into_iter()
        .collect()
}

fn seconds(seconds: u32) -> Period {
    Period::from_secs(u64::from(seconds))
}
