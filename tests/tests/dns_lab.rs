//! Zones on six real name servers: checked while well and while broken, and changed by signed updates.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_core::dns::{
    Answer, Depth, Question, Server, Thresholds, Transport, Wish, ZoneFacts, ZoneSpec, judge,
};
use dr_core::estate::TsigAlgorithm;
use dr_core::report::{Finding, Report, Verdict};
use dr_core::run::{Event, Outcome};
use dr_core::toolkit::{ChangeOptions, Toolkit};
use dr_core::world::clock::SystemClock;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, Resolver, World};
use dr_core::{DnsName, ErrorKind, Plan, RecordKey, RecordSet, RecordType, Secret};
use dr_tests::bind::{self, Notify};
use dr_tests::{DnsLab, Port, Tsig, Zone};

/// The real resolver and provider; what is not DNS is simulated.
fn toolkit(secret: &str) -> Toolkit {
    let key = (TsigAlgorithm::HmacSha256, Secret::new(secret.to_owned()));
    let keys = BTreeMap::from([(Tsig::LAB.name.parse().unwrap(), key)]);
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        provider: Arc::new(Rfc2136::new(keys)),
        ..SimWorld::new().world()
    };
    Toolkit::new(world, Default::default())
}

fn spec(zone: &str, servers: &[dr_tests::Server]) -> ZoneSpec {
    let named = |server: &dr_tests::Server| Server { name: server.name().to_owned(), address: server.addr() };
    let mut spec = ZoneSpec::new(zone.parse().unwrap(), servers.iter().map(named).collect());
    spec.primary = Some(servers[0].addr());
    spec.update_key = Some(Tsig::LAB.name.parse().unwrap());
    // Everything of the lab is on one loopback address, which a check of full depth has much to say about.
    spec.depth = Depth::Records;
    spec
}

async fn check(toolkit: &Toolkit, spec: &ZoneSpec, codes: &[&str]) -> Vec<Finding> {
    let report = toolkit.check_zone(spec, &Control::silent()).await.unwrap();
    let found: Vec<&str> = report.findings.iter().map(|finding| finding.code.name()).collect();
    assert_eq!(found, codes, "{report:#?}");
    report.findings
}

fn www(zone: &str, ttl: u32, data: &[&str]) -> RecordSet {
    let owner: DnsName = format!("www.{zone}").parse().unwrap();
    RecordSet::new(owner, RecordType::A, ttl, data.iter().copied())
}

async fn planned(toolkit: &Toolkit, spec: &ZoneSpec, wishes: &[Wish]) -> dr_core::Result<Plan> {
    let wishes = [(spec.clone(), wishes.to_vec())];
    Ok(toolkit.plan_change(&wishes, &ChangeOptions::default(), &Control::silent()).await?.plan)
}

/// Plans and applies; gives how it ended and the report.
async fn set(toolkit: &Toolkit, spec: &ZoneSpec, wishes: &[Wish]) -> (Outcome, Report) {
    let plan = planned(toolkit, spec, wishes).await.unwrap();
    let applied = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    (applied.outcome, applied.report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_zone_through_good_and_bad_days() {
    let lab = DnsLab::start(&[Zone::new("day.test").line("blog 60 IN CNAME www")]);
    let toolkit = toolkit(Tsig::LAB.secret);
    let spec = spec("day.test", lab.servers());
    check(&toolkit, &spec, &[]).await;

    // One server lies under the same serial: what no comparison of serials shows.
    lab.set_address_on_pdns_only("www.day.test", Ipv4Addr::new(203, 0, 113, 66));
    let lie = check(&toolkit, &spec, &["dns.record_set_differs"]).await;
    assert_eq!(lie[0].evidence["pdns"], "203.0.113.66");
    assert!(lie[0].message.contains("pdns says 203.0.113.66 (under the same serial"), "{}", lie[0].message);

    // What was captured then is judged the same for ever.
    let facts = toolkit.zone_facts(&spec, &Control::silent()).await.unwrap();
    let capture = serde_json::to_string(&facts).unwrap();
    let replayed: ZoneFacts = serde_json::from_str(&capture).unwrap();
    assert_eq!(judge(&replayed, &Thresholds::default()).findings, lie);

    // A change by one signed message, and every server shows it.
    let there = www("day.test", 60, &["198.51.100.1", "198.51.100.2"]);
    let (outcome, report) = set(&toolkit, &spec, &[Wish::Have(there.clone())]).await;
    assert_eq!(outcome, Outcome::New, "{report:#?}");
    check(&toolkit, &spec, &[]).await;
    for server in lab.servers() {
        let addresses = dr_tests::addresses(server.addr(), "www.day.test").unwrap();
        assert_eq!(
            addresses,
            [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 2)],
            "{}",
            server.name()
        );
    }
    let nothing = planned(&toolkit, &spec, &[Wish::Have(there.clone())]).await.unwrap();
    assert!(nothing.is_empty(), "{nothing:?}");

    what_must_not_happen(&toolkit, &spec, &there).await;
    // Taking a change back does not wait for the secondaries.
    lab.agreed_serial("day.test");
    check(&toolkit, &spec, &[]).await;

    // One server is gone.
    lab.server("nsd").kill9();
    let gone = check(&toolkit, &spec, &["dns.server_silent"]).await;
    assert_eq!(gone[0].subject.name, "nsd");
    // And one hangs: its sockets take everything and say nothing.
    lab.server("knot").freeze();
    let begun = Instant::now();
    let silent = check(&toolkit, &spec, &["dns.server_silent", "dns.server_silent"]).await;
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "one timeout, not one a question: {:?}",
        begun.elapsed()
    );
    assert_eq!(silent[0].subject.name, "knot");
    lab.server("knot").thaw();
}

/// Plans and changes that must not happen.
async fn what_must_not_happen(toolkit: &Toolkit, spec: &ZoneSpec, there: &RecordSet) {
    let primary = spec.primary.unwrap();
    let back = Wish::Have(www("day.test", 300, &["192.0.2.10"]));
    let has = async || {
        let read = toolkit.world.provider.read(&spec.zone, primary, &[there.key()]).await.unwrap();
        read.into_iter().next().unwrap().unwrap()
    };

    // The wrong key: refused in words, nothing changed.
    let stranger = self::toolkit("d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=");
    let (outcome, report) = set(&stranger, spec, std::slice::from_ref(&back)).await;
    assert_eq!(outcome, Outcome::Stopped);
    assert!(format!("{report:?}").contains("BADSIG"), "{report:#?}");
    assert_eq!(has().await, *there);

    // The zone changed after the plan was made: a conflict, and the other change stays.
    let plan = planned(toolkit, spec, std::slice::from_ref(&back)).await.unwrap();
    let meanwhile = www("day.test", 60, &["198.51.100.3"]);
    assert_eq!(set(toolkit, spec, &[Wish::Have(meanwhile.clone())]).await.0, Outcome::New);
    let applied = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!(applied.outcome, Outcome::Stopped);
    assert_eq!(has().await, meanwhile);

    // Beside an alias a primary would ignore the record without a word.
    let blog = RecordSet::new("blog.day.test".parse().unwrap(), RecordType::A, 60, ["192.0.2.1"]);
    let refused = planned(toolkit, spec, &[Wish::Have(blog.clone())]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused:?}");
    let alias = RecordKey::new(blog.owner.clone(), RecordType::CNAME);
    let (outcome, report) = set(toolkit, spec, &[Wish::Have(blog), Wish::Remove(alias)]).await;
    assert_eq!(outcome, Outcome::New, "{report:#?}");

    for (wish, says) in [
        (Wish::Have(www("other.test", 60, &["192.0.2.1"])), "not in the zone"),
        (Wish::Have(www("day.test", 60, &["no address"])), "IPv4"),
        (Wish::Have(www("day.test", 60, &[])), "no data"),
        (Wish::Remove(spec.soa_key()), "cannot be without"),
    ] {
        let error = planned(toolkit, spec, &[wish]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.message().contains(says), "{error:?}");
    }
    // Undone, the TTL comes back too.
    let (typed, usual) = (www("day.test", 60, &["198.51.100.1", " 198.51.100.2 "]), has().await);
    let plan = planned(toolkit, spec, &[Wish::Have(typed)]).await.unwrap();
    let applied = toolkit.apply(&plan, "test", &Control::silent()).await.unwrap();
    assert_eq!((applied.outcome, has().await), (Outcome::New, there.clone()));
    let undone = toolkit.undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!((undone.outcome, has().await), (Outcome::Old, usual));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_sees_a_gap_while_records_change() {
    let lab = DnsLab::start(&[Zone::new("gap.test")]);
    let (toolkit, spec) = (toolkit(Tsig::LAB.secret), spec("gap.test", lab.servers()));
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let watchers: Vec<_> = lab
        .addrs()
        .into_iter()
        .map(|server| {
            let (stop, seen) = (stop.clone(), seen.clone());
            tokio::spawn(async move {
                let key = RecordKey::new("www.gap.test".parse().unwrap(), RecordType::A);
                let question = Question { key, transport: Transport::Udp, recursive: false };
                let mut answers = 0_u64;
                while !stop.load(Ordering::Relaxed) {
                    match WireResolver::new().ask(server, &question, Duration::from_secs(5)).await {
                        Answer::Records { set, authoritative: true } if set.rdata.len() == 1 => {
                            seen.lock().unwrap().extend(set.rdata);
                        }
                        other => panic!("{server} after {answers} answers: {other:?}"),
                    }
                    answers += 1;
                    // NSD limits how often it gives one client the same answer: 200 times a second.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                answers
            })
        })
        .collect();
    for change in 1..=50_u8 {
        let address = Ipv4Addr::new(198, 51, 100, change).to_string();
        let plan = planned(&toolkit, &spec, &[Wish::Have(www("gap.test", 60, &[&address]))]).await.unwrap();
        let dr_core::plan::Step::ChangeZone(step) = &plan.steps[0].step else { panic!("{plan:?}") };
        let commit = toolkit.world.provider.commit(step).await.unwrap();
        assert_eq!(commit, dr_core::world::Commit::Applied);
    }
    // After so many changes in a row a secondary may have missed the last NOTIFY, and would ask again only at REFRESH.
    let mut reminded = Instant::now();
    dr_tests::wait_for("all six to have the last change", Duration::from_secs(60), || {
        if reminded.elapsed() > Duration::from_secs(2) {
            lab.addrs().into_iter().for_each(|server| dr_tests::notify(server, "gap.test"));
            reminded = Instant::now();
        }
        let last = vec![Ipv4Addr::new(198, 51, 100, 50)];
        let shows =
            |server: &std::net::SocketAddr| dr_tests::addresses(*server, "www.gap.test") == Ok(last.clone());
        lab.addrs().iter().all(shows).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    for watcher in watchers {
        let answers = watcher.await.expect("no server ever gave an empty answer");
        assert!(answers > 20, "{answers}");
    }
    assert!(seen.lock().unwrap().len() > 2, "the watchers saw the zone change");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secondary_that_was_not_told_and_one_that_was_never_configured() {
    let primary = bind::primary(Port::free(), &[Zone::new("late.test")], &[], Notify::Tuned);
    let secondary = bind::secondary(Port::free(), &["late.test"], primary.addr());
    let stranger = bind::primary(Port::free(), &[Zone::new("else.test")], &[], Notify::Tuned);
    dr_tests::wait_for("the first transfer", Duration::from_secs(60), || {
        dr_tests::soa_serial(secondary.addr(), "late.test").ok()
    });
    let toolkit = toolkit(Tsig::LAB.secret);
    let servers = [primary, secondary, stranger];
    let both = spec("late.test", &servers[..2]);
    check(&toolkit, &both, &[]).await;

    // The change itself succeeds; that a server does not follow is found, not hidden.
    let plan =
        planned(&toolkit, &both, &[Wish::Have(www("late.test", 300, &["198.51.100.9"]))]).await.unwrap();
    let dr_core::plan::Step::ChangeZone(step) = &plan.steps[0].step else { panic!("{plan:?}") };
    assert_eq!(toolkit.world.provider.commit(step).await.unwrap(), dr_core::world::Commit::Applied);
    let findings = check(&toolkit, &both, &["dns.record_set_differs", "dns.serial_differs"]).await;
    assert_eq!(findings[1].message, "bind-primary has serial 2; bind-secondary is 1 behind (1)");
    assert!(findings[0].message.ends_with("(their serials differ too)"));

    let mut with_stranger = spec("late.test", &servers[..1]);
    with_stranger.servers.push(Server { name: "stranger".into(), address: servers[2].addr() });
    let lame = check(&toolkit, &with_stranger, &["dns.server_lame"]).await;
    assert_eq!((lame[0].subject.name.as_str(), lame[0].evidence["kind"].as_str()), ("stranger", "REFUSED"));

    let nowhere = spec("nowhere.test", &servers[..1]);
    let nobody = check(&toolkit, &nowhere, &["dns.no_server_answers", "dns.server_lame"]).await;
    assert_eq!(nobody[0].message, "the only name server does not answer for the zone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_zones_and_one_dead_server() {
    let names: Vec<String> = (0..40).map(|number| format!("z{number}.test")).collect();
    let zones: Vec<Zone> = names.iter().map(|name| Zone::new(name)).collect();
    let lab = DnsLab::start(&zones);
    let specs: Vec<ZoneSpec> = names.iter().map(|name| spec(name, lab.servers())).collect();
    let toolkit = toolkit(Tsig::LAB.secret);
    let events = Arc::new(Mutex::new(vec![]));
    let kept = events.clone();
    let control = Control::new(move |event: &Event| kept.lock().unwrap().push(event.clone()));
    let report = toolkit.check_zones(&specs, &control).await.unwrap();
    assert_eq!(report.verdict(), Verdict::Ok, "{report:#?}");
    assert_eq!(report.figures["servers"], 6);
    assert!(report.figures["questions"] > 40 * 6 * 6);
    let healthy = Duration::from_millis(report.figures["milliseconds"]);
    let done = |event: &Event| matches!(event, Event::Progress { done: 40, total: Some(40), .. });
    assert!(events.lock().unwrap().iter().any(done));

    lab.server("yadifa").freeze();
    let report = toolkit.check_zones(&specs, &Control::silent()).await.unwrap();
    lab.server("yadifa").thaw();
    let [finding] = &report.findings[..] else { panic!("{report:#?}") };
    assert_eq!((finding.code.name(), finding.subject.name.as_str()), ("dns.server_silent", "yadifa"));
    assert!(finding.message.ends_with("(40 zones)"), "{}", finding.message);
    let took = Duration::from_millis(report.figures["milliseconds"]);
    assert!(took < healthy + Duration::from_secs(8), "{took:?}, healthy {healthy:?}");

    let cancelled = Control::silent();
    cancelled.cancel.cancel();
    assert_eq!(toolkit.check_zones(&specs, &cancelled).await.unwrap_err().kind(), ErrorKind::Cancelled);
}
