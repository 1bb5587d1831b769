//! Changing records from the plan to the proof: what visitors see meanwhile, many zones at once, servers that lag, primaries that die.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dr_core::dns::{Answer, Question, Server, Transport, Wish, ZoneSpec};
use dr_core::estate::TsigAlgorithm;
use dr_core::plan::{Plan, Step};
use dr_core::run::Outcome;
use dr_core::toolkit::{ChangeOptions, ChangePlan, Toolkit};
use dr_core::world::clock::SystemClock;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, Resolver, World};
use dr_core::{RecordKey, RecordSet, RecordType, Secret};
use dr_tests::bind::{self, Notify};
use dr_tests::{DnsLab, Port, Tsig, Zone, knot, pdns};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

const OLD: [&str; 2] = ["192.0.2.10", "192.0.2.11"];
const NEW: [&str; 2] = ["198.51.100.1", "198.51.100.2"];

/// The real resolver and provider; what is not DNS is simulated.
fn toolkit() -> Toolkit {
    let key = (TsigAlgorithm::HmacSha256, Secret::new(Tsig::LAB.secret.to_owned()));
    let keys = BTreeMap::from([(Tsig::LAB.name.parse().unwrap(), key)]);
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        provider: Arc::new(Rfc2136::new(keys)),
        ..SimWorld::new().world()
    };
    Toolkit::new(world, Default::default())
}

fn spec(zone: &str, servers: &[SocketAddr]) -> ZoneSpec {
    let server = |(number, address): (usize, &SocketAddr)| Server {
        name: format!("ns{}", number + 1),
        address: *address,
    };
    let mut spec = ZoneSpec::new(zone.parse().unwrap(), servers.iter().enumerate().map(server).collect());
    spec.primary = Some(servers[0]);
    spec.update_key = Some(Tsig::LAB.name.parse().unwrap());
    spec
}

fn www(zone: &str, ttl: u32, data: &[&str]) -> RecordSet {
    RecordSet::new(format!("www.{zone}").parse().unwrap(), RecordType::A, ttl, data.iter().copied())
}

async fn plan(toolkit: &Toolkit, wishes: &[(ZoneSpec, Vec<Wish>)], options: &ChangeOptions) -> ChangePlan {
    toolkit.plan_change(wishes, options, &Control::silent()).await.unwrap()
}

async fn apply(toolkit: &Toolkit, plan: &Plan) -> dr_core::toolkit::Applied {
    toolkit.apply(plan, "test", &Control::silent()).await.unwrap()
}

/// Asks one server for as long as it takes; every answer must be one of the two sets, whole. Gives how many answers there were.
async fn watch(server: SocketAddr, zone: &'static str, stop: Arc<AtomicBool>) -> u64 {
    let [old, new]: [BTreeSet<String>; 2] =
        [OLD, NEW].map(|set| set.into_iter().map(str::to_owned).collect());
    let key = RecordKey::new(format!("www.{zone}").parse().unwrap(), RecordType::A);
    let question = Question { key, transport: Transport::Udp, recursive: false };
    let (resolver, mut answers) = (WireResolver::new(), 0);
    while !stop.load(Ordering::Relaxed) {
        match resolver.ask(server, &question, Duration::from_secs(5)).await {
            Answer::Records { set, authoritative: true } if set.rdata == old || set.rdata == new => {
                answers += 1;
            }
            other => panic!("{server} after {answers} answers: {other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    answers
}

/// Moves the zone there and back, through the whole machine, while every server is watched.
async fn moves_without_a_gap(zone: &'static str, servers: &[SocketAddr], times: usize) {
    let (toolkit, spec) = (toolkit(), spec(zone, servers));
    let stop = Arc::new(AtomicBool::new(false));
    let watchers: Vec<_> =
        servers.iter().map(|server| tokio::spawn(watch(*server, zone, stop.clone()))).collect();
    for turn in 0..times {
        let to = www(zone, 60, &if turn % 2 == 0 { NEW } else { OLD });
        let planned =
            plan(&toolkit, &[(spec.clone(), vec![Wish::Have(to)])], &ChangeOptions::default()).await;
        let applied = apply(&toolkit, &planned.plan).await;
        assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
        assert_eq!(applied.verified.unwrap().servers().len(), servers.len());
        assert_eq!(applied.settled, None, "nobody waited for resolvers");
    }
    // Taken back: its prerequisite is what was written.
    let to = www(zone, 60, &if times.is_multiple_of(2) { NEW } else { OLD });
    let planned = plan(&toolkit, &[(spec.clone(), vec![Wish::Have(to)])], &ChangeOptions::default()).await;
    let applied = apply(&toolkit, &planned.plan).await;
    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!((undone.outcome, undone.verified), (Outcome::Old, None));
    stop.store(true, Ordering::Relaxed);
    for watcher in watchers {
        let answers = watcher.await.expect("no empty and no mixed answer");
        assert!(answers > 10, "{answers}");
    }
}

fn watched(zone: &str) -> Zone {
    Zone::new(zone).line("www 300 IN A 192.0.2.11")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_moves_on_bind_and_its_five_secondaries_without_a_gap() {
    let lab = DnsLab::start(&[watched("move.test")]);
    moves_without_a_gap("move.test", &lab.addrs(), 6).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_moves_on_knot_without_a_gap() {
    let primary = knot::primary(Port::free(), &[watched("move.test")]);
    moves_without_a_gap("move.test", &[primary.addr()], 20).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_moves_on_powerdns_without_a_gap() {
    let primary = pdns::primary(Port::free(), &[watched("move.test")]);
    moves_without_a_gap("move.test", &[primary.addr()], 20).await;
}

/// The wish for every zone.
fn wishes(names: &[String], servers: &[SocketAddr], ttl: u32, data: &[&str]) -> Vec<(ZoneSpec, Vec<Wish>)> {
    names.iter().map(|name| (spec(name, servers), vec![Wish::Have(www(name, ttl, data))])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_zones_at_once_settle_and_are_taken_back() {
    let names: Vec<String> = (0..40).map(|number| format!("z{number}.test")).collect();
    let zones: Vec<Zone> = names.iter().map(|name| Zone::new(name).ttl(2)).collect();
    let lab = DnsLab::start(&zones);
    let (toolkit, addresses) = (toolkit(), lab.addrs());
    let now = async |name: &String| {
        let key = www(name, 0, &[]).key();
        let zone = name.parse().unwrap();
        toolkit.world.provider.read(&zone, addresses[0], &[key]).await.unwrap().remove(0).unwrap()
    };
    let options =
        ChangeOptions { resolvers: vec![addresses[2]], per_second: Some(200), ..ChangeOptions::default() };
    let planned = plan(&toolkit, &wishes(&names, &addresses, 2, &["198.51.100.7"]), &options).await;
    assert_eq!((planned.prediction.zones, planned.prediction.settle.as_secs()), (40, 2));
    assert_eq!(planned.prediction.spread.as_secs(), 15, "BIND's 20 messages a second, and 5 s");
    let applied = apply(&toolkit, &planned.plan).await;
    assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
    let verified = applied.verified.unwrap();
    assert_eq!((verified.zones().len(), verified.servers().len()), (40, 6));
    assert_eq!(applied.settled.unwrap().resolvers(), [addresses[2]]);
    let again = plan(&toolkit, &wishes(&names, &addresses, 2, &["198.51.100.7"]), &options).await;
    assert!(again.plan.is_empty(), "{:?}", again.plan);

    // Somebody else changes one of them after the plan was made: the others are changed, and it is named.
    let planned =
        plan(&toolkit, &wishes(&names, &addresses, 2, &["198.51.100.8"]), &ChangeOptions::default()).await;
    let theirs = plan(&toolkit, &wishes(&names[7..8], &addresses, 2, &["203.0.113.9"]), &options).await;
    assert_eq!(apply(&toolkit, &theirs.plan).await.outcome, Outcome::New);
    let applied = apply(&toolkit, &planned.plan).await;
    assert_eq!((applied.outcome, &applied.verified), (Outcome::Stopped, &None));
    assert!(applied.report.findings[0].message.contains("z7.test"), "{:#?}", applied.report);
    assert!(now(&names[6]).await.rdata.contains("198.51.100.8"));
    // Taken back, all but that one are as they were.
    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Stopped, "one is not ours to take back: {:#?}", undone.report);
    for name in &names {
        let expected = if name == "z7.test" { "203.0.113.9" } else { "198.51.100.7" };
        assert!(now(name).await.rdata.contains(expected), "{name}: {:?}", now(name).await);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_follow_is_named_and_nothing_is_verified() {
    let names: Vec<String> = ["a.test", "b.test", "c.test"].map(str::to_owned).into();
    let zones: Vec<Zone> = names.iter().map(|name| Zone::new(name).ttl(1)).collect();
    let primary = bind::primary(Port::free(), &zones, &[], Notify::Tuned);
    let texts: Vec<&str> = names.iter().map(String::as_str).collect();
    let deaf = bind::secondary(Port::free(), &texts, primary.addr());
    for name in &names {
        dr_tests::wait_for("the first transfer", Duration::from_secs(60), || {
            dr_tests::soa_serial(deaf.addr(), name).ok()
        });
    }
    let toolkit = toolkit();
    let options = ChangeOptions { within: Some("2s".parse().unwrap()), settle: true, ..Default::default() };
    let servers = [primary.addr(), deaf.addr()];
    let planned = plan(&toolkit, &wishes(&names, &servers, 60, &NEW), &options).await;
    let applied = apply(&toolkit, &planned.plan).await;
    assert_eq!((applied.outcome, &applied.verified, &applied.settled), (Outcome::Stopped, &None, &None));
    assert!(applied.report.findings[0].message.contains(&deaf.addr().to_string()), "{:#?}", applied.report);
    let called = BTreeMap::from([(deaf.addr(), "ns2".to_owned())]);
    let findings = toolkit.stragglers(&planned.plan, &called).await;
    let [finding] = &findings[..] else { panic!("{findings:#?}") };
    assert_eq!((finding.code.name(), finding.subject.name.as_str()), ("run.change_not_shown", "ns2"));
    assert_eq!(finding.evidence["zones"], "a.test, b.test, c.test");
    // Told at last, it follows; the run is taken up again and ends with the proof.
    texts.iter().for_each(|name| dr_tests::notify(deaf.addr(), name));
    for name in &names {
        dr_tests::wait_for("the transfer", Duration::from_secs(60), || {
            (dr_tests::soa_serial(deaf.addr(), name) == Ok(2)).then_some(())
        });
    }
    let resumed = toolkit.resume(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(resumed.outcome, Outcome::New, "{:#?}", resumed.report);
    assert!(resumed.verified.is_some() && resumed.settled.is_some());
}

/// A line to a primary that carries everything, but for the answer to the first update: that one is swallowed, and the line cut.
async fn forgetful(primary: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let swallowed = Arc::new(AtomicBool::new(false));
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let swallowed = swallowed.clone();
            tokio::spawn(async move {
                let mut server = TcpStream::connect(primary).await.unwrap();
                while let Ok(length) = client.read_u16().await {
                    let mut message = vec![0; usize::from(length)];
                    client.read_exact(&mut message).await.unwrap();
                    server.write_u16(length).await.unwrap();
                    server.write_all(&message).await.unwrap();
                    let answered = server.read_u16().await.unwrap();
                    let mut answer = vec![0; usize::from(answered)];
                    server.read_exact(&mut answer).await.unwrap();
                    if message[2] >> 3 & 15 == 5 && !swallowed.swap(true, Ordering::Relaxed) {
                        return;
                    }
                    client.write_u16(answered).await.unwrap();
                    client.write_all(&answer).await.unwrap();
                }
            });
        }
    });
    address
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_primary_that_dies_between_the_update_and_its_answer_is_asked_what_became_of_it() {
    let primary = bind::primary(Port::free(), &[Zone::new("once.test")], &[], Notify::Tuned);
    let (toolkit, mut spec) = (toolkit(), spec("once.test", &[primary.addr()]));
    spec.primary = Some(forgetful(primary.addr()).await);
    let wishes = [(spec, vec![Wish::Have(www("once.test", 60, &NEW))])];
    let planned = plan(&toolkit, &wishes, &ChangeOptions::default()).await;
    let applied = apply(&toolkit, &planned.plan).await;
    assert_eq!(applied.outcome, Outcome::New, "{:#?}", applied.report);
    assert!(applied.verified.is_some());
    assert_eq!(dr_tests::soa_serial(primary.addr(), "once.test"), Ok(2), "it was changed once, not twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_settled_while_a_resolver_says_what_was() {
    let primary = bind::primary(Port::free(), &[Zone::new("set.test").ttl(1)], &[], Notify::Tuned);
    let stale = bind::primary(Port::free(), &[Zone::new("set.test").ttl(1)], &[], Notify::Tuned);
    let toolkit = toolkit();
    let options = ChangeOptions { resolvers: vec![stale.addr()], ..ChangeOptions::default() };
    let wishes = [(spec("set.test", &[primary.addr()]), vec![Wish::Have(www("set.test", 1, &NEW))])];
    let mut planned = plan(&toolkit, &wishes, &options).await;
    for planned in &mut planned.plan.steps {
        if let Step::AwaitAgreements(all) = &mut planned.step {
            all.within = "1s".parse().unwrap();
        }
    }
    let applied = apply(&toolkit, &planned.plan).await;
    assert_eq!(applied.outcome, Outcome::NewDegraded, "{:#?}", applied.report);
    assert!(applied.verified.is_some() && applied.settled.is_none());
}
