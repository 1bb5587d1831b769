//! What every provider must do: all of a change or nothing, and only if everything is as the change says. Against real
//! primaries of three kinds, the embedded one and the simulated world.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

mod apis;
mod route53;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dr_cli::demo::embedded::nameserver::{Options, Role, TsigKey, ZoneText};
use dr_cli::demo::embedded::process::Service;
use dr_core::dns::{SetChange, ZoneChange};
use dr_core::estate::{ApiKind, ApiProvider, TsigAlgorithm};
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Commit, Provider};
use dr_core::{DnsName, ErrorKind, RecordKey, RecordSet, RecordType, Secret, ZoneName};
use dr_tests::bind::{self, Notify};
use dr_tests::{Port, Server, Tsig, Zone, knot, pdns};

const ZONE: &str = "change.test";

/// A provider, and the primary of [`zone`].
struct Subject {
    provider: Arc<dyn Provider>,
    primary: SocketAddr,
    /// An address where no server is; none for a provider that has its own.
    nobody: Option<SocketAddr>,
    key: Option<DnsName>,
}

fn zone() -> Zone {
    Zone::new(ZONE).line("epoch 0 IN TXT \"epoch=1 home=uk nonce=a1\"").line("blog 60 IN CNAME www")
}

fn name(text: &str) -> DnsName {
    text.parse().unwrap()
}

fn www(ttl: u32, data: &[&str]) -> RecordSet {
    RecordSet::new(name("www.change.test"), RecordType::A, ttl, data.iter().copied())
}

fn epoch(text: &str) -> RecordSet {
    RecordSet::new(name("epoch.change.test"), RecordType::TXT, 0, [format!("\"{text}\"")])
}

fn set(from: Option<RecordSet>, to: Option<RecordSet>) -> SetChange {
    let key = from.as_ref().or(to.as_ref()).unwrap().key();
    SetChange { key, from, to }
}

/// `make` gives a provider and a primary with [`zone`].
async fn conformance_provider<F: Future<Output = Subject>>(make: impl Fn() -> F) {
    let subject = make().await;
    let zone: ZoneName = ZONE.parse().unwrap();
    let change = |sets: Vec<SetChange>| ZoneChange {
        zone: zone.clone(),
        primary: subject.primary,
        key: subject.key.clone(),
        through: None,
        require: vec![],
        sets,
    };
    let provider = &subject.provider;
    let read = async |sets: &[&RecordSet]| {
        let keys: Vec<RecordKey> = sets.iter().map(|set| set.key()).collect();
        provider.read(&zone, subject.primary, &keys).await.unwrap()
    };
    let old = www(300, &["192.0.2.10"]);
    let new = www(60, &["198.51.100.1", "198.51.100.2"]);
    let note = RecordSet::new(name("note.change.test"), RecordType::TXT, 30, ["\"a note\" \"in two\""]);
    assert_eq!(read(&[&old, &note]).await, [Some(old.clone()), None]);

    // Two record sets in one message: the one replaced, the other new.
    let first = change(vec![set(Some(old.clone()), Some(new.clone())), set(None, Some(note.clone()))]);
    provider.rehearse(&first).await.unwrap();
    assert_eq!(read(&[&old, &note]).await, [Some(old.clone()), None], "a rehearsal changes nothing");
    assert_eq!(provider.commit(&first).await.unwrap(), Commit::Applied);
    assert_eq!(read(&[&old, &note]).await, [Some(new.clone()), Some(note.clone())]);

    // Again: neither is as it was, and nothing happens.
    let again = provider.commit(&first).await.unwrap();
    assert_eq!(again, Commit::Conflict { observed: vec![Some(new.clone()), Some(note.clone())] });
    assert_eq!(provider.rehearse(&first).await.unwrap_err().kind(), ErrorKind::Conflict);

    // One of two is wrong: all of it or nothing.
    let third = www(60, &["203.0.113.1"]);
    for wrong in [
        set(Some(RecordSet { rdata: ["\"another\"".to_owned()].into(), ..note.clone() }), None),
        set(None, Some(note.clone())),
    ] {
        let half = change(vec![set(Some(new.clone()), Some(third.clone())), wrong]);
        assert!(matches!(provider.commit(&half).await.unwrap(), Commit::Conflict { .. }));
        assert_eq!(read(&[&old, &note]).await, [Some(new.clone()), Some(note.clone())]);
    }
    // A subset is not the set.
    let subset = change(vec![set(Some(www(60, &["198.51.100.1"])), Some(third.clone()))]);
    assert!(matches!(provider.commit(&subset).await.unwrap(), Commit::Conflict { .. }));

    // What must stay as it is: the wrong epoch stops the change, the right one lets it through.
    let guarded = |epoch| ZoneChange {
        require: vec![epoch],
        ..change(vec![set(Some(new.clone()), Some(third.clone()))])
    };
    let stale = provider.commit(&guarded(epoch("epoch=2 home=us nonce=b2"))).await.unwrap();
    assert!(matches!(stale, Commit::Conflict { .. }), "{stale:?}");
    let right = guarded(epoch("epoch=1 home=uk nonce=a1"));
    assert_eq!(provider.commit(&right).await.unwrap(), Commit::Applied);
    assert_eq!(read(&[&old]).await, [Some(third)]);
    assert_eq!(provider.commit(&right.inverse()).await.unwrap(), Commit::Applied, "and back");

    // A TTL alone.
    let slower = RecordSet { ttl: 120, ..new.clone() };
    let ttl = change(vec![set(Some(new.clone()), Some(slower.clone()))]);
    assert_eq!(provider.commit(&ttl).await.unwrap(), Commit::Applied);
    assert_eq!(read(&[&old]).await, [Some(slower)]);

    // All of it back, and the new record set is gone.
    assert_eq!(provider.commit(&ttl.inverse()).await.unwrap(), Commit::Applied);
    assert_eq!(provider.commit(&first.inverse()).await.unwrap(), Commit::Applied);
    assert_eq!(read(&[&old, &note]).await, [Some(old.clone()), None]);

    // Who is not there, and who has no such zone.
    if let Some(primary) = subject.nobody {
        let nowhere = ZoneChange { primary, ..first.clone() };
        assert_eq!(provider.commit(&nowhere).await.unwrap_err().kind(), ErrorKind::Unreachable);
    }
    let stranger = ZoneChange { zone: "stranger.test".parse().unwrap(), sets: vec![], ..first.clone() };
    assert!(provider.rehearse(&stranger).await.is_err());
    let keys = [RecordKey::new(name("www.stranger.test"), RecordType::A)];
    assert!(provider.read(&stranger.zone, subject.primary, &keys).await.is_err());
}

fn lab_key() -> (DnsName, TsigAlgorithm, Secret) {
    (name(Tsig::LAB.name), TsigAlgorithm::HmacSha256, Secret::new(Tsig::LAB.secret.to_owned()))
}

fn rfc2136() -> Rfc2136 {
    let (name, algorithm, secret) = lab_key();
    Rfc2136::new(BTreeMap::from([(name, (algorithm, secret))]))
}

/// `tells`: it says what is wrong with a signature; not all do (RFC 8945 section 5.2 wants them to).
async fn signed(primary: SocketAddr, tells: bool) {
    let nobody = Port::free();
    let key = lab_key().0;
    conformance_provider(async || Subject {
        provider: Arc::new(rfc2136()),
        primary,
        nobody: Some(nobody.addr()),
        key: Some(key.clone()),
    })
    .await;
    what_only_real_zones_have(primary, tells).await;
}

/// Aliases, name servers at the apex, the SOA record, signatures.
async fn what_only_real_zones_have(primary: SocketAddr, tells: bool) {
    let zone: ZoneName = ZONE.parse().unwrap();
    let (provider, key) = (rfc2136(), Some(lab_key().0));
    let change = |sets| ZoneChange {
        zone: zone.clone(),
        primary,
        key: key.clone(),
        through: None,
        require: vec![],
        sets,
    };
    let address = |owner| RecordSet::new(name(owner), RecordType::A, 60, ["192.0.2.77"]);

    // Beside an alias a server would ignore the record and say that all is well.
    let beside = change(vec![set(None, Some(address("blog.change.test")))]);
    assert_eq!(provider.commit(&beside).await.unwrap(), Commit::Conflict { observed: vec![None] });
    let alias = RecordSet::new(name("blog.change.test"), RecordType::CNAME, 60, ["www.change.test"]);
    let instead = change(vec![set(None, Some(address("blog.change.test"))), set(Some(alias.clone()), None)]);
    assert_eq!(provider.commit(&instead).await.unwrap(), Commit::Applied);
    let keys = [instead.sets[0].key.clone(), alias.key()];
    let read = provider.read(&zone, primary, &keys).await.unwrap();
    assert_eq!(read, [Some(address("blog.change.test")), None]);
    assert_eq!(provider.commit(&instead.inverse()).await.unwrap(), Commit::Applied);
    assert_eq!(provider.read(&zone, primary, &keys).await.unwrap(), [None, Some(alias)]);

    // The name servers at the apex cannot be removed as a set.
    let ns = |count: u8| {
        let names = (1..=count).map(|number| format!("ns{number}.change.test"));
        RecordSet::new(zone.apex(), RecordType::NS, 3600, names)
    };
    let fewer = change(vec![set(Some(ns(6)), Some(ns(2)))]);
    assert_eq!(provider.commit(&fewer).await.unwrap(), Commit::Applied);
    assert_eq!(provider.read(&zone, primary, &[ns(2).key()]).await.unwrap(), [Some(ns(2))]);
    assert_eq!(provider.commit(&fewer.inverse()).await.unwrap(), Commit::Applied);

    // Names outside the zone never reach the wire.
    let outside = change(vec![set(None, Some(address("www.other.test")))]);
    assert_eq!(provider.commit(&outside).await.unwrap_err().kind(), ErrorKind::Usage);

    // A rehearsal leaves even the serial as it is, and finds out who may not.
    let soa = [RecordKey::new(zone.apex(), RecordType::SOA)];
    let before = provider.read(&zone, primary, &soa).await.unwrap();
    let old = www(300, &["192.0.2.10"]);
    let move_www = change(vec![
        set(Some(old), Some(www(60, &["198.51.100.1"]))),
        set(None, Some(address("new.change.test"))),
    ]);
    provider.rehearse(&move_www).await.unwrap();
    assert_eq!(provider.read(&zone, primary, &soa).await.unwrap(), before);
    let unsigned = ZoneChange { key: None, ..move_www };
    assert_eq!(provider.rehearse(&unsigned).await.unwrap_err().kind(), ErrorKind::Rejected);

    // Who may not: in words, and nothing changes.
    let harmless = change(vec![set(None, Some(address("new.change.test")))]);
    let refused = async |provider: &Rfc2136, key: Option<&str>| {
        let change = ZoneChange { key: key.map(name), ..harmless.clone() };
        let error = provider.commit(&change).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "{error:?}");
        assert!(error.advice().is_some(), "{error:?}");
        error.message().to_owned()
    };
    let with = |key: &str, algorithm, secret: &str| {
        Rfc2136::new(BTreeMap::from([(name(key), (algorithm, Secret::new(secret.to_owned())))]))
    };
    let wrong =
        with(Tsig::LAB.name, TsigAlgorithm::HmacSha256, "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=");
    let message = refused(&wrong, Some(Tsig::LAB.name)).await;
    assert!(message.contains("BADSIG") || !tells, "{message}");
    let unknown = with("nobody", TsigAlgorithm::HmacSha512, Tsig::LAB.secret);
    let message = refused(&unknown, Some("nobody")).await;
    assert!(message.contains("BADKEY") || !tells, "{message}");
    let message = refused(&provider, None).await;
    assert!(message.contains("REFUSED") || message.contains("NOTAUTH"), "{message}");
    let read = provider.read(&zone, primary, &[harmless.sets[0].key.clone()]).await.unwrap();
    assert_eq!(read, [None]);
    let unheard_of = ZoneChange { key: Some(name("unheard-of")), ..harmless };
    assert_eq!(provider.commit(&unheard_of).await.unwrap_err().kind(), ErrorKind::Usage);
}

#[tokio::test]
async fn bind_as_primary() {
    let server: Server = bind::primary(Port::free(), &[zone()], &[], Notify::Tuned);
    signed(server.addr(), true).await;
}

#[tokio::test]
async fn knot_as_primary() {
    let server = knot::primary(Port::free(), &[zone()]);
    signed(server.addr(), true).await;
}

#[tokio::test]
async fn powerdns_as_primary() {
    let server = pdns::primary(Port::free(), &[zone()]);
    signed(server.addr(), false).await;
}

#[tokio::test]
async fn powerdns_by_its_api() {
    let (port, api) = (Port::free(), Port::free());
    let server = pdns::primary_with_api(port, &api, &[zone()]);
    let open = |key: &str| {
        let url = Some(format!("http://{}", api.addr()));
        let at = ApiProvider { kind: ApiKind::PowerDns, url, token_file: "none".into(), allow_gap: false };
        dr_core::world::providers::open(&at, &Secret::new(key.to_owned())).unwrap()
    };
    let provider = open(pdns::API_KEY);
    let primary = server.addr();
    conformance_provider(async || Subject { provider: provider.clone(), primary, nobody: None, key: None })
        .await;
    // What was written is what the server answers, under a newer serial, and many sets are one change.
    let before = dr_tests::soa_serial(primary, ZONE).unwrap();
    let change = ZoneChange {
        zone: ZONE.parse().unwrap(),
        primary,
        key: None,
        through: None,
        require: vec![epoch("epoch=1 home=uk nonce=a1")],
        sets: vec![set(Some(www(300, &["192.0.2.10"])), Some(www(60, &["198.51.100.9"])))],
    };
    assert_eq!(provider.commit(&change).await.unwrap(), Commit::Applied);
    let shown = dr_tests::addresses(primary, "www.change.test").unwrap();
    assert_eq!(shown, [std::net::Ipv4Addr::new(198, 51, 100, 9)]);
    assert!(dr_tests::soa_serial(primary, ZONE).unwrap() != before, "secondaries follow the serial");
    // The wrong key: said in words, and nothing is changed.
    let refused = open("wrong").commit(&change.inverse()).await.unwrap_err();
    assert_eq!((refused.kind(), refused.advice().is_some()), (ErrorKind::Rejected, true), "{refused:?}");
    assert_eq!(dr_tests::addresses(primary, "www.change.test").unwrap(), shown);
    // A zone whose serial its API leaves as it is would never reach a secondary.
    pdns::forget_soa_edit_api(&server);
    let refused = provider.commit(&change.inverse()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
    server.stop();
    assert_eq!(provider.rehearse(&change).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn the_embedded_primary() {
    let zones = vec![ZoneText { origin: format!("{ZONE}."), text: zone().text() }];
    let secret = dr_cli::demo::embedded::Secret::new(Tsig::LAB.secret);
    let keys = vec![TsigKey { name: format!("{}.", Tsig::LAB.name), secret }];
    let role = Role::Primary { zones, secondaries: vec![] };
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = Options { name: "ns1".into(), listen, state: None, keys, role };
    let (ready, running) = options.start().await.unwrap();
    signed(ready.address, true).await;
    running.stop().await;
}

#[tokio::test]
async fn a_primary_that_says_nothing_leaves_the_outcome_unknown() {
    // It takes the message and hangs up without a word.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let primary = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut taken = [0; 64];
            let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut taken).await;
        }
    });
    let to = RecordSet::new(name("new.change.test"), RecordType::A, 60, ["192.0.2.77"]);
    let zone = ZONE.parse().unwrap();
    let change = ZoneChange {
        zone,
        primary,
        key: Some(lab_key().0),
        through: None,
        require: vec![],
        sets: vec![set(None, Some(to))],
    };
    let outcome = tokio::time::timeout(Duration::from_secs(5), rfc2136().commit(&change)).await.unwrap();
    assert!(matches!(outcome.unwrap(), Commit::Unknown { .. }));
    assert_eq!(rfc2136().rehearse(&change).await.unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn the_simulated_world() {
    let sim = SimWorld::new();
    let [primary, nobody] = ["192.0.2.53:53", "192.0.2.99:53"].map(|address| address.parse().unwrap());
    sim.put_zone(
        &ZONE.parse().unwrap(),
        primary,
        &[],
        &[www(300, &["192.0.2.10"]), epoch("epoch=1 home=uk nonce=a1")],
    );
    sim.cut("192.0.2.99");
    let provider = || sim.world().provider;
    conformance_provider(async || Subject { provider: provider(), primary, nobody: Some(nobody), key: None })
        .await;
}
