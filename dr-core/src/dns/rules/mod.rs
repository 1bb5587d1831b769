//! The rules of a zone check, one topic a file. Each is a function in this one list.

mod agreement;
mod answering;
mod authority;
mod budget;
mod content;
mod delegation;
mod expected;
mod fate;
mod keys;
mod lifetimes;
mod mail;
mod names;
mod parent;
mod proofs;
mod protocol;
mod reach;
mod serials;
mod signatures;
mod soa;
pub(super) mod spf;
pub(super) mod standby;

use super::judge::Rule;

pub(super) const RULES: &[Rule] = &[
    answering::silent,
    answering::malformed,
    answering::tcp_unavailable,
    authority::lame,
    authority::nobody,
    serials::differ,
    agreement::record_sets,
    agreement::ttls,
    expected::differs,
    lifetimes::over_rto,
    lifetimes::negative_over_rto,
    lifetimes::expire_short,
];

/// Those that want more than record sets: they judge a check of full depth.
pub(super) const FULL_RULES: &[Rule] = &[
    answering::elsewhere,
    protocol::cached,
    protocol::no_edns,
    protocol::edns_version,
    protocol::edns_option,
    protocol::edns_flag,
    protocol::case,
    protocol::too_large,
    protocol::aaaa,
    protocol::recursion,
    protocol::upward,
    protocol::transfer,
    protocol::signed_transfer,
    protocol::version,
    delegation::too_few,
    delegation::shared_address,
    delegation::one_network,
    delegation::is_alias,
    delegation::without_address,
    delegation::unlisted,
    delegation::not_asked,
    reach::not_public,
    reach::no_pointer,
    reach::other_pointer,
    parent::silent,
    parent::not_delegated,
    parent::differs,
    parent::disagree,
    parent::glue_differs,
    parent::glue_missing,
    parent::truncated,
    parent::ttl_over_rto,
    soa::twice,
    soa::primary_is_alias,
    soa::primary_without_address,
    soa::primary_is_another,
    soa::refresh,
    soa::retry,
    names::hosts,
    names::mailbox,
    mail::is_alias,
    mail::without_address,
    mail::null_among_others,
    fate::one_place,
    fate::one_system,
    fate::servers,
    fate::mail,
    fate::status,
    spf::broken,
    spf::open,
    spf::lookups,
    spf::misses,
    content::apex_alias,
    content::wildcard,
    content::issuers,
    content::fingerprints_twice,
    content::fingerprints_move,
    keys::signer_matches_nothing,
    keys::signer_stale,
    keys::signer_weak,
    keys::signer_missing,
    keys::differ,
    keys::weak,
    keys::wishes_differ,
    keys::wishes_match_nothing,
    signatures::missing,
    signatures::over,
    signatures::not_yet,
    signatures::ends_soon,
    signatures::long,
    signatures::without_key,
    signatures::algorithm_unsigned,
    signatures::denial_missing,
    signatures::denial_iterations,
    proofs::wrong,
    proofs::chain,
    proofs::denial,
    standby::not_followed,
    standby::unproven,
    standby::behind,
    budget::rto,
];

/// Those that say whether a secondary can take the primary's place.
pub(super) const PROMOTION_RULES: &[Rule] = &[
    answering::silent,
    answering::malformed,
    authority::lame,
    authority::nobody,
    serials::differ,
    standby::not_followed,
    standby::unproven,
    standby::behind,
];

/// One finding of this rule for each server of the zone.
fn each_server(
    seen: &crate::dns::seen::Seen<'_>,
    finding: impl Fn(&crate::dns::spec::Server) -> Option<crate::report::Finding>,
) -> Vec<crate::report::Finding> {
    seen.spec.servers.iter().filter_map(finding).collect()
}

/// Names, as a person lists them: "ns1, ns2 and ns3".
fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.into_iter().collect();
    match names.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod seeded;
#[cfg(test)]
mod tests;
