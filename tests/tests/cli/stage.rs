//! Two hosts (sshd, nginx), a primary name server and a secondary, and an estate that describes them.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use dr_tests::{Nginx, Port, Server, Site, Sshd, Tsig, Zone, addresses, bind, http_get, wait_for};
use tempfile::TempDir;

use crate::desk::{Desk, Said, account};

const WWW: &str = "www.shop.test";

/// A host: its sshd, its web server, its document root, its address.
pub(crate) struct Host {
    pub(crate) sshd: Sshd,
    pub(crate) nginx: Nginx,
    pub(crate) root: TempDir,
    pub(crate) at: Ipv4Addr,
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
pub(crate) struct Stage {
    pub(crate) desk: Desk,
    pub(crate) uk: Host,
    pub(crate) us: Host,
    pub(crate) named: [Server; 2],
    pub(crate) port: Port,
}

impl Stage {
    /// `net` keeps tests that run at the same time from each other's addresses.
    pub(crate) fn start(net: u8) -> Self {
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
    pub(crate) fn says(&self, at: Ipv4Addr) -> bool {
        self.named.iter().all(|server| addresses(server.addr(), WWW) == Ok(vec![at]))
    }

    pub(crate) fn page(&self, host: &Host, path: &str) -> String {
        let (status, body) = http_get(SocketAddr::from((host.at, self.port.number())), WWW, path).unwrap();
        assert_eq!(status, 200, "{path}");
        String::from_utf8(body).unwrap()
    }

    /// Runs `dr` on a terminal, where somebody types this.
    pub(crate) fn answered(&self, typed: &str, arguments: &[&str]) -> Said {
        let journal = self.desk.path("journal.db");
        let command = format!("{} {} --journal {journal}", dr_tests::dr().display(), arguments.join(" "));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &command, "/dev/null"])
            .env("HOME", self.desk.home())
            .env("NO_COLOR", "1")
            .current_dir(self.desk.home())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut hands = child.stdin.take().unwrap();
        hands.write_all(typed.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(hands);
        // The progress is drawn over itself.
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(bytes).replace("\x1b[2K", "").replace("\x1b[1A", "");
        Said { code: output.status.code().unwrap(), out: text(&output.stdout), err: text(&output.stderr) }
    }
}
