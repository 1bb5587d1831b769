//! What stands in the zone.

use super::Seed::{After, Before};
use super::{Case, every};
use crate::dns::Probe;
use crate::dns::rules::seeded::scene::{Scene, ZONE, entry};
use crate::estate::{
    RecordKey,
    RecordType::{A, CAA, CNAME, MX, NS, PTR, SOA, SSHFP, TXT},
};

pub(super) const CASES: &[Case] = &[
    // The SOA record.
    (
        "two SOA records",
        Before(|s| {
            let two = [
                "ns1.example.org hostmaster.example.org 7 3600 900 1209600 300",
                "ns1.example.org hostmaster.example.org 8 3600 900 1209600 300",
            ];
            s.put(ZONE, SOA, &two);
            s.spec.servers.truncate(2);
            s.put_at(2, ZONE, SOA, &two[..1]);
            s.put(ZONE, NS, &["ns1.example.org", "ns2.example.org"]);
            s.spec.parents.clear();
        }),
        &["dns.record_set_differs example.org", "dns.soa_twice ns1"],
    ),
    (
        "a primary that is an alias",
        Before(|s| {
            s.soa("ns1.example.org host", "main.example.org host");
            s.put("main.example.org", CNAME, &["ns1.example.org"]);
        }),
        &["dns.mname_is_alias example.org"],
    ),
    (
        "a primary without an address",
        Before(|s| s.soa("ns1.example.org host", "main.example.org host")),
        &["dns.mname_without_address example.org"],
    ),
    (
        "another primary",
        Before(|s| s.soa("ns1.example.org host", "ns2.example.org host")),
        &["dns.mname_not_primary example.org"],
    ),
    // Names.
    (
        "a mail exchange with an underscore",
        Before(|s| {
            s.put(ZONE, MX, &["10 mx1.example.org", "20 mx_2.example.org"]);
            s.put("mx_2.example.org", A, &["198.51.100.25"]);
            s.put_at(0, "25.100.51.198.in-addr.arpa", PTR, &["mx_2.example.org"]);
        }),
        &["dns.host_name_bad example.org"],
    ),
    (
        "an address instead of a mail exchange",
        Before(|s| {
            s.put(ZONE, MX, &["10 mx1.example.org", "20 203.0.113.26"]);
            s.spec.senders.truncate(1);
            s.put_at(0, "203.0.113.26", A, &["203.0.113.26"]);
            s.put_at(0, "26.113.0.203.in-addr.arpa", PTR, &["203.0.113.26"]);
        }),
        &["dns.host_name_bad example.org"],
    ),
    (
        "a name server that begins with a hyphen",
        Before(|s| {
            s.put(ZONE, NS, &["ns1.example.org", "ns2.example.org", "-ns3.example.net"]);
            s.put_at(0, "-ns3.example.net", A, &["203.0.113.3"]);
            s.put_at(0, "3.113.0.203.in-addr.arpa", PTR, &["-ns3.example.net"]);
            s.spec.parents.clear();
        }),
        &["dns.host_name_bad example.org"],
    ),
    (
        "a primary with two hyphens",
        Before(|s| {
            s.soa("ns1.example.org host", "ab--ns.example.org host");
            s.put("ab--ns.example.org", A, &["192.0.2.1"]);
        }),
        &["dns.host_name_bad example.org"],
    ),
    (
        "a mailbox with an @",
        Before(|s| s.soa("hostmaster.", "hostmaster@")),
        &["dns.mailbox_bad example.org"],
    ),
    ("no mailbox", Before(|s| s.soa("hostmaster.example.org", ".")), &["dns.mailbox_bad example.org"]),
    (
        "a mailbox without a domain",
        Before(|s| s.soa("hostmaster.example.org", "hostmaster")),
        &["dns.mailbox_bad example.org"],
    ),
    // Mail.
    (
        "a mail exchange that is an alias",
        Before(|s| {
            s.remove("mx1.example.org", A);
            s.put("mx1.example.org", CNAME, &["www.example.org"]);
        }),
        &["dns.mx_is_alias example.org"],
    ),
    (
        "a mail exchange without an address",
        Before(|s| {
            s.remove("mx1.example.org", A);
            s.spec.senders.remove(0);
        }),
        &["dns.mx_without_address example.org"],
    ),
    (
        "no mail, and mail",
        Before(|s| s.put(ZONE, MX, &["0 .", "10 mx1.example.org", "20 mx2.example.net"])),
        &["dns.mx_null_mixed example.org"],
    ),
    (
        "mail on the site's host only",
        Before(|s| {
            s.put(ZONE, MX, &["10 mx1.example.org"]);
            s.put("mx1.example.org", A, &["192.0.2.80"]);
            s.put_at(0, "80.2.0.192.in-addr.arpa", PTR, &["mx1.example.org"]);
            s.spec.senders.clear();
        }),
        &["dns.mail_shares_fate example.org"],
    ),
    (
        "a host that may not send",
        Before(|s| spf(s, "v=spf1 ip4:192.0.2.0/25 -all")),
        &["dns.spf_misses_host example.org"],
    ),
    (
        "an included record that does not hold the standby",
        Before(|s| {
            spf(s, "v=spf1 include:_spf.example.net -all");
            s.put_at(0, "_spf.example.net", TXT, &["\"v=spf1 ip4:192.0.2.25 -all\""]);
        }),
        &["dns.spf_misses_host example.org"],
    ),
    (
        "two SPF records",
        Before(|s| s.put(ZONE, TXT, &["\"v=spf1 mx -all\"", "\"v=spf1 a -all\""])),
        &["dns.spf_broken example.org"],
    ),
    (
        "a term that means nothing",
        Before(|s| spf(s, "v=spf1 mx ipv4:192.0.2.1 -all")),
        &["dns.spf_broken example.org"],
    ),
    (
        "an address that is none",
        Before(|s| spf(s, "v=spf1 mx ip4:192.0.2.300 -all")),
        &["dns.spf_broken example.org"],
    ),
    ("everybody may send", Before(|s| spf(s, "v=spf1 mx +all")), &["dns.spf_open example.org"]),
    (
        "eleven lookups",
        Before(|s| {
            let names: Vec<String> = (0..10).map(|n| format!("exists:{n}.example.net")).collect();
            spf(s, &format!("v=spf1 mx {} -all", names.join(" ")));
        }),
        &["dns.spf_lookups example.org"],
    ),
    // What stands in the zone.
    (
        "an alias at the apex",
        After(|f| {
            f.alter("ns3", Probe::ApexAlias, |heard| {
                heard.answers.push(entry(ZONE, "CNAME", 300, "shop.example.net"));
            });
        }),
        &["dns.apex_is_alias ns3"],
    ),
    (
        "a wildcard",
        After(|f| {
            every(f, Probe::Missing, |heard| {
                heard.rcode = "NOERROR".to_owned();
                heard.answers.push(entry("dr-check-no-such-name.example.org", "A", 300, "192.0.2.80"));
            });
        }),
        &["dns.wildcard example.org"],
    ),
    (
        "the standby's authority may not issue",
        Before(|s| s.put(ZONE, CAA, &["0 issue \"digicert.com\""])),
        &["dns.caa_excludes example.org"],
    ),
    ("nobody may issue", Before(|s| s.put(ZONE, CAA, &["0 issue \";\""])), &["dns.caa_excludes example.org"]),
    (
        "two fingerprints of one algorithm",
        Before(|s| {
            ask_sshfp(s, "uk.example.org");
            s.put("uk.example.org", SSHFP, &["4 2 aa", "4 2 bb"]);
        }),
        &["keys.sshfp_twice example.org"],
    ),
    (
        "fingerprints at a name that moves",
        Before(|s| s.put("www.example.org", SSHFP, &["4 2 aa"])),
        &["keys.sshfp_moves example.org"],
    ),
];

fn ask_sshfp(scene: &mut Scene, owner: &str) {
    scene.spec.records.push(RecordKey::new(owner.parse().unwrap(), SSHFP));
}

fn spf(scene: &mut Scene, text: &str) {
    scene.put(ZONE, TXT, &[&format!("\"{text}\"")]);
}
