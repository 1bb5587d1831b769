//! The SOA record: one of it, a primary that exists, and times that fit together.

use super::listed;
use crate::dns::judge::Thresholds;
use crate::dns::seen::{Leads, Seen, Serving};
use crate::estate::DnsName;
use crate::report::{Finding, code};
use crate::time::Period;

/// More than one: secondaries cannot tell which version they have (RFC 2181 section 6.1).
pub(super) fn twice(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let finding = |serving: &Serving<'_>| {
        let count = serving.set.rdata.len();
        let message = format!("{} has {count} SOA records for the zone", serving.server);
        (count > 1).then(|| seen.of_server(serving.server, code::DNS_SOA_TWICE, message))
    };
    seen.serving.iter().filter_map(finding).collect()
}

/// The name in the SOA record, and where it leads. One for all servers: where they differ, that is found elsewhere.
fn primary(seen: &Seen<'_>) -> Option<(DnsName, Leads)> {
    let name: DnsName = seen.serving.first()?.soa.primary.parse().ok()?;
    let leads = seen.leads(&name);
    Some((name, leads))
}

/// RFC 2181 section 7.3: MNAME is a host.
pub(super) fn primary_is_alias(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some((name, Leads::Alias(target))) = primary(seen) else { return vec![] };
    let message = format!("the primary in the SOA record, {name}, is an alias for {target}");
    vec![seen.of_zone(code::DNS_MNAME_IS_ALIAS, message)]
}

/// Changes that are sent to the name in the SOA record go nowhere.
pub(super) fn primary_without_address(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some((name, Leads::Nowhere)) = primary(seen) else { return vec![] };
    // A name server without an address has a code of its own.
    if seen.name_servers().contains(&name) {
        return vec![];
    }
    let message = format!("the primary in the SOA record, {name}, has no address");
    vec![seen.of_zone(code::DNS_MNAME_WITHOUT_ADDRESS, message)]
}

/// The name in the SOA record is another server than the one that takes changes.
pub(super) fn primary_is_another(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some((name, Leads::To(addresses))) = primary(seen) else { return vec![] };
    let Some(primary) = seen.spec.primary.filter(|primary| !addresses.contains(&primary.ip())) else {
        return vec![];
    };
    let at: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let message = format!(
        "the SOA record names {name} ({}) as the primary, and changes go to {primary}",
        listed(at.iter().map(String::as_str))
    );
    vec![seen.of_zone(code::DNS_MNAME_NOT_PRIMARY, message)]
}

/// How often secondaries look by themselves: the only thing that helps when a NOTIFY was lost.
pub(super) fn refresh(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    const SHORTEST: u32 = 60;
    const LONGEST: u32 = 12 * 3600;
    let Some(serving) = seen.serving.first() else { return vec![] };
    let refresh = serving.soa.refresh;
    let every = Period::from_secs(u64::from(refresh));
    let how = match refresh {
        ..SHORTEST => "which is a load for the primary",
        SHORTEST..=LONGEST => return vec![],
        _ => {
            "and a secondary that missed a NOTIFY shows old records until then (RFC 1912 advises 12 hours at most)"
        }
    };
    let message = format!("secondaries ask for a new version every {every}, {how}");
    vec![seen.of_zone(code::DNS_REFRESH_UNUSUAL, message).with("refresh", refresh)]
}

/// After a failure they should ask sooner, not later.
pub(super) fn retry(seen: &Seen<'_>, _: &Thresholds) -> Vec<Finding> {
    let Some(serving) = seen.serving.first() else { return vec![] };
    let (refresh, retry) = (serving.soa.refresh, serving.soa.retry);
    let [every, again] = [refresh, retry].map(|seconds| Period::from_secs(u64::from(seconds)));
    let message = format!(
        "after a failure secondaries ask again after {again}, which is not less than the usual {every}"
    );
    let wrong = retry >= refresh;
    wrong.then(|| seen.of_zone(code::DNS_RETRY_NOT_BELOW_REFRESH, message)).into_iter().collect()
}
