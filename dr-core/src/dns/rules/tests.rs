//! Each rule against a healthy zone with one thing broken.

use crate::dns::{
    Answer, Depth, Fact, Question, Thresholds, Transport, ZoneFacts, ZoneSpec, first_questions, judge,
    questions,
};
use crate::estate::{RecordKey, RecordSet, RecordType};
use crate::report::{Finding, Report};

const SOA: &str = "ns1.example.org hostmaster.example.org 7 3600 900 1209600 300";

/// Three servers that agree about everything.
fn healthy() -> ZoneFacts {
    let servers = ["ns1=192.0.2.1", "ns2=192.0.2.2", "ns3=192.0.2.3"];
    let servers = servers.map(|server| server.parse().unwrap());
    let mut spec = ZoneSpec::new("example.org".parse().unwrap(), servers.to_vec());
    spec.primary = Some(spec.servers[0].address);
    spec.depth = Depth::Records;
    let asked: Vec<Question> = first_questions(&spec).into_iter().chain(questions(&spec)).collect();
    let fact = |server: &crate::dns::Server, question: &Question| Fact {
        server: server.address,
        question: question.clone(),
        answer: usual_answer(&question.key),
        took_us: 100,
    };
    let facts = spec.servers.iter().flat_map(|server| asked.iter().map(|q| fact(server, q))).collect();
    ZoneFacts { spec, at: Default::default(), facts, probes: vec![], proofs: vec![] }
}

fn usual_answer(key: &RecordKey) -> Answer {
    let data: &[&str] = match key.rtype {
        RecordType::SOA => &[SOA],
        RecordType::NS => &["ns1.example.org", "ns2.example.org", "ns3.example.org"],
        RecordType::A => &["192.0.2.10", "192.0.2.11"],
        RecordType::TXT => &["\"v=spf1 mx -all\""],
        _ => return Answer::NoData { authoritative: true },
    };
    records(key, 300, data)
}

fn records(key: &RecordKey, ttl: u32, data: &[&str]) -> Answer {
    let set = RecordSet::new(key.owner.clone(), key.rtype, ttl, data.iter().copied());
    Answer::Records { set, authoritative: true }
}

impl ZoneFacts {
    /// Puts another answer into the mouth of server `number` (from 1), for every question about `rtype` at `owner`.
    fn says(mut self, number: usize, owner: &str, rtype: RecordType, answer: &Answer) -> Self {
        let server = self.spec.servers[number - 1].address;
        let asked = |fact: &&mut Fact| {
            fact.server == server
                && fact.question.key.owner.as_str() == owner
                && fact.question.key.rtype == rtype
        };
        self.facts.iter_mut().filter(asked).for_each(|fact| fact.answer = answer.clone());
        self
    }

    fn over(mut self, number: usize, transport: Transport, answer: &Answer) -> Self {
        let server = self.spec.servers[number - 1].address;
        let asked = |fact: &&mut Fact| fact.server == server && fact.question.transport == transport;
        self.facts.iter_mut().filter(asked).for_each(|fact| fact.answer = answer.clone());
        self
    }

    fn soa(self, number: usize, ttl: u32, rdata: &str) -> Self {
        let key = self.spec.soa_key();
        let answer = records(&key, ttl, &[rdata]);
        self.says(number, "example.org", RecordType::SOA, &answer)
    }

    fn www(self, number: usize, ttl: u32, data: &[&str]) -> Self {
        let key = RecordKey::new("www.example.org".parse().unwrap(), RecordType::A);
        self.says(number, "www.example.org", RecordType::A, &records(&key, ttl, data))
    }
}

/// The codes found are these, in the order of the rules; gives the findings.
fn check(facts: &ZoneFacts, codes: &[&str]) -> Vec<Finding> {
    let report: Report = judge(facts, &Thresholds::default());
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.code.name()).collect();
    assert_eq!(found, codes, "{:#?}", report.findings);
    report.findings
}

fn failed(rcode: &str) -> Answer {
    Answer::Failed { rcode: rcode.to_owned() }
}

#[test]
fn a_healthy_zone_has_no_findings() {
    check(&healthy(), &[]);
    let report = judge(&healthy(), &Thresholds::default());
    assert_eq!(report.figures["servers"], 3);
    assert_eq!(report.figures["questions"], healthy().facts.len() as u64);
    assert_eq!(report.examined.len(), 4);
}

#[test]
fn silence_is_told_from_a_lost_question() {
    let silent = healthy().over(3, Transport::Udp, &Answer::Silent).over(3, Transport::Tcp, &Answer::Silent);
    let [finding] = &check(&silent, &["dns.server_silent"])[..] else { unreachable!() };
    assert_eq!(finding.subject.to_string(), "server ns3");
    assert_eq!(
        finding.message,
        "ns3 (192.0.2.3:53) does not answer over UDP (no answer in time), nor over TCP"
    );
    assert_eq!(finding.evidence["over_tcp"], "no answer in time");

    let refused = Answer::Unreachable { why: "connection refused".into() };
    let only_udp = healthy().over(1, Transport::Udp, &refused);
    assert!(check(&only_udp, &["dns.server_silent"])[0].message.contains("but it does over TCP"));

    let lost = healthy().says(2, "www.example.org", RecordType::A, &Answer::Silent);
    assert!(check(&lost, &["dns.server_silent"])[0].message.ends_with("but not www.example.org A"));
}

#[test]
fn every_kind_of_lameness_is_named() {
    let key = healthy().spec.soa_key();
    let set = RecordSet::new(key.owner.clone(), key.rtype, 300, [SOA]);
    let cached = Answer::Records { set, authoritative: false };
    let other = RecordKey::new("elsewhere.example".parse().unwrap(), RecordType::SOA);
    for (answer, kind) in [
        (cached, "not_authoritative"),
        (records(&other, 300, &[SOA]), "no_soa"),
        (Answer::NoData { authoritative: true }, "no_soa"),
        (Answer::NxDomain { authoritative: true }, "no_such_zone"),
        (Answer::Referral, "referral"),
        (failed("REFUSED"), "REFUSED"),
        (failed("SERVFAIL"), "SERVFAIL"),
        (failed("NOTAUTH"), "NOTAUTH"),
    ] {
        let facts = healthy().says(2, "example.org", RecordType::SOA, &answer);
        // What a lame server says about other names is no disagreement.
        let facts = facts.www(2, 5, &["203.0.113.1"]);
        let [finding] = &check(&facts, &["dns.server_lame"])[..] else { unreachable!() };
        assert_eq!(
            (finding.evidence["kind"].as_str(), finding.evidence["address"].as_str()),
            (kind, "192.0.2.2:53")
        );
    }
}

#[test]
fn garbage_and_missing_tcp_have_codes_of_their_own() {
    let garbage = Answer::Malformed { why: "it is cut off".into() };
    let facts = healthy().says(1, "example.org", RecordType::MX, &garbage);
    assert_eq!(check(&facts, &["dns.server_answer_malformed"])[0].evidence["question"], "example.org MX");
    let refused = Answer::Unreachable { why: "connection refused".into() };
    let facts = healthy().over(2, Transport::Tcp, &refused);
    assert_eq!(check(&facts, &["dns.tcp_unavailable"])[0].evidence["over_tcp"], "connection refused");
}

#[test]
fn nobody_at_all() {
    let facts =
        (1..=3).fold(healthy(), |facts, number| facts.over(number, Transport::Udp, &failed("REFUSED")));
    let lame = "dns.server_lame";
    let findings = check(&facts, &[lame, lame, lame, "dns.no_server_answers"]);
    assert_eq!(findings[3].message, "none of the 3 name servers answers for the zone");
}

#[test]
fn serials_are_measured_against_the_primary_round_the_circle() {
    let serial = |serial: u32| SOA.replace(" 7 ", &format!(" {serial} "));
    for (serials, says) in [
        ([7, 5, 7], "ns1 has serial 7; ns2 is 2 behind (5)"),
        ([7, 9, 7], "ns1 has serial 7; ns2 is 2 ahead (9)"),
        ([3, u32::MAX, 3], "ns1 has serial 3; ns2 is 4 behind (4294967295)"),
        (
            [0, 1 << 31, 1],
            "ns1 has serial 0; ns2 has 2147483648, of which nobody can say whether it is older or newer and ns3 is 1 ahead (1)",
        ),
    ] {
        let facts = serials
            .iter()
            .enumerate()
            .fold(healthy(), |facts, (at, number)| facts.soa(at + 1, 300, &serial(*number)));
        assert_eq!(check(&facts, &["dns.serial_differs"])[0].message, says);
    }
    let mut hidden = healthy().soa(1, 300, &serial(5));
    hidden.spec.primary = None;
    assert!(
        check(&hidden, &["dns.serial_differs"])[0].message.starts_with("ns2 has serial 7; ns1 is 2 behind")
    );
}

#[test]
fn different_answers_name_who_says_what() {
    // Order, and a repeated record, are no difference.
    check(&healthy().www(2, 300, &["192.0.2.11", "192.0.2.10"]), &[]);

    // Other data may have another TTL: that is one difference, not two.
    let facts = healthy().www(3, 60, &["198.51.100.1"]);
    let [finding] = &check(&facts, &["dns.record_set_differs"])[..] else { unreachable!() };
    assert_eq!(
        finding.message,
        "www.example.org A: ns1 and ns2 say 192.0.2.10, 192.0.2.11; ns3 says 198.51.100.1 \
         (under the same serial, so no transfer will repair it)"
    );
    assert_eq!(finding.evidence["ns3"], "198.51.100.1");
    assert_eq!(finding.evidence["record_set"], "www.example.org A");

    for other in [Answer::NxDomain { authoritative: true }, failed("SERVFAIL"), Answer::Referral] {
        check(&healthy().says(1, "www.example.org", RecordType::A, &other), &["dns.record_set_differs"]);
    }
    let end = RecordKey::new("end.example.org".parse().unwrap(), RecordType::A);
    let alias = records(&end, 300, &["192.0.2.10", "192.0.2.11"]);
    let facts = healthy().says(1, "www.example.org", RecordType::A, &alias);
    assert!(check(&facts, &["dns.record_set_differs"])[0].evidence["ns1"].starts_with("end.example.org A"));
}

#[test]
fn name_servers_and_soa_fields_that_differ() {
    let key = RecordKey::new("example.org".parse().unwrap(), RecordType::NS);
    let facts = healthy().says(1, "example.org", RecordType::NS, &records(&key, 300, &["ns1.example.org"]));
    check(&facts, &["dns.ns_set_differs"]);
    let facts = healthy().soa(2, 300, &SOA.replace("hostmaster", "root"));
    assert_eq!(check(&facts, &["dns.record_set_differs"])[0].evidence["record_set"], "example.org SOA");
}

#[test]
fn ttls_differ_on_their_own_and_over_the_objective() {
    let facts = healthy().www(2, 299, &["192.0.2.10", "192.0.2.11"]);
    assert_eq!(
        check(&facts, &["dns.ttl_differs"])[0].message,
        "www.example.org A has the TTL 300 s on ns1 and ns3, 299 s on ns2"
    );
    let long = (1..=3).fold(healthy(), |facts, number| facts.www(number, 901, &["192.0.2.10"]));
    assert_eq!(check(&long, &["dns.ttl_over_rto"])[0].evidence["ttl"], "901");
    check(&(1..=3).fold(healthy(), |facts, number| facts.www(number, 900, &["192.0.2.10"])), &[]);
}

#[test]
fn the_times_of_the_soa_record() {
    let every = |ttl, rdata: &str| (1..=3).fold(healthy(), |facts, number| facts.soa(number, ttl, rdata));
    let long = SOA.replace(" 300", " 901");
    check(&every(3600, &long), &["dns.negative_ttl_over_rto"]);
    check(&every(900, &long), &[]);
    let short = SOA.replace("1209600", "1209599");
    assert_eq!(check(&every(300, &short), &["dns.expire_short"])[0].evidence["expire"], "1209599");
}

#[test]
fn what_the_estate_expects() {
    let mut facts = healthy();
    let www = "www.example.org".parse().unwrap();
    facts.spec.expect = vec![RecordSet::new(www, RecordType::A, 300, ["192.0.2.10", "192.0.2.11"])];
    check(&facts, &[]);
    let other_ttl =
        (1..=3).fold(facts.clone(), |facts, number| facts.www(number, 60, &["192.0.2.10", "192.0.2.11"]));
    assert!(check(&other_ttl, &["dns.expected_differs"])[0].message.ends_with("ns3 has the TTL 60 s"));
    let gone = Answer::NxDomain { authoritative: true };
    let gone =
        (1..=3).fold(facts, |facts, number| facts.says(number, "www.example.org", RecordType::A, &gone));
    assert!(check(&gone, &["dns.expected_differs"])[0].message.contains("ns1 has no such name"));
}

#[test]
fn a_capture_replays_from_its_json() {
    let facts = healthy().www(3, 300, &["198.51.100.1"]);
    let capture = serde_json::to_string(&facts).unwrap();
    let replayed: ZoneFacts = serde_json::from_str(&capture).unwrap();
    assert_eq!(replayed, facts);
    check(&replayed, &["dns.record_set_differs"]);
}
