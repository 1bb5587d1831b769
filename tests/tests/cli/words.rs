//! Words: usage, help, estates, and where the journal is.

use std::fs;

use crate::desk::{Desk, last};

/// Every command, and words that its help must have beside the common options.
const COMMANDS: &[(&str, &[&str])] = &[
    ("check", &["[NAMES]"]),
    ("mirror", &["[SOURCE]", "[TARGET]", "--site", "--exclude", "--no-delete", "--max-delete", "--checksum"]),
    ("dns check", &["[ZONES]", "--zones", "--server", "--parent", "--resolver", "--name", "--quick"]),
    ("dns set", &["<OWNER>", "--ttl", "--server", "--key ", "--key-file", "--key-algorithm", "--within"]),
    ("dns set", &["@FILE", "--settle", "--resolver", "--per-second"]),
    ("dns delete", &["<OWNER>", "--server", "--key ", "--settle"]),
    ("keys generate", &["--comment", "--no-passphrase", "--passphrase-file"]),
    ("keys install", &["--password-file", "--password", "--restrict", "--command", "--replace", "--file"]),
    ("keys install", &["--mirror", "--by", "--read-only", "--from", "--expires", "--permit-open"]),
    ("keys lock-down", &["<REMOTE>", "--account", "--after"]),
    ("keys rotate", &["<OLD>", "<NEW>", "[REMOTES]", "--grace", "--file"]),
    ("keys revoke", &["<KEY>", "[REMOTES]"]),
    ("keys unlock", &["<REMOTE>"]),
    ("keys probe", &["<KEY>", "<REMOTE>"]),
    ("keys audit", &["--file", "--known", "--record"]),
    ("keys verify", &["<KEY>", "<REMOTE>"]),
    ("probe", &["--tcp", "--http", "--dns", "--port", "--contains", "--within"]),
    ("failover status", &["[SITES]"]),
    ("failover plan", &["--planned", "--despite"]),
    ("failover run", &["--planned", "--despite", "--why", "--yes"]),
    ("failover back", &["--yes"]),
    ("failover resume", &["[RUN]"]),
    ("failover audit", &["[SITE]", "--verify"]),
    ("failover undo", &["[RUN]", "--yes"]),
    ("log", &["[RUN]", "--verify"]),
    ("discover", &["[HOST]", "--standby", "--listing", "--read"]),
    ("hook run", &[]),
    ("hook register", &["<PANEL>"]),
    ("hook cpanel", &["[WORDS]"]),
    ("memo", &["--html", "--check"]),
    ("demo", &["--site", "--record"]),
];

const COMMON: &[&str] = &[
    "--estate",
    "--json",
    "--dry-run",
    "--fail-on",
    "--nagios",
    "--prometheus",
    "--journal",
    "--identity",
    "--known-hosts",
    "--verbose",
];

#[test]
fn every_command_explains_itself() {
    let desk = Desk::new();
    for (command, words) in COMMANDS {
        let arguments: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        let said = desk.exits(0, &arguments);
        assert_eq!(said.err, "");
        for word in words.iter().chain(COMMON) {
            assert!(said.out.contains(word), "dr {command} --help does not mention {word}:\n{}", said.out);
        }
        assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{}", said.out);
    }
    let said = desk.exits(0, &["--help"]);
    for (command, _) in COMMANDS {
        assert!(said.out.contains(command.split(' ').next().unwrap()), "{command} in\n{}", said.out);
    }
    assert!(!said.out.contains("demo-process"), "{}", said.out);
    assert!(desk.exits(0, &["--version"]).out.starts_with("dr "));
}

#[test]
fn wrong_usage_is_2_and_says_what_is_right() {
    let desk = Desk::new();
    for (arguments, says) in [
        (&[] as &[&str], "Usage: dr"),
        (&["frobnicate"], "unrecognized subcommand"),
        (&["mirror", "only-one"], "<TARGET>"),
        (&["mirror", "", "b"], "not a place"),
        (&["mirror", "a", "nobody@:/path"], "'nobody@:/path'"),
        (&["dns", "check"], "<ZONES>"),
        (&["dns", "check", "exa mple"], "exa mple"),
        (&["dns", "check", "example.org", "--server", "ns1=nowhere"], "ns1=nowhere"),
        (&["dns", "set", "example.org", "www.example.org", "BOGUS", "1"], "BOGUS"),
        (&["keys", "install", "key.pub", "not an account"], "not an account"),
        (&["probe", "127.0.0.1"], "--tcp"),
        (&["probe", "127.0.0.1", "--tcp", "1", "--dns", "example.org"], "cannot be used with"),
        (&["probe", "127.0.0.1", "--http", "www.example.org:99999"], "99999"),
        (&["failover", "run", "shop", "--despite", "nothing"], "dr failover status names them"),
        (&["discover", "uk"], "--standby"),
        (
            &["discover", "uk", "--standby", "us", "--read", "caddy=x"],
            "nginx, apache, bind, hestia, virtualmin",
        ),
        (&["check", "--json", "--nagios"], "cannot be used with"),
    ] {
        let said = desk.exits(2, arguments);
        assert!(said.err.contains(says), "dr {} does not say '{says}':\n{said}", arguments.join(" "));
        assert_eq!(said.out, "", "errors are no results");
    }
}

#[test]
fn without_an_estate_it_says_where_one_could_be() {
    let desk = Desk::new();
    for arguments in
        [&["check"] as &[&str], &["memo"], &["failover", "status"], &["mirror", "--site", "shop"]]
    {
        desk.exits(2, arguments).has(&["there is neither ./dr.toml nor /etc/dr/dr.toml", "--estate FILE"]);
    }
    desk.exits(18, &["check", "--estate", "none.toml"]).has(&["none.toml"]);
    assert_eq!(last(&desk.json(2, &["memo"]), "error")["code"], 2);
    let said = desk.exits(3, &["check", "--nagios"]);
    assert!(said.out.starts_with("DR UNKNOWN - "), "{said}");
}

#[test]
fn every_mistake_of_an_estate_is_listed_at_once() {
    let desk = Desk::new();
    desk.write(
        "dr.toml",
        "[hosts.uk]\nssh = \"root@uk.example.net\"\naddreses = [\"192.0.2.10\"]\n\n[sites.shop]\nhome = \"uk\"\nstandby = \"su\"\n\
         names = [\"www.example.org\"]\n\n[zones.\"example.org\"]\nprimary = \"ns9\"\n\n[policy]\nrpo = \"soon\"\n",
    );
    for arguments in [&["check"] as &[&str], &["memo"], &["mirror", "--site", "shop"], &["log"]] {
        let said = desk.exits(2, arguments);
        said.has(&["dr.toml", "addreses", "addresses", "'su'", "'ns9'", "soon"]);
        assert_eq!(said.out, "");
    }
    let error = &desk.json(2, &["check"])[0];
    assert_eq!((error.0.as_str(), error.1["code"].as_u64()), ("error", Some(2)), "{error:?}");
}

#[test]
fn a_check_fails_as_the_policy_says_unless_told_otherwise() {
    let desk = Desk::new();
    // Port 9 of this machine: nobody serves the zone there.
    let estate = |policy: &str| {
        desk.write("dr.toml", &format!("[name_servers.ns1]\naddress = \"127.0.0.1:9\"\n\n[zones.\"shop.test\"]\nprimary = \"ns1\"\nservers = [\"ns1\"]\n\n[policy]\n{policy}\n"))
    };
    estate("fail_on = \"error\"");
    for arguments in [&["check"] as &[&str], &["dns", "check", "shop.test"]] {
        let said = desk.exits(1, arguments);
        assert_eq!(said.out.matches("dns.no_server_answers").count(), 1, "{said}");
        assert_eq!(said.err, "", "what is found is said once");
    }
    let milder = "severity = { \"dns.no_server_answers\" = \"warning\", \"dns.server_silent\" = \"notice\" }";
    estate(&format!("fail_on = \"error\"\n{milder}"));
    desk.exits(0, &["check"]).has(&["WARNING", "dns.no_server_answers"]);
    desk.exits(1, &["check", "--fail-on", "warning"]);
    assert!(desk.exits(1, &["check", "--nagios"]).out.starts_with("DR WARNING - "));
    estate(&format!("fail_on = \"warning\"\n{milder}"));
    desk.exits(1, &["check"]);
    desk.exits(0, &["check", "--fail-on", "critical"]);
}

#[test]
fn the_example_of_the_documentation_is_right() {
    let text = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/estate.md")).unwrap();
    let block = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let desk = Desk::new();
    desk.write("dr.toml", block);
    let said = desk.exits(0, &["memo"]);
    said.has(&["www.example.org", "uk.example.net", "us.example.net", "dr failover"]);
    let estate = dr_core::Estate::from_toml(block).unwrap();
    let again = estate.to_toml().unwrap();
    assert_eq!(dr_core::Estate::from_toml(&again).unwrap(), estate);
    let json = serde_json::to_string(&estate).unwrap();
    desk.write("dr.json", &json);
    assert_eq!(desk.exits(0, &["memo", "--estate", "dr.json"]).out.lines().count(), said.out.lines().count());
}

#[test]
fn a_journal_that_cannot_be_written_is_said_before_anything_is_done() {
    let desk = Desk::new();
    desk.write("from/index.html", "text");
    fs::create_dir(desk.home().join("to")).unwrap();
    let (from, to) = (desk.path("from"), desk.path("to"));
    let file = desk.write("a-file", "");
    for journal in [format!("{file}/journal.db"), "/proc/journal.db".to_owned()] {
        let said = desk.dr(&["mirror", &from, &to, "--journal", &journal]);
        assert!(said.code >= 10 && said.code < 99, "{said}");
        said.has(&["journal", "another place"]);
        assert!(!desk.home().join("to/index.html").exists());
    }
    // A directory that is not there yet is made: nobody wants to do that in the night of the fire.
    let new = desk.path("not/yet/there/journal.db");
    desk.exits(0, &["mirror", &from, &to, "--journal", &new]);
    assert!(desk.home().join("to/index.html").exists());
    desk.exits(0, &["log", "--journal", &new]).has(&["mirror", "done"]);

    let garbage = desk.write("garbage.db", &"no database ".repeat(100));
    desk.exits(26, &["log", "--journal", &garbage]).has(&["garbage.db"]);
    assert_eq!(fs::read_to_string(&garbage).unwrap(), "no database ".repeat(100));
}

#[test]
fn the_log_verifies_itself_and_notices_tampering() {
    let desk = Desk::new();
    desk.exits(0, &["log"]).has(&["no runs yet"]);
    desk.write("from/index.html", "text");
    fs::create_dir(desk.home().join("to")).unwrap();
    desk.exits(0, &["mirror", &desk.path("from"), &desk.path("to")]);
    let runs = desk.json(0, &["log"]);
    let runs = last(&runs, "result").as_array().unwrap().clone();
    assert_eq!(runs.len(), 1);
    let run = runs[0]["run"].as_str().map_or_else(|| runs[0]["run"].to_string(), str::to_owned);
    desk.exits(0, &["log", &run]).has(&["mirror", "olivia"]);
    assert!(desk.json(0, &["log", &run]).iter().any(|(kind, _)| kind == "plan"));
    desk.exits(0, &["log", "--verify"]);
    desk.exits(18, &["log", "0000000000000000"]);

    let tamper = "UPDATE lines SET event = replace(event, 'olivia', 'nobody'), at = '2026-01-01T00:00:00Z' WHERE number = 1";
    let journal = rusqlite::Connection::open(desk.home().join("journal.db")).unwrap();
    assert_eq!(journal.execute(tamper, []).unwrap(), 1);
    drop(journal);
    let said = desk.exits(1, &["log", "--verify"]);
    said.has(&["run.journal_broken", "line 1"]);
    assert_eq!(last(&desk.json(1, &["log", "--verify"]), "report")["findings"].as_array().unwrap().len(), 1);
    assert!(desk.exits(2, &["log", "--verify", "--nagios"]).out.starts_with("DR CRITICAL - "));
}
