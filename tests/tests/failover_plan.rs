//! Moving a site and bringing it back, in a simulated world: as planned, with every guard in the way, and with every single call
//! going wrong in every way.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::net::SocketAddr;
use std::time::Duration;

use dr_core::estate::{Host, NameServer, ProbeSpec, RecordKey, RecordSet, RecordType, Site, Zone};
use dr_core::failover::{
    DownKind, GuardName, HeldBack, LastMirror, Lease, Role, Sight, Standing, Swap as LeaseSwap, Tenure,
    held_path, last_mirror_path, standing_path,
};
use dr_core::mirror::{RelPath, Room};
use dr_core::plan::Plan;
use dr_core::report::{Report, code};
use dr_core::run::Outcome;
use dr_core::toolkit::{Applied, AuditFailover, FailoverOptions, Toolkit};
use dr_core::world::Control;
use dr_core::world::sim::{Fault, SimWorld};
use dr_core::{Epoch, ErrorKind, Estate, HostId, Location, Result, SiteId};

const UK: &str = "192.0.2.1";
const US: &str = "198.51.100.1";

fn shop() -> SiteId {
    "shop".parse().unwrap()
}

fn id(host: &str) -> HostId {
    host.parse().unwrap()
}

fn estate() -> Estate {
    let mut estate = Estate::default();
    for (id, address) in [("uk", UK), ("us", US)] {
        let mut host = Host::new(format!("root@{id}.example.net").parse().unwrap());
        host.addresses = vec![address.parse().unwrap()];
        host.state_dir = "/var/lib/dr".to_owned();
        estate.hosts.insert(id.parse().unwrap(), host);
    }
    let mut site = Site::new(id("uk"), id("us"));
    site.names = vec!["example.org".parse().unwrap(), "www.example.org".parse().unwrap()];
    site.trees = vec![dr_core::estate::Tree::same("/var/www/shop")];
    site.probes = vec![ProbeSpec::Tcp { port: 80 }];
    estate.sites.insert(shop(), site);
    let mut zone = Zone::new("ns0".parse().unwrap());
    for number in 0..6 {
        let server = NameServer { address: server(number), name: None };
        let id: dr_core::NameServerId = format!("ns{number}").parse().unwrap();
        estate.name_servers.insert(id.clone(), server);
        if number > 0 {
            zone.servers.push(id);
        }
    }
    estate.zones.insert("example.org".parse().unwrap(), zone);
    estate
}

fn us() -> dr_core::Remote {
    estate().hosts[&id("us")].ssh.clone()
}

fn server(number: u8) -> SocketAddr {
    SocketAddr::from(([203, 0, 113, number], 53))
}

/// A world in which all is well: uk serves, us was mirrored an hour ago and waits.
fn world() -> SimWorld {
    let sim = SimWorld::new();
    let estate = estate();
    let servers: Vec<_> = (1..6).map(|number| (server(number), Duration::from_secs(number.into()))).collect();
    let record = |owner: &str, ttl| RecordSet::new(owner.parse().unwrap(), RecordType::A, ttl, [UK]);
    let records = [record("example.org", 60), record("www.example.org", 60)];
    sim.put_zone(&"example.org".parse().unwrap(), server(0), &servers, &records);
    sim.advance(Duration::from_secs(7200));
    let up = || Sight::Up { took_us: 900 };
    sim.put_sight(UK.parse().unwrap(), up());
    sim.put_sight(US.parse().unwrap(), up());
    sim.put_tenure(&shop(), Tenure { epoch: Epoch(1), home: id("uk"), nonce: "first".into() });
    for (host, role) in [("uk", Role::Home), ("us", Role::Standby)] {
        let standing = Standing { role, epoch: Epoch(1) };
        let path = standing_path("/var/lib/dr", &shop());
        sim.put_file(&estate.hosts[&id(host)].ssh, &path, &standing.to_bytes());
    }
    mirrored(&sim, 3600);
    sim
}

/// Says that the last mirror to us began so long after the beginning of the world.
fn mirrored(sim: &SimWorld, after_s: u64) {
    let began: dr_core::Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
    let started = began + Duration::from_secs(after_s);
    let last = LastMirror {
        site: shop(),
        epoch: Epoch(1),
        started,
        finished: started,
        paths: 1,
        bytes: 1,
        planned: None,
        seal: None,
    };
    let path = last_mirror_path("/var/lib/dr", &shop());
    sim.put_file(&estate().hosts[&id("us")].ssh, &path, &last.to_bytes());
}

/// uk is gone.
fn burn(sim: &SimWorld) {
    sim.cut("uk.example.net");
    sim.put_sight(UK.parse().unwrap(), Sight::Down { kind: DownKind::TimedOut, detail: "no answer".into() });
}

fn rebuild(sim: &SimWorld) {
    sim.mend("uk.example.net");
    sim.put_sight(UK.parse().unwrap(), Sight::Up { took_us: 900 });
}

fn toolkit(sim: &SimWorld) -> Toolkit {
    Toolkit::new(sim.world(), estate())
}

async fn plan(sim: &SimWorld) -> Result<Plan> {
    toolkit(sim).plan_failover(&shop(), &FailoverOptions::default(), &Control::silent()).await
}

async fn apply(sim: &SimWorld, plan: &Plan) -> Applied {
    toolkit(sim).apply(plan, "test", &Control::silent()).await.unwrap()
}

fn standing(sim: &SimWorld, host: &str) -> Option<Standing> {
    let path = standing_path("/var/lib/dr", &shop());
    sim.file(&estate().hosts[&id(host)].ssh, &path).map(|bytes| Standing::from_bytes(&bytes).unwrap())
}

/// The site is wholly on this host: records, tenure, what the host believes.
fn assert_home(sim: &SimWorld, host: &str, context: &str) {
    let address = if host == "uk" { UK } else { US };
    for name in ["example.org", "www.example.org"] {
        let key = RecordKey::new(name.parse().unwrap(), RecordType::A);
        let set = sim.records(&"example.org".parse().unwrap(), &key).unwrap();
        assert_eq!((set.rdata.first().unwrap().as_str(), set.ttl), (address, 60), "{context}: {name}");
    }
    let tenure = sim.tenure(&shop()).unwrap();
    assert_eq!(tenure.home, id(host), "{context}");
    assert_eq!(standing(sim, host).unwrap().role, Role::Home, "{context}");
}

fn tree(host: &str) -> Location {
    format!("root@{host}.example.net:/var/www/shop").parse().unwrap()
}

fn put_page(sim: &SimWorld, host: &str, content: &[u8]) {
    sim.put_page(&tree(host), &RelPath::new(b"index.html").unwrap(), content);
}

fn page(sim: &SimWorld, host: &str) -> Option<Vec<u8>> {
    sim.page(&tree(host), &RelPath::new(b"index.html").unwrap())
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.findings.iter().map(|finding| finding.code.name()).collect()
}

#[tokio::test]
async fn where_agents_keep_a_site_it_is_said_to_them() {
    let (sim, mut estate) = (world(), estate());
    burn(&sim);
    let services =
        serde_json::from_str(r#"{"start": ["/bin/true"], "stop": ["/bin/true"], "check": ["/bin/true"]}"#);
    estate.sites.get_mut(&shop()).unwrap().services = Some(services.unwrap());
    let by_hand = Toolkit::new(sim.world(), estate.clone());
    let options = FailoverOptions {
        despite: [GuardName::Certificates].into(),
        why: Some("it burns".into()),
        ..FailoverOptions::default()
    };
    let plan = by_hand.plan_failover(&shop(), &options, &Control::silent()).await.unwrap();
    assert!(!plan.is_empty(), "a person moves what nobody watches");

    let post = serde_json::from_str(r#"{"failure_domain": "nl"}"#).unwrap();
    estate.observers.insert("nl".parse().unwrap(), post);
    let kept = Toolkit::new(sim.world(), estate);
    let refused = kept.plan_failover(&shop(), &options, &Control::silent()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused);
    let advice = refused.advice().unwrap();
    assert!(advice.contains("dr failover approve shop on us (--stopped"), "{advice}");
    assert!(advice.contains("dr failover hand-over shop there"), "{advice}");
}

#[tokio::test]
async fn who_took_a_site_does_not_wait_for_the_host_that_it_was_taken_from() {
    let sim = world();
    sim.mute("uk.example.net");
    sim.put_sight(UK.parse().unwrap(), Sight::Down { kind: DownKind::TimedOut, detail: "no answer".into() });
    sim.put_tenure(&shop(), Tenure { epoch: Epoch(2), home: id("us"), nonce: "second".into() });
    let (toolkit, site, us, control) = (toolkit(&sim), shop(), id("us"), Control::silent());
    let taking = toolkit.plan_taken(&site, &us, Epoch(2), &control);
    // Nothing that is asked of uk ever comes back: whatever waits for it waits for ever.
    let plan = tokio::time::timeout(Duration::from_secs(60), taking)
        .await
        .expect("it does not wait for uk")
        .unwrap();
    assert!(!plan.steps.is_empty());
}

#[tokio::test]
async fn all_is_well_and_every_guard_says_why() {
    let sim = world();
    let report = toolkit(&sim).failover_status(&shop(), &Control::silent()).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let guards: Vec<String> = report
        .examined
        .iter()
        .filter(|subject| subject.kind == "guard")
        .map(|subject| subject.name.clone())
        .collect();
    assert_eq!(
        guards,
        [
            "standby-healthy: us answers in 0.9 ms",
            "mirror-fresh: the last mirror to us began 1h ago, 25h is allowed",
            "dns-changeable: the primary would take the change now (1 zones asked)",
            "tenure: uk holds it in epoch 1",
            "ttl: resolvers may keep the old address for 1m after a change that takes up to 4s 300ms: 1m 4s 300ms of 15m",
            "disk: us does not say what is free; mirrors to it look for themselves",
            "certificates: us has good certificates for 2 of 2 names",
            "maintenance: nobody holds it back on us",
            "hold-down: nobody watches it, so it is never moved without a person",
            "quorum: a person decides, and nobody watches it for them",
        ]
    );
    assert_eq!(report.figures["shop.epoch"], 1);
    assert_eq!(report.figures["shop.last_mirror_age_seconds"], 3600);
}

#[tokio::test]
async fn there_and_back_again() {
    let sim = world();
    burn(&sim);
    let report = toolkit(&sim).failover_status(&shop(), &Control::silent()).await.unwrap();
    assert_eq!(codes(&report), [code::SITE_DOWN.name(), code::HOST_UNREACHABLE.name()], "{report:?}");

    let there = plan(&sim).await.unwrap();
    let applied = apply(&sim, &there).await;
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report);
    assert_home(&sim, "us", "after the disaster");
    assert_eq!(sim.tenure(&shop()).unwrap().epoch, Epoch(2));
    assert_eq!(
        standing(&sim, "uk"),
        Some(Standing { role: Role::Home, epoch: Epoch(1) }),
        "it was never told"
    );
    // Nobody can be moved to where they are.
    assert_eq!(plan(&sim).await.unwrap_err().kind(), ErrorKind::Refused);

    // uk is back and believes that nothing has happened.
    let back = toolkit(&sim).plan_failback(&shop(), &Control::silent()).await;
    assert!(back.is_err(), "uk cannot be reached yet");
    rebuild(&sim);
    // Asked for twice, it is not moved back by accident; whoever means it says from where.
    let twice = plan(&sim).await.unwrap_err();
    assert_eq!((twice.kind(), twice.message()), (ErrorKind::Refused, "us holds it already, not uk"));
    let onward = FailoverOptions { from: Some(id("us")), ..FailoverOptions::default() };
    let onward = toolkit(&sim).plan_failover(&shop(), &onward, &Control::silent()).await;
    assert_ne!(onward.err().map(|error| error.message().to_owned()), Some(twice.message().to_owned()));
    let report = toolkit(&sim).failover_status(&shop(), &Control::silent()).await.unwrap();
    assert!(codes(&report).contains(&code::FAILOVER_ROLE_DIFFERS.name()), "{report:?}");
    put_page(&sim, "uk", b"as it was");
    put_page(&sim, "us", b"written meanwhile");
    let back = toolkit(&sim).plan_failback(&shop(), &Control::silent()).await.unwrap();
    let applied = apply(&sim, &back).await;
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report);
    assert_home(&sim, "uk", "back home");
    assert_eq!(page(&sim, "uk").unwrap(), b"written meanwhile");
    assert_eq!(sim.tenure(&shop()).unwrap().epoch, Epoch(3));
    assert_eq!(standing(&sim, "us"), Some(Standing { role: Role::Standby, epoch: Epoch(3) }));
    let path = last_mirror_path("/var/lib/dr", &shop());
    let last = sim.file(&estate().hosts[&id("uk")].ssh, &path).expect("the mirror was written down on uk");
    assert_eq!(LastMirror::from_bytes(&last).unwrap().epoch, Epoch(2));
    let again = toolkit(&sim).plan_failback(&shop(), &Control::silent()).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Refused, "{again}");
}

#[tokio::test]
async fn a_guard_in_the_way_is_named() {
    type Spoil = fn(&SimWorld);
    let cases: &[(Spoil, GuardName)] = &[
        (|sim| mirrored(sim, 0), GuardName::MirrorFresh),
        (
            |sim| sim.put_sight(US.parse().unwrap(), Sight::Degraded { detail: "503".into() }),
            GuardName::StandbyHealthy,
        ),
        (|sim| sim.cut("203.0.113.0"), GuardName::DnsChangeable),
        (|sim| sim.cut("coordinator"), GuardName::Tenure),
        (
            |sim| {
                sim.put_tenure(&shop(), Tenure { epoch: Epoch(0), home: id("uk"), nonce: "restored".into() });
            },
            GuardName::Tenure,
        ),
        (|sim| sim.put_room(&us(), Room { bytes: (1 << 30) - 1, inodes: None }), GuardName::Disk),
        (|sim| sim.put_room(&us(), Room { bytes: 1 << 40, inodes: Some(3) }), GuardName::Disk),
        (
            |sim| {
                let held = HeldBack { why: "ann works on it: new disks".into() };
                sim.put_file(&us(), &held_path("/var/lib/dr", &shop()), &held.to_bytes());
            },
            GuardName::Maintenance,
        ),
        (|sim| sim.put_file(&us(), &held_path("/var/lib/dr", &shop()), b"garbage"), GuardName::Maintenance),
        (
            |sim| {
                // It answers nobody in time, TLS or not.
                sim.put_sight(US.parse().unwrap(), Sight::Unknown { detail: "no line".into() });
            },
            GuardName::Certificates,
        ),
    ];
    for (spoil, name) in cases {
        let sim = world();
        sim.advance(Duration::from_secs(25 * 3600 - 7200));
        spoil(&sim);
        sim.advance(Duration::from_secs(1));
        let error = plan(&sim).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
        assert!(error.message().contains(name.name()), "{error} does not name {name:?}");
        let report = toolkit(&sim).failover_status(&shop(), &Control::silent()).await.unwrap();
        assert!(codes(&report).iter().any(|code| code.starts_with("failover.")), "{report:?}");
    }
}

#[tokio::test]
async fn a_guard_is_overridden_only_by_name_and_with_a_reason_that_is_kept() {
    let sim = world();
    mirrored(&sim, 0);
    sim.advance(Duration::from_secs(30 * 3600));
    let other = [GuardName::StandbyHealthy].into();
    let options = |despite, why: Option<&str>| FailoverOptions {
        despite,
        why: why.map(str::to_owned),
        ..FailoverOptions::default()
    };
    let control = Control::silent();
    let why = Some("the copy is complete, I looked");
    assert!(toolkit(&sim).plan_failover(&shop(), &options(other, why), &control).await.is_err());
    let this = || [GuardName::MirrorFresh].into();
    let silent = toolkit(&sim).plan_failover(&shop(), &options(this(), None), &control).await.unwrap_err();
    assert_eq!(silent.kind(), ErrorKind::Usage, "no reason: {silent}");
    let plan = toolkit(&sim).plan_failover(&shop(), &options(this(), why), &control).await.unwrap();
    assert_eq!(plan.title, "fail over shop from uk to us, despite mirror-fresh");
    // It is kept with what every guard saw, and told to whoever asks afterwards.
    let toolkit = toolkit(&sim);
    let applied = toolkit.apply(&plan, "ann", &control).await.unwrap();
    assert_eq!(applied.outcome, Outcome::New);
    let request = AuditFailover { site: Some(shop()), verify: true };
    let audit = toolkit.failover_audit(&request).await.unwrap();
    assert_eq!(audit.report.unwrap().findings, []);
    let [only] = audit.moves.try_into().unwrap();
    let grounds = only.grounds.unwrap();
    assert_eq!((only.by.as_str(), grounds.why.as_deref(), only.sites), ("ann", why, vec![shop()]));
    assert!(grounds.guards.iter().any(|guard| guard.name == GuardName::MirrorFresh && !guard.passed));
    assert!(grounds.guards.iter().any(|guard| guard.name == GuardName::Ttl && guard.passed), "{grounds:?}");
    assert_eq!(grounds.despite, this());
    assert!(only.outcome.is_some() && only.lines.len() > 3);
    let elsewhere = AuditFailover { site: Some("blog".parse().unwrap()), verify: false };
    assert_eq!(toolkit.failover_audit(&elsewhere).await.unwrap().moves, []);
}

#[tokio::test]
async fn what_holds_back_moves_without_a_person_is_told_and_keeps_no_person_from_one() {
    let sim = world();
    let mut estate = estate();
    estate.sites.get_mut(&shop()).unwrap().failover = Some(dr_core::estate::Mode::Auto);
    let post = |text: &str| serde_json::from_str(text).unwrap();
    estate.observers.insert("nl".parse().unwrap(), post(r#"{"failure_domain": "nl"}"#));
    let world = sim.world();
    let held = world.coordinator.lease(&shop()).await.unwrap().unwrap();
    let moved = Lease { unacknowledged: true, beat: held.beat + 1, ..held.clone() };
    assert_eq!(world.coordinator.swap_lease(&shop(), Some(&held), &moved).await.unwrap(), LeaseSwap::Won);
    let toolkit = Toolkit::new(world, estate);
    let report = toolkit.failover_status(&shop(), &Control::silent()).await.unwrap();
    let said = [code::FAILOVER_NO_WARRANT.name(), code::FAILOVER_HELD_DOWN.name()];
    assert_eq!(codes(&report), said, "{report:?}");
    let plan = toolkit.plan_failover(&shop(), &FailoverOptions::default(), &Control::silent()).await.unwrap();
    let guards = plan.grounds.unwrap().guards;
    for name in [GuardName::HoldDown, GuardName::Quorum] {
        assert!(
            guards.iter().any(|guard| guard.name == name && !guard.passed),
            "kept for the audit: {guards:?}"
        );
    }
}

#[tokio::test]
async fn what_the_estate_does_not_have_is_said_so() {
    let sim = world();
    let control = Control::silent();
    let error = toolkit(&sim).failover_status(&"blog".parse().unwrap(), &control).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.advice(), Some("its sites: shop"));
    let mut estate = estate();
    estate.sites.get_mut(&shop()).unwrap().names.push("shop.example.com".parse().unwrap());
    let report = Toolkit::new(sim.world(), estate).failover_status(&shop(), &control).await.unwrap();
    assert_eq!(codes(&report), [code::FAILOVER_ZONE_UNKNOWN.name()]);
}

#[tokio::test]
async fn names_that_were_changed_by_hand_are_seen() {
    let sim = world();
    let (zone, owner): (_, dr_core::DnsName) =
        ("example.org".parse().unwrap(), "www.example.org".parse().unwrap());
    let set = RecordSet::new(owner.clone(), RecordType::A, 60, [US]);
    sim.put_records(&zone, &RecordKey::new(owner, RecordType::A), Some(set));
    let report = toolkit(&sim).failover_status(&shop(), &Control::silent()).await.unwrap();
    assert_eq!(codes(&report), [code::FAILOVER_NAMES_ELSEWHERE.name()]);
}

#[tokio::test]
async fn a_move_that_was_begun_and_not_ended_is_seen() {
    let sim = world();
    burn(&sim);
    let there = plan(&sim).await.unwrap();
    let (first, control) = (toolkit(&sim), Control::silent());
    sim.fault(sim.calls() + 20, Fault::CrashAfter);
    tokio::select! {
        applied = first.apply(&there, "test", &control) => panic!("it did not die: {applied:?}"),
        () = sim.died() => {}
    }
    let report = toolkit(&sim).failover_status(&shop(), &control).await.unwrap();
    let unfinished = report.findings.iter().find(|finding| finding.code == code::RUN_UNFINISHED);
    assert!(unfinished.unwrap().message.starts_with("fail over shop from uk to us was begun"), "{report:?}");
    let run = toolkit(&sim).runs().await.unwrap()[0].run;
    assert_eq!(toolkit(&sim).resume(run, "test", &control).await.unwrap().outcome, Outcome::New);
    let report = toolkit(&sim).failover_status(&shop(), &control).await.unwrap();
    assert!(!codes(&report).contains(&code::RUN_UNFINISHED.name()), "{report:?}");
}

#[tokio::test]
async fn a_silent_name_server_does_not_hold_up_the_others_and_is_named() {
    let sim = world();
    burn(&sim);
    sim.cut("203.0.113.4");
    let there = plan(&sim).await.unwrap();
    let applied = apply(&sim, &there).await;
    assert_eq!(applied.outcome, Outcome::NewDegraded);
    assert_home(&sim, "us", "one server silent");
    let said = format!("{:?}", applied.report.findings);
    assert!(said.contains("203.0.113.4"), "{said}");
}

#[tokio::test]
async fn somebody_who_was_faster_wins_and_nothing_is_left_behind() {
    let sim = world();
    burn(&sim);
    let there = plan(&sim).await.unwrap();
    let faster = plan(&sim).await.unwrap();
    assert_eq!(apply(&sim, &faster).await.outcome, Outcome::New);
    let before = sim.digest();
    let applied = apply(&sim, &there).await;
    assert_ne!(applied.outcome, Outcome::New, "{:?}", applied.report);
    assert_eq!(sim.digest(), before, "the loser changed something: {:?}", applied.report);
}

/// Applies the plan while this call goes wrong; after a crash, resumes until it is over.
async fn apply_with(sim: &SimWorld, plan: &Plan, call: u64, fault: Fault) -> Outcome {
    let control = Control::silent();
    let first = toolkit(sim);
    let earlier = first.runs().await.unwrap().len();
    sim.fault(sim.calls() + call, fault);
    let mut ended = tokio::select! {
        applied = first.apply(plan, "test", &control) => applied.map(|applied| (applied.run, applied.outcome)).ok(),
        () = sim.died() => None,
    };
    for _ in 0..3 {
        if let Some((_, outcome)) = ended.filter(|(_, outcome)| *outcome != Outcome::Stopped) {
            return outcome;
        }
        let next = toolkit(sim);
        // A crash before the plan was durable: nothing was begun.
        let runs = next.runs().await.unwrap();
        if runs.len() == earlier {
            return Outcome::Old;
        }
        let run = runs[0].run;
        let applied = next.resume(run, "test", &control).await.unwrap();
        ended = Some((applied.run, applied.outcome));
    }
    panic!("call {call}, {fault:?}: it never ended");
}

/// After a disaster: us holds the site in epoch 2, uk is back and believes that it is home.
async fn after_the_disaster() -> SimWorld {
    let sim = world();
    put_page(&sim, "uk", b"as it was");
    put_page(&sim, "us", b"as it was");
    burn(&sim);
    let there = plan(&sim).await.unwrap();
    assert_eq!(apply(&sim, &there).await.outcome, Outcome::New);
    rebuild(&sim);
    sim.advance(Duration::from_secs(60));
    put_page(&sim, "us", b"written meanwhile");
    sim
}

async fn plan_back(sim: &SimWorld) -> Plan {
    toolkit(sim).plan_failback(&shop(), &Control::silent()).await.unwrap()
}

/// How many calls it takes to apply this plan when nothing goes wrong.
async fn calls_of(sim: &SimWorld, plan: &Plan) -> u64 {
    let before = sim.calls();
    assert_eq!(apply(sim, plan).await.outcome, Outcome::New);
    sim.calls() - before
}

#[tokio::test]
async fn every_call_that_goes_wrong_ends_wholly_old_or_wholly_new() {
    let calls = {
        let sim = world();
        burn(&sim);
        calls_of(&sim, &plan(&sim).await.unwrap()).await
    };
    let (mut old, mut new) = (0, 0);
    for fault in Fault::all() {
        for call in 1..=calls {
            let sim = world();
            burn(&sim);
            let there = plan(&sim).await.unwrap();
            let context = format!("{fault:?} at call {call} of {calls}");
            match apply_with(&sim, &there, call, fault).await {
                Outcome::New | Outcome::NewDegraded => {
                    new += 1;
                    assert_home(&sim, "us", &context);
                }
                Outcome::Old => {
                    old += 1;
                    assert_home(&sim, "uk", &context);
                    let us = standing(&sim, "us").unwrap();
                    assert_eq!(us, Standing { role: Role::Standby, epoch: Epoch(1) }, "{context}");
                }
                Outcome::Stopped => panic!("{context}: stopped"),
            }
        }
    }
    assert!(new > old, "{new} ended new, {old} old");
}

#[tokio::test]
async fn every_call_that_goes_wrong_on_the_way_back_ends_wholly_old_or_wholly_new() {
    let calls = {
        let sim = after_the_disaster().await;
        let back = plan_back(&sim).await;
        calls_of(&sim, &back).await
    };
    // Whatever goes wrong, what visitors wrote is never lost.
    // A crash at every call; the rest, which the way there has had at every call, at some.
    for (fault, every) in [(Fault::CrashAfter, 1), (Fault::LoseReply, 7), (Fault::Refuse, 11)] {
        for call in (1..=calls).step_by(every) {
            let sim = after_the_disaster().await;
            let back = plan_back(&sim).await;
            let context = format!("{fault:?} at call {call} of {calls}");
            let outcome = apply_with(&sim, &back, call, fault).await;
            match outcome {
                Outcome::New | Outcome::NewDegraded => {
                    assert_home(&sim, "uk", &context);
                    assert_eq!(page(&sim, "uk").unwrap(), b"written meanwhile", "{context}");
                }
                Outcome::Old => assert_home(&sim, "us", &context),
                Outcome::Stopped => panic!("{context}: stopped"),
            }
            assert_eq!(page(&sim, "us").unwrap(), b"written meanwhile", "{context}");
        }
    }
}

#[tokio::test]
async fn a_move_that_ended_well_can_be_taken_back() {
    let sim = world();
    let there = plan(&sim).await.unwrap();
    let applied = apply(&sim, &there).await;
    assert_home(&sim, "us", "moved");
    let undone = toolkit(&sim).undo(applied.run, "test", &Control::silent()).await.unwrap();
    assert_eq!(undone.outcome, Outcome::Old, "{:?}", undone.report);
    assert_home(&sim, "uk", "taken back");
    assert_eq!(sim.tenure(&shop()).unwrap().epoch, Epoch(3), "an epoch never goes back");
    assert_eq!(standing(&sim, "us").unwrap().role, Role::Standby);
}
