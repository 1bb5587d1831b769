//! Name servers, and what the parent says of them.

use super::Case;
use super::Seed::{After, Before};
use crate::dns::rules::seeded::scene::{ZONE, entry};
use crate::dns::{Probe, Reply};
use crate::estate::RecordType::{A, AAAA, CNAME, NS, PTR};

pub(super) const CASES: &[Case] = &[
    // The name servers.
    (
        "one name server",
        Before(|s| {
            s.put(ZONE, NS, &["ns1.example.org"]);
            s.spec.servers.truncate(1);
            s.spec.parents.clear();
        }),
        &["dns.too_few_servers example.org"],
    ),
    (
        "two names of one machine",
        Before(|s| {
            s.put("ns2.example.org", A, &["192.0.2.1"]);
            s.spec.servers.remove(1);
            s.spec.parents.clear();
            s.put_at(0, "1.2.0.192.in-addr.arpa", PTR, &["ns1.example.org", "ns2.example.org"]);
            s.records[2] = s.records[3].clone();
        }),
        &["dns.servers_share_address example.org"],
    ),
    (
        "all in one network",
        Before(|s| {
            s.spec.servers =
                ["ns1=192.0.2.1", "ns2=192.0.2.2", "ns3=192.0.2.3"].map(|t| t.parse().unwrap()).to_vec();
            s.put("ns2.example.org", A, &["192.0.2.2"]);
            s.put_at(0, "ns3.example.net", A, &["192.0.2.3"]);
            s.put_at(0, "2.2.0.192.in-addr.arpa", PTR, &["ns2.example.org"]);
            s.put_at(0, "3.2.0.192.in-addr.arpa", PTR, &["ns3.example.net"]);
            s.spec.parents.clear();
        }),
        &["dns.one_network example.org"],
    ),
    (
        "a name server that is an alias",
        Before(|s| {
            s.remove("ns3.example.net", A);
            s.put_at(0, "ns3.example.net", CNAME, &["host.example.net"]);
        }),
        &["dns.ns_is_alias example.org"],
    ),
    (
        "a name server without an address",
        Before(|s| s.remove("ns2.example.org", A)),
        &["dns.ns_without_address example.org"],
    ),
    (
        "a server that nobody asks",
        Before(|s| {
            s.put(ZONE, NS, &["ns1.example.org", "ns2.example.org"]);
            s.spec.parents.clear();
        }),
        &["dns.server_unlisted ns3"],
    ),
    (
        "a name server that was forgotten",
        Before(|s| {
            s.put_at(0, "ns3.example.net", A, &["203.0.113.3", "203.0.114.3"]);
            s.put_at(0, "3.114.0.203.in-addr.arpa", PTR, &["ns3.example.net"]);
        }),
        &["dns.server_not_checked example.org"],
    ),
    (
        "a private address",
        Before(|s| {
            s.spec.servers[1].address = "10.0.0.2:53".parse().unwrap();
            s.put("ns2.example.org", A, &["10.0.0.2"]);
            s.put_at(0, "2.0.0.10.in-addr.arpa", PTR, &["ns2.example.org"]);
            s.spec.parents.clear();
        }),
        &["dns.address_not_public example.org"],
    ),
    (
        "an IPv6 address of a link",
        Before(|s| {
            s.spec.servers[1].address = "[fd00::2]:53".parse().unwrap();
            s.remove("ns2.example.org", A);
            s.put("ns2.example.org", AAAA, &["fd00::2"]);
            let reverse = "2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.d.f.ip6.arpa";
            s.put_at(0, reverse, PTR, &["ns2.example.org"]);
            s.spec.parents.clear();
        }),
        &["dns.address_not_public example.org"],
    ),
    (
        "an address without a name",
        Before(|s| s.remove("25.2.0.192.in-addr.arpa", PTR)),
        &["dns.ptr_missing example.org"],
    ),
    (
        "an address with a strange name",
        Before(|s| s.put_at(0, "1.2.0.192.in-addr.arpa", PTR, &["host-1.provider.example"])),
        &["dns.ptr_differs example.org"],
    ),
    // The parent.
    (
        "a silent parent",
        After(|f| f.reply("p2", Probe::Delegation, Reply::Silent)),
        &["dns.parent_silent p2"],
    ),
    (
        "not delegated",
        After(|f| {
            f.spec.parents.truncate(1);
            f.alter("p1", Probe::Delegation, |heard| {
                heard.rcode = "NXDOMAIN".to_owned();
                heard.authorities.clear();
                heard.additionals.clear();
            });
        }),
        &["dns.not_delegated example.org"],
    ),
    (
        "a server more at the parent",
        After(|f| {
            ["p1", "p2"].into_iter().for_each(|parent| {
                f.alter(parent, Probe::Delegation, |heard| {
                    heard.authorities.push(entry(ZONE, "NS", 600, "old.example.net"));
                });
            });
        }),
        &["dns.delegation_differs example.org"],
    ),
    (
        "a server less at the parent",
        After(|f| {
            ["p1", "p2"]
                .into_iter()
                .for_each(|parent| f.alter(parent, Probe::Delegation, |heard| drop(heard.authorities.pop())));
        }),
        &["dns.delegation_differs example.org"],
    ),
    (
        "parents that disagree",
        After(|f| f.alter("p2", Probe::Delegation, |heard| drop(heard.authorities.pop()))),
        &["dns.parents_differ example.org"],
    ),
    (
        "old glue",
        After(|f| {
            f.alter("p1", Probe::Delegation, |heard| heard.additionals[1].rdata = "198.51.100.77".to_owned());
        }),
        &["dns.glue_differs example.org"],
    ),
    (
        "no glue",
        After(|f| f.alter("p1", Probe::Delegation, |heard| drop(heard.additionals.pop()))),
        &["dns.glue_missing example.org"],
    ),
    (
        "a delegation that is too large",
        After(|f| f.alter("p1", Probe::SmallDelegation, |heard| heard.truncated = true)),
        &["dns.referral_truncated example.org"],
    ),
    (
        "two days at the parent",
        After(|f| f.alter("p1", Probe::Delegation, |heard| heard.authorities[0].ttl = 172_800)),
        &["dns.parent_ttl_over_rto example.org"],
    ),
];
