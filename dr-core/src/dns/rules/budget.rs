//! The whole time from the disaster to the last visitor: each part may be fine, and the sum too long.

use crate::dns::facts::Answer;
use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::dns::spread::spread;
use crate::estate::{RecordKey, RecordType};
use crate::report::{Finding, code};
use crate::time::Period;

/// A signed change of one zone, with reading back.
const APPLY_SECONDS: u64 = 2;

/// Detection, the change, its way to all secondaries, and what resolvers remember.
pub(super) fn rto(seen: &Seen<'_>, thresholds: &Thresholds) -> Vec<Finding> {
    let Some(remembered) = remembered(seen).filter(|seconds| *seconds <= thresholds.rto.as_secs()) else {
        // A single TTL over the objective has a code of its own.
        return vec![];
    };
    let secondaries = u64::try_from(seen.spec.servers.len().saturating_sub(1)).unwrap_or(u64::MAX);
    let spread = spread(thresholds.zones, secondaries, &thresholds.notify);
    let detect = thresholds.detect.as_duration().as_secs_f64().ceil();
    let parts = [
        ("until it is known", Period::from_secs(detect as u64)),
        ("for the change", Period::from_secs(APPLY_SECONDS)),
        ("until every server has it", spread),
        ("until resolvers forget", Period::from_secs(remembered)),
    ];
    let sum = parts.iter().map(|(_, part)| part.as_secs()).fold(0, u64::saturating_add);
    if sum <= thresholds.rto.as_secs() {
        return vec![];
    }
    let said: Vec<String> = parts.iter().map(|(what, part)| format!("{part} {what}")).collect();
    let message = format!(
        "a failover takes {} in all ({}), and the recovery time objective is {}",
        Period::from_secs(sum),
        said.join(", "),
        thresholds.rto
    );
    vec![seen.of_zone(code::DNS_RTO_OVER_BUDGET, message).with("seconds", sum).with("rto", thresholds.rto)]
}

/// The longest TTL of what moves, and of what does not exist yet.
fn remembered(seen: &Seen<'_>) -> Option<u64> {
    let keys =
        seen.spec.moving.iter().flat_map(|name| {
            [RecordType::A, RecordType::AAAA].map(|rtype| RecordKey::new(name.clone(), rtype))
        });
    let ttls = keys.filter_map(|key| match seen.asked(&key)? {
        Answer::Records { set, .. } => Some(set.ttl),
        _ => None,
    });
    let negative = seen.serving.iter().map(|serving| serving.set.ttl.min(serving.soa.minimum));
    ttls.chain(negative).max().map(u64::from)
}
