use super::*;
use crate::dns::{Fact, Question, Transport};

fn facts(serials: &[Option<u32>]) -> ZoneFacts {
    let servers: Vec<Server> =
        (1..=serials.len()).map(|n| format!("ns{n}.example.org=192.0.2.{n}").parse().unwrap()).collect();
    let mut spec = ZoneSpec::new("example.org".parse().unwrap(), servers);
    spec.primary = Some(spec.servers[0].address);
    spec.standby_primary = Some(spec.servers[1].address);
    let question = |rtype| {
        let key = RecordKey::new("example.org".parse().unwrap(), rtype);
        Question { key, transport: Transport::Udp, recursive: false }
    };
    let said = |(server, serial): (&Server, &Option<u32>)| {
        let records = |rtype, rdata: String| Answer::Records {
            set: RecordSet::new("example.org".parse().unwrap(), rtype, 60, [rdata]),
            authoritative: true,
        };
        let soa =
            |serial| records(RecordType::SOA, format!("ns1.example.org root.example.org {serial} 1 2 3 4"));
        let fact =
            |rtype, answer| Fact { server: server.address, question: question(rtype), answer, took_us: 1 };
        let names = records(RecordType::NS, "ns2.example.org".to_owned());
        [fact(RecordType::SOA, serial.map_or(Answer::Silent, soa)), fact(RecordType::NS, names)]
    };
    let facts = spec.servers.iter().zip(serials).flat_map(said).collect();
    ZoneFacts { spec, at: Default::default(), facts, probes: vec![], proofs: vec![] }
}

#[test]
fn it_begins_above_every_version_and_with_its_own_name() {
    let next = |serials: &[Option<u32>]| {
        let set = next_serial(&facts(serials), None)?;
        let soa = Soa::from_rdata(set.rdata.first()?)?;
        Some((soa.primary, soa.serial.0))
    };
    let own = |serial| Some(("ns2.example.org".to_owned(), serial));
    assert_eq!(next(&[None, Some(7), Some(7)]), own(1007));
    assert_eq!(next(&[Some(12), Some(7), Some(9)]), own(1012));
    assert_eq!(next(&[None, Some(u32::MAX), Some(3)]), own(1003), "numbers go round");
    assert_eq!(next(&[None, None, Some(3)]), None);
    let other = next_serial(&facts(&[None, Some(7)]), Some(&"hidden.example.net".parse().unwrap())).unwrap();
    assert_eq!(other.rdata.first().unwrap(), "hidden.example.net root.example.org 1007 1 2 3 4");
}

#[test]
fn who_can_follow_and_who_must() {
    let facts = facts(&[None, Some(7), Some(7)]);
    let names = |servers: Vec<Server>| servers.into_iter().map(|server| server.name).collect::<Vec<_>>();
    assert_eq!(names(reachable(&facts)), ["ns2.example.org", "ns3.example.org"]);
    assert_eq!(names(followers(&facts.spec)), ["ns3.example.org"]);
    let found: Vec<&str> = promotable(&facts).findings.iter().map(|found| found.code.name()).collect();
    assert_eq!(found, ["dns.server_silent"]);
}
