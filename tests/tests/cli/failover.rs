//! `dr failover` and `dr check` on two hosts (sshd, nginx) and two name servers (BIND): disaster and return, and `dr` itself
//! killed in the middle.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;
use std::time::Duration;

use dr_tests::{Nginx, Port, Server, Site, Sshd, Tsig, Zone, addresses, bind, http_get, wait_for};
use serde_json::Value;
use tempfile::TempDir;

use crate::desk::{Desk, account, last};

const WWW: &str = "www.shop.test";

/// A host: its sshd, its web server, its document root, its address.
struct Host {
    sshd: Sshd,
    nginx: Nginx,
    root: TempDir,
    at: Ipv4Addr,
}

impl Host {
    fn start(at: Ipv4Addr, port: &Port) -> Self {
        let root = tempfile::tempdir().unwrap();
        let nginx = Nginx::also_at(SocketAddr::from((at, port.number())), &[Site::new(WWW, root.path())]);
        Self { sshd: Sshd::start(), nginx, root, at }
    }

    fn table(&self, id: &str, key: &str) -> String {
        format!(
            "[hosts.{id}]\nssh = \"{}\"\nhost_keys = [\"{}\"]\naddresses = [\"{}\"]\nidentity = \"{key}\"\n\n",
            account(&self.sshd),
            self.sshd.host_key(),
            self.at
        )
    }
}

/// Two hosts, a primary and a secondary, and the operator's desk with the estate on it.
struct Stage {
    desk: Desk,
    uk: Host,
    us: Host,
    named: [Server; 2],
    port: Port,
}

impl Stage {
    /// `net` keeps tests that run at the same time from each other's addresses.
    fn start(net: u8) -> Self {
        let (desk, port) = (Desk::new(), Port::free());
        let uk = Host::start(Ipv4Addr::new(127, 0, net, 2), &port);
        let us = Host::start(Ipv4Addr::new(127, 0, net, 3), &port);
        fs::write(uk.root.path().join("index.html"), "<h1>Shop</h1>").unwrap();
        let follower = Port::free();
        let zone = Zone::new("shop.test").web(uk.at).ttl(2).name_servers(2);
        let primary = bind::primary(Port::free(), &[zone], &[follower.addr()], bind::Notify::Tuned);
        let secondary = bind::secondary(follower, &["shop.test"], primary.addr());
        desk.key_for(&[&uk.sshd, &us.sshd]);
        let stage = Self { desk, uk, us, named: [primary, secondary], port };
        stage.write_estate();
        wait_for("the secondary", Duration::from_secs(30), || stage.says(stage.uk.at).then_some(()));
        stage
    }

    fn write_estate(&self) {
        let (key, secret) = (self.desk.path("key"), self.desk.tsig());
        let mut text = self.uk.table("uk", &key) + &self.us.table("us", &key);
        text += &format!(
            "[sites.shop]\nhome = \"uk\"\nstandby = \"us\"\nnames = [\"{WWW}\", \"shop.test\"]\n\
             trees = [{{ path = \"{}\", on_standby = \"{}\" }}]\n\n\
             [[sites.shop.probes]]\nhttp = {{ host = \"{WWW}\", port = {}, contains = \"Shop\" }}\n\n",
            self.uk.root.path().display(),
            self.us.root.path().display(),
            self.port.number(),
        );
        for (number, server) in self.named.iter().enumerate() {
            text += &format!("[name_servers.ns{}]\naddress = \"{}\"\n\n", number + 1, server.addr());
        }
        text += &format!(
            "[zones.\"shop.test\"]\nprimary = \"ns1\"\nservers = [\"ns1\", \"ns2\"]\nupdate_key = \"{name}\"\n\n\
             [tsig_keys.\"{name}\"]\nalgorithm = \"hmac-sha256\"\nsecret_file = \"{secret}\"\n",
            name = Tsig::LAB.name
        );
        self.desk.write("dr.toml", &text);
    }

    /// Whether both name servers have this address for the site.
    fn says(&self, at: Ipv4Addr) -> bool {
        self.named.iter().all(|server| addresses(server.addr(), WWW) == Ok(vec![at]))
    }

    fn page(&self, host: &Host, path: &str) -> String {
        let (status, body) = http_get(SocketAddr::from((host.at, self.port.number())), WWW, path).unwrap();
        assert_eq!(status, 200, "{path}");
        String::from_utf8(body).unwrap()
    }

    /// Runs `dr` until its story tells this, and kills it without warning.
    fn killed_at(&self, text: &str, arguments: &[&str]) {
        let mut child =
            self.desk.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let told = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
        let mut story = vec![];
        for line in told {
            story.push(line);
            if story.last().unwrap().contains(text) {
                child.kill().unwrap();
                break;
            }
        }
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "it ended before '{text}': {story:#?}");
    }
}

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
    stage.killed_at("point ", &run);
    desk.exits(0, &["log"]).has(&["unfinished"]);
    desk.exits(0, &["failover", "resume"]);
    assert!(stage.says(stage.us.at));
    assert!(!desk.exits(0, &["log"]).out.contains("unfinished"));

    stage.killed_at("point ", &["failover", "back", "shop", "--yes"]);
    desk.exits(16, &["failover", "undo"]).has(&["--yes"]);
    desk.exits(0, &["failover", "undo", "--yes"]);
    assert!(stage.says(stage.us.at), "it was there before");
    desk.exits(0, &["log", "--verify"]);
    let lines = desk.json(0, &["failover", "back", "shop", "--yes"]);
    let done = lines.iter().filter(|(kind, event)| kind == "event" && has(event, "step_done")).count();
    assert!(done > 5, "{lines:?}");
    assert!(stage.says(stage.uk.at));
}

fn has(event: &Value, kind: &str) -> bool {
    event.to_string().contains(kind)
}
