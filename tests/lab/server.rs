//! What all servers of the lab have in common.

use std::fs::{self, OpenOptions};
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::ask::poll;
use crate::port::Port;
use crate::process::{freeze, kill, spawn, stop, tree};

/// Time a server has from its start to its first answer, on a machine busy with other tests.
const START: Duration = Duration::from_secs(30);
/// Time it has to stop when it is to come back, and when its data is about to be removed anyway.
const STOP: Duration = Duration::from_secs(10);
const DROP: Duration = Duration::from_millis(500);
const LOG: &str = "output.log";
/// Large databases are not worth keeping when a test fails; logs and configurations are smaller.
const KEPT_BYTES: u64 = 4 << 20;

/// A real server, run by the tests. Dropped, it is stopped with everything it started, and its directory removed.
pub struct Server {
    name: &'static str,
    program: Program,
    port: Port,
    dir: TempDir,
    test: String,
    child: Mutex<Option<Child>>,
}

/// How a kind of server is started, and how one sees that it answers.
pub(crate) struct Program {
    pub(crate) path: String,
    /// The Debian package it comes from.
    pub(crate) package: &'static str,
    pub(crate) arguments: Vec<String>,
    pub(crate) answers: fn(SocketAddr) -> bool,
}

/// A fresh directory for a server's configuration and data.
pub(crate) fn directory(name: &str) -> TempDir {
    tempfile::Builder::new().prefix(&format!("dr-lab-{name}-")).tempdir().expect("a temporary directory")
}

/// The text of a path, for a server's configuration.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("the temporary directory's name is text")
}

/// The name of the user running the tests.
pub(crate) fn user() -> String {
    let told = Command::new("id").arg("-un").output().expect("id runs");
    String::from_utf8(told.stdout).expect("a user's name is text").trim().to_owned()
}

impl Server {
    /// Starts `program`, whose configuration is in `dir`, and waits until it answers.
    pub(crate) fn start(name: &'static str, program: Program, port: Port, dir: TempDir) -> Self {
        let test = std::thread::current().name().unwrap_or("unnamed").replace("::", "-");
        let server = Self { name, program, port, dir, test, child: Mutex::new(None) };
        server.launch();
        server
    }

    /// What this server is, as in `nsd`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Where it listens.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.port.addr()
    }

    /// Its configuration, data and logs.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// What it has written to standard output and standard error so far, over all its starts.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read(self.dir().join(LOG)).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default()
    }

    /// Waits until its log holds `text`: servers write some lines after the client has gone.
    pub fn logged(&self, text: &str) {
        let found = poll(START, || self.log().contains(text).then_some(()));
        assert!(found.is_some(), "{} never logged {text:?}:\n{}", self.name, self.last_words());
    }

    /// The numbers of its processes: itself first started, workers, sessions, commands of sessions.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        let child = self.child();
        child.as_ref().map_or_else(Vec::new, |c| tree(c.id()).into_iter().map(|m| m.pid()).collect())
    }

    /// Kills it and all its processes without warning, as a power cut does. The data directory stays.
    pub fn kill9(&self) {
        if let Some(mut child) = self.child().take() {
            kill(&mut child);
        }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(&self) {
        self.stop_within(STOP);
    }

    /// Starts it again where it was, with the data it had; stops it first if it runs. Waits until it answers.
    pub fn restart(&self) {
        self.stop();
        self.launch();
    }

    /// Makes it silent without closing a port: the processes stop where they are. See [`Server::thaw`].
    pub fn freeze(&self) {
        if let Some(child) = self.child().as_ref() {
            freeze(child.id());
        }
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        if let Some(child) = self.child().as_ref() {
            tree(child.id()).into_iter().for_each(|member| member.signal(Signal::CONT));
        }
    }

    /// Has it read its configuration again (SIGHUP). Servers do that in their own time: poll for the effect.
    pub fn hang_up(&self) {
        let child = self.child();
        let child = child.as_ref().unwrap_or_else(|| panic!("{} does not run", self.name));
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process number");
        kill_process(pid, Signal::HUP).expect("a signal to one's own child");
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stop_within(&self, grace: Duration) {
        if let Some(mut child) = self.child().take() {
            stop(&mut child, grace);
        }
    }

    fn launch(&self) {
        let Program { path, package, arguments, answers } = &self.program;
        assert!(Path::new(path).is_file(), "{path} is not there: apt-get install {package} (./test does it)");
        let mut command = spawn(path);
        let log =
            OpenOptions::new().create(true).append(true).open(self.dir().join(LOG)).expect("a log file");
        command.0.args(arguments).current_dir(self.dir()).stdin(std::process::Stdio::null());
        command.0.stdout(log.try_clone().expect("a second handle of the log")).stderr(log);
        let child = command.start().unwrap_or_else(|e| panic!("{path} ({package}) does not start: {e}"));
        *self.child() = Some(child);
        let deadline = Instant::now() + START;
        while !answers(self.addr()) {
            let ended = self.child().as_mut().and_then(|c| c.try_wait().ok().flatten());
            if let Some(status) = ended {
                panic!("{} ended at once, with {status}:\n{}", self.name, self.last_words());
            }
            assert!(
                Instant::now() < deadline,
                "{} does not answer in {START:?}:\n{}",
                self.name,
                self.last_words()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    fn keep_logs(&self, pid: Option<u32>) {
        let name = format!("{}-{}-{}", self.test, self.name, pid.unwrap_or_else(std::process::id));
        let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab-logs").join(name);
        match copy_small_files(self.dir(), &target) {
            Ok(()) => eprintln!("the logs and configuration of {} are in {}", self.name, target.display()),
            Err(e) => eprintln!("the logs of {} could not be kept in {}: {e}", self.name, target.display()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = self.child().as_ref().map(Child::id);
        self.stop_within(DROP);
        if std::thread::panicking() {
            self.keep_logs(pid);
        }
    }
}

fn copy_small_files(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let (path, target): (PathBuf, PathBuf) = entry.map(|e| (e.path(), to.join(e.file_name())))?;
        let about = fs::symlink_metadata(&path)?;
        if about.is_dir() {
            copy_small_files(&path, &target)?;
        } else if about.is_file() && about.len() <= KEPT_BYTES && about.mode() & 0o111 == 0 {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}
