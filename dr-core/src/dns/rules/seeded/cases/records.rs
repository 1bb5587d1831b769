//! Servers that do not answer, do not agree, or keep things too long.

use super::Seed::{After, Before};
use super::{ALL, Case};
use crate::dns::rules::seeded::scene::ZONE;
use crate::dns::{Answer, Probe, Reply, Transport, ZoneFacts};
use crate::estate::{
    RecordKey,
    RecordType::{A, CAA, MX, NS, SOA, TXT},
};

pub(super) const CASES: &[Case] = &[
    // Whether it answers.
    ("a dead server", After(|f| f.lose("ns2", &Answer::Silent)), &["dns.server_silent ns2"]),
    (
        "no route to a server",
        After(|f| f.lose("ns3", &Answer::Unreachable { why: "no route to host".into() })),
        &["dns.server_silent ns3"],
    ),
    (
        "a lost question",
        After(|f| f.answer("ns1", |q| q.key.to_string() == "www.example.org AAAA", &Answer::Silent)),
        &["dns.server_silent ns1"],
    ),
    (
        "UDP is filtered",
        After(|f| {
            f.lose("ns2", &Answer::Silent);
            f.answer("ns2", over(Transport::Tcp), &failed("REFUSED"));
        }),
        &["dns.server_silent ns2"],
    ),
    (
        "no TCP",
        After(|f| {
            f.answer("ns2", over(Transport::Tcp), &Answer::Unreachable { why: "connection refused".into() });
        }),
        &["dns.tcp_unavailable ns2"],
    ),
    (
        "TCP is filtered",
        After(|f| f.answer("ns3", over(Transport::Tcp), &Answer::Silent)),
        &["dns.tcp_unavailable ns3"],
    ),
    (
        "garbage",
        After(|f| {
            f.answer("ns3", |q| q.key.rtype == CAA, &Answer::Malformed { why: "it is cut off".into() });
        }),
        &["dns.server_answer_malformed ns3"],
    ),
    (
        "answers from elsewhere",
        After(|f| {
            f.lose("ns2", &Answer::Silent);
            f.reply("ns2", Probe::Apex, Reply::Elsewhere { from: "198.51.100.99".parse().unwrap() });
        }),
        &["dns.answer_from_elsewhere ns2"],
    ),
    // Whether it has authority.
    ("REFUSED", After(|f| lame(f, &failed("REFUSED"))), &["dns.server_lame ns2"]),
    ("SERVFAIL", After(|f| lame(f, &failed("SERVFAIL"))), &["dns.server_lame ns2"]),
    ("NOTAUTH", After(|f| lame(f, &failed("NOTAUTH"))), &["dns.server_lame ns2"]),
    ("a referral", After(|f| lame(f, &Answer::Referral)), &["dns.server_lame ns2"]),
    ("no such zone", After(|f| lame(f, &Answer::NxDomain { authoritative: true })), &["dns.server_lame ns2"]),
    ("no SOA record", After(|f| lame(f, &Answer::NoData { authoritative: true })), &["dns.server_lame ns2"]),
    (
        "nobody",
        After(|f| {
            ALL.iter().for_each(|server| f.lose(server, &failed("REFUSED")));
        }),
        &[
            "dns.server_lame ns1",
            "dns.server_lame ns2",
            "dns.server_lame ns3",
            "dns.no_server_answers example.org",
        ],
    ),
    (
        "a cache",
        After(|f| f.alter("ns3", Probe::Apex, |heard| heard.answers[0].ttl = 287)),
        &["dns.answers_from_cache ns3"],
    ),
    // Whether they agree.
    ("one server behind", Before(|s| s.soa_at(3, " 7 ", " 5 ")), &["dns.serial_differs example.org"]),
    ("one server ahead", Before(|s| s.soa_at(2, " 7 ", " 8 ")), &["dns.serial_differs example.org"]),
    (
        "a serial gone round",
        Before(|s| {
            s.soa(" 7 ", " 1 ");
            s.soa_at(3, " 1 ", " 4294967290 ");
        }),
        &["dns.serial_differs example.org"],
    ),
    (
        "another address on one server under the same serial",
        Before(|s| s.put_at(3, "www.example.org", A, &["203.0.113.66"])),
        &["dns.record_set_differs example.org"],
    ),
    (
        "a name that one server does not have",
        Before(|s| {
            s.records[2].remove(&RecordKey::new("www.example.org".parse().unwrap(), A));
        }),
        &["dns.record_set_differs example.org"],
    ),
    (
        "an address more",
        Before(|s| s.put_at(2, ZONE, A, &["192.0.2.80", "192.0.2.81"])),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another MX record",
        Before(|s| s.put_at(2, ZONE, MX, &["5 mx1.example.org", "20 mx2.example.net"])),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another text",
        Before(|s| s.put_at(1, ZONE, TXT, &["\"v=spf1 mx -all\"", "\"some other Text\""])),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another CAA record",
        Before(|s| {
            s.put_at(3, ZONE, CAA, &["0 issue \"letsencrypt.org\"", "0 iodef \"mailto:a@example.org\""]);
        }),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another address of a name server on one server",
        Before(|s| s.put_at(3, "ns2.example.org", A, &["198.51.100.3"])),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another mailbox under the same serial",
        Before(|s| s.soa_at(2, "hostmaster", "root")),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another EXPIRE under the same serial",
        Before(|s| s.soa_at(2, "1209600", "1209601")),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another primary under the same serial",
        Before(|s| s.soa_at(3, "ns1.", "ns2.")),
        &["dns.record_set_differs example.org"],
    ),
    (
        "one server refuses one name",
        After(|f| f.answer("ns2", |q| q.key.rtype == TXT, &failed("SERVFAIL"))),
        &["dns.record_set_differs example.org"],
    ),
    (
        "another TTL on one server",
        Before(|s| s.ttl(2, "www.example.org", A, 60)),
        &["dns.ttl_differs example.org"],
    ),
    (
        "a name server less on one server",
        Before(|s| s.put_at(3, ZONE, NS, &["ns1.example.org", "ns2.example.org"])),
        &["dns.ns_set_differs example.org"],
    ),
    (
        "not what the estate says",
        Before(|s| {
            let www = "www.example.org".parse().unwrap();
            s.spec.expect = vec![crate::estate::RecordSet::new(www, A, 300, ["192.0.2.99"])];
        }),
        &["dns.expected_differs example.org"],
    ),
    // Times.
    (
        "a TTL over the objective",
        Before(|s| (1..=3).for_each(|server| s.ttl(server, "www.example.org", A, 901))),
        &["dns.ttl_over_rto example.org"],
    ),
    (
        "a negative TTL over the objective",
        Before(|s| {
            s.soa("1209600 300", "1209600 3600");
            (1..=3).for_each(|server| s.ttl(server, ZONE, SOA, 3600));
        }),
        &["dns.negative_ttl_over_rto example.org"],
    ),
    ("a week of EXPIRE", Before(|s| s.soa("1209600", "604800")), &["dns.expire_short example.org"]),
    ("REFRESH of a day", Before(|s| s.soa(" 3600 ", " 86400 ")), &["dns.refresh_unusual example.org"]),
    (
        "REFRESH of half a minute",
        Before(|s| s.soa(" 3600 900 ", " 30 15 ")),
        &["dns.refresh_unusual example.org"],
    ),
    (
        "RETRY as long as REFRESH",
        Before(|s| s.soa(" 900 ", " 3600 ")),
        &["dns.retry_not_below_refresh example.org"],
    ),
    (
        "all times together",
        Before(|s| {
            (1..=3).for_each(|server| s.ttl(server, "www.example.org", A, 900));
        }),
        &["dns.rto_over_budget example.org"],
    ),
    (
        "a thousand zones at BIND's usual pace",
        Before(|s| {
            s.thresholds.zones = 7000;
        }),
        &["dns.rto_over_budget example.org"],
    ),
];

fn failed(rcode: &str) -> Answer {
    Answer::Failed { rcode: rcode.to_owned() }
}

fn lame(facts: &mut ZoneFacts, answer: &Answer) {
    facts.lose("ns2", answer);
}

fn over(transport: Transport) -> impl Fn(&crate::dns::Question) -> bool {
    move |question| question.transport == transport
}
