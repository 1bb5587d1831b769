//! Whether record sets are what the operator says they must be.

use crate::dns::facts::Answer;
use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::estate::RecordSet;
use crate::report::{Finding, code};

/// One finding a record set, naming every server that has something else.
pub(super) fn differs(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    seen.spec.expect.iter().filter_map(|expected| differing(seen, expected)).collect()
}

fn differing(seen: &Seen<'_>, expected: &RecordSet) -> Option<Finding> {
    let key = expected.key();
    let others: Vec<(&str, String)> = seen
        .serving
        .iter()
        .filter_map(|serving| Some((serving.server.name.as_str(), seen.said(serving.server, &key)?)))
        .filter_map(|(name, answer)| match answer {
            Answer::Records { set, .. } if set == expected => None,
            Answer::Records { set, .. } if set.same_data(expected) => {
                Some((name, format!("the TTL {} s", set.ttl)))
            }
            // What is no data has rules of its own.
            Answer::Silent | Answer::Unreachable { .. } | Answer::Malformed { .. } => None,
            _ => Some((name, answer.in_words())),
        })
        .collect();
    if others.is_empty() {
        return None;
    }
    let has: Vec<String> = others.iter().map(|(name, what)| format!("{name} has {what}")).collect();
    let message = format!("{key} must be {expected}, but {}", has.join("; "));
    let mut finding = Finding::new(code::DNS_EXPECTED_DIFFERS, seen.zone_subject(), message)
        .with("record_set", &key)
        .with("expected", expected);
    for (name, what) in others {
        finding = finding.with(name, what);
    }
    Some(finding)
}
