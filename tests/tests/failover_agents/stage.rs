//! Two hosts, an observer in a third place, a primary name server there, and who visits.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dr_tests::{Net, Port, Server, Tsig, Zone, addresses, bind, dr, etcd, http_get, knot, wait_for};
use tempfile::TempDir;

use super::place::Place;

const ZONE: &str = "shop.test";
pub(crate) const WWW: &str = "www.shop.test";
/// For what must come: far longer than it takes, because the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);
/// `take` of the estate: so long a home may take to come up before anybody's word about it counts.
pub(crate) const TAKE: Duration = Duration::from_secs(9);

/// What is not as usual.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum With {
    /// BIND keeps the lease beside the names.
    Bind,
    /// Knot keeps the names, an etcd the lease.
    KnotAndEtcd,
    /// The standby's state is on a small disk.
    SmallDisk,
}

pub(crate) struct Stage {
    pub(crate) uk: Place,
    pub(crate) us: Place,
    pub(crate) nl: Place,
    pub(crate) dns: Server,
    etcd: Option<Server>,
    pub(crate) net: Arc<Net>,
    pub(crate) desk: TempDir,
    port: u16,
    began: Instant,
}

impl Stage {
    pub(crate) fn start(with: With) -> Self {
        let desk = tempfile::tempdir().unwrap();
        for name in ["operator", "votes", "uk-key", "us-key", "nl-key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(desk.path().join(name))
                .status();
            assert!(made.expect("ssh-keygen").success());
        }
        let net = Arc::new(Net::new(&["uk", "us", "nl"]));
        let [uk, us, nl] = ["uk", "us", "nl"]
            .map(|name| Place::new(name, &net, desk.path(), name == "us" && with == With::SmallDisk));
        let zone = Zone::new(ZONE).web(net.address("uk")).ttl(1).name_servers(1);
        let (dns, etcd) = net.inside("nl", || match with {
            With::KnotAndEtcd => (knot::primary(Port::free(), &[zone]), Some(etcd::secured())),
            _ => (bind::primary(Port::free(), &[zone], &[], bind::Notify::Tuned), None),
        });
        let began = Instant::now();
        let mut stage = Self { uk, us, nl, dns, etcd, net, desk, port: 8080, began };
        fs::write(stage.uk.www.path().join("index.html"), "<h1>Shop</h1>\n").unwrap();
        stage.write_estate();
        stage.write_settings();
        let desk = stage.desk.path().to_owned();
        for place in [&mut stage.uk, &mut stage.us] {
            place.start_warden(&desk);
        }
        for place in [&mut stage.uk, &mut stage.us, &mut stage.nl] {
            place.start_agent(&desk);
        }
        stage.began = Instant::now();
        stage
    }

    /// Until everybody is there, the site is mirrored, and what is said of its home counts.
    pub(crate) fn warm_up(&self) {
        self.until("uk to serve", || self.serves("uk"));
        self.mirror();
        for vote in ["uk-1 says up", "us-1 says up", "nl-1 says up"] {
            self.until_says(&self.us, vote);
        }
        self.settle_down(self.began);
    }

    /// So long after this an agent believes no word against a home: it may still be coming up.
    pub(crate) fn settle_down(&self, since: Instant) {
        std::thread::sleep((TAKE + Duration::from_secs(1)).saturating_sub(since.elapsed()));
    }

    pub(crate) fn at(&self, host: &str) -> SocketAddr {
        (self.net.address(host), self.port).into()
    }

    /// The services of the site on a host: an nginx of its own, started and stopped by commands.
    fn services(&self, place: &Place) -> [String; 3] {
        let (dir, www) = (place.state.path().display(), place.www.path().display());
        let configuration = format!(
            "user root;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log /dev/null;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {dir}/body;\nproxy_temp_path {dir}/proxy;\nfastcgi_temp_path {dir}/f;\n\
             uwsgi_temp_path {dir}/u;\nscgi_temp_path {dir}/s;\n\
             server {{ listen {}; root \"{www}\"; index index.html; }}\n}}\n",
            self.at(place.name)
        );
        fs::write(place.state.path().join("nginx.conf"), configuration).unwrap();
        let nginx = format!("/usr/sbin/nginx -e /dev/null -c {dir}/nginx.conf");
        let lives = format!("test -s {dir}/nginx.pid && kill -0 $(cat {dir}/nginx.pid) 2>/dev/null");
        [
            format!("{lives} || {nginx}"),
            format!("while {lives}; do kill -TERM $(cat {dir}/nginx.pid); sleep 0.05; done"),
            format!("{nginx} -t -q"),
        ]
    }

    fn key(&self, name: &str) -> String {
        fs::read_to_string(self.desk.path().join(format!("{name}.pub"))).unwrap().trim().to_owned()
    }

    fn write_estate(&self) {
        let secret = self.desk.path().join("update.key");
        fs::write(&secret, Tsig::LAB.secret).unwrap();
        fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let mut text = String::new();
        for place in [&self.uk, &self.us] {
            let (name, remote, key) = (place.name, place.remote(), place.sshd.host_key());
            let (address, signs) = (self.net.address(name), self.key(&format!("{name}-key")));
            writeln!(
                text,
                "[hosts.{name}]\nssh = \"{remote}\"\nhost_keys = [\"{key}\"]\naddresses = [\"{address}\"]\nstate_dir = \"dr\"\n\
                 failure_domain = \"{name}\"\nagent_keys = [\"{signs}\"]"
            )
            .unwrap();
        }
        self.write_site(&mut text);
        let coordinator = match &self.etcd {
            Some(etcd) => format!(
                "kind = \"etcd\"\nurls = [\"https://{}\"]\nauthorities = \"{}\"",
                etcd.addr(),
                etcd::authority(etcd).display()
            ),
            None => String::new(),
        };
        let Tsig { name, algorithm, .. } = Tsig::LAB;
        writeln!(
            text,
            "[name_servers.ns]\naddress = \"{}\"\n[tsig_keys.{name}]\nalgorithm = \"{algorithm}\"\nsecret_file = \"{}\"\n\
             [zones.\"{ZONE}\"]\nprimary = \"ns\"\nservers = [\"ns\"]\nupdate_key = \"{name}\"\n\
             [coordinator]\nfailure_domain = \"nl\"\n{coordinator}\n\
             [policy.failover]\nmode = \"auto\"\ntimes = {{ renew = \"1s\", hold = \"6s\", take = \"9s\", stop = \"2s\", \
             answer = \"2s\", drift_permille = 10 }}\nfree_bytes = 65536\n\
             [policy.health]\ninterval = \"400ms\"\nconfirm_interval = \"100ms\"\ntimeout = \"1s\"\nfall = 2\nrise = 2\n\
             hold_down = \"2s\"",
            self.dns.addr(),
            secret.display(),
        )
        .unwrap();
        for place in [&self.uk, &self.us, &self.nl] {
            let (name, remote, key) = (place.name, place.remote(), self.key(&format!("{}-key", place.name)));
            writeln!(
                text,
                "[observers.{name}-1]\nfailure_domain = \"{name}\"\nssh = \"{remote}\"\nkeys = [\"{key}\"]"
            )
            .unwrap();
        }
        fs::write(self.desk.path().join("dr.toml"), text).unwrap();
        let known: String = [&self.uk, &self.us, &self.nl].map(|place| place.sshd.known_hosts()).concat();
        fs::write(self.desk.path().join("known_hosts"), known).unwrap();
    }

    fn write_site(&self, text: &mut String) {
        // The commands are the same on both hosts; what differs stands in files beside their agents.
        let script = |which: usize| {
            let (uk, us) = (&self.services(&self.uk)[which], &self.services(&self.us)[which]);
            let path = self.desk.path().join(format!("services-{which}.sh"));
            let home = self.uk.sshd.home().display();
            fs::write(&path, format!("if [ \"$HOME\" = {home} ]; then {uk}; else {us}; fi\n")).unwrap();
            format!("[\"/bin/sh\", \"{}\"]", path.display())
        };
        let (start, stop, check) = (script(0), script(1), script(2));
        let (port, uk, us) = (self.port, self.uk.www.path(), self.us.www.path());
        writeln!(
            text,
            "[sites.shop]\nhome = \"uk\"\nstandby = \"us\"\nnames = [\"{ZONE}\", \"{WWW}\"]\n\
             trees = [{{ path = \"{}\", on_standby = \"{}\" }}]\n\
             probes = [{{ http = {{ host = \"{WWW}\", path = \"/\", port = {port}, status = 200, contains = \"Shop\" }} }}]\n\
             [sites.shop.services]\nstart = {start}\nstop = {stop}\ncheck = {check}",
            uk.display(),
            us.display()
        )
        .unwrap();
    }

    /// Who each agent is; everything else is in the estate.
    fn write_settings(&self) {
        for name in ["uk", "us", "nl"] {
            let key = |name: &str| self.desk.path().join(name).to_str().unwrap().to_owned();
            let mut settings = serde_json::json!({
                "observer": format!("{name}-1"),
                "key": key(&format!("{name}-key")),
                "login": key("votes"),
            });
            if name != "nl" {
                settings["host"] = name.into();
            }
            fs::write(self.desk.path().join(format!("{name}.json")), settings.to_string()).unwrap();
        }
    }

    /// A command as a person at a place types it.
    fn command(&self, place: &Place, arguments: &[&str]) -> Result<String, String> {
        let prefix = self.net.prefix(place.name);
        let output = Command::new(&prefix[0])
            .args(&prefix[1..])
            .arg(dr())
            .arg("--estate")
            .arg(self.desk.path().join("dr.toml"))
            .args(arguments)
            .env("HOME", place.sshd.home())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() {
            Ok(text(&output.stdout))
        } else {
            Err(text(&output.stderr) + &text(&output.stdout))
        }
    }

    pub(crate) fn says(&self, place: &Place, words: &[&str]) -> Result<String, String> {
        let state = place.state.path().to_str().unwrap();
        self.command(place, &[&["failover"], words, &["--state-dir", state]].concat())
    }

    pub(crate) fn serves(&self, host: &str) -> bool {
        self.net.inside(host, || matches!(http_get(self.at(host), WWW, "/"), Ok((200, _))))
    }

    /// What visitors at the third place get from a host.
    pub(crate) fn page(&self, host: &str, path: &str) -> (u16, Vec<u8>) {
        self.net.inside("nl", || http_get(self.at(host), WWW, path).unwrap())
    }

    pub(crate) fn until(&self, what: &str, is: impl Fn() -> bool) -> Duration {
        let began = Instant::now();
        wait_for(what, PATIENCE, || is().then_some(()));
        began.elapsed()
    }

    /// Until a host says of itself what it should.
    pub(crate) fn until_says(&self, place: &Place, said: &str) {
        self.until(&format!("{} to say: {said}", place.name), || {
            self.says(place, &["seats"]).is_ok_and(|text| text.contains(said))
        });
    }

    /// Until the site is served there and its names lead there.
    pub(crate) fn until_home(&self, host: &str) {
        self.until(&format!("{host} to serve"), || self.serves(host));
        self.until(&format!("the names to lead to {host}"), || {
            let led = self.net.inside("nl", || addresses(self.dns.addr(), WWW));
            led == Ok(vec![self.net.address(host)])
        });
    }

    /// Whether what was told on a host says why: each of these, and the run that moved the visitors is in its journal, as it was written.
    pub(crate) fn explains(&self, place: &Place, why: &[&str], run: &str) {
        // Logs break their lines where they are long.
        let told = place.told().replace('\n', " ");
        for words in why {
            assert!(told.contains(words), "{} never told: {words}", place.name);
        }
        let journal = place.journal();
        self.until("the run to be in the journal", || {
            let audit = self.command(place, &["--journal", &journal, "failover", "audit", "--verify"]);
            audit.is_ok_and(|text| text.contains(run))
        });
    }

    /// A person at the home hands the site over, until it is taken.
    pub(crate) fn hand_over(&self, from: &Place, to: &str) {
        self.until("the site to be handed over", || {
            let _ = self.says(from, &["ack", "shop"]);
            let _ = self.says(from, &["hand-over", "shop"]);
            std::thread::sleep(Duration::from_millis(500));
            self.serves(to)
        });
    }

    /// From the third place, by a person.
    pub(crate) fn mirror(&self) {
        let mirrored = self.by_hand(&["--agent-path", dr().to_str().unwrap(), "mirror", "--site", "shop"]);
        assert!(mirrored.is_ok(), "{}", mirrored.unwrap_err());
    }

    /// What a person at the third place says, who comes by SSH.
    pub(crate) fn by_hand(&self, words: &[&str]) -> Result<String, String> {
        let of = |name: &str| self.desk.path().join(name).to_str().unwrap().to_owned();
        let (operator, known, journal) = (of("operator"), of("known_hosts"), of("journal.db"));
        let access = ["--identity", &operator, "--known-hosts", &known, "--journal", &journal];
        self.command(&self.nl, &[&access[..], words].concat())
    }

    /// What the coordinator has of the site, as a copy that can be restored.
    pub(crate) fn copied_lease(&self) -> String {
        let kept = match &self.etcd {
            Some(_) => self.types(&format!("{} get --print-value-only dr/sites/shop", self.etcdctl())),
            None => {
                let (at, port) = (self.dns.addr().ip(), self.dns.addr().port());
                self.types(&format!("dig +short @{at} -p {port} _lease._dr.shop.{ZONE} TXT"))
            }
        };
        kept.trim().trim_matches('"').to_owned()
    }

    /// Restores it, and where name servers keep it what stands beside the names too.
    pub(crate) fn restore_lease(&self, copy: &str) {
        let Tsig { name, algorithm, secret } = Tsig::LAB;
        let (at, port) = (self.dns.addr().ip(), self.dns.addr().port());
        self.types(&match &self.etcd {
            Some(_) => format!("{} put dr/sites/shop '{copy}'", self.etcdctl()),
            None => format!(
                "nsupdate <<'END'\nserver {at} {port}\nkey {algorithm}:{name} {secret}\nzone {ZONE}\n\
                 update delete _dr.shop.{ZONE} TXT\nupdate delete _lease._dr.shop.{ZONE} TXT\n\
                 update add _lease._dr.shop.{ZONE} 0 TXT \"{copy}\"\nsend\nEND"
            ),
        });
    }

    fn etcdctl(&self) -> String {
        let etcd = self.etcd.as_ref().unwrap();
        format!("etcdctl --endpoints https://{} --cacert {}", etcd.addr(), etcd::authority(etcd).display())
    }

    /// What a shell at the third place prints, where all goes well.
    pub(crate) fn types(&self, script: &str) -> String {
        let prefix = self.net.prefix("nl");
        let mut command = Command::new(&prefix[0]);
        let ran = command.args(&prefix[1..]).args(["sh", "-ec", script]).output().unwrap();
        assert!(ran.status.success() && ran.stderr.is_empty(), "{script}: {ran:?}");
        String::from_utf8(ran.stdout).unwrap()
    }

    /// The desk, where what all agents read lies.
    pub(crate) fn papers(&self) -> &Path {
        self.desk.path()
    }
}
