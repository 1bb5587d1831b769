//! Zones asked about everything: six real name servers, and servers that were made to have one fault each.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::sync::Arc;

use dr_core::Secret;
use dr_core::dns::{Server, Thresholds, ZoneFacts, ZoneSpec, judge};
use dr_core::estate::TsigAlgorithm;
use dr_core::toolkit::Toolkit;
use dr_core::world::clock::SystemClock;
use dr_core::world::providers::rfc2136::Rfc2136;
use dr_core::world::resolver::WireResolver;
use dr_core::world::sim::SimWorld;
use dr_core::world::{Control, World};
use dr_tests::bind::Notify;
use dr_tests::{DnsLab, Port, Tsig, Zone};

/// The real resolver; what is not DNS is simulated.
fn toolkit() -> Toolkit {
    let world = World {
        clock: Arc::new(SystemClock::new()),
        resolver: Arc::new(WireResolver::new()),
        ..SimWorld::new().world()
    };
    Toolkit::new(world, Default::default())
}

fn found(facts: &ZoneFacts) -> Vec<String> {
    let report = judge(facts, &Thresholds::default());
    report.findings.iter().map(|finding| format!("{} {}", finding.code, finding.subject.name)).collect()
}

fn named(server: &dr_tests::Server) -> Server {
    Server { name: server.name().to_owned(), address: server.addr() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn six_servers_are_asked_everything() {
    let zone = Zone::new("full.test").line("hidden 60 IN TXT \"only a transfer shows it\"");
    let lab = DnsLab::start(&[zone]);
    let spec = ZoneSpec::new("full.test".parse().unwrap(), lab.servers().iter().map(named).collect());
    let facts = toolkit().zone_facts(&spec, &Control::silent()).await.unwrap();
    // All six say which version they are, and may be transferred from here; all their names are one address of this machine.
    let each = |code: &str| {
        spec.servers.iter().map(move |server| format!("{code} {}", server.name)).collect::<Vec<_>>()
    };
    let mut expected = each("dns.transfer_open");
    expected.extend(each("dns.version_revealed"));
    expected.push("dns.servers_share_address full.test".to_owned());
    expected.extend((0..6).map(|_| "dns.address_not_public full.test".to_owned()));
    assert_eq!(found(&facts), expected);
    // A name that only the transfer told is compared on all of them.
    let hidden = |fact: &&dr_core::dns::Fact| fact.question.key.to_string() == "hidden.full.test TXT";
    assert_eq!(facts.facts.iter().filter(hidden).count(), 6);
    let replayed: ZoneFacts = serde_json::from_str(&serde_json::to_string(&facts).unwrap()).unwrap();
    assert_eq!((found(&replayed), replayed), (expected, facts));

    lab.set_address_on_pdns_only("mx2.full.test", std::net::Ipv4Addr::new(203, 0, 113, 66));
    let facts = toolkit().zone_facts(&spec, &Control::silent()).await.unwrap();
    let report = judge(&facts, &Thresholds::default());
    let lie = report.findings.iter().find(|finding| finding.code.name() == "dns.record_set_differs").unwrap();
    assert_eq!(
        (lie.evidence["record_set"].as_str(), lie.evidence["pdns"].as_str()),
        ("mx2.full.test A", "203.0.113.66")
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zone_that_only_the_key_opens_is_compared_whole() {
    let zone = Zone::new("keyed.test").name_servers(1).line("hidden 60 IN TXT \"only a transfer shows it\"");
    let server = dr_tests::knot::primary(Port::free(), &[zone]);
    let asked = async |secret: &str| {
        let secret = (TsigAlgorithm::HmacSha256, Secret::new(secret.to_owned()));
        let keys = BTreeMap::from([(Tsig::LAB.name.parse().unwrap(), secret)]);
        let world = World { provider: Arc::new(Rfc2136::new(keys)), ..toolkit().world };
        let mut spec = ZoneSpec::new("keyed.test".parse().unwrap(), vec![named(&server)]);
        spec.transfer_key = Some(Tsig::LAB.name.parse().unwrap());
        Toolkit::new(world, Default::default()).zone_facts(&spec, &Control::silent()).await.unwrap()
    };
    let hidden = |facts: &ZoneFacts| {
        facts.facts.iter().any(|fact| fact.question.key.owner.as_str() == "hidden.keyed.test")
    };
    let told = |facts: &ZoneFacts| found(facts).iter().any(|found| found == "dns.transfer_fails knot");
    let whole = asked(Tsig::LAB.secret).await;
    assert_eq!((hidden(&whole), told(&whole)), (true, false), "{:?}", found(&whole));
    let shut = asked("b3RoZXIgc2VjcmV0cyBvZiB0aGUgbGFiIGFyZSBub3Q=").await;
    assert_eq!((hidden(&shut), told(&shut)), (false, true), "{:?}", found(&shut));
}

const WWW_PRINT: &str =
    "www 300 IN SSHFP 4 2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const UK_PRINTS: [&str; 2] = [
    "uk 300 IN SSHFP 4 2 aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "uk 300 IN SSHFP 4 2 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_in_a_zone_of_a_real_server() {
    for (lines, code) in [
        (&["@ 300 IN MX 30 nowhere"][..], "dns.mx_without_address"),
        (&["alias 300 IN CNAME www", "@ 300 IN MX 30 alias"], "dns.mx_is_alias"),
        (&["@ 300 IN MX 0 ."], "dns.mx_null_mixed"),
        (&["@ 300 IN TXT \"v=spf1 a -all\""], "dns.spf_broken"),
        (&["* 300 IN A 192.0.2.10"], "dns.wildcard"),
        (&["@ 300 IN CAA 0 issue \"ca.example.net\""], "dns.caa_excludes"),
        (&[WWW_PRINT], "keys.sshfp_moves"),
        (&UK_PRINTS, "keys.sshfp_twice"),
        (&["moved 300 IN NS ns.elsewhere.test."], ""),
    ] {
        let zone = lines.iter().fold(Zone::new("fault.test").name_servers(0), |zone, line| zone.line(line));
        let zone = zone.line("@ 300 IN NS ns1.example.net.").line("@ 300 IN NS ns2.example.net.");
        let server = dr_tests::bind::primary(Port::free(), &[zone], &[], Notify::Tuned);
        let mut spec = ZoneSpec::new("fault.test".parse().unwrap(), vec![named(&server)]);
        spec.issuers = vec!["letsencrypt.org".to_owned()];
        let facts = toolkit().zone_facts(&spec, &Control::silent()).await.unwrap();
        let mut found: Vec<String> = found(&facts);
        // ns1 in the SOA record is not there in a zone without name servers of its own; the rest is BIND's as the lab has it.
        let usual = ["dns.transfer_open", "dns.version_revealed", "dns.mname_without_address"];
        let count = found.len();
        found.retain(|found| !usual.iter().any(|usual| found.starts_with(usual)));
        assert_eq!(
            count - found.len(),
            usual.len() - usize::from(code == "dns.wildcard"),
            "{lines:?}: {found:?}"
        );
        let expected: Vec<String> =
            [code].iter().filter(|code| !code.is_empty()).map(|c| format!("{c} fault.test")).collect();
        assert_eq!(found, expected, "{lines:?}");
    }
}
