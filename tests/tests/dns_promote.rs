//! A secondary in the primary's place, on real servers: by the configuration that dr writes, which their own tools check.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use dr_core::dns::{Software, Wish, ZoneSpec};
use dr_core::toolkit::{ChangeOptions, PromoteOptions, Promotion, Toolkit};
use dr_core::world::clock::SystemClock;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, World};
use dr_core::{ErrorKind, RecordSet, RecordType, Secret, ZoneName};
use dr_tests::bind::Notify;
use dr_tests::{Port, Server, Tsig, Zone, bind, configure, knot, nsd, pdns, soa_serial, wait_for};

const ZONES: [&str; 2] = ["shop.test", "blog.test"];

/// Real name servers; what is not DNS is simulated.
fn toolkit() -> Toolkit {
    let key = (Default::default(), Secret::new(Tsig::LAB.secret.to_owned()));
    let keys = BTreeMap::from([(Tsig::LAB.name.parse().unwrap(), key)]);
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        provider: Arc::new(Rfc2136::new(keys)),
        ..SimWorld::new().world()
    };
    Toolkit::new(world, Default::default())
}

struct Lab {
    primary: Server,
    secondaries: Vec<Server>,
}

impl Lab {
    fn start() -> Self {
        let ports: [Port; 4] = std::array::from_fn(|_| Port::free());
        let zones = ZONES.map(|name| Zone::new(name).ttl(1));
        let primary = bind::primary(Port::free(), &zones, &ports.each_ref().map(Port::addr), Notify::Tuned);
        let at = primary.addr();
        let [bind, knot, nsd, pdns] = ports;
        let secondaries = vec![
            bind::secondary(bind, &ZONES, at),
            knot::secondary(knot, &ZONES, at),
            nsd::secondary(nsd, &ZONES, at),
            pdns::secondary(pdns, &ZONES, at),
        ];
        let lab = Self { primary, secondaries };
        lab.wait();
        lab
    }

    /// Until every secondary has both zones.
    fn wait(&self) {
        for (server, zone) in self.secondaries.iter().flat_map(|server| ZONES.map(|zone| (server, zone))) {
            let what = format!("{zone} on {}", server.name());
            wait_for(&what, Duration::from_secs(60), || soa_serial(server.addr(), zone).ok());
        }
    }

    fn server(&self, name: &str) -> &Server {
        self.secondaries.iter().find(|server| server.name() == name).unwrap()
    }

    fn specs(&self, standby: &str) -> Vec<ZoneSpec> {
        let servers = std::iter::once(&self.primary).chain(&self.secondaries);
        let servers: Vec<dr_core::dns::Server> = servers
            .map(|server| dr_core::dns::Server { name: server.name().to_owned(), address: server.addr() })
            .collect();
        let spec = |zone: &str| ZoneSpec {
            primary: Some(self.primary.addr()),
            standby_primary: Some(self.server(standby).addr()),
            update_key: Some(Tsig::LAB.name.parse().unwrap()),
            ..ZoneSpec::new(zone.parse::<ZoneName>().unwrap(), servers.clone())
        };
        ZONES.map(spec).to_vec()
    }
}

async fn promotion(specs: &[ZoneSpec], options: &PromoteOptions) -> dr_core::Result<Promotion> {
    toolkit().plan_promotion(specs, options, &Control::silent()).await
}

fn found(promotion: &Promotion) -> Vec<String> {
    let findings = promotion.report.findings.iter();
    findings.map(|finding| format!("{} {}", finding.code, finding.subject.name)).collect()
}

/// Changes the address of `www`, and waits until every server of the zone shows it.
async fn changed(spec: ZoneSpec, address: &str) {
    let toolkit = toolkit();
    let www = RecordSet::new("www.shop.test".parse().unwrap(), RecordType::A, 1, [address]);
    let wishes = [(spec, vec![Wish::Have(www)])];
    let planned = toolkit.plan_change(&wishes, &ChangeOptions::default(), &Control::silent()).await.unwrap();
    let done = toolkit.apply(&planned.plan, "a test", &Control::silent()).await.unwrap();
    assert!(done.verified.is_some(), "{:#?}", done.report.findings);
}

/// The primary is lost, `name` becomes the primary, and the other three follow it.
async fn promoted(name: &str) {
    let lab = Lab::start();
    let specs = lab.specs(name);
    let installed = PromoteOptions { installed: true, ..PromoteOptions::default() };
    lab.primary.kill9();
    let written = promotion(&specs, &PromoteOptions::default()).await.unwrap();
    assert_eq!(
        found(&written),
        ["dns.server_silent bind-primary"],
        "here everybody is told from one address"
    );
    assert_eq!((written.configurations.len(), written.unknown.len()), (4, 0), "each says what it runs");
    assert_eq!(written.configurations[0].server, name);
    for written in &written.configurations {
        configure(lab.server(&written.server), &written.text);
    }
    lab.wait();
    let change = promotion(&specs, &installed).await.unwrap().change.unwrap();
    let done = toolkit().apply(&change.plan, "a test", &Control::silent()).await.unwrap();
    let verified = done.verified.unwrap_or_else(|| panic!("{name}: {:#?}", done.report.findings));
    assert_eq!((verified.servers().len(), verified.zones().len()), (4, 2));
    for server in &lab.secondaries {
        assert_eq!(soa_serial(server.addr(), "shop.test"), Ok(1001), "{}", server.name());
    }
    // It takes changes as the old one did.
    let spec = ZoneSpec {
        primary: Some(lab.server(name).addr()),
        servers: specs[0].servers[1..].to_vec(),
        ..specs[0].clone()
    };
    changed(spec, "198.51.100.7").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bind_secondary_becomes_the_primary() {
    promoted("bind-secondary").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_knot_secondary_becomes_the_primary() {
    promoted("knot").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_powerdns_secondary_becomes_the_primary() {
    promoted("pdns").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_would_follow_is_known_beforehand() {
    let lab = Lab::start();
    let mut specs = lab.specs("bind-secondary");
    // A server at another address of this machine: none of them knows it.
    let mut with_standby = |address: &str| {
        let away: dr_core::dns::Server = format!("away={address}").parse().unwrap();
        specs.iter_mut().for_each(|spec| {
            spec.servers.truncate(5);
            spec.servers.push(away.clone());
            spec.standby_primary = Some(away.address);
        });
        specs.clone()
    };
    let software = BTreeMap::from([("away".to_owned(), Software::Bind)]);
    let prepare = PromoteOptions { prepare: true, software, ..PromoteOptions::default() };
    let stranger = promotion(&with_standby("127.0.0.2:9"), &prepare).await.unwrap();
    let silent = ["dns.server_silent away".to_owned()];
    let refusals =
        ["bind-secondary", "knot", "nsd", "pdns"].map(|name| format!("dns.standby_not_followed {name}"));
    let mut all = found(&stranger);
    all.sort();
    assert_eq!(all, silent.iter().chain(&refusals).cloned().collect::<Vec<_>>());
    let elsewhere = promotion(&with_standby("192.0.2.77:53"), &prepare).await.unwrap();
    assert!(
        found(&elsewhere).contains(&"dns.standby_unproven shop.test".to_owned()),
        "{:?}",
        found(&elsewhere)
    );

    // The configuration that was written for that makes them follow, while the primary is still there.
    let ready = with_standby("127.0.0.2:9");
    for written in promotion(&ready, &prepare).await.unwrap().configurations.iter().skip(1) {
        configure(lab.server(&written.server), &written.text);
    }
    lab.wait();
    let prepared = promotion(&ready, &prepare).await.unwrap();
    assert_eq!(found(&prepared), silent, "all of them take it from {:?} now", IpAddr::from([127, 0, 0, 2]));
    // They still follow the primary.
    changed(ZoneSpec { servers: ready[0].servers[..5].to_vec(), ..ready[0].clone() }, "198.51.100.7").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_fit_is_refused() {
    let lab = Lab::start();
    let specs = lab.specs("knot");
    let installed = PromoteOptions { installed: true, ..PromoteOptions::default() };
    // Nobody installed anything: it takes no changes.
    let change = promotion(&specs, &installed).await.unwrap().change.unwrap();
    let done = toolkit().apply(&change.plan, "a test", &Control::silent()).await.unwrap();
    assert!(done.verified.is_none(), "{:#?}", done.lines);
    assert_eq!(soa_serial(lab.server("knot").addr(), "shop.test"), Ok(1));
    // Another one has the newer version.
    lab.server("knot").freeze();
    let mut spec = specs[0].clone();
    spec.servers.retain(|server| server.name != "knot");
    changed(spec, "198.51.100.9").await;
    lab.primary.kill9();
    lab.server("knot").thaw();
    let behind = || soa_serial(lab.server("knot").addr(), "shop.test").ok().filter(|serial| *serial == 1);
    wait_for("Knot's old version", Duration::from_secs(20), behind);
    let refused = promotion(&specs, &installed).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Refused, "{refused}");
    assert!(refused.to_string().contains("ahead"), "{refused}");
}
