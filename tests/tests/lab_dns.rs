//! The six name servers of the lab start, follow their primary, can be broken, and leave nothing behind.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use dr_tests::bind::{self, Notify};
use dr_tests::{
    DnsLab, Port, Server, Tsig, Zone, addresses, is_running, knot, nsd, pdns, soa_serial, wait_for, yadifa,
};

const MINUTE: Duration = Duration::from_secs(60);
const OLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const NEW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 99);

/// Sends one signed update with BIND's own client.
fn nsupdate(primary: SocketAddr, secret: &str, commands: &str) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let key = dir.path().join("key");
    let Tsig { name, algorithm, .. } = Tsig::LAB;
    std::fs::write(&key, format!("key \"{name}\" {{ algorithm {algorithm}; secret \"{secret}\"; }};\n"))
        .unwrap();
    let mut nsupdate = Command::new("nsupdate")
        .arg("-k")
        .arg(&key)
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("nsupdate: apt-get install bind9-dnsutils (./test does it)");
    let script = format!("server {} {}\n{commands}send\n", primary.ip(), primary.port());
    nsupdate.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    nsupdate.wait().unwrap().success()
}

fn point_www_at(zone: &str, address: Ipv4Addr) -> String {
    format!("zone {zone}\nupdate delete www.{zone}. A\nupdate add www.{zone}. 60 A {address}\n")
}

#[test]
fn an_update_reaches_all_six() {
    let lab = DnsLab::start(&[Zone::new("one.test"), Zone::new("two.test")]);
    assert_eq!(lab.agreed_serial("one.test"), 1);
    let processes: Vec<u32> = lab.servers().iter().flat_map(Server::processes).collect();
    assert!(processes.len() >= 6, "{processes:?}");
    assert_eq!(lab.servers().len(), 6);

    let wrong_secret = "d3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3Jvbmcgd3I=";
    let primary = lab.primary().addr();
    assert!(!nsupdate(primary, wrong_secret, &point_www_at("one.test", NEW)), "a wrong key changes nothing");
    assert!(nsupdate(primary, Tsig::LAB.secret, &point_www_at("one.test", NEW)));
    let serial = wait_for("the serial to grow", MINUTE, || {
        Some(lab.agreed_serial("one.test")).filter(|&serial| serial > 1)
    });
    for server in lab.servers() {
        assert_eq!(addresses(server.addr(), "www.one.test"), Ok(vec![NEW]), "{}", server.name());
        assert_eq!(addresses(server.addr(), "www.two.test"), Ok(vec![OLD]), "{}", server.name());
        assert_eq!(soa_serial(server.addr(), "one.test"), Ok(serial), "{}", server.name());
    }
    assert_eq!(lab.agreed_serial("two.test"), 1);

    drop(lab);
    let left: Vec<u32> = processes.into_iter().filter(|&pid| is_running(pid)).collect();
    assert!(left.is_empty(), "left running: {left:?}");
}

#[test]
fn one_server_lies_with_the_same_serial() {
    let lab = DnsLab::start(&[Zone::new("lie.test")]);
    lab.set_address_on_pdns_only("www.lie.test", NEW);
    for server in lab.servers() {
        let expected = if server.name() == "pdns" { NEW } else { OLD };
        assert_eq!(addresses(server.addr(), "www.lie.test"), Ok(vec![expected]), "{}", server.name());
        assert_eq!(soa_serial(server.addr(), "lie.test"), Ok(1), "{}", server.name());
    }
}

#[test]
fn each_secondary_comes_back_after_a_kill_and_catches_up() {
    type Start = fn(Port, &[&str], SocketAddr) -> Server;
    let zone = Zone::new("back.test");
    let start: [Start; 5] =
        [bind::secondary, nsd::secondary, knot::secondary, pdns::secondary, yadifa::secondary];
    let ports = start.map(|_| Port::free());
    let notified = ports.each_ref().map(Port::addr);
    let primary = bind::primary(Port::free(), &[zone], &notified, Notify::Tuned);
    let secondaries: Vec<Server> = std::iter::zip(start, ports)
        .map(|(start, port)| start(port, &["back.test"], primary.addr()))
        .collect();
    let serials = |expected: u32| {
        for secondary in &secondaries {
            wait_for(&format!("serial {expected} on {}", secondary.name()), MINUTE, || {
                (soa_serial(secondary.addr(), "back.test") == Ok(expected)).then_some(())
            });
        }
    };
    serials(1);
    let first = secondaries.iter().flat_map(Server::processes).collect::<Vec<_>>();
    secondaries.iter().for_each(Server::kill9);
    assert!(first.iter().all(|&pid| !is_running(pid)), "{first:?}");
    assert!(secondaries.iter().all(|s| soa_serial(s.addr(), "back.test").is_err()));
    assert!(nsupdate(primary.addr(), Tsig::LAB.secret, &point_www_at("back.test", NEW)));
    secondaries.iter().for_each(Server::restart);
    // BIND's secondary, like some in the world, trusts its copy until REFRESH or the next NOTIFY.
    assert!(nsupdate(primary.addr(), Tsig::LAB.secret, &point_www_at("back.test", OLD)));
    serials(3);
}

#[test]
fn a_killed_primary_keeps_what_it_was_told_and_a_frozen_one_is_silent() {
    let primary = bind::primary(Port::free(), &[Zone::new("keep.test").ttl(60)], &[], Notify::Stock);
    assert!(nsupdate(primary.addr(), Tsig::LAB.secret, &point_www_at("keep.test", NEW)));
    primary.kill9();
    assert!(primary.processes().is_empty());
    assert!(soa_serial(primary.addr(), "keep.test").is_err());
    primary.restart();
    assert_eq!(addresses(primary.addr(), "www.keep.test"), Ok(vec![NEW]));

    primary.freeze();
    assert!(soa_serial(primary.addr(), "keep.test").is_err());
    primary.thaw();
    wait_for("an answer after the thaw", MINUTE, || soa_serial(primary.addr(), "keep.test").ok());
    assert!(soa_serial(primary.addr(), "other.test").unwrap_err().contains("Refused"));
}
