//! A server that is to take the primary's place, and those that would have to follow it.

use super::Case;
use super::Seed::{After, Before};
use crate::dns::{Probe, Reply};

const TOLD: Probe = Probe::Notify { from: std::net::IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2)) };

pub(super) const CASES: &[Case] = &[
    (
        "a secondary that knows one primary only",
        After(|f| f.alter("ns3", TOLD, |heard| heard.rcode = "REFUSED".to_owned())),
        &["dns.standby_not_followed ns3"],
    ),
    (
        "a secondary that is silent when told",
        After(|f| f.reply("ns3", TOLD, Reply::Silent)),
        &["dns.standby_not_followed ns3"],
    ),
    (
        "asked from elsewhere",
        After(|f| f.reply("ns3", TOLD, Reply::Unreachable { why: "cannot assign requested address".into() })),
        &["dns.standby_unproven example.org"],
    ),
    (
        "another secondary is ahead",
        Before(|s| s.soa_at(3, " 7 ", " 9 ")),
        &["dns.serial_differs example.org", "dns.standby_behind ns2"],
    ),
];
