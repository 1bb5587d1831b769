//! Zones from six real name servers, whole and what changed in them, with signatures and without.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use dr_core::dns::{Serial, SetChange, TransferLimits, Transferred, ZoneChange, ZoneRecord};
use dr_core::estate::TsigAlgorithm;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::{Commit, Provider};
use dr_core::{DnsName, ErrorKind, RecordSet, RecordType, Secret, ZoneName};
use dr_tests::{DnsLab, Tsig, Zone};

const RECORDS: usize = 20_000;

fn provider(name: &str, secret: &str) -> Rfc2136 {
    let key = (TsigAlgorithm::HmacSha256, Secret::new(secret.to_owned()));
    Rfc2136::new(BTreeMap::from([(name.parse().unwrap(), key)]))
}

async fn transfer(
    provider: &Rfc2136,
    zone: &str,
    server: SocketAddr,
    key: Option<&str>,
    since: Option<u32>,
) -> dr_core::Result<Transferred> {
    let (zone, key): (ZoneName, Option<DnsName>) =
        (zone.parse().unwrap(), key.map(|key| key.parse().unwrap()));
    provider.transfer(&zone, server, key.as_ref(), since.map(Serial), TransferLimits::default()).await
}

fn records(transferred: Transferred) -> BTreeSet<ZoneRecord> {
    match transferred {
        Transferred::Whole { records, .. } => records,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_servers_give_the_same_zone_with_a_signature_and_without() {
    let lines: String =
        (0..RECORDS).map(|n| format!("h{n} 60 IN A 10.0.{}.{}\n", n / 250, n % 250 + 1)).collect();
    let mut zone = Zone::new("large.test");
    zone = zone.line(&lines);
    let lab = DnsLab::start(&[zone]);
    lab.agreed_serial("large.test");
    let ours = provider(Tsig::LAB.name, Tsig::LAB.secret);
    let primary = records(transfer(&ours, "large.test", lab.primary().addr(), None, None).await.unwrap());
    assert!(primary.len() > RECORDS, "{}", primary.len());
    for server in lab.servers() {
        let begun = std::time::Instant::now();
        let signed = transfer(&ours, "large.test", server.addr(), Some(Tsig::LAB.name), None).await;
        let signed = records(signed.unwrap_or_else(|why| panic!("{}: {why:?}", server.name())));
        println!("{}: {} records, signed, in {:?}", server.name(), signed.len(), begun.elapsed());
        assert!(signed == primary, "{}: {} records", server.name(), signed.len());
    }
    // Another secret, and a key that nobody knows: said in words, and nothing of the zone is given.
    let wrong = provider(Tsig::LAB.name, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=");
    let unknown = provider("nobody", Tsig::LAB.secret);
    for server in lab.servers() {
        for (provider, key, says) in [(&wrong, Tsig::LAB.name, "BADSIG"), (&unknown, "nobody", "BADKEY")] {
            let error = transfer(provider, "large.test", server.addr(), Some(key), None).await.unwrap_err();
            // PowerDNS and YADIFA do not say it in the way of RFC 8945 section 5.2.
            let tells = !matches!(server.name(), "pdns" | "yadifa");
            assert!(error.message().contains(says) || !tells, "{}: {error:?}", server.name());
            assert!(matches!(error.kind(), ErrorKind::Rejected | ErrorKind::Unreachable), "{error:?}");
        }
        let none = transfer(&ours, "none.test", server.addr(), Some(Tsig::LAB.name), None).await.unwrap_err();
        assert!(matches!(none.kind(), ErrorKind::Rejected | ErrorKind::Unreachable), "{none:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_changed_comes_step_by_step() {
    // BIND gives the whole zone where that is shorter than what changed.
    let lines: String = (0..300).map(|n| format!("h{n} 60 IN A 10.0.0.1\n")).collect();
    let lab = DnsLab::start(&[Zone::new("steps.test").line(&lines)]);
    let (ours, primary) = (provider(Tsig::LAB.name, Tsig::LAB.secret), lab.primary().addr());
    let www = |last: u8| {
        RecordSet::new("www.steps.test".parse().unwrap(), RecordType::A, 60, [format!("198.51.100.{last}")])
    };
    let old = RecordSet::new("www.steps.test".parse().unwrap(), RecordType::A, 300, ["192.0.2.10"]);
    let mut before = old;
    for last in 1..=3 {
        let sets = vec![SetChange { key: www(0).key(), from: Some(before.clone()), to: Some(www(last)) }];
        let zone = "steps.test".parse().unwrap();
        let key = Some(Tsig::LAB.name.parse().unwrap());
        let change = ZoneChange { zone, primary, key, through: None, require: vec![], sets };
        assert_eq!(ours.commit(&change).await.unwrap(), Commit::Applied);
        before = www(last);
        lab.agreed_serial("steps.test");
    }
    let since = |server: SocketAddr, serial| {
        transfer(&ours, "steps.test", server, Some(Tsig::LAB.name), Some(serial))
    };
    let Transferred::Changes { steps } = since(primary, 1).await.unwrap() else {
        panic!("BIND keeps changes")
    };
    let serials: Vec<(u32, u32)> = steps.iter().map(|step| (step.from.0, step.to.0)).collect();
    assert_eq!((serials.first().unwrap().0, serials.last().unwrap().1), (1, 4), "{serials:?}");
    let added: Vec<String> = steps.last().unwrap().new.iter().map(ToString::to_string).collect();
    assert_eq!(added, ["www.steps.test. 60 IN A 198.51.100.3"]);
    for server in lab.servers() {
        let newest = since(server.addr(), 4).await.unwrap_or_else(|why| panic!("{}: {why:?}", server.name()));
        assert!(!matches!(newest, Transferred::Changes { .. }), "{}: {newest:?}", server.name());
        // What changed, or the whole zone from those that keep no changes: both lead to the same.
        match since(server.addr(), 1).await.unwrap_or_else(|why| panic!("{}: {why:?}", server.name())) {
            Transferred::Changes { steps } => {
                println!("{} gives changes", server.name());
                assert_eq!(steps.last().unwrap().to, Serial(4));
            }
            whole @ Transferred::Whole { .. } => assert!(whole.sets().contains(&www(3)), "{}", server.name()),
            other => panic!("{}: {other:?}", server.name()),
        }
    }
}
