//! `dr hook` as panels call it, and reports for monitoring systems.

use std::fs;
use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::desk::{Desk, Said, last};

/// Calls the hook as a panel does, and gives what it printed; it must be well.
fn call(desk: &Desk, panel: &str, words: &[&str], variables: &[(&str, &str)], input: &[u8]) -> String {
    let journal = desk.path("journal.db");
    let arguments = [&["--journal", &journal, "hook", panel], words].concat();
    let mut command = desk.command(&arguments);
    command
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever does not read its input closes it.
    let _ = stdin.write_all(input);
    drop(stdin);
    let said = Said::of(child.wait_with_output().unwrap());
    assert_eq!((said.code, said.err.as_str()), (0, ""), "{said}");
    said.out
}

fn waiting(desk: &Desk) -> Vec<Value> {
    let Ok(entries) = fs::read_dir(desk.home().join("hooks")) else { return vec![] };
    let mut paths: Vec<_> =
        entries.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some()).collect();
    paths.sort();
    paths.iter().map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()).collect()
}

#[test]
fn what_panels_send_is_noted_and_nothing_else() {
    let desk = Desk::new();
    let json = br#"{"context": {"category": "Whostmgr", "event": "Accounts::Create"}, "data": {"domain": "a.example", "pass": "hunter2.x"}}"#;
    assert_eq!(call(&desk, "cpanel", &[], &[], json), "1 dr has noted it\n");
    call(
        &desk,
        "plesk",
        &["site_update"],
        &[("NEW_DOMAIN_NAME", "b.example"), ("NEW_PASSWORD", "hunter2.x")],
        b"",
    );
    call(&desk, "directadmin", &["dns_write_post"], &[("DOMAIN", "c.example")], b"");
    call(&desk, "hestia", &["le_post", "alice", "d.example", "www.d.example", "--help"], &[], b"");
    call(
        &desk,
        "virtualmin",
        &[],
        &[("VIRTUALSERVER_ACTION", "MODIFY_DOMAIN"), ("VIRTUALSERVER_DOM", "e.example")],
        b"",
    );
    // What comes before the fact is not due.
    call(&desk, "directadmin", &["domain_create_pre"], &[("domain", "f.example")], b"");
    let noted = waiting(&desk);
    let events: Vec<_> = noted.iter().map(|told| told["event"].as_str().unwrap()).collect();
    assert_eq!(
        events,
        ["Whostmgr::Accounts::Create", "site_update", "dns_write_post", "le_post", "MODIFY_DOMAIN"]
    );
    assert_eq!(noted[3]["domains"], serde_json::json!(["d.example", "www.d.example"]));
    assert!(!format!("{noted:?}").contains("hunter2"));
    let described: Value = serde_json::from_str(&call(&desk, "cpanel", &["--describe"], &[], b"")).unwrap();
    assert!(
        described
            .as_array()
            .unwrap()
            .iter()
            .all(|hook| hook["stage"] == "post" && hook["exectype"] == "script")
    );
    for panel in ["cpanel", "plesk", "directadmin", "hestia", "virtualmin"] {
        desk.exits(0, &["hook", "register", panel]).has(&[&format!("hook {panel}"), "PathExistsGlob="]);
    }
    desk.exits(2, &["hook", "register", "froxlor"]);
}

#[test]
fn a_panel_is_never_held_up() {
    let desk = Desk::new();
    // Garbage, nothing at all, and more than anybody sends.
    for input in [&b"\xff\x00{"[..], b"", &vec![b'['; 64 << 20]] {
        call(&desk, "cpanel", &[], &[], input);
    }
    call(&desk, "plesk", &["-x", "--nagios", "\u{7f}"], &[], b"");
    assert_eq!(waiting(&desk).len(), 4, "that something happened is noted");
    // A directory that cannot be written to is not the panel's concern either.
    fs::remove_dir_all(desk.home().join("hooks")).unwrap();
    desk.write("hooks", "a file");
    let journal = desk.path("journal.db");
    let said = desk.exits(0, &["--journal", &journal, "hook", "hestia", "x", "a.example"]);
    said.has(&["hooks"]);
    fs::remove_file(desk.home().join("hooks")).unwrap();
    // A panel that keeps its end open is not waited for, and neither is anybody who works it off.
    let mut command = desk.command(&["--journal", &journal, "hook", "cpanel"]);
    let begun = Instant::now();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let open = child.stdin.take();
    assert!(child.wait().unwrap().success());
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    drop(open);
    // The quickest of a few: this machine has other things to do besides.
    let quickest = (0..10).map(|_| {
        let begun = Instant::now();
        call(&desk, "virtualmin", &[], &[("VIRTUALSERVER_DOM", "e.example")], b"");
        begun.elapsed()
    });
    let quickest = quickest.min().unwrap();
    assert!(quickest < Duration::from_millis(50), "{quickest:?}");
}

#[test]
fn what_was_told_is_worked_off() {
    let desk = Desk::new();
    desk.write(
        "dr.toml",
        "[hosts.uk]\nssh = \"root@127.0.0.1:9\"\naddresses = [\"192.0.2.1\"]\n[hosts.us]\nssh = \"root@127.0.0.1:9\"\naddresses = [\"192.0.2.2\"]\n\
         [sites.shop]\nhome = \"uk\"\nstandby = \"us\"\nnames = [\"www.shop.test\"]\ntrees = [{ path = \"/srv/shop\" }]\n\
         [name_servers.ns1]\naddress = \"127.0.0.1:9\"\n[zones.\"shop.test\"]\nprimary = \"ns1\"\nservers = [\"ns1\"]\n",
    );
    for domain in ["shop.test", "www.shop.test", "other.test"] {
        call(&desk, "virtualmin", &[], &[("VIRTUALSERVER_DOM", domain)], b"");
    }
    call(&desk, "directadmin", &["dns_write_post"], &[("DOMAIN", "shop.test")], b"");
    let lines = desk.json(0, &["hook", "run", "--dry-run", "--fail-on", "critical"]);
    assert_eq!(last(&lines, "result")["due"]["sites"], serde_json::json!(["shop"]));
    assert_eq!(waiting(&desk).len(), 4, "a dry run leaves everything");
    // Nobody is at these addresses: the site is tried again, what else there was is done.
    let prom = desk.path("dr_hooks.prom");
    let said = desk.exits(1, &["hook", "run", "--prometheus", &prom]);
    said.has(&[
        "4 told; due: site shop zone shop.test",
        "mirror.site_failed",
        "dns.no_server_answers",
        "other.test",
    ]);
    assert_eq!(waiting(&desk).len(), 2);
    let text = fs::read_to_string(&prom).unwrap();
    for sample in [
        "dr_report_verdict{report=\"dr_hooks\"} 2\n",
        "code=\"mirror.site_failed\"",
        "dr_report_error{report=\"dr_hooks\"} 0\n",
    ] {
        assert!(text.contains(sample), "{sample}\n{text}");
    }
}

#[test]
fn monitoring_hears_of_errors_too() {
    let desk = Desk::new();
    let prom = desk.path("nightly.prom");
    desk.exits(2, &["check", "--prometheus", &prom]);
    let text = fs::read_to_string(&prom).unwrap();
    assert!(text.contains("dr_report_error{report=\"nightly\",kind=\"usage\"} 2\n"), "{text}");
    let files: Vec<_> = fs::read_dir(desk.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(files, ["nightly.prom"], "nothing half-written stays");
    desk.exits(2, &["check", "--prometheus", "/no/such/place.prom"]).has(&["/no/such/place.prom"]);
    let said = desk.exits(3, &["check", "--nagios", "--frobnicate"]);
    assert!(said.out.starts_with("DR UNKNOWN - "), "{said}");
    let said = desk.exits(3, &["check", "--nagios"]);
    assert_eq!(said.out.lines().count(), 1, "{said}");
}
