//! Whether mail for the zone arrives, and whether it still would after a disaster.

use super::delegation::{aliases, nowhere};
use crate::dns::judge::Thresholds;
use crate::dns::seen::Seen;
use crate::estate::RecordType;
use crate::report::{Finding, code};

/// A mail exchange is a host, not an alias (RFC 2181 section 10.3).
pub(super) fn is_alias(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    aliases(seen, seen.exchanges(), "mail exchange", code::DNS_MX_IS_ALIAS)
}

/// Mail to it waits, and comes back.
pub(super) fn without_address(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    nowhere(seen, seen.exchanges(), "mail exchange", code::DNS_MX_WITHOUT_ADDRESS)
}

/// "No mail here" (RFC 7505) beside a mail exchange.
pub(super) fn null_among_others(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(set) = seen.at_apex(RecordType::MX) else { return vec![] };
    let null = |rdata: &&String| rdata.split(' ').nth(1) == Some(".");
    let (nulls, all) = (set.rdata.iter().filter(null).count(), set.rdata.len());
    let message = "the MX records say that there is no mail here (a single dot), and where it goes";
    (nulls > 0 && all > nulls).then(|| seen.of_zone(code::DNS_MX_NULL_MIXED, message)).into_iter().collect()
}
