//! Whether all servers have the same version of the zone.

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Seen, Serving};
use crate::dns::serial::Serial;
use crate::report::{Finding, code};
use crate::time::Period;

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
            (Some(steps), _) => match since(serial, reference.soa.serial, seen.now) {
                Some(lag) => format!("{name} is {lag} behind ({serial})"),
                None => format!("{name} is {steps} behind ({serial})"),
            },
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

/// How long ago the older version was made before the newer one, where both serials are times: seconds since 1970, as Knot
/// (`serial-policy: unixtime`) and BIND (`serial-update-method unixtime`) count them, of the last ten years.
fn since(older: Serial, newer: Serial, now: u32) -> Option<Period> {
    const TEN_YEARS: u32 = 10 * 365 * 86_400;
    let is_time = |serial: Serial| now.checked_sub(serial.0).is_some_and(|ago| ago < TEN_YEARS);
    (is_time(older) && is_time(newer)).then(|| Period::from_secs(u64::from(newer.0.saturating_sub(older.0))))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_told_in_seconds_where_serials_are_times() {
        let now = 1_790_000_000;
        let since = |older, newer| since(Serial(older), Serial(newer), now).map(|lag| lag.to_string());
        assert_eq!(since(now - 200, now), Some("3m 20s".to_owned()));
        assert_eq!(since(2_026_112_201, 2_026_112_202), None, "a date");
        assert_eq!(since(7, 9), None, "a count");
    }
}
