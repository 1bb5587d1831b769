//! What is lost together, as far as the operator has said where things are.

use super::Case;
use super::Seed::{After, Before};
use crate::dns::rules::seeded::scene::{Scene, ZONE};
use crate::dns::{Probe, Reply};
use crate::estate::RecordType::{A, MX};

/// What the operator knows of networks.
fn known(scene: &mut Scene, lines: &[&str]) {
    scene.spec.networks = lines.iter().map(|line| line.parse().unwrap()).collect();
}

pub(super) const CASES: &[Case] = &[
    (
        "places and systems that differ",
        Before(|s| {
            known(
                s,
                &["192.0.2.0/24 AS64500 Lille", "198.51.100.0/24 AS64500 Lyon", "0.0.0.0/0 AS64501 Paris"],
            );
        }),
        &[],
    ),
    (
        "all name servers in one place",
        Before(|s| {
            known(s, &["0.0.0.0/0 Lyon", "192.0.2.80 Roubaix"]);
        }),
        &["dns.one_place example.org"],
    ),
    (
        "all name servers in one autonomous system",
        Before(|s| known(s, &["0.0.0.0/0 AS64500"])),
        &["dns.one_as example.org"],
    ),
    (
        "all name servers in the place of the site",
        Before(|s| {
            // Mail is elsewhere.
            known(s, &["0.0.0.0/0 Roubaix", "192.0.2.25 Lyon"]);
        }),
        &["dns.servers_share_fate example.org"],
    ),
    (
        "all name servers on the hosts of the site",
        Before(|s| {
            s.put(ZONE, A, &["192.0.2.1", "198.51.100.2", "203.0.113.3"]);
        }),
        &["dns.servers_share_fate example.org"],
    ),
    (
        "mail in the network of the site",
        Before(|s| {
            s.put(ZONE, MX, &["10 mx1.example.org"]);
            s.spec.senders.clear();
        }),
        &["dns.mail_shares_fate example.org"],
    ),
    (
        "mail in a network like that of the site, but elsewhere",
        Before(|s| {
            s.put(ZONE, MX, &["10 mx1.example.org"]);
            s.spec.senders.clear();
            known(s, &["192.0.2.80 Roubaix", "192.0.2.0/24 Lille"]);
        }),
        &[],
    ),
    (
        "mail in the place of the site",
        Before(|s| {
            let networks = ["192.0.2.80", "192.0.2.25", "198.51.100.0/24", "2001:db8::/32"];
            known(s, &networks.map(|network| format!("{network} Roubaix")).each_ref().map(String::as_str));
        }),
        &["dns.mail_shares_fate example.org"],
    ),
    (
        "the status page on the site's host",
        Before(|s| {
            s.spec.status = vec!["status.example.net".parse().unwrap()];
            s.put_at(0, "status.example.net", A, &["192.0.2.80"]);
        }),
        &["dns.status_shares_fate example.org"],
    ),
    (
        "the status page in the zone that it tells about",
        Before(|s| {
            s.spec.status = vec!["status.example.org".parse().unwrap()];
            s.put("status.example.org", A, &["203.0.113.80"]);
        }),
        &["dns.status_shares_fate example.org"],
    ),
    (
        "a status page elsewhere",
        Before(|s| {
            s.spec.status = vec!["status.example.net".parse().unwrap()];
            s.put_at(0, "status.example.net", A, &["203.0.113.80"]);
        }),
        &[],
    ),
    (
        "a transfer key that every server takes",
        Before(|s| s.spec.transfer_key = Some("transfer".parse().unwrap())),
        &[],
    ),
    (
        "the standby primary does not take the transfer key, nor does another server, which may",
        After(|f| {
            f.spec.transfer_key = Some("transfer".parse().unwrap());
            for server in ["ns2", "ns3"] {
                let reply = Reply::Refused { why: "it does not know the key (BADKEY)".to_owned() };
                let address = f.spec.servers.iter().find(|at| at.name == server).unwrap().address;
                let at = f.probes.iter().find(|said| said.server == address).unwrap().clone();
                f.probes.push(crate::dns::Exchange { probe: Probe::SignedTransfer, reply, ..at });
            }
        }),
        &["dns.transfer_fails ns2"],
    ),
];
