//! `dr dns` against six real name servers.

use std::net::Ipv4Addr;

use dr_tests::{DnsLab, Port, Tsig, Zone, addresses};

use crate::desk::{Desk, last};

fn servers(lab: &DnsLab) -> Vec<String> {
    let named = lab.servers().iter().zip(1..);
    named
        .flat_map(|(server, number)| ["--server".to_owned(), format!("ns{number}={}", server.addr())])
        .collect()
}

#[test]
fn a_zone_is_checked_and_changed_on_six_servers() {
    let (desk, lab) = (Desk::new(), DnsLab::start(&[Zone::new("shop.test").ttl(60)]));
    let servers = servers(&lab);
    let servers: Vec<&str> = servers.iter().map(String::as_str).collect();
    let check = [&["dns", "check", "shop.test", "--name", "www.shop.test", "--quick"], &servers[..]].concat();
    let healthy = desk.exits(0, &check);
    healthy.has(&["shop.test"]);
    assert_eq!(last(&desk.json(0, &check), "report")["findings"], serde_json::json!([]));
    assert!(desk.exits(0, &[&check[..], &["--nagios"]].concat()).out.starts_with("DR OK - "));

    let secret = desk.tsig();
    let key = ["--key", Tsig::LAB.name, "--key-file", &secret];
    let set =
        [&["dns", "set", "shop.test", "www.shop.test", "A", "198.51.100.7"], &servers[..], &key].concat();
    desk.exits(0, &[&set[..], &["--dry-run"]].concat()).has(&["198.51.100.7", "192.0.2.10"]);
    let shown = || {
        lab.addrs()
            .into_iter()
            .map(|at| addresses(at, "www.shop.test").unwrap_or_default())
            .collect::<Vec<_>>()
    };
    assert_eq!(shown(), vec![vec![Ipv4Addr::new(192, 0, 2, 10)]; 6], "a dry run changes nothing");
    desk.exits(0, &set);
    assert_eq!(shown(), vec![vec![Ipv4Addr::new(198, 51, 100, 7)]; 6]);
    desk.exits(0, &set).has(&["nothing to do"]);
    desk.exits(0, &check);

    // Two records, then none.
    let www = ["dns", "set", "shop.test", "www.shop.test", "A"];
    let set = |code, rest: &[&str]| desk.exits(code, &[&www[..], rest, &servers[..], &key].concat());
    set(0, &["198.51.100.7", "198.51.100.8", "--ttl", "30"]);
    assert!(shown().iter().all(|set| set.len() == 2));
    set(2, &[]).has(&["<RDATA>"]);
    let delete = [&["dns", "delete", "shop.test", "www.@", "A"], &servers[..], &key].concat();
    let said = desk.exits(0, &delete);
    said.has(&["1 zone: ", "verified: all 6 name servers show it"]);
    assert!(shown().iter().all(Vec::is_empty));
    set(0, &["198.51.100.9", "--ttl", "1"]);
    set(0, &["198.51.100.8", "--settle"]).has(&["settled: "]);
    set(2, &["not-an-address"]).has(&["not-an-address"]);
    let outside =
        [&["dns", "set", "shop.test", "www.other.test", "A", "198.51.100.7"], &servers[..], &key].concat();
    desk.exits(2, &outside).has(&["www.other.test"]);

    lab.server("nsd").freeze();
    let said = desk.exits(1, &check);
    said.has(&["ns3"]);
    let lines = desk.json(1, &check);
    let findings = last(&lines, "report")["findings"].to_string();
    assert!(findings.contains("dns.") && findings.contains("ns3"), "{findings}");
    assert_eq!(
        desk.exits(2, &[&check[..], &["--nagios"]].concat())
            .out
            .lines()
            .next()
            .unwrap()
            .matches("DR CRITICAL")
            .count(),
        1
    );
    desk.exits(0, &[&check[..], &["--fail-on", "critical"]].concat());
    lab.server("nsd").thaw();
}

#[test]
fn who_may_not_change_a_zone_and_who_is_not_there() {
    let desk = Desk::new();
    let zones = [Zone::new("shop.test").name_servers(1)];
    let named = dr_tests::bind::primary(Port::free(), &zones, &[], dr_tests::bind::Notify::Tuned);
    let server = format!("ns1={}", named.addr());
    let set = |name: &str, file: &str, code: i32| {
        let words = ["dns", "set", "shop.test", "www.shop.test", "A", "198.51.100.7"];
        desk.exits(code, &[&words[..], &["--server", &server, "--key", name, "--key-file", file]].concat())
    };
    let other = desk.secret("other.key", "b3RoZXIgc2VjcmV0cyBvZiB0aGUgbGFiIGFyZSBub3Q=\n");
    set(Tsig::LAB.name, &other, 29).has(&["lab-key", "BADSIG", "copy the primary's again"]);
    set("nobodys-key", &desk.tsig(), 29);
    set(Tsig::LAB.name, &desk.write("open.key", Tsig::LAB.secret), 20).has(&["600"]);
    set(Tsig::LAB.name, &desk.path("no.key"), 18).has(&["no.key"]);
    let words = ["dns", "set", "shop.test", "www.shop.test", "A", "198.51.100.7", "--server", &server];
    let unsigned = desk.dr(&words);
    assert!(unsigned.code >= 2, "{unsigned}");
    unsigned.has(&["key"]);
    assert_eq!(addresses(named.addr(), "www.shop.test"), Ok(vec![Ipv4Addr::new(192, 0, 2, 10)]));

    desk.exits(1, &["dns", "check", "other.test", "--server", &server]).has(&["other.test"]);
    named.stop();
    let said = desk.exits(1, &["dns", "check", "shop.test", "--server", &server]);
    said.has(&["dns.no_server_answers"]);
    desk.exits(12, &words).has(&["refused"]);
    desk.exits(18, &["dns", "check", "shop.test"]).has(&["name its servers"]);
}

#[test]
fn zones_come_from_a_file_and_everything_is_asked() {
    let desk = Desk::new();
    let zones = [Zone::new("a.test"), Zone::new("b.test")];
    let named = dr_tests::bind::primary(Port::free(), &zones, &[], dr_tests::bind::Notify::Tuned);
    let server = format!("ns1={}", named.addr());
    let list = desk
        .write("zones", &format!("# ours\na.test {server}\n\nb.test # with the servers of the command\n"));
    let check = ["dns", "check", "--zones", &list, "--server", &server];
    let quick = last(&desk.json(0, &[&check[..], &["--quick"]].concat()), "report").clone();
    assert_eq!((&quick["title"], &quick["findings"]), (&"check 2 zones".into(), &serde_json::json!([])));
    // Everything: the lab is on loopback, and lets us transfer.
    let full = last(&desk.json(1, &check), "report")["findings"].to_string();
    for code in
        ["dns.address_not_public", "dns.servers_share_address", "dns.transfer_open", "dns.version_revealed"]
    {
        assert!(full.contains(code), "{code}: {full}");
    }
    assert!(full.contains("(2 zones)"), "what is about a server is said once: {full}");
    // The same server as the parent has no delegation of the zone to give, and says what it knows of it.
    let parent = named.addr().to_string();
    desk.exits(1, &["dns", "check", "a.test", "--server", &server, "--parent", &parent]).has(&["a.test"]);
    // What is where, what tells visitors, and a key that the server does not take.
    let (places, other) = (
        desk.write("places", "# ours\n127.0.0.0/8 AS64500 here\n"),
        desk.secret("other.key", "b3RoZXIgc2VjcmV0cyBvZiB0aGUgbGFiIGFyZSBub3Q=\n"),
    );
    let more =
        ["--networks", &places, "--status", "www.a.test", "--key", Tsig::LAB.name, "--key-file", &other];
    let said = desk.exits(1, &[&["dns", "check", "a.test", "--server", &server][..], &more].concat());
    said.has(&["dns.status_shares_fate", "dns.transfer_fails", "BADSIG"]);
    let places = desk.write("odd", "127.0.0.1/8 here\n");
    desk.exits(2, &["dns", "check", "a.test", "--server", &server, "--networks", &places]).has(&["line 1"]);
    let wrong = desk.write("wrong", "a.test ns1=nowhere\nexa..mple ns1=192.0.2.1\n");
    desk.exits(2, &["dns", "check", "--zones", &wrong]).has(&["line 1", "line 2"]);
    desk.exits(18, &["dns", "check", "--zones", &desk.path("none")]).has(&["none"]);
}

#[test]
fn a_secondary_takes_the_place_of_a_lost_primary() {
    use dr_tests::bind::{Notify, primary, secondary};
    let desk = Desk::new();
    let (zones, ports) = ([Zone::new("shop.test").ttl(1)], [Port::free(), Port::free()]);
    let lost = primary(Port::free(), &zones, &ports.each_ref().map(Port::addr), Notify::Tuned);
    let [second, third] = ports.map(|port| secondary(port, &["shop.test"], lost.addr()));
    let serves = |server: &dr_tests::Server| {
        let ask = || dr_tests::soa_serial(server.addr(), "shop.test").ok();
        dr_tests::wait_for("the zone", std::time::Duration::from_secs(30), ask)
    };
    assert_eq!((serves(&second), serves(&third)), (1, 1));
    lost.kill9();
    let servers =
        [("ns1", &lost), ("ns2", &second), ("ns3", &third)].map(|(name, at)| format!("{name}={}", at.addr()));
    let servers: Vec<&str> = servers.iter().flat_map(|server| ["--server", server]).collect();
    let promote = [&["dns", "promote", "shop.test", "ns2", "--key", Tsig::LAB.name], &servers[..]].concat();
    let output = desk.path("");
    desk.exits(1, &promote).has(&["type primary;", "rndc reconfig", "dns.server_silent"]);
    desk.exits(1, &[&promote[..], &["--output", &output]].concat()).has(&["wrote", "ns3.bind"]);
    desk.exits(19, &[&promote[..], &["--output", &output]].concat());
    let secret = desk.tsig();
    let installed = [&promote[..], &["--key-file", &secret, "--installed"]].concat();
    desk.exits(1, &[&installed[..], &["--dry-run"]].concat()).has(&["shop.test SOA", "1001"]);
    for (server, file) in [(&second, "ns2.bind"), (&third, "ns3.bind")] {
        dr_tests::configure(server, &std::fs::read_to_string(desk.path(file)).unwrap());
        serves(server);
    }
    // The lost one is still a finding.
    desk.exits(1, &installed).has(&["verified: all 2 name servers show it", "dns.server_silent"]);
    assert_eq!((serves(&second), serves(&third)), (1001, 1001));
    desk.exits(2, &["dns", "promote", "shop.test", "ns9", "--server", "ns2=127.0.0.1:9"]).has(&["ns9"]);
    desk.exits(2, &["dns", "promote", "shop.test", "--server", "ns2=127.0.0.1:9"])
        .has(&["name one of its servers"]);
}

#[test]
fn a_zone_is_transferred_and_a_check_is_kept() {
    let (desk, zones) = (Desk::new(), [Zone::new("shop.test").name_servers(1).ttl(1)]);
    let named = dr_tests::bind::primary(Port::free(), &zones, &[], dr_tests::bind::Notify::Tuned);
    let (at, secret) = (named.addr().to_string(), desk.tsig());
    let key = ["--key", Tsig::LAB.name, "--key-file", &secret];
    let transfer = [&["dns", "transfer", "shop.test", "--server", &at], &key[..]].concat();
    let whole = desk.exits(0, &transfer).out;
    assert!(whole.starts_with("shop.test. 1 IN SOA ns1.shop.test hostmaster.shop.test 1 "), "{whole}");
    assert!(whole.contains("\nwww.shop.test. 1 IN A 192.0.2.10\n"), "{whole}");
    desk.exits(0, &[&transfer[..], &["--since", "1"]].concat()).has(&["nothing is newer than 1"]);
    let set = ["dns", "set", "shop.test", "www.@", "A", "198.51.100.7", "--server", &at];
    desk.exits(0, &[&set[..], &key].concat());
    let changed = desk.exits(0, &[&transfer[..], &["--since", "1"]].concat());
    changed.has(&["; 1 to 2", "- www.shop.test. 1 IN A 192.0.2.10", "+ www.shop.test. 1 IN A 198.51.100.7"]);
    assert_eq!(last(&desk.json(0, &transfer), "result")["whole"], true);
    let other = desk.secret("other.key", "b3RoZXIgc2VjcmV0cyBvZiB0aGUgbGFiIGFyZSBub3Q=\n");
    let wrong = [&transfer[..5], &["--key", Tsig::LAB.name, "--key-file", &other]].concat();
    desk.exits(29, &wrong).has(&["the secrets on the two sides differ"]);
    desk.exits(2, &["dns", "transfer", "no..zone", "--server", &at]);

    // What was heard is judged again, without anybody to ask.
    let file = desk.path("heard.json");
    let check = ["dns", "check", "shop.test", "--server", &at];
    let live =
        last(&desk.json(1, &[&check[..], &["--capture", &file]].concat()), "report")["findings"].clone();
    assert!(live.to_string().contains("dns.transfer_open"), "{live}");
    named.stop();
    let replay = ["dns", "check", "--replay", &file];
    assert_eq!(last(&desk.json(1, &replay), "report")["findings"], live);
    desk.exits(2, &["dns", "check", "--replay", &secret]).has(&["--capture"]);
    desk.exits(2, &["dns", "check"]);
}

/// Killed in the middle of many zones: taken up again, each zone is changed once, and the mark in it is that of the one run.
#[test]
fn killed_in_the_middle_of_many_zones_each_is_changed_once() {
    const ZONES: usize = 40;
    let desk = Desk::new();
    let names: Vec<String> = (0..ZONES).map(|number| format!("z{number}.test")).collect();
    let zones: Vec<Zone> = names.iter().map(|name| Zone::new(name).name_servers(1)).collect();
    let named = dr_tests::bind::primary(Port::free(), &zones, &[], dr_tests::bind::Notify::Tuned);
    let mut estate = format!(
        "[name_servers]\nns1 = {{ address = \"{}\" }}\n[tsig_keys.\"{}\"]\nsecret_file = \"{}\"\n",
        named.addr(),
        Tsig::LAB.name,
        desk.tsig()
    );
    for name in &names {
        let of_zone =
            format!("primary = \"ns1\"\nservers = [\"ns1\"]\nupdate_key = \"{}\"\n", Tsig::LAB.name);
        estate.push_str(&format!("[zones.\"{name}\"]\n{of_zone}"));
    }
    let (estate, list) = (desk.write("dr.toml", &estate), desk.write("zones.txt", &names.join("\n")));
    let all = format!("@{list}");
    let set = ["--estate", &estate, "dns", "set", &all, "www.@", "A", "198.51.100.7", "--mark"];
    let moved = |name: &String| {
        addresses(named.addr(), &format!("www.{name}")) == Ok(vec![Ipv4Addr::new(198, 51, 100, 7)])
    };
    let mut child = desk
        .command(&[&set[..], &["--per-second", "10"]].concat())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    dr_tests::wait_for("a few zones", std::time::Duration::from_secs(60), || moved(&names[4]).then_some(()));
    child.kill().unwrap();
    child.wait().unwrap();
    let done = names.iter().filter(|name| moved(name)).count();
    assert!((1..ZONES).contains(&done), "{done} of {ZONES}: in the middle");
    desk.exits(0, &["log"]).has(&["unfinished"]);
    desk.exits(0, &["--estate", &estate, "failover", "resume"]).has(&["verified"]);
    assert!(names.iter().all(moved));
    let mark = |name: &String| {
        let whole = desk.exits(0, &["--estate", &estate, "dns", "transfer", name]).out;
        let line =
            whole.lines().find(|line| line.contains("_dr-change.")).unwrap_or_else(|| panic!("{whole}"));
        line.rsplit(' ').next().unwrap().to_owned()
    };
    let first = mark(&names[0]);
    assert!(first.contains("change="), "{first}");
    for name in &names {
        assert_eq!(dr_tests::soa_serial(named.addr(), name), Ok(2), "{name} was changed once");
    }
    assert_eq!((mark(&names[20]), mark(&names[ZONES - 1])), (first.clone(), first), "all by one run");
}
