//! Estates from text: every mistake at once, at its place, and nothing lost on the way there and back.
#![allow(clippy::panic, clippy::unwrap_used, reason = "what fails here fails the test")]

use dr_core::estate::{
    Anchor, Certified, Coordinator, Estate, FailoverPolicy, Health, Host, MaxDelete, Mirrors, Mode,
    NameServer, Notify, ObserverPost, Policy, ProbeSpec, Site, Times, Tree, TsigAlgorithm, TsigKey, Zone,
};
use dr_core::{Error, ErrorKind, Period, RecordKey, RecordSet, RecordType, Severity};
use proptest::prelude::*;

/// A sound estate; the cases below break it.
const SOUND: &str = r#"
[hosts.uk]
ssh = "root@uk.example.net"
addresses = ["192.0.2.10", "2001:db8::10"]
host_keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEkTLfoEkcZHJuXnL8oFwuLh4BHLpqj2qIdXM0VY9Vrs uk"]
[hosts.us]
ssh = "root@us.example.net:2222"
addresses = ["198.51.100.20"]

[sites.shop]
home = "uk"
standby = "us"
names = ["www.example.org"]
trees = [{ path = "/var/www/shop" }]
probes = [{ http = { host = "www.example.org" } }]

[zones."example.org"]
primary = "ns1"
servers = ["ns1", "ns2"]
update_key = "dr-update"

[name_servers]
ns1 = { address = "192.0.2.53" }
ns2 = { address = "198.51.100.53:53", name = "ns2.example.org" }

[tsig_keys.dr-update]
secret_file = "/etc/dr/update.key"

[policy]
rpo = "1h"
"#;

#[test]
fn a_sound_estate_is_read_in_full() {
    let estate = Estate::from_toml(SOUND).unwrap();
    assert_eq!(estate.hosts[&"us".parse().unwrap()].ssh.port, 2222);
    assert_eq!(estate.sites[&"shop".parse().unwrap()].trees, [Tree::same("/var/www/shop")]);
    assert_eq!(estate.policy, Policy { rpo: Period::from_secs(3600), ..Policy::default() });
    assert_eq!(estate.check(), Ok(()));
}

/// Replaces `old` in the sound estate, and expects exactly these lines.
fn check(old: &str, new: &str, expected: &[&str]) {
    assert!(SOUND.contains(old), "{old}");
    let mistakes = match Estate::from_toml(&SOUND.replacen(old, new, 1)) {
        Ok(_) => String::new(),
        Err(mistakes) => mistakes.to_string(),
    };
    assert_eq!(mistakes.lines().collect::<Vec<_>>(), expected, "{old} -> {new}");
}

#[test]
fn mistakes_of_form_are_found_with_place_and_suggestion() {
    check(
        "addresses = [\"198",
        "adress = [\"198",
        &["8:1: hosts.us.adress: unknown key; did you mean 'addresses'?"],
    );
    check("home = \"uk\"\n", "", &["10:8: sites.shop.home: missing key"]);
    check("home = \"uk\"", "home = 7", &["11:8: sites.shop.home: expected a text, found a whole number"]);
    check(
        "\"192.0.2.10\"",
        "\"192.0.2.300\"",
        &["4:14: hosts.uk.addresses[0]: '192.0.2.300' is no address such as 192.0.2.1 or 2001:db8::1"],
    );
    check("rpo = \"1h\"", "rpo = 3600", &["30:7: policy.rpo: expected a text, found a whole number"]);
    check(
        "rpo = \"1h\"",
        "fail_on = \"critcal\"",
        &[
            "30:11: policy.fail_on: 'critcal' is none of info, notice, warning, error, critical; did you mean 'critical'?",
        ],
    );
    check(
        "rpo = \"1h\"",
        "max_delete = { percent = 101, files = -1 }",
        &[
            "30:26: policy.max_delete.percent: 101 percent is more than all of it",
            "30:39: policy.max_delete.files: -1 is not between 0 and 18446744073709551615",
        ],
    );
    check(
        "[{ http = { host = \"www.example.org\" } }]",
        "[{ ping = {} }, { tcp = { port = 99999 } }]",
        &[
            "15:11: sites.shop.probes[0]: a probe has exactly one of the keys tcp, http, https, tls, dns, smtp, imap and ssh",
            "15:43: sites.shop.probes[1].tcp.port: 99999 is not between 0 and 65535",
        ],
    );
    check("[policy]", "[policy", &["29:8: no TOML: unclosed table, expected `]`"]);
}

#[test]
fn mistakes_of_sense_are_found_with_place_and_suggestion() {
    check(
        "home = \"uk\"",
        "home = \"ukk\"",
        &["11:8: sites.shop.home: there is no host 'ukk'; did you mean 'uk'?"],
    );
    check(
        "standby = \"us\"",
        "standby = \"uk\"",
        &["12:11: sites.shop.standby: home and standby are the same host: there is nowhere to go"],
    );
    check(
        "addresses = [\"198.51.100.20\"]\n",
        "",
        &["6:8: hosts.us.addresses: none given, yet failover of 'shop' writes them into DNS"],
    );
    check(
        "\"198.51.100.20\"",
        "\"192.0.2.10\"",
        &["8:14: hosts.us.addresses[0]: 192.0.2.10 stands above already; an address belongs to one host"],
    );
    check(
        "AAAAC3NzaC1lZDI1NTE5",
        "AAAAC3NzaC1yc2ExMTEx",
        &[
            "5:14: hosts.uk.host_keys[0]: no public key as in a .pub file (ssh-ed25519 AAAA…): it is not a key of its type",
        ],
    );
    check(
        "[\"www.example.org\"]",
        "[\"www.example.net\", \"www.example.net\"]",
        &[
            "13:10: sites.shop.names[0]: www.example.net is in no zone of the estate, so failover cannot move it",
            "13:29: sites.shop.names[1]: www.example.net stands twice",
        ],
    );
}

#[test]
fn mistakes_between_the_parts_are_found_with_place_and_suggestion() {
    check(
        "[\"ns1\", \"ns2\"]",
        "[\"ns1\", \"ns1\", \"ns22\"]",
        &[
            "19:19: zones.\"example.org\".servers[1]: ns1 stands twice",
            "19:26: zones.\"example.org\".servers[2]: there is no name server 'ns22'; did you mean 'ns2'?",
        ],
    );
    check(
        "update_key = \"dr-update\"",
        "update_key = \"dr\"",
        &["20:14: zones.\"example.org\".update_key: there is no TSIG key 'dr'; did you mean 'dr-update'?"],
    );
    check("update_key = \"dr-update\"", "update_key = \"dr-update.\"", &[]);
    check("[tsig_keys.dr-update]", "[tsig_keys.\"dr-update.\"]", &[]);
    check(
        "\"198.51.100.53:53\"",
        "\"192.0.2.53:53\"",
        &["24:19: name_servers.ns2.address: 'ns1' has the address 192.0.2.53:53 too"],
    );
    check(
        "rpo = \"1h\"",
        "severity = { \"dns.server_silnt\" = \"notice\" }",
        &[
            "30:14: policy.severity.\"dns.server_silnt\": no finding has this code (docs/findings.md lists them); did you mean 'dns.server_silent'?",
        ],
    );
    check(
        "rpo = \"1h\"",
        "health = { fall = 0, rise = 0, timeout = \"0s\" }",
        &[
            "30:19: policy.health.fall: at least one look is needed to tell",
            "30:29: policy.health.rise: at least one look is needed to tell",
            "30:42: policy.health.timeout: it must be longer than no time at all",
        ],
    );
    check(
        "rpo = \"1h\"",
        "health = { timeout = \"10m\" }",
        &[
            "30:22: policy.health.timeout: interval + fall × (timeout + confirm_interval) is 30m 1s 300ms, but the rto is 15m: a failure would be noticed too late",
        ],
    );
}

#[test]
fn one_mistake_is_not_reported_twice() {
    // The table of hosts is mistyped: that no host is declared follows from it and is not told again.
    let text = SOUND.replace("[hosts.", "[host.");
    let mistakes = Estate::from_toml(&text).unwrap_err().to_string();
    assert_eq!(mistakes, "2:2: host: unknown key; did you mean 'hosts'?");
    // A host that is broken is a host all the same.
    check(
        "ssh = \"root@uk.example.net\"",
        "ssh = \"-oProxyCommand=x\"",
        &[
            "3:7: hosts.uk.ssh: not an account on a host such as root@us.example.net or ssh://root@us.example.net:2222: '-oProxyCommand=x' is no host",
        ],
    );
}

#[test]
fn everything_is_reported_at_once_and_becomes_one_usage_error() {
    let text = "[sites.shop]\nhome = 'xx'\n[zones.'example.org']\nprimary = 'ns1'\nservers = []\nfoo = 1\n";
    let mistakes = Estate::from_toml(text).unwrap_err().named("dr.toml");
    let shown = mistakes.to_string();
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        [
            "dr.toml:1:8: sites.shop.standby: missing key",
            "dr.toml:2:8: sites.shop.home: there is no host 'xx'",
            "dr.toml:4:11: zones.\"example.org\".primary: there is no name server 'ns1'",
            "dr.toml:5:11: zones.\"example.org\".servers: a zone has at least one name server",
            "dr.toml:6:1: zones.\"example.org\".foo: unknown key",
        ]
    );
    let error = Error::from(mistakes);
    assert_eq!(error.kind(), ErrorKind::Usage);
    assert!(error.to_string().contains("5 mistakes") && error.to_string().contains(&shown), "{error}");
}

#[test]
fn json_has_the_same_mistakes_and_places() {
    let cases = [
        (
            "{\n  \"hosts\": {\"uk\": {\"shs\": \"root@uk\"}}\n}",
            "2:20: hosts.uk.shs: unknown key; did you mean 'ssh'?",
        ),
        ("{\"hosts\": {}, \"hosts\": {}}", "1:15: the key 'hosts' stands twice"),
        ("{\"hosts\": {\"uk\": {\"ssh\": null}}}", "1:26: hosts.uk.ssh: missing key"),
        ("{\"hosts\": ", "1:10: no JSON: EOF while parsing a value"),
        ("[]", "1:1: expected a table, found a list"),
    ];
    for (text, expected) in cases {
        assert_eq!(Estate::from_json(text).unwrap_err().to_string(), expected, "{text}");
    }
    let sound = Estate::from_toml(SOUND).unwrap();
    assert_eq!(Estate::from_json(&serde_json::to_string(&sound).unwrap()).unwrap(), sound);
}

#[test]
fn limits_hold() {
    let deep = format!("{{\"hosts\": {}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    assert!(Estate::from_json(&deep).unwrap_err().to_string().contains("nest more than"));
    let huge = format!("# {}", "x".repeat(5 << 20));
    assert!(Estate::from_toml(&huge).unwrap_err().to_string().contains("at most 4194304 bytes"));
    let many: String = (0..2000).map(|number| format!("key{number} = 1\n")).collect();
    let mistakes = Estate::from_toml(&many).unwrap_err();
    assert_eq!(mistakes.list.len(), 501);
    assert_eq!(mistakes.list[500].message, "there are more mistakes than these");
}

fn names<T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Debug>() -> impl Strategy<Value = T> {
    "[a-z][a-z0-9-]{0,6}[a-z0-9]".prop_map(|text| text.parse().unwrap())
}

fn periods() -> impl Strategy<Value = Period> {
    // No mirror runs more often than each second.
    (1000_u64..10_000_000).prop_map(Period::from_millis)
}

fn texts() -> impl Strategy<Value = String> {
    // Whatever a text can hold, quotes, escapes and control characters included; a NUL is refused.
    "[^\0]{1,12}"
}

fn mirrors(every: Period, at_once: u32) -> Mirrors {
    let seal_file = Some("/etc/dr/seal".into());
    Mirrors { every: Some(every), at_once, seal_file, ..Mirrors::default() }
}

/// A probe of every kind.
fn probes(port: u16, text: &str, path: &str, rpo: Period) -> Option<Vec<ProbeSpec>> {
    Some(vec![
        ProbeSpec::Tcp { port },
        ProbeSpec::Dns { port, zone: "example.org".parse().ok()? },
        ProbeSpec::Http {
            host: "www.example.org".parse().ok()?,
            path: "/health".to_owned(),
            port,
            status: 204,
            contains: Some(text.to_owned()),
        },
        ProbeSpec::Https {
            host: "www.example.org".parse().ok()?,
            path: "/".to_owned(),
            port,
            status: 200,
            contains: None,
            certificate: Certified { authorities: Some(path.into()), renew_before: rpo },
        },
        ProbeSpec::Tls { host: "www.example.org".parse().ok()?, port, certificate: Certified::default() },
        ProbeSpec::Smtp {
            port,
            starttls: Some("mail.example.org".parse().ok()?),
            certificate: Certified::default(),
        },
        ProbeSpec::Imap { port, starttls: None, certificate: Certified::default() },
        ProbeSpec::Ssh { port, host_keys: vec![] },
    ])
}

/// Two hosts, one site, one zone with two servers: names and values as they come.
/// Adds who watches, and where it is written down who holds what.
fn watched(estate: &mut Estate, address: std::net::IpAddr, port: u16) -> Option<()> {
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
    let post = ObserverPost {
        failure_domain: "nl".to_owned(),
        ssh: Some("dr@nl".parse().ok()?),
        keys: vec![key.to_owned()],
        anchors: vec![Anchor { address, probe: ProbeSpec::Tcp { port } }],
    };
    estate.observers.insert("nl-1".parse().ok()?, post);
    estate.coordinator = Some(Coordinator {
        failure_domain: Some("nl".to_owned()),
        zone: Some("example.org".parse().ok()?),
        ..Coordinator::default()
    });
    Some(())
}

fn estates() -> impl Strategy<Value = Estate> {
    let labels = (names::<dr_core::HostId>(), names::<dr_core::SiteId>(), names::<dr_core::NameServerId>());
    let values = (texts(), texts(), any::<[u8; 4]>(), any::<u16>(), periods(), periods(), any::<bool>());
    let counts = (0_u8..=100, any::<u32>(), 1_u32..5, 1_u32..100, 0_u32..=i32::MAX as u32);
    (labels, values, counts).prop_filter_map("addresses that can serve", |(labels, values, counts)| {
        let (host, site, server) = labels;
        let (path, text, [a, b, c, d], port, rpo, interval, mirror) = values;
        let (percent, files, fall, rise, ttl) = counts;
        let port = port.max(1);
        let address = std::net::IpAddr::from([a % 200 + 1, b, c, d]);
        let mut estate = Estate::default();
        let home = Host {
            host_keys: vec![],
            addresses: vec![address],
            identity: Some(path.clone().into()),
            state_dir: format!("state{path}"),
            failure_domain: Some("uk".to_owned()),
            ..Host::new(format!("web@uk:{port}").parse().ok()?)
        };
        let other = Host { addresses: vec!["2001:db8::1".parse().ok()?], ..Host::new("us".parse().ok()?) };
        estate.hosts.insert(host.clone(), home);
        estate.hosts.insert("other-host".parse().ok()?, other);
        let probes = probes(port, &text, &path, rpo)?;
        let it = Site {
            trees: vec![Tree::same("/var/www"), Tree { path: path.clone(), on_standby: Some(text.clone()) }],
            names: vec!["www.example.org".parse().ok()?],
            databases: vec![text.clone()],
            mailboxes: vec!["example.org".parse().ok()?],
            exclude: vec![text.clone(), path],
            probes,
            rpo: Some(rpo),
            mirror,
            mirror_every: Some(rpo),
            generations: Some(fall),
            failover: Some(Mode::Ask),
            ..Site::new(host, "other-host".parse().ok()?)
        };
        estate.sites.insert(site, it);
        let owner: dr_core::DnsName = "www.example.org".parse().ok()?;
        let zone = Zone {
            update_key: Some("dr-update".parse().ok()?),
            records: vec![RecordKey::new(owner.clone(), RecordType::AAAA)],
            expect: vec![RecordSet::new(owner, RecordType::TXT, ttl, [text])],
            ..Zone::new(server.clone())
        };
        estate.zones.insert("example.org".parse().ok()?, zone);
        let there =
            NameServer { address: (address, port).into(), name: Some("ns.example.org".parse().ok()?) };
        estate.name_servers.insert(server, there);
        let key = TsigKey { algorithm: TsigAlgorithm::HmacSha384, secret_file: "/etc/dr/key".into() };
        estate.tsig_keys.insert("dr-update".parse().ok()?, key);
        let health = Health { interval, fall, rise, ..Health::default() };
        let max_delete = MaxDelete { percent, files: files.into() };
        let rto = Period::from_secs(1_000_000);
        let mirrors = mirrors(rpo, fall);
        let severity = [("dns.server_silent".to_owned(), Severity::Notice)].into();
        let notify = Notify { per_second: fall, delay: interval };
        let fail_on = Severity::Critical;
        watched(&mut estate, address, port)?;
        let times = Times { take: rto, ..Times::default() };
        let failover = FailoverPolicy { mode: Mode::Auto, times, free_bytes: rpo.as_secs() };
        estate.policy = Policy { rpo, rto, fail_on, severity, health, max_delete, mirrors, notify, failover };
        Some(estate)
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(estate in estates()) {
        let toml = toml::to_string(&estate).unwrap();
        prop_assert_eq!(Estate::from_toml(&toml).map_err(|mistakes| format!("{mistakes}\n{toml}")), Ok(estate.clone()));
        let json = serde_json::to_string_pretty(&estate).unwrap();
        prop_assert_eq!(Estate::from_json(&json).map_err(|mistakes| format!("{mistakes}\n{json}")), Ok(estate.clone()));
        // Reading value by value and reading with serde give the same.
        let by_serde: Estate = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(by_serde, estate);
    }

    #[test]
    fn no_text_panics(text in any::<String>()) {
        let _ = Estate::from_toml(&text);
        let _ = Estate::from_json(&text);
    }

    #[test]
    fn no_damage_to_a_sound_text_panics(at in 0..SOUND.len(), with in any::<char>(), cut in 0_usize..20) {
        let end = (at + cut).min(SOUND.len());
        let damaged = format!("{}{with}{}", &SOUND[..at], &SOUND[end..]);
        if let Err(mistakes) = Estate::from_toml(&damaged) {
            prop_assert!(!mistakes.list.is_empty());
            prop_assert!(!mistakes.to_string().is_empty());
        }
        let json = serde_json::to_string_pretty(&Estate::from_toml(SOUND).unwrap()).unwrap();
        let at = at % json.len();
        let _ = Estate::from_json(&format!("{}{with}{}", &json[..at], &json[(at + cut).min(json.len())..]));
    }
}

#[test]
fn the_estate_in_the_documents_is_sound() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = std::fs::read_to_string(root.join("docs/estate.md")).unwrap();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        if let Err(mistakes) = Estate::from_toml(block) {
            panic!("docs/estate.md:\n{mistakes}");
        }
    }
}
