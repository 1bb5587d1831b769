//! Signed zones of real servers: every signature verified, every denial a proof; and IPv6.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dr_core::dns::{Probe, Server, Thresholds, ZoneFacts, ZoneSpec, judge};
use dr_core::toolkit::Toolkit;
use dr_core::world::clock::SystemClock;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, World};
use dr_tests::bind::{self, Notify};
use dr_tests::{Port, Zone, knot, soa_serial, wait_for};

const ZONE: &str = "signed.test";

/// The real resolver; what is not DNS is simulated.
async fn facts(servers: Vec<Server>, parents: Vec<Server>) -> ZoneFacts {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        ..SimWorld::new().world()
    };
    let spec = ZoneSpec { parents, ..ZoneSpec::new(ZONE.parse().unwrap(), servers) };
    Toolkit::new(world, Default::default()).zone_facts(&spec, &Control::silent()).await.unwrap()
}

fn at(name: &str, address: SocketAddr) -> Server {
    Server { name: name.to_owned(), address }
}

/// What is found that has to do with signatures.
fn found(facts: &ZoneFacts) -> Vec<String> {
    let report = judge(facts, &Thresholds::default());
    let about = [
        "dns.sign",
        "dns.ds_",
        "dns.denial",
        "dns.key",
        "dns.algo",
        "dns.cds",
        "dns.record_set",
        "dns.serial",
    ];
    let findings =
        report.findings.iter().filter(|found| about.iter().any(|about| found.code.name().starts_with(about)));
    findings.map(|found| format!("{} {}", found.code, found.subject.name)).collect()
}

fn covered(facts: &ZoneFacts, probe: Probe) -> Vec<&str> {
    let mut types: Vec<&str> = facts
        .proofs
        .iter()
        .filter(|proof| proof.probe == probe && proof.holds)
        .map(|proof| proof.covers.as_str())
        .collect();
    types.sort_unstable();
    types.dedup();
    types
}

fn zone() -> Zone {
    Zone::new(ZONE).name_servers(2)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_signed_zone_holds_from_the_parent_down() {
    for (algorithm, how, denial) in [
        ("ECDSAP256SHA256", &[][..], "NSEC"),
        ("RSASHA256", &["-3", "aabb", "-H", "0"], "NSEC3"),
        ("ED25519", &[], "NSEC"),
    ] {
        let (server, signer) = bind::signed(&zone(), algorithm, how, |text| text);
        let parent = Zone::new("test").name_servers(1).line(&signer).line("signed 300 IN NS ns1.signed");
        let parent = parent.line("signed 300 IN NS ns2.signed").line("ns1.signed 300 IN A 127.0.0.1");
        let parent = parent.line("ns2.signed 300 IN A 127.0.0.1");
        let parent = bind::primary(Port::free(), &[parent], &[], Notify::Tuned);
        let facts = facts(vec![at("ns1", server.addr())], vec![at("parent", parent.addr())]).await;
        assert_eq!(found(&facts), Vec::<String>::new(), "{algorithm}");
        assert!(facts.proofs.iter().all(|proof| proof.holds), "{algorithm}: {:?}", facts.proofs);
        // Who answers adds its NS records.
        assert_eq!(covered(&facts, Probe::Apex), ["NS", "SOA"], "{algorithm}");
        assert_eq!(covered(&facts, Probe::Keys), ["DNSKEY"]);
        assert_eq!(covered(&facts, Probe::Signed), ["A", "NS"]);
        assert_eq!(covered(&facts, Probe::Missing), [denial, "SOA"]);
        let replayed: ZoneFacts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
        assert_eq!(replayed, facts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn knot_signs_by_itself() {
    let server = knot::signing(Port::free(), &[zone()]);
    wait_for("the zone", Duration::from_secs(30), || soa_serial(server.addr(), ZONE).ok());
    let facts = facts(vec![at("ns1", server.addr())], vec![]).await;
    assert_eq!(found(&facts), Vec::<String>::new());
    assert_eq!(
        (covered(&facts, Probe::Keys), covered(&facts, Probe::Missing)),
        (vec!["DNSKEY"], vec!["NSEC3", "SOA"])
    );
    assert!(facts.proofs.iter().all(|proof| proof.holds), "{:?}", facts.proofs);
}

/// What was changed behind the signer's back, and what is found of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_changed_behind_the_signer_is_found() {
    let moved = |text: String| text.replace("192.0.2.10", "192.0.2.66");
    let (server, signer) = bind::signed(&zone(), "ECDSAP256SHA256", &[], moved);
    let changed = facts(vec![at("ns1", server.addr())], vec![]).await;
    assert_eq!(found(&changed), ["dns.signature_wrong ns1"]);
    let wrong: Vec<&str> =
        changed.proofs.iter().filter(|proof| !proof.holds).map(|proof| proof.owner.as_str()).collect();
    assert_eq!(wrong, ["www.signed.test"]);
    // A parent that still means the key of another signing.
    let (other, _) = bind::signed(&zone(), "ECDSAP256SHA256", &[], |text| text);
    let parent = Zone::new("test").name_servers(1).line(&signer).line("signed 300 IN NS ns1.signed");
    let parent =
        bind::primary(Port::free(), &[parent.line("ns1.signed 300 IN A 127.0.0.1")], &[], Notify::Tuned);
    let broken = facts(vec![at("ns1", other.addr())], vec![at("parent", parent.addr())]).await;
    assert_eq!(found(&broken), ["dns.ds_matches_no_key signed.test"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_families_are_asked() {
    let (server, _) = bind::signed(&zone(), "ECDSAP256SHA256", &[], |text| text);
    let six = SocketAddr::from((Ipv6Addr::LOCALHOST, server.addr().port()));
    let both = facts(vec![at("four", server.addr()), at("six", six)], vec![]).await;
    assert_eq!(found(&both), Vec::<String>::new());
    let of = |address| both.facts.iter().filter(move |fact| fact.server == address).count();
    assert_eq!((of(server.addr()), of(six) > 10), (of(six), true), "as much over IPv6 as over IPv4");
    assert!(both.proofs.iter().any(|proof| proof.server == six && proof.holds));
    server.stop();
    let gone = facts(vec![at("six", six)], vec![]).await;
    let report = judge(&gone, &Thresholds::default());
    assert!(
        report
            .findings
            .iter()
            .any(|found| found.code.name() == "dns.server_silent" && found.subject.name == "six")
    );
}
