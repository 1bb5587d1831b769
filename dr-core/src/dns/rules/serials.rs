//! Whether all servers have the same version of the zone.

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Seen, Serving};
use crate::report::{Finding, code};

/// Versions that differ: who is behind, and by how many.
pub(super) fn differ(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(reference) = reference(seen) else { return vec![] };
    let at_odds: Vec<&Serving<'_>> =
        seen.serving.iter().filter(|serving| serving.soa.serial != reference.soa.serial).collect();
    if at_odds.is_empty() {
        return vec![];
    }
    let behind = at_odds.iter().map(|serving| {
        let (name, serial) = (&serving.server.name, serving.soa.serial);
        match (reference.soa.serial.ahead_of(serial), serial.ahead_of(reference.soa.serial)) {
            (Some(steps), _) => format!("{name} is {steps} behind ({serial})"),
            (_, Some(steps)) => format!("{name} is {steps} ahead ({serial})"),
            _ => format!("{name} has {serial}, of which nobody can say whether it is older or newer"),
        }
    });
    let details: Vec<String> = behind.collect();
    let (name, serial) = (&reference.server.name, reference.soa.serial);
    let message = format!("{name} has serial {serial}; {}", listed(details.iter().map(String::as_str)));
    let mut finding = Finding::new(code::DNS_SERIAL_DIFFERS, seen.zone_subject(), message);
    for serving in &seen.serving {
        finding = finding.with(&serving.server.name, serving.soa.serial);
    }
    vec![finding]
}

/// Whose serial counts: the primary's if it was asked, else the newest.
fn reference<'s, 'a>(seen: &'s Seen<'a>) -> Option<&'s Serving<'a>> {
    let primary = seen.serving.iter().find(|serving| Some(serving.server.address) == seen.spec.primary);
    let newest = || {
        seen.serving.iter().reduce(
            |newest, serving| {
                if serving.soa.serial > newest.soa.serial { serving } else { newest }
            },
        )
    };
    primary.or_else(newest)
}
