//! What every resolver must do, asked of real servers of six kinds, of the embedded one and of the simulated world.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_cli::demo::embedded::nameserver::{Options, Role, ZoneText};
use dr_cli::demo::embedded::process::Service;
use dr_core::dns::{Answer, Question, Transport};
use dr_core::world::Resolver;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::{RecordKey, RecordSet, RecordType};
use dr_tests::{DnsLab, Port, Zone};

const ZONE: &str = "ask.test";
const WITHIN: Duration = Duration::from_secs(5);

/// A resolver, and a server that has the zone of these tests.
struct Subject {
    resolver: Arc<dyn Resolver>,
    server: SocketAddr,
    /// An address where no server is.
    nobody: SocketAddr,
    /// Whether the server says so when it does not have a zone, or says nothing.
    refuses: bool,
}

fn zone() -> Zone {
    Zone::new(ZONE).line("blog 60 IN CNAME www").line("many 60 IN A 192.0.2.2").line("many 60 IN A 192.0.2.1")
}

fn key(owner: &str, rtype: RecordType) -> RecordKey {
    RecordKey::new(owner.parse().unwrap(), rtype)
}

/// `make` gives a resolver and a server with [`zone`], whose name servers and serial are of no account.
async fn conformance_resolver<F: Future<Output = Subject>>(make: impl Fn() -> F) {
    let subject = make().await;
    let ask = async |owner: &str, rtype, transport| {
        let question = Question { key: key(owner, rtype), transport, recursive: false };
        subject.resolver.ask(subject.server, &question, WITHIN).await
    };
    let set = |owner: &str, ttl, rtype, data: &[&str]| Answer::Records {
        set: RecordSet::new(owner.parse().unwrap(), rtype, ttl, data.iter().copied()),
        authoritative: true,
    };
    use RecordType::{A, AAAA, CNAME, MX, SOA, TXT};
    for transport in [Transport::Udp, Transport::Tcp] {
        let many = ask("many.ask.test", A, transport).await;
        assert_eq!(many, set("many.ask.test", 60, A, &["192.0.2.1", "192.0.2.2"]), "a set has no order");
        assert_eq!(ask("WWW.Ask.test", A, transport).await, set("www.ask.test", 300, A, &["192.0.2.10"]));
        let mx = ask(ZONE, MX, transport).await;
        assert_eq!(mx, set(ZONE, 300, MX, &["10 mx1.ask.test", "20 mx2.ask.test"]));
        assert_eq!(ask(ZONE, TXT, transport).await, set(ZONE, 300, TXT, &["\"v=spf1 mx -all\""]));
        let Answer::Records { set: soa, authoritative: true } = ask(ZONE, SOA, transport).await else {
            panic!("no SOA record")
        };
        assert_eq!((soa.rtype, soa.rdata.len()), (SOA, 1));
        assert_eq!(ask("www.ask.test", AAAA, transport).await, Answer::NoData { authoritative: true });
        assert_eq!(ask("nope.ask.test", A, transport).await, Answer::NxDomain { authoritative: true });
        let alias = ask("blog.ask.test", A, transport).await;
        assert_eq!(alias, set("www.ask.test", 300, A, &["192.0.2.10"]), "aliases are followed in the answer");
        assert_eq!(
            ask("blog.ask.test", CNAME, transport).await,
            set("blog.ask.test", 60, CNAME, &["www.ask.test"])
        );
        let stranger = ask("www.stranger.example", A, transport).await;
        if subject.refuses {
            assert_eq!(stranger, Answer::Failed { rcode: "REFUSED".to_owned() });
        }
        assert!(
            !matches!(stranger, Answer::Records { .. } | Answer::NxDomain { authoritative: true }),
            "{stranger:?}"
        );
        let begun = Instant::now();
        let question = Question { key: key(ZONE, SOA), transport, recursive: false };
        let nobody = subject.resolver.ask(subject.nobody, &question, Duration::from_millis(300)).await;
        assert!(matches!(nobody, Answer::Silent | Answer::Unreachable { .. }), "{nobody:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn six_implementations() {
    let lab = DnsLab::start(&[zone()]);
    for server in lab.servers() {
        eprintln!("{}", server.name());
        // The answer of PowerDNS to a stranger is REFUSED too; all six are alike here.
        let nobody = Port::free();
        conformance_resolver(async || Subject {
            resolver: Arc::new(WireResolver::new()),
            server: server.addr(),
            nobody: nobody.addr(),
            refuses: true,
        })
        .await;
    }
}

#[tokio::test]
async fn the_embedded_server() {
    let zones = vec![ZoneText { origin: format!("{ZONE}."), text: zone().text() }];
    let role = Role::Primary { zones, secondaries: vec![] };
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = Options { name: "ns1".into(), listen, state: None, keys: vec![], role };
    let (ready, running) = options.start().await.unwrap();
    let nobody = Port::free();
    conformance_resolver(async || Subject {
        resolver: Arc::new(WireResolver::new()),
        server: ready.address,
        nobody: nobody.addr(),
        refuses: true,
    })
    .await;
    running.stop().await;
}

/// The zone of these tests as record sets, for a world without zone files.
fn record_sets() -> Vec<RecordSet> {
    use RecordType::{A, CNAME, MX, SOA, TXT};
    let set = |owner: &str, ttl, rtype, data: &[&str]| {
        RecordSet::new(owner.parse().unwrap(), rtype, ttl, data.iter().copied())
    };
    vec![
        set(ZONE, 300, SOA, &["ns1.ask.test hostmaster.ask.test 1 60 30 1209600 300"]),
        set(ZONE, 300, MX, &["10 mx1.ask.test", "20 mx2.ask.test"]),
        set(ZONE, 300, TXT, &["\"v=spf1 mx -all\""]),
        set("www.ask.test", 300, A, &["192.0.2.10"]),
        set("many.ask.test", 60, A, &["192.0.2.1", "192.0.2.2"]),
        set("blog.ask.test", 60, CNAME, &["www.ask.test"]),
    ]
}

#[tokio::test]
async fn the_simulated_world() {
    let sim = SimWorld::new();
    let [server, nobody] = ["192.0.2.53:53", "192.0.2.99:53"].map(|address| address.parse().unwrap());
    sim.put_zone(&ZONE.parse().unwrap(), server, &[], &record_sets());
    let resolver = || sim.world().resolver;
    conformance_resolver(async || Subject { resolver: resolver(), server, nobody, refuses: true }).await;
}
