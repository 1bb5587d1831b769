//! A place: an account that is reached by SSH, and what runs there.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dr_tests::{Net, Sshd, dr, wait_for};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use super::stage::PATIENCE;

/// A process that ends with the test.
pub(crate) struct Process(Mutex<Child>);

impl Process {
    fn start(place: &Place, desk: &Path, arguments: &[&str]) -> Self {
        let log = fs::File::options().create(true).append(true).open(&place.log).unwrap();
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "TERM", "--"])
            .args(place.net.prefix(place.name))
            .arg(dr())
            .arg("--estate")
            .arg(desk.join("dr.toml"))
            .args(arguments)
            .env("HOME", place.sshd.home())
            .env("DR_LOG", "info")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Self(Mutex::new(child))
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = self.0.lock().unwrap().id();
        kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
    }

    pub(crate) fn end(&self, signal: Signal) {
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

/// One place.
pub(crate) struct Place {
    pub(crate) name: &'static str,
    net: Arc<Net>,
    pub(crate) sshd: Sshd,
    /// The agent's directory.
    pub(crate) state: TempDir,
    pub(crate) www: TempDir,
    /// What its processes say.
    log: PathBuf,
    pub(crate) agent: Option<Process>,
    warden: Option<Process>,
    /// Where its state has a disk of its own.
    pub(crate) disk: Option<SmallDisk>,
}

impl Place {
    pub(crate) fn new(name: &'static str, net: &Arc<Net>, desk: &Path, small: bool) -> Self {
        let (state, www) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        // Before sshd: it lives in a mount namespace of its own.
        let disk = small.then(|| SmallDisk::over(state.path()));
        let (sshd, log) = (net.inside(name, Sshd::start), desk.join(format!("{name}.log")));
        let key = |key: &str| fs::read_to_string(desk.join(format!("{key}.pub"))).unwrap();
        let votes = format!("{} agent --votes --state-dir {}", dr().display(), state.path().display());
        sshd.authorize(&format!("command=\"{votes}\",restrict {}", key("votes")));
        sshd.authorize(&key("operator"));
        Self { name, net: net.clone(), sshd, state, www, log, agent: None, warden: None, disk }
    }

    pub(crate) fn remote(&self) -> String {
        format!("ssh://{}@{}", self.sshd.user(), self.sshd.addr())
    }

    pub(crate) fn start_warden(&mut self, desk: &Path) {
        let (state, socket) = (self.state.path().to_str().unwrap(), self.state.path().join("warden.sock"));
        let _ = fs::remove_file(&socket);
        self.warden = Some(Process::start(self, desk, &["agent", "--warden", "--state-dir", state]));
        // An agent that finds none starts one of its own, which would outlive the test.
        wait_for("the warden", Duration::from_secs(60), || socket.exists().then_some(()));
    }

    pub(crate) fn start_agent(&mut self, desk: &Path) {
        let state = self.state.path().to_str().unwrap();
        let of = |name: &str| desk.join(name).to_str().unwrap().to_owned();
        let (settings, operator, known) =
            (of(&format!("{}.json", self.name)), of("operator"), of("known_hosts"));
        let (journal, dr) = (self.journal(), dr().to_str().unwrap());
        let access = ["--identity", &operator, "--known-hosts", &known, "--agent-path", dr];
        let rest = ["--journal", &journal, "agent", "--run", &settings, "--state-dir", state];
        self.agent = Some(Process::start(self, desk, &[&access[..], &rest].concat()));
    }

    pub(crate) fn journal(&self) -> String {
        self.state.path().join("journal.db").to_str().unwrap().to_owned()
    }

    /// What its agent has told people, and what its processes wrote.
    pub(crate) fn told(&self) -> String {
        let history = fs::read_to_string(self.state.path().join("history.jsonl"));
        history.unwrap_or_default() + &fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// What the web server wrote down as its number; none if it does not run.
    fn nginx(&self) -> Option<Pid> {
        let text = fs::read_to_string(self.state.path().join("nginx.pid")).ok()?;
        Pid::from_raw(text.trim().parse().ok()?)
    }

    fn signal_nginx(&self, signal: Signal) {
        kill_process_group(self.nginx().expect("nginx runs"), signal).unwrap();
    }

    /// The web server and its workers, without warning.
    pub(crate) fn kill_nginx(&self) {
        self.signal_nginx(Signal::KILL);
    }

    /// Everything that runs there, without warning.
    pub(crate) fn burn(&self) {
        self.agent.as_ref().unwrap().end(Signal::KILL);
        self.warden.as_ref().unwrap().end(Signal::KILL);
        self.kill_nginx();
        self.sshd.kill9();
    }

    /// Everything comes back up after a fire; what stood on the disk is there.
    pub(crate) fn rise(&mut self, desk: &Path) {
        self.net.inside(self.name, || self.sshd.restart());
        self.start_warden(desk);
        self.start_agent(desk);
    }

    /// The machine is suspended.
    pub(crate) fn suspend(&self) {
        self.signal_nginx(Signal::STOP);
        self.warden.as_ref().unwrap().signal(Signal::STOP);
        self.agent.as_ref().unwrap().signal(Signal::STOP);
        self.sshd.freeze();
    }

    /// It goes on. What serves is never woken: once somebody has told it to stop, it is ended as it lies. See `docs/failover.md` for what a
    /// machine may do in the first moment.
    pub(crate) fn wake(&self) {
        let nginx = self.nginx().expect("nginx runs");
        self.agent.as_ref().unwrap().signal(Signal::CONT);
        self.warden.as_ref().unwrap().signal(Signal::CONT);
        self.sshd.thaw();
        let told = || has_pending(nginx, Signal::TERM).then_some(());
        wait_for("nginx to be told to stop", PATIENCE, told);
        self.kill_nginx();
    }
}

/// Whether a signal waits for a process that is stopped (proc(5), ShdPnd).
fn has_pending(process: Pid, signal: Signal) -> bool {
    let status = fs::read_to_string(format!("/proc/{}/status", process.as_raw_nonzero())).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("ShdPnd:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal.as_raw() - 1) & 1 == 1)
}

impl Drop for Place {
    fn drop(&mut self) {
        drop(self.agent.take());
        drop(self.warden.take());
        if std::thread::panicking() {
            eprintln!("--- {}\n{}", self.name, self.told());
        }
        if let Some(nginx) = self.nginx() {
            // Its number may be that of somebody else by now; only a group that it leads is ended.
            let name = fs::read_to_string(format!("/proc/{}/comm", nginx.as_raw_nonzero()));
            if name.is_ok_and(|name| name.trim() == "nginx") {
                let _ = kill_process_group(nginx, Signal::KILL);
            }
        }
        // Before the directory below it is removed.
        drop(self.disk.take());
    }
}

/// A small file system of its own over a directory, until it is dropped.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn over(directory: &Path) -> Self {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(directory).status();
        assert!(mounted.is_ok_and(|status| status.success()), "root may mount a tmpfs");
        Self(directory.to_owned())
    }

    /// Not a byte is left.
    pub(crate) fn fill(&self) {
        let mut file = fs::File::create(self.0.join("filler")).unwrap();
        for length in [1 << 16, 1 << 10, 1] {
            while std::io::Write::write_all(&mut file, &vec![0; length]).is_ok() {}
        }
    }

    pub(crate) fn empty(&self) {
        fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}
