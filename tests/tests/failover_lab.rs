//! The whole story on real servers: two nginx, two sshd, a BIND primary and five secondaries of five kinds. The site is mirrored,
//! its home dies without warning, three observers agree, it is moved, and it comes home with what was written in between.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_core::estate::{Health, Host, NameServer, ProbeSpec, Site, TsigAlgorithm, Zone as EstateZone};
use dr_core::failover::{Decision, Mode, Observer, Panel, Picture, Received, Verdict, Vote, decide};
use dr_core::plan::Step;
use dr_core::report::code;
use dr_core::run::{Direction, Event, Outcome};
use dr_core::toolkit::{Applied, FailoverOptions, Toolkit, Watch};
use dr_core::world::clock::SystemClock;
use dr_core::world::coordinator::dns::DnsCoordinator;
use dr_core::world::endpoints::SystemEndpoints;
use dr_core::world::journal::SqliteJournal;
use dr_core::world::probes::NetProbe;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::resolver::WireResolver;
use dr_core::world::ssh::{Access, Connector, SshShell};
use dr_core::world::{Clock, Control, Provider, World};
use dr_core::{Estate, HostId, Secret, SiteId};
use dr_tests::{DnsLab, Nginx, Port, Sshd, Tsig, Zone, addresses, http_get, wait_for};
use tempfile::TempDir;

const ZONE: &str = "shop.test";
const WWW: &str = "www.shop.test";
const UK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const US: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const OPERATOR: &str = "the failover test";

/// One of the two servers: what serves the site, and how it is logged into.
struct Machine {
    www: TempDir,
    nginx: Nginx,
    sshd: Sshd,
}

impl Machine {
    fn start(address: SocketAddr, key: &str) -> Self {
        let www = tempfile::tempdir().unwrap();
        let site = dr_tests::Site::new(WWW, www.path()).alias(ZONE);
        let (nginx, sshd) = (Nginx::also_at(address, &[site]), Sshd::start());
        sshd.authorize(key);
        Self { www, nginx, sshd }
    }

    fn host(&self, address: Ipv4Addr, identity: &Path) -> Host {
        let remote = format!("ssh://{}@{}", self.sshd.user(), self.sshd.addr()).parse().unwrap();
        Host {
            host_keys: vec![self.sshd.host_key().to_owned()],
            addresses: vec![address.into()],
            identity: Some(identity.to_owned()),
            ..Host::new(remote)
        }
    }

    fn write(&self, page: &str, content: &str) {
        std::fs::write(self.www.path().join(page), content).unwrap();
    }

    /// Without warning: the web server and the way in.
    fn burn(&self) {
        self.nginx.kill9();
        self.sshd.kill9();
    }

    /// Everything still takes connections, and nothing ever answers.
    fn hang(&self) {
        self.nginx.freeze();
        self.sshd.freeze();
    }
}

struct Stage {
    uk: Machine,
    us: Machine,
    dns: DnsLab,
    desk: TempDir,
    /// Both web servers have this port, as two hosts would.
    port: Port,
}

impl Stage {
    fn start() -> Self {
        let desk = tempfile::tempdir().unwrap();
        let identity = desk.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&identity).status();
        assert!(made.expect("ssh-keygen").success());
        let key = std::fs::read_to_string(identity.with_extension("pub")).unwrap();
        let port = Port::free();
        let at = |address: Ipv4Addr| SocketAddr::from((address, port.number()));
        let (uk, us) = (Machine::start(at(UK), &key), Machine::start(at(US), &key));
        uk.write("index.html", "<h1>Shop</h1>\n");
        uk.write("style.css", "h1 { color: teal }\n");
        let dns = DnsLab::start(&[Zone::new(ZONE).web(UK).ttl(2)]);
        Self { uk, us, dns, desk, port }
    }

    fn probe(&self) -> ProbeSpec {
        ProbeSpec::Http {
            host: WWW.parse().unwrap(),
            path: "/".into(),
            port: self.port.number(),
            status: 200,
            contains: Some("Shop".into()),
        }
    }

    fn estate(&self) -> Estate {
        let identity = self.desk.path().join("key");
        let mut estate = Estate::default();
        estate.hosts.insert(id("uk"), self.uk.host(UK, &identity));
        estate.hosts.insert(id("us"), self.us.host(US, &identity));
        let mut site = Site::new(id("uk"), id("us"));
        site.names = vec![ZONE.parse().unwrap(), WWW.parse().unwrap()];
        site.probes = vec![self.probe()];
        site.trees = vec![dr_core::estate::Tree {
            path: self.uk.www.path().to_str().unwrap().to_owned(),
            on_standby: Some(self.us.www.path().to_str().unwrap().to_owned()),
        }];
        estate.sites.insert(shop(), site);
        let mut zone = EstateZone::new("ns0".parse().unwrap());
        zone.servers.clear();
        for (number, address) in self.dns.addrs().into_iter().enumerate() {
            let id: dr_core::NameServerId = format!("ns{number}").parse().unwrap();
            estate.name_servers.insert(id.clone(), NameServer { address, name: None });
            zone.servers.push(id);
        }
        zone.update_key = Some(Tsig::LAB.name.parse().unwrap());
        estate.zones.insert(ZONE.parse().unwrap(), zone);
        estate
    }

    fn toolkit(&self) -> Toolkit {
        let estate = self.estate();
        let mut access = Access { connect_timeout: Duration::from_secs(2), ..Access::default() };
        access.identities = vec![self.desk.path().join("key")];
        for host in estate.hosts.values() {
            access.pins.insert(host.ssh.known_hosts_name(), host.host_keys.clone());
        }
        let secret = (TsigAlgorithm::HmacSha256, Secret::new(Tsig::LAB.secret.to_owned()));
        let keys = BTreeMap::from([(Tsig::LAB.name.parse().unwrap(), secret)]);
        let provider: Arc<dyn Provider> = Arc::new(Rfc2136::new(keys));
        let connector = Connector::new(access);
        let world = World {
            clock: Arc::new(SystemClock::new()),
            resolver: Arc::new(WireResolver::new()),
            coordinator: Arc::new(DnsCoordinator::from_estate(provider.clone(), &estate).unwrap()),
            provider,
            endpoints: Arc::new(SystemEndpoints::new(connector.clone())),
            probe: Arc::new(NetProbe::new()),
            shell: Arc::new(SshShell::new(connector)),
            journal: Arc::new(SqliteJournal::open(&self.desk.path().join("journal.db")).unwrap()),
        };
        Toolkit::new(world, estate)
    }

    /// What a visitor who asks this host gets.
    fn page(&self, host: Ipv4Addr, page: &str) -> String {
        let (status, body) = http_get(SocketAddr::from((host, self.port.number())), WWW, page).unwrap();
        assert_eq!(status, 200, "{page} on {host}");
        String::from_utf8(body).unwrap()
    }

    fn assert_everybody_says(&self, address: Ipv4Addr) {
        for server in self.dns.servers() {
            for name in [ZONE, WWW] {
                assert_eq!(addresses(server.addr(), name), Ok(vec![address]), "{name} on {}", server.name());
            }
        }
    }
}

fn shop() -> SiteId {
    "shop".parse().unwrap()
}

fn id(host: &str) -> HostId {
    host.parse().unwrap()
}

/// Three observers in three places watch uk, and one decider counts: when the first was sure, and when it was decided.
async fn decide_by_quorum(stage: &Stage, burn: impl FnOnce()) -> (Duration, Duration, String) {
    let (control, clock) = (Control::silent(), SystemClock::new());
    let (send, mut votes) = tokio::sync::mpsc::unbounded_channel::<Vote>();
    let places = [("uk-2", "uk"), ("us-2", "us"), ("nl-1", "nl")];
    let thresholds = Health::default();
    let primary = stage.dns.primary().addr();
    let mut observers = tokio::task::JoinSet::new();
    for (observer, _) in places {
        let (toolkit, control, send) = (stage.toolkit(), control.clone(), send.clone());
        let watch = Watch {
            observer: observer.parse().unwrap(),
            address: IpAddr::V4(UK),
            probe: stage.probe(),
            anchors: vec![(primary.ip(), ProbeSpec::Tcp { port: primary.port() })],
            thresholds: thresholds.clone(),
        };
        observers.spawn(async move {
            let on_vote = |vote: &Vote, _: &dr_core::failover::Health| drop(send.send(vote.clone()));
            toolkit.watch(&watch, &control, on_vote).await.unwrap();
        });
    }
    let observer =
        |(id, domain): (&str, &str)| Observer { id: id.parse().unwrap(), failure_domain: domain.into() };
    let mut picture = Picture::new(Panel::new(places.map(observer).to_vec()).unwrap(), Mode::Auto);
    let (mut burn, mut burnt, mut sure) = (Some(burn), None::<Instant>, None);
    let why = loop {
        let vote = tokio::time::timeout(Duration::from_secs(60), votes.recv()).await.expect("votes").unwrap();
        if matches!(vote.verdict, Verdict::Down { .. }) {
            sure.get_or_insert_with(|| burnt.expect("it was up").elapsed());
        }
        picture.votes.retain(|old| old.vote.observer != vote.observer);
        picture.votes.push(Received { vote, at: clock.read().boot });
        match decide(&picture, clock.read().boot) {
            Decision::Move { why } => break why,
            Decision::Stay { .. } => {}
            other => panic!("{other:?}"),
        }
        // Only once all three have seen it up: what is measured is the fall, not the start.
        let all_up =
            picture.votes.len() == 3 && picture.votes.iter().all(|vote| vote.vote.verdict == Verdict::Up);
        if all_up && let Some(burn) = burn.take() {
            burn();
            burnt = Some(Instant::now());
        }
    };
    let decided = burnt.unwrap().elapsed();
    control.cancel.cancel();
    observers.join_all().await;
    (sure.unwrap(), decided, why)
}

async fn apply(toolkit: &Toolkit, plan: &dr_core::Plan) -> Applied {
    toolkit.apply(plan, OPERATOR, &Control::silent()).await.unwrap()
}

/// Mirrored, and all well.
async fn mirrored(stage: &Stage, toolkit: &Toolkit) {
    let mirror = toolkit.plan_mirror_site(&shop(), &Control::silent()).await.unwrap();
    assert_eq!(apply(toolkit, &mirror.plan).await.outcome, Outcome::New);
    assert_eq!(stage.page(US, "/style.css"), stage.page(UK, "/style.css"));
    let report = toolkit.failover_status(&shop(), &Control::silent()).await.unwrap();
    assert!(report.findings.is_empty(), "{:?}", report.findings);
}

/// How long after the beginning of the run its last step of this sort was done.
fn done_after(applied: &Applied, plan: &dr_core::Plan, is_it: fn(&Step) -> bool) -> Duration {
    let number = plan.steps.iter().rposition(|planned| is_it(&planned.step)).unwrap();
    let line = applied
        .lines
        .iter()
        .find(|line| matches!(line.event, Event::StepDone { step, direction: Direction::Forward, .. } if step == number));
    line.expect("it was done").at.since(applied.lines[0].at)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_burns_the_site_moves_and_comes_home() {
    let stage = Stage::start();
    let (toolkit, control) = (stage.toolkit(), Control::silent());

    mirrored(&stage, &toolkit).await;

    let (sure, decided, why) = decide_by_quorum(&stage, || stage.uk.burn()).await;
    assert!(why.contains("connection refused"), "{why}");
    let begun = Instant::now();
    let plan = toolkit.plan_failover(&shop(), &FailoverOptions::default(), &control).await.unwrap();
    let planned = begun.elapsed();
    let applied = apply(&toolkit, &plan).await;
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report);
    stage.assert_everybody_says(US);
    assert_eq!(stage.page(US, "/"), "<h1>Shop</h1>\n");
    let switched = done_after(&applied, &plan, |step| matches!(step, Step::ChangeZone(_)));
    let agreed = done_after(&applied, &plan, |step| matches!(step, Step::AwaitAgreement(_)));
    println!(
        "first observer sure {sure:?}, decided {decided:?}, planned in {planned:?}, primary changed {switched:?} into the \
         run, all six agree {agreed:?}; kill -9 to changed {:?}",
        decided + planned + switched
    );
    let report = toolkit.failover_status(&shop(), &control).await.unwrap();
    let codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    assert!(
        codes.contains(&code::HOST_UNREACHABLE) && codes.contains(&code::FAILOVER_STANDBY_UNHEALTHY),
        "{codes:?}"
    );

    // Visitors write while uk is away; uk comes back as it was, believing that it is home.
    stage.us.write("order.html", "<p>one teapot</p>\n");
    let early = toolkit.plan_failback(&shop(), &control).await.unwrap_err();
    assert_eq!(early.kind(), dr_core::ErrorKind::Refused, "{early}");
    stage.uk.nginx.restart();
    stage.uk.sshd.restart();
    wait_for("uk to answer", Duration::from_secs(20), || {
        http_get(SocketAddr::from((UK, stage.port.number())), WWW, "/").ok()
    });
    let plan = toolkit.plan_failback(&shop(), &control).await.unwrap();
    let applied = apply(&toolkit, &plan).await;
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report);
    stage.assert_everybody_says(UK);
    assert_eq!(stage.page(UK, "/order.html"), "<p>one teapot</p>\n");
    let report = toolkit.failover_status(&shop(), &control).await.unwrap();
    // us was mirrored in the first place, so all guards pass again.
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    assert_eq!(report.figures["shop.epoch"], 3);
    let audit = toolkit.audit().await.unwrap();
    assert!(audit.findings.is_empty(), "{:?}", audit.findings);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_home_hangs_the_site_moves_and_the_one_that_wakes_up_can_do_no_harm() {
    let stage = Stage::start();
    let (toolkit, control) = (stage.toolkit(), Control::silent());
    mirrored(&stage, &toolkit).await;

    let (sure, decided, why) = decide_by_quorum(&stage, || stage.uk.hang()).await;
    assert!(why.contains("no answer in time"), "{why}");
    let begun = Instant::now();
    let plan = toolkit.plan_failover(&shop(), &FailoverOptions::default(), &control).await.unwrap();
    let planned = begun.elapsed();
    let applied = apply(&toolkit, &plan).await;
    assert_eq!(applied.outcome, Outcome::New, "{:?}", applied.report);
    stage.assert_everybody_says(US);
    let switched = done_after(&applied, &plan, |step| matches!(step, Step::ChangeZone(_)));
    println!(
        "hung: first observer sure {sure:?}, decided {decided:?}, planned in {planned:?}, primary changed {switched:?} into \
         the run; hang to changed {:?}",
        decided + planned + switched
    );

    // It wakes up, believes that it is home, and goes on mirroring as it did every night.
    stage.uk.nginx.thaw();
    stage.uk.sshd.thaw();
    stage.us.write("order.html", "<p>one teapot</p>\n");
    stage.uk.write("index.html", "<h1>Shop, as it was</h1>\n");
    let estate = stage.estate();
    let tree = |host: &str, machine: &Machine| {
        let path = machine.www.path().to_str().unwrap().to_owned();
        dr_core::Location::Remote { remote: estate.hosts[&id(host)].ssh.clone(), path }
    };
    let (from, to) = (tree("uk", &stage.uk), tree("us", &stage.us));
    let options = dr_core::mirror::Options::default();
    let nightly =
        toolkit.plan_mirror(&from, &to, &options, Some((&shop(), dr_core::Epoch(1))), &control).await;
    assert_eq!(nightly.unwrap_err().kind(), dr_core::ErrorKind::Refused);
    // Made before the move and applied after it, it is refused when it lands.
    let mut made_before = toolkit.plan_mirror(&from, &to, &options, None, &control).await.unwrap().plan;
    for planned in &mut made_before.steps {
        let Step::Mirror(transfer) = &mut planned.step else { continue };
        transfer.site = Some(shop());
        transfer.epoch = Some(dr_core::Epoch(1));
        let state_dir = &estate.hosts[&id("us")].state_dir;
        transfer.standing = Some(dr_core::failover::standing_path(state_dir, &shop()));
    }
    let applied = apply(&toolkit, &made_before).await;
    assert_ne!(applied.outcome, Outcome::New, "{:?}", applied.report);
    assert_eq!(stage.page(US, "/order.html"), "<p>one teapot</p>\n");
    assert_eq!(stage.page(US, "/"), "<h1>Shop</h1>\n");
    // The other way round is what the coordinator says, and uk does not let it in before it has stepped down.
    let site_mirror = toolkit.plan_mirror_site(&shop(), &control).await;
    assert_eq!(site_mirror.unwrap_err().kind(), dr_core::ErrorKind::Refused);
}
