//! `dr failover` and `dr check` on two hosts and two name servers: disaster and return, and `dr` itself killed in the middle.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::desk::{account, last};
use crate::stage::Stage;

#[test]
fn disaster_and_return() {
    let stage = Stage::start(72);
    let desk = &stage.desk;
    // Before the first mirror the standby has nothing to serve.
    let said = desk.exits(1, &["failover", "status"]);
    said.has(&["REFUSES mirror-fresh us has no record of a mirror"]);
    desk.exits(10, &["failover", "plan", "shop"]).has(&["→"]);
    desk.exits(0, &["mirror", "--site", "shop", "--dry-run"]).has(&["index.html"]);
    desk.exits(0, &["mirror", "--site", "shop"]);
    desk.exits(0, &["mirror", "--site", "shop"]);
    assert_eq!(stage.page(&stage.us, "/"), "<h1>Shop</h1>");
    desk.exits(0, &["failover", "status", "shop"]).has(&[
        "shop:",
        "passes standby-healthy",
        "passes mirror-fresh",
    ]);
    desk.exits(0, &["check"]);
    desk.exits(0, &["check", "shop.test", "uk"]);
    desk.exits(18, &["check", "nothing"]).has(&["no zone, site or host 'nothing'"]);
    desk.exits(0, &["failover", "plan", "shop"]).has(&["1.", "epoch", "us"]);
    let plan = desk.json(0, &["failover", "plan", "shop"]);
    assert!(last(&plan, "plan")["steps"].as_array().unwrap().len() > 5);
    let said = desk.exits(16, &["failover", "run", "shop"]);
    said.has(&["nobody said yes", "--yes"]);
    desk.exits(18, &["failover", "run", "bakery", "--yes"]).has(&["bakery"]);
    assert!(stage.says(stage.uk.at));

    stage.uk.nginx.kill9();
    stage.uk.sshd.kill9();
    desk.exits(1, &["failover", "status", "shop"]).has(&["uk"]);
    assert!(desk.exits(2, &["check", "--nagios"]).out.starts_with("DR CRITICAL - "));
    let said = desk.exits(0, &["failover", "run", "shop", "--yes"]);
    assert!(stage.says(stage.us.at), "{said}");
    // A second time there is nothing to do, and nothing is done.
    let again = desk.dr(&["failover", "run", "shop", "--yes"]);
    assert!(stage.says(stage.us.at), "{again}");
    fs::write(stage.us.root.path().join("order.html"), "one teapot").unwrap();

    desk.exits(10, &["failover", "back", "shop", "--yes"]).has(&["uk"]);
    stage.uk.nginx.restart();
    stage.uk.sshd.restart();
    desk.exits(0, &["failover", "back", "shop", "--dry-run"]).has(&["order.html"]);
    desk.exits(0, &["failover", "back", "shop", "--yes"]);
    assert!(stage.says(stage.uk.at));
    assert_eq!(stage.page(&stage.uk, "/order.html"), "one teapot");
    desk.exits(0, &["check"]);

    let runs = desk.exits(0, &["log"]);
    runs.has(&["fail over shop from uk to us", "move shop from us to uk", "mirror"]);
    desk.exits(0, &["log", "--verify"]);
    desk.exits(0, &["memo"]).has(&["shop.test", "dr failover run shop", &account(&stage.us.sshd)]);
}

#[test]
fn killed_in_the_middle_it_is_resumed_or_taken_back() {
    let stage = Stage::start(73);
    let desk = &stage.desk;
    desk.exits(0, &["mirror", "--site", "shop"]);
    let run = ["failover", "run", "shop", "--planned", "--yes"];
    desk.exits(18, &["failover", "resume"]).has(&["dr log lists the runs"]);

    // After the records were changed: it waits out the TTL.
    assert_eq!(desk.signalled_at("point ", Signal::KILL, &run), None);
    desk.exits(0, &["log"]).has(&["unfinished"]);
    for word in ["resume", "undo"] {
        desk.exits(0, &["failover", word, "--dry-run"]).has(&["move shop from uk to us"]);
    }
    desk.exits(0, &["log"]).has(&["unfinished"]);
    desk.exits(0, &["failover", "resume"]);
    assert!(stage.says(stage.us.at));
    assert!(!desk.exits(0, &["log"]).out.contains("unfinished"));

    let back = ["failover", "back", "shop", "--yes"];
    assert_eq!(desk.signalled_at("point ", Signal::KILL, &back), None);
    desk.exits(16, &["failover", "undo"]).has(&["--yes"]);
    desk.exits(0, &["failover", "undo", "--yes"]);
    assert!(stage.says(stage.us.at), "it was there before");
    desk.exits(0, &["log", "--verify"]);

    // Ctrl-C while it waits out the TTL: it says so, and goes on where it stopped.
    assert_eq!(desk.signalled_at("resolvers may keep", Signal::INT, &back), Some(16));
    desk.exits(0, &["failover", "resume"]);
    assert!(stage.says(stage.uk.at));

    // On a terminal it shows the plan and asks.
    let run = ["failover", "run", "shop", "--planned"];
    assert_eq!(stage.answered("n\n", &run).has(&["1.", "Do this now?", "nobody said yes"]).code, 16);
    assert!(stage.says(stage.uk.at));
    assert_eq!(stage.answered("y\n", &run).has(&["Do this now?", "done: everything is as planned"]).code, 0);
    assert!(stage.says(stage.us.at));
    let lines = desk.json(0, &["failover", "back", "shop", "--yes"]);
    let done = lines.iter().filter(|(kind, event)| kind == "event" && has(event, "step_done")).count();
    assert!(done > 5, "{lines:?}");
    assert!(stage.says(stage.uk.at));
}

fn has(event: &Value, kind: &str) -> bool {
    event.to_string().contains(kind)
}

/// What cannot work is refused with the reason, and nothing has moved: no record, no word on a host, no run in the journal.
#[test]
fn bad_input_moves_nothing() {
    let stage = Stage::start(75);
    let desk = &stage.desk;
    desk.exits(0, &["mirror", "--site", "shop"]);
    let sound = fs::read_to_string(desk.path("dr.toml")).unwrap();
    let journal = fs::read(desk.path("journal.db")).unwrap();
    let run: &[&str] = &["failover", "run", "shop", "--yes"];
    let still = |said: &dyn std::fmt::Display| {
        assert!(stage.says(stage.uk.at), "{said}");
        let runs = desk.exits(0, &["log"]).out;
        assert!(!runs.contains("fail over"), "{said}\n{runs}");
    };
    let nl = "[observers.nl]\nfailure_domain = \"nl\"\n";
    for (more, why) in [
        ("[policy.failover.times]\ntake = \"60s\"\n".to_owned(), "make it at least"),
        ("[policy.failover.times]\nrenew = \"50s\"\n".to_owned(), "one lost sign of life"),
        ("[policy.mirrors]\nevery = \"48h\"\n".to_owned(), "cannot keep an objective of 25h"),
        (
            format!(
                "{nl}keys = [\"{KEY}\"]\n[observers.de]\nfailure_domain = \"de\"\nkeys = [\"{KEY} x\"]\n"
            ),
            "two votes",
        ),
        (format!("{nl}{nl}"), "duplicate"),
        (
            "[coordinator]\nkind = \"sqlite\"\npath = \"/x\"\n[policy.failover]\nmode = \"auto\"\n"
                .to_owned(),
            "cannot both ask it",
        ),
    ] {
        desk.write("dr.toml", &format!("{sound}\n{more}"));
        let said = desk.exits(2, run);
        // Errors are wrapped to the width of a terminal.
        let err = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(err.contains(why), "{why}: {said}");
        desk.write("dr.toml", &sound);
        still(&said);
    }

    // A journal that is damaged, and one of a newer dr.
    let newer = desk.path("newer.db");
    fs::write(&newer, &journal).unwrap();
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let damaged = desk.path("damaged.db");
    let mut bytes = journal;
    let middle = bytes.len() / 2;
    bytes[middle..].fill(0xff);
    fs::write(&damaged, bytes).unwrap();
    for (path, code) in [(&newer, 23), (&damaged, 26)] {
        let said = desk.dr(&["failover", "run", "shop", "--yes", "--journal", path]);
        assert_eq!(said.code, code, "{said}");
        still(&said);
    }
}

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
