//! Agents as processes: two hosts with sshd, nginx and a warden each, three observers, a BIND primary that keeps the lease. A web server
//! is killed, a holder is stopped and wakes late, a whole host dies; the site is moved once each time, comes back, and never has two
//! hosts that serve it: somebody looks at both all the time.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "what fails here fails the test")]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_tests::{Port, Server, Sshd, Tsig, Zone, addresses, bind, dr, http_get, wait_for};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

const ZONE: &str = "shop.test";
const WWW: &str = "www.shop.test";
const UK: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
const US: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 3);
const PATIENCE: Duration = Duration::from_secs(90);

/// A process that ends with the test.
struct Process(Mutex<Child>);

impl Process {
    fn start(desk: &Path, home: &Path, log: &Path, arguments: &[&str]) -> Self {
        let log = fs::File::options().create(true).append(true).open(log).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .arg(dr())
            .arg("--estate")
            .arg(desk.join("dr.toml"))
            .args(arguments)
            .env("HOME", home)
            .env("DR_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(Mutex::new(child))
    }

    fn signal(&self, signal: Signal) {
        let pid = self.0.lock().unwrap().id();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    fn end(&self, signal: Signal) {
        self.signal(signal);
        self.0.lock().unwrap().wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let mut child = self.0.lock().unwrap();
        if matches!(child.try_wait(), Ok(None)) {
            let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
            // A warden stops its services then; whoever was stopped hears it when it goes on.
            let _ = kill_process(pid, Signal::TERM);
            let _ = kill_process(pid, Signal::CONT);
            let deadline = Instant::now() + Duration::from_secs(10);
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// One place: an account that is reached by SSH, and what runs there.
struct Place {
    name: &'static str,
    sshd: Sshd,
    /// The agent's directory.
    state: TempDir,
    www: TempDir,
    agent: Option<Process>,
    warden: Option<Process>,
}

impl Place {
    fn new(name: &'static str, keys: &Keys) -> Self {
        let (sshd, state, www) = (Sshd::start(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let votes = format!("{} agent --votes --state-dir {}", dr().display(), state.path().display());
        sshd.authorize(&format!("command=\"{votes}\",restrict {}", keys.public("votes")));
        sshd.authorize(&keys.public("operator"));
        Self { name, sshd, state, www, agent: None, warden: None }
    }

    fn remote(&self) -> dr_core::Remote {
        format!("ssh://{}@{}", self.sshd.user(), self.sshd.addr()).parse().unwrap()
    }

    fn log(&self) -> PathBuf {
        self.state.path().join("log")
    }

    fn start_warden(&mut self, desk: &Path) {
        let state = self.state.path().to_str().unwrap();
        let arguments = ["agent", "--warden", "--state-dir", state];
        self.warden = Some(Process::start(desk, self.sshd.home(), &self.log(), &arguments));
    }

    fn start_agent(&mut self, desk: &Path) {
        let state = self.state.path().to_str().unwrap();
        let of = |name: &str| desk.join(name).to_str().unwrap().to_owned();
        let (settings, operator, known) =
            (of(&format!("{}.json", self.name)), of("operator"), of("known_hosts"));
        let journal = self.state.path().join("journal.db");
        let arguments = [
            "--identity",
            &operator,
            "--known-hosts",
            &known,
            "--journal",
            journal.to_str().unwrap(),
            "--agent-path",
            dr().to_str().unwrap(),
            "agent",
            "--run",
            &settings,
            "--state-dir",
            state,
        ];
        self.agent = Some(Process::start(desk, self.sshd.home(), &self.log(), &arguments));
    }

    /// What the web server wrote down as its number; none if it does not run.
    fn nginx(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.state.path().join("nginx.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    /// The web server and its workers, without warning.
    fn kill_nginx(&self) {
        kill_process_group(self.nginx().expect("nginx runs"), Signal::KILL).unwrap();
    }

    /// Everything that runs there, without warning.
    fn burn(&self) {
        self.agent.as_ref().unwrap().end(Signal::KILL);
        self.warden.as_ref().unwrap().end(Signal::KILL);
        self.kill_nginx();
        self.sshd.kill9();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.agent.take());
        drop(self.warden.take());
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, fs::read_to_string(self.log()).unwrap_or_default());
            let history = fs::read_to_string(self.state.path().join("history.jsonl"));
            eprintln!("{}", history.unwrap_or_default());
        }
        if let Some(nginx) = self.nginx() {
            // Its number may be that of somebody else by now; only a group that it leads is ended.
            let name = fs::read_to_string(format!("/proc/{}/comm", nginx.as_raw_nonzero()));
            if name.is_ok_and(|name| name.trim() == "nginx") {
                let _ = kill_process_group(nginx, Signal::KILL);
            }
        }
    }
}

/// Key pairs, by name, on the desk.
struct Keys(PathBuf);

impl Keys {
    fn make(desk: &Path) -> Self {
        for name in ["operator", "votes", "uk-key", "us-key", "nl-key"] {
            let made = Command::new("ssh-keygen")
                .args(["-q", "-t", "ed25519", "-N", "", "-f"])
                .arg(desk.join(name))
                .status();
            assert!(made.expect("ssh-keygen").success());
        }
        Self(desk.to_owned())
    }

    fn public(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(format!("{name}.pub"))).unwrap().trim().to_owned()
    }
}

struct Stage {
    uk: Place,
    us: Place,
    nl: Place,
    dns: Server,
    desk: TempDir,
    port: Port,
}

impl Stage {
    fn start() -> Self {
        let desk = tempfile::tempdir().unwrap();
        let keys = Keys::make(desk.path());
        let (uk, us, nl) = (Place::new("uk", &keys), Place::new("us", &keys), Place::new("nl", &keys));
        let zone = Zone::new(ZONE).web(UK).ttl(1).name_servers(1);
        let dns = bind::primary(Port::free(), &[zone], &[], bind::Notify::Tuned);
        let mut stage = Self { uk, us, nl, dns, desk, port: Port::free() };
        fs::write(stage.uk.www.path().join("index.html"), "<h1>Shop</h1>\n").unwrap();
        stage.write_estate(&keys);
        stage.write_settings();
        let desk = stage.desk.path().to_owned();
        for place in [&mut stage.uk, &mut stage.us] {
            place.start_warden(&desk);
        }
        for place in [&mut stage.uk, &mut stage.us, &mut stage.nl] {
            place.start_agent(&desk);
        }
        stage
    }

    fn at(&self, host: Ipv4Addr) -> SocketAddr {
        (host, self.port.number()).into()
    }

    /// The services of the site on a host: an nginx of its own, started and stopped by commands.
    fn services(&self, place: &Place, address: Ipv4Addr) -> [String; 3] {
        let (dir, www) = (place.state.path().display(), place.www.path().display());
        let configuration = format!(
            "user root;\nworker_processes 1;\npid {dir}/nginx.pid;\nerror_log {dir}/error.log;\nevents {{}}\nhttp {{\n\
             access_log off;\nclient_body_temp_path {dir}/body;\nproxy_temp_path {dir}/proxy;\nfastcgi_temp_path {dir}/f;\n\
             uwsgi_temp_path {dir}/u;\nscgi_temp_path {dir}/s;\n\
             server {{ listen {}; root \"{www}\"; index index.html; }}\n}}\n",
            self.at(address)
        );
        fs::write(place.state.path().join("nginx.conf"), configuration).unwrap();
        let nginx = format!("/usr/sbin/nginx -e {dir}/error.log -c {dir}/nginx.conf");
        let lives = format!("test -s {dir}/nginx.pid && kill -0 $(cat {dir}/nginx.pid) 2>/dev/null");
        [
            format!("{lives} || {nginx}"),
            format!("while {lives}; do kill -TERM $(cat {dir}/nginx.pid); sleep 0.05; done"),
            format!("{nginx} -t -q"),
        ]
    }

    fn write_estate(&self, keys: &Keys) {
        let secret = self.desk.path().join("update.key");
        fs::write(&secret, Tsig::LAB.secret).unwrap();
        fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        let mut text = String::new();
        for (place, address) in [(&self.uk, UK), (&self.us, US)] {
            let (name, remote, key) = (place.name, place.remote(), place.sshd.host_key());
            writeln!(
                text,
                "[hosts.{name}]\nssh = \"{remote}\"\nhost_keys = [\"{key}\"]\naddresses = [\"{address}\"]\nstate_dir = \"dr\"\n\
                 failure_domain = \"{name}\"\nagent_keys = [\"{}\"]",
                keys.public(&format!("{name}-key"))
            )
            .unwrap();
        }
        // The commands are the same on both hosts; what differs stands in files beside their agents.
        let script = |which: usize| {
            let line = |place: &Place, address| self.services(place, address)[which].clone();
            let (uk, us) = (line(&self.uk, UK), line(&self.us, US));
            let path = self.desk.path().join(format!("services-{which}.sh"));
            let home = self.uk.sshd.home().display();
            fs::write(&path, format!("if [ \"$HOME\" = {home} ]; then {uk}; else {us}; fi\n")).unwrap();
            format!("[\"/bin/sh\", \"{}\"]", path.display())
        };
        let (start, stop, check) = (script(0), script(1), script(2));
        let (port, uk, us) = (self.port.number(), self.uk.www.path(), self.us.www.path());
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
        writeln!(
            text,
            "[name_servers.ns]\naddress = \"{}\"\n[tsig_keys.{}]\nalgorithm = \"{}\"\nsecret_file = \"{}\"\n\
             [zones.\"{ZONE}\"]\nprimary = \"ns\"\nservers = [\"ns\"]\nupdate_key = \"{}\"\n\
             [coordinator]\nfailure_domain = \"nl\"\n\
             [policy.failover]\nmode = \"auto\"\ntimes = {{ renew = \"1s\", hold = \"5s\", take = \"8s\", stop = \"2s\", \
             answer = \"1500ms\", drift_permille = 10 }}\n\
             [policy.health]\ninterval = \"300ms\"\nconfirm_interval = \"100ms\"\ntimeout = \"1s\"\nfall = 2\nrise = 2\n\
             hold_down = \"2s\"",
            self.dns.addr(),
            Tsig::LAB.name,
            Tsig::LAB.algorithm,
            secret.display(),
            Tsig::LAB.name
        )
        .unwrap();
        for place in [&self.uk, &self.us, &self.nl] {
            let (name, remote) = (place.name, place.remote());
            let key = keys.public(&format!("{name}-key"));
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

    /// Who each agent is; everything else is in the estate.
    fn write_settings(&self) {
        for place in [&self.uk, &self.us, &self.nl] {
            let name = place.name;
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

    /// A command on a host, as a person there types it.
    fn says(&self, place: &Place, words: &[&str]) -> Result<String, String> {
        let state = place.state.path().to_str().unwrap();
        let output = Command::new(dr())
            .arg("--estate")
            .arg(self.desk.path().join("dr.toml"))
            .args(["failover"])
            .args(words)
            .args(["--state-dir", state])
            .env("HOME", place.sshd.home())
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn serves(&self, host: Ipv4Addr) -> bool {
        matches!(http_get(self.at(host), WWW, "/"), Ok((200, _)))
    }

    fn until(&self, what: &str, is: impl Fn() -> bool) -> Duration {
        let began = Instant::now();
        wait_for(what, PATIENCE, || is().then_some(()));
        began.elapsed()
    }

    /// Until a host says of itself what it should.
    fn until_says(&self, place: &Place, said: &str) {
        self.until(&format!("{} to say: {said}", place.name), || {
            self.says(place, &["seats"]).is_ok_and(|text| text.contains(said))
        });
    }

    fn names_lead_to(&self, host: Ipv4Addr) -> bool {
        addresses(self.dns.addr(), WWW) == Ok(vec![host])
    }

    /// A person at the home hands the site over, until it is taken.
    fn hand_over(&self, from: &Place, to: Ipv4Addr) -> Duration {
        self.until("the site to be handed over", || {
            let _ = self.says(from, &["ack", "shop"]);
            let said = self.says(from, &["hand-over", "shop"]);
            std::thread::sleep(Duration::from_millis(500));
            said.is_ok() && self.serves(to) || self.serves(to)
        })
    }

    fn mirror(&self) {
        let known = self.desk.path().join("known_hosts");
        let output = Command::new(dr())
            .arg("--estate")
            .arg(self.desk.path().join("dr.toml"))
            .arg("--identity")
            .arg(self.desk.path().join("operator"))
            .arg("--known-hosts")
            .arg(known)
            .arg("--journal")
            .arg(self.desk.path().join("journal.db"))
            .args(["--agent-path", dr().to_str().unwrap(), "mirror", "--site", "shop"])
            .env("HOME", self.desk.path())
            .output()
            .unwrap();
        let said =
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{said}");
    }
}

/// Looks at both hosts all the time.
struct Poller {
    stop: Arc<AtomicBool>,
    both: Arc<Mutex<Vec<String>>>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Poller {
    fn start(one: SocketAddr, two: SocketAddr) -> Self {
        let (stop, both) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![])));
        let (stopped, seen) = (stop.clone(), both.clone());
        let thread = std::thread::spawn(move || {
            let (began, mut looks) = (Instant::now(), 0);
            let serves = |at| matches!(http_get(at, WWW, "/"), Ok((200, _)));
            while !stopped.load(Ordering::Relaxed) {
                looks += 1;
                // Looked at in both orders: one that stops between two looks has not served together with the other.
                if serves(one) && serves(two) && serves(one) {
                    seen.lock().unwrap().push(format!("{:?}", began.elapsed()));
                }
                std::thread::sleep(Duration::from_millis(15));
            }
            looks
        });
        Self { stop, both, thread: Some(thread) }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let looks = self.thread.take().unwrap().join().unwrap();
        assert_eq!(*self.both.lock().unwrap(), Vec::<String>::new(), "both served");
        looks
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_site_is_moved_once_by_its_agents_and_comes_back() {
    let mut stage = Stage::start();
    let poller = Poller::start(stage.at(UK), stage.at(US));
    let mut took = BTreeMap::new();
    stage.until("uk to serve", || stage.serves(UK));
    stage.mirror();
    assert!(!stage.serves(US), "the standby waits");
    stage.until_says(&stage.us, "us-1 says up");
    stage.until_says(&stage.us, "nl-1 says up");
    // So long a home may take to come up.
    std::thread::sleep(Duration::from_secs(8));

    stage.uk.kill_nginx();
    took.insert("1 killed", stage.until("us to serve", || stage.serves(US)));
    stage.until("the names to lead to us", || stage.names_lead_to(US));
    stage.until_says(&stage.uk, "us holds shop in epoch 2");
    fs::write(stage.us.www.path().join("order.html"), "written at us\n").unwrap();
    took.insert("2 handed over", stage.hand_over(&stage.us, UK));
    stage.until("the names to lead home", || stage.names_lead_to(UK));
    let page = http_get(stage.at(UK), WWW, "/order.html").unwrap();
    assert_eq!(page, (200, b"written at us\n".to_vec()), "nothing that was written is lost");
    stage.until_says(&stage.uk, "uk holds shop in epoch 3");

    // The agent of the home is killed, and starts anew: nobody notices.
    let desk = stage.desk.path().to_owned();
    stage.uk.agent.as_ref().unwrap().end(Signal::KILL);
    stage.uk.start_agent(&desk);
    stage.until_says(&stage.uk, "uk holds shop in epoch 3");
    assert!(stage.serves(UK) && !stage.serves(US));
    std::thread::sleep(Duration::from_secs(8));

    // The holder stands still, and wakes late.
    stage.uk.agent.as_ref().unwrap().signal(Signal::STOP);
    took.insert("3 stood still", stage.until("us to serve", || stage.serves(US)));
    assert!(!stage.serves(UK), "the warden has stopped it at its time");
    stage.uk.agent.as_ref().unwrap().signal(Signal::CONT);
    stage.until_says(&stage.uk, "us holds shop in epoch 4");
    stage.until("the names to lead to us", || stage.names_lead_to(US));
    assert!(stage.serves(US) && !stage.serves(UK));
    let _ = stage.until("the move to be acknowledged", || stage.says(&stage.us, &["ack", "shop"]).is_ok());
    std::thread::sleep(Duration::from_secs(8));

    // The whole host dies. What it had was not mirrored since, so a person says that it may go.
    stage.mirror();
    stage.us.burn();
    took.insert("4 burnt", stage.until("uk to serve", || stage.serves(UK)));
    stage.until_says(&stage.uk, "uk holds shop");
    stage.until("the names to lead home", || stage.names_lead_to(UK));
    let looks = poller.end();
    eprintln!("{looks} looks; {took:?}");
}
