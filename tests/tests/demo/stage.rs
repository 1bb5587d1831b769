//! A demo that runs, and how it ends.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use dr_tests::wait_for;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// No demo may take longer, whatever happens to it.
const LIMIT: Duration = Duration::from_secs(60);
/// Nothing may be left of a demo after this time, whatever ended it.
const GONE_WITHIN: Duration = Duration::from_secs(2);

/// A demo under way. Its temporary directory is its own: by that its processes are told from those of all other demos.
pub(crate) struct Demo {
    child: Child,
    own: TempDir,
    output: TempDir,
}

/// How it ended.
pub(crate) struct Ended {
    /// The exit code; none when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// A process of a demo: `host-uk`, `name-server-ns1`, `observer-de`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) called: String,
}

impl Ended {
    /// Whether it had come to its end before anybody could interrupt it, on a machine that is quick enough.
    pub(crate) fn is_told(&self) -> bool {
        self.code == Some(0) && self.err.contains("every process that was started has been stopped")
    }
}

impl Demo {
    /// `dr demo` with these arguments.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(dr_tests::dr());
        command.arg("demo").args(arguments);
        Self::of(command)
    }

    /// A command that starts `dr demo` in the end.
    pub(crate) fn of(mut command: Command) -> Self {
        let own = tempfile::Builder::new().prefix("dr-test-demo-").tempdir().unwrap();
        fs::set_permissions(own.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let output = tempfile::tempdir().unwrap();
        let file = |name: &str| File::create(output.path().join(name)).unwrap();
        command
            .env("TMPDIR", own.path())
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(file("out"))
            .stderr(file("err"));
        Self { child: command.spawn().unwrap(), own, output }
    }

    /// `dr demo` as somebody without any rights, also where the tests run as root. The program is put into `place` first.
    pub(crate) fn unprivileged(place: &Path, arguments: &[&str]) -> Self {
        if !rustix::process::getuid().is_root() {
            return Self::start(arguments);
        }
        let program = place.join("dr");
        // By a process of its own: what this one writes could be "busy" when it is run.
        assert!(Command::new("cp").arg(dr_tests::dr()).arg(&program).status().unwrap().success());
        fs::set_permissions(place, fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"]).arg(program);
        command.arg("demo").args(arguments).env_remove("HOME").current_dir("/");
        Self::of(command)
    }

    pub(crate) fn own(&self) -> &Path {
        self.own.path()
    }

    /// Waits until its story has this text.
    pub(crate) fn told(&self, text: &str) {
        wait_for(text, LIMIT, || self.err().contains(text).then_some(()));
    }

    fn err(&self) -> String {
        fs::read_to_string(self.output.path().join("err")).unwrap()
    }

    /// Waits until it catches Ctrl-C (proc_pid_status(5)), or has ended.
    pub(crate) fn catches_signals(&mut self) {
        let status = PathBuf::from(format!("/proc/{}/status", self.child.id()));
        wait_for("the demo's signal handlers", LIMIT, || {
            let text = fs::read_to_string(&status).unwrap_or_default();
            let caught = text.lines().find_map(|line| line.strip_prefix("SigCgt:"))?.trim();
            let caught = u64::from_str_radix(caught, 16).unwrap();
            let both = [Signal::INT, Signal::TERM].map(|signal| 1 << (signal.as_raw() - 1));
            (both.iter().all(|bit| caught & bit != 0)).then_some(())
        });
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// The processes it has started that are still there.
    pub(crate) fn processes(&self) -> Vec<Process> {
        processes(self.own()).into_iter().filter(|one| one.pid.unsigned_abs() != self.child.id()).collect()
    }

    /// Kills one of its processes, as soon as it is there.
    pub(crate) fn kill(&self, called: &str) -> i32 {
        let found = wait_for(called, LIMIT, || self.processes().into_iter().find(|one| one.called == called));
        kill_process(Pid::from_raw(found.pid).unwrap(), Signal::KILL).unwrap();
        found.pid
    }

    /// Waits for its end; by then nothing of it may be left, on disk or running.
    pub(crate) fn end(self) -> Ended {
        let own = self.own.path().to_owned();
        let (ended, own_still_there) = self.ended();
        let left: Vec<_> = fs::read_dir(&own).unwrap().flatten().map(|entry| entry.path()).collect();
        assert!(left.is_empty(), "left behind: {left:?}\n{}", ended.err);
        drop(own_still_there);
        ended
    }

    /// The same for one that could not clear up after itself: its processes must be gone, its directory may be there.
    pub(crate) fn end_killed(self) -> Ended {
        self.ended().0
    }

    fn ended(mut self) -> (Ended, TempDir) {
        let deadline = Instant::now() + LIMIT;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                panic!("it hangs; so far:\n{}", self.err());
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        wait_for("the demo's processes to end", GONE_WITHIN, || {
            processes(self.own.path()).is_empty().then_some(())
        });
        let read = |name: &str| fs::read_to_string(self.output.path().join(name)).unwrap();
        let ended = Ended { code: status.code(), out: read("out"), err: read("err") };
        for text in [&ended.out, &ended.err] {
            assert!(!text.contains("panicked"), "{text}");
            assert!(!text.contains('\x1b'), "escape sequences without a terminal: {text}");
        }
        (ended, self.own)
    }
}

/// The processes whose environment names this temporary directory.
fn processes(own: &Path) -> Vec<Process> {
    let wanted = format!("TMPDIR={}", own.display());
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let of_demo = |pid: &i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| variable == wanted.as_bytes())
    };
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).filter(of_demo);
    pids.map(|pid| {
        // Its standard error goes to the log that carries its name.
        let log = fs::read_link(format!("/proc/{pid}/fd/2")).unwrap_or_default();
        let called = log.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        Process { pid, called }
    })
    .collect()
}
