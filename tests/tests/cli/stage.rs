//! Two hosts (sshd, nginx), a primary name server and a secondary, and an estate that describes them.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::time::Duration;

use dr_tests::{
    Nginx, Port, Server, Site, Sshd, Tsig, Zone, addresses, bind, etcd, http_get, pdns, wait_for,
};
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

/// Two hosts, the name servers, and the operator's desk with the estate on it.
pub(crate) struct Stage {
    pub(crate) desk: Desk,
    pub(crate) uk: Host,
    pub(crate) us: Host,
    pub(crate) named: Vec<Server>,
    pub(crate) port: Port,
    etcd: Option<Server>,
}

/// Where it is written down who holds the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keeper {
    /// Beside the names, on a primary with a secondary.
    Names,
    /// The signs of life in a zone of their own.
    LockZone,
    /// An etcd that speaks TLS and asks for a password.
    Etcd,
    /// A file on the operator's desk.
    File,
    /// Beside the names, which only an API changes.
    Api,
}

impl Stage {
    /// `net` keeps tests that run at the same time from each other's addresses.
    pub(crate) fn start(net: u8) -> Self {
        Self::kept(net, Keeper::Names)
    }

    pub(crate) fn kept(net: u8, keeper: Keeper) -> Self {
        let (desk, port) = (Desk::new(), Port::free());
        let uk = Host::start(Ipv4Addr::new(127, 0, net, 2), &port);
        let us = Host::start(Ipv4Addr::new(127, 0, net, 3), &port);
        fs::write(uk.root.path().join("index.html"), "<h1>Shop</h1>").unwrap();
        let zone = Zone::new("shop.test").web(uk.at).ttl(2).name_servers(2);
        let (named, api) = name_servers(zone, keeper);
        let etcd = (keeper == Keeper::Etcd).then(etcd::secured);
        etcd.iter().for_each(|etcd| etcd::ask_for_passwords(etcd, "of-dr"));
        desk.key_for(&[&uk.sshd, &us.sshd]);
        let stage = Self { desk, uk, us, named, port, etcd };
        stage.write_estate(keeper, api);
        wait_for("the secondary", Duration::from_secs(30), || stage.says(stage.uk.at).then_some(()));
        stage
    }

    fn write_estate(&self, keeper: Keeper, api: Option<Port>) {
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
        let servers: Vec<String> = (1..=self.named.len()).map(|number| format!("\"ns{number}\"")).collect();
        for (server, quoted) in self.named.iter().zip(&servers) {
            text += &format!("[name_servers.{quoted}]\naddress = \"{}\"\n\n", server.addr());
        }
        let servers = servers.join(", ");
        let changed = match &api {
            Some(_) => "provider = \"panel\"".to_owned(),
            None => format!("update_key = \"{}\"", Tsig::LAB.name),
        };
        text += &format!(
            "[zones.\"shop.test\"]\nprimary = \"ns1\"\nservers = [{servers}]\n{changed}\n\n\
             [tsig_keys.\"{name}\"]\nalgorithm = \"hmac-sha256\"\nsecret_file = \"{secret}\"\n\n",
            name = Tsig::LAB.name
        );
        if let Some(api) = api {
            let token = self.desk.secret("api.key", pdns::API_KEY);
            text += &format!(
                "[providers.panel]\nkind = \"powerdns\"\nurl = \"http://{}\"\ntoken_file = \"{token}\"\n\n",
                api.addr()
            );
        }
        self.desk.write("dr.toml", &(text + &self.coordinator(keeper)));
    }

    fn coordinator(&self, keeper: Keeper) -> String {
        match (keeper, &self.etcd) {
            (Keeper::Etcd, Some(etcd)) => format!(
                "[coordinator]\nkind = \"etcd\"\nurls = [\"https://{}\"]\nauthorities = \"{}\"\nuser = \"dr\"\n\
                 password_file = \"{}\"\n",
                etcd.addr(),
                etcd::authority(etcd).display(),
                self.desk.secret("etcd.key", "of-dr\n")
            ),
            (Keeper::LockZone, _) => format!(
                "[zones.\"lock.test\"]\nprimary = \"ns1\"\nservers = [\"ns1\"]\nupdate_key = \"{}\"\n\n\
                 [coordinator]\nkind = \"dns\"\nzone = \"lock.test\"\n",
                Tsig::LAB.name
            ),
            (Keeper::File, _) => {
                format!("[coordinator]\nkind = \"sqlite\"\npath = \"{}\"\n", self.desk.path("who holds.db"))
            }
            _ => String::new(),
        }
    }

    /// Whether all name servers have this address for the site.
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

/// A primary with a secondary; or one that only its API changes, and where that is.
fn name_servers(zone: Zone, keeper: Keeper) -> (Vec<Server>, Option<Port>) {
    if keeper == Keeper::Api {
        let api = Port::free();
        let primary = pdns::primary_with_api(Port::free(), &api, &[zone]);
        return (vec![primary], Some(api));
    }
    let follower = Port::free();
    let mut zones = vec![zone];
    zones.extend((keeper == Keeper::LockZone).then(|| Zone::new("lock.test").name_servers(1)));
    let primary = bind::primary(Port::free(), &zones, &[follower.addr()], bind::Notify::Tuned);
    let secondary = bind::secondary(follower, &["shop.test"], primary.addr());
    (vec![primary, secondary], None)
}
