//! Starting child processes that cannot outlive the tests, and ending all that came of them, and nothing else.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::process::{Child, Command};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Mutex, OnceLock};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::ask::poll;

/// Time the kernel has to stop or end a process that may be waiting for a busy disk.
const DEATH: Duration = Duration::from_secs(30);

/// Starts `program` so that the kernel ends it when this test program ends, however that happens.
///
/// The kernel sends that signal when the *thread* that started the child ends, and a test's thread ends with the test,
/// a scoped thread earlier still; so one thread that lives as long as the program starts them all.
pub(crate) fn spawn(program: &str) -> Spawn {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).args(crate::net::prefix()).arg(program);
    Spawn(command)
}

/// A child about to be started; see [`spawn`].
pub(crate) struct Spawn(pub(crate) Command);

type Order = (Command, Sender<io::Result<Child>>);

impl Spawn {
    /// Starts it, as the leader of a process group of its own: Ctrl-C at the terminal reaches the tests only.
    pub(crate) fn start(self) -> io::Result<Child> {
        use std::os::unix::process::CommandExt;
        static ORDERS: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
        let orders = ORDERS.get_or_init(|| {
            let (send, receive) = channel::<Order>();
            std::thread::spawn(move || {
                for (mut command, answer) in receive {
                    let _ = answer.send(command.spawn());
                }
            });
            Mutex::new(send)
        });
        let Self(mut command) = self;
        command.process_group(0);
        let (answer, child) = channel();
        orders
            .lock()
            .expect("no starter panicked")
            .send((command, answer))
            .expect("the starting thread lives");
        child.recv().expect("the starting thread answers")
    }
}

/// One process, told from a later one that was given the same number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Member {
    pid: i32,
    started: u64,
}

struct Stat {
    parent: i32,
    started: u64,
    state: u8,
}

/// Whether a process with this number is there (one that ended and only waits to be collected is not).
#[must_use]
pub fn is_running(pid: u32) -> bool {
    i32::try_from(pid).ok().and_then(stat).is_some_and(|s| !matches!(s.state, b'Z' | b'X'))
}

/// `root` and everything started by it that has not left it: workers, sessions, commands of sessions. Found by
/// parentage, because an SSH session is a process group of its own. The root comes first.
pub(crate) fn tree(root: u32) -> Vec<Member> {
    let all: Vec<(i32, Stat)> = fs::read_dir("/proc")
        .expect("/proc is mounted")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, stat(pid)?)))
        .collect();
    let mut found = BTreeSet::from([i32::try_from(root).expect("a process number")]);
    loop {
        let before = found.len();
        let children = all.iter().filter(|(_, s)| found.contains(&s.parent)).map(|(pid, _)| *pid);
        found.extend(children.collect::<Vec<_>>());
        if found.len() == before {
            break;
        }
    }
    let mut members: Vec<Member> = all
        .iter()
        .filter(|(pid, s)| found.contains(pid) && s.state != b'Z')
        .map(|(pid, s)| Member { pid: *pid, started: s.started })
        .collect();
    members.sort_by_key(|member| (member.pid() != root, *member));
    members
}

fn stat(pid: i32) -> Option<Stat> {
    parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The 4th, 22nd and 3rd field of proc_pid_stat(5). The 2nd, the program's name, may hold spaces and brackets.
fn parse(text: &str) -> Option<Stat> {
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    Some(Stat {
        state: *fields.first()?.as_bytes().first()?,
        parent: fields.get(1)?.parse().ok()?,
        started: fields.get(19)?.parse().ok()?,
    })
}

impl Member {
    pub(crate) fn pid(self) -> u32 {
        self.pid.unsigned_abs()
    }

    fn is_running(self) -> bool {
        stat(self.pid).is_some_and(|s| s.started == self.started && !matches!(s.state, b'Z' | b'X'))
    }

    /// Whether every thread of it has been stopped, will stop when the disk it waits for has answered, or has ended.
    fn has_stopped(self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else { return true };
        threads.flatten().all(|thread| {
            let state = fs::read_to_string(thread.path().join("stat")).ok().as_deref().and_then(parse);
            state.is_none_or(|s| matches!(s.state, b'T' | b't' | b'D' | b'Z' | b'X'))
        })
    }

    pub(crate) fn signal(self, signal: Signal) {
        if let (true, Some(pid)) = (self.is_running(), Pid::from_raw(self.pid)) {
            // It may have ended since: that is what was wanted.
            let _ = kill_process(pid, signal);
        }
    }
}

/// Stops every process of the tree, until no new one appears; answers with all of them.
pub(crate) fn freeze(root: u32) -> Vec<Member> {
    let mut frozen = BTreeSet::new();
    loop {
        let new: Vec<Member> = tree(root).into_iter().filter(|m| !frozen.contains(m)).collect();
        if new.is_empty() {
            return frozen.into_iter().collect();
        }
        new.iter().for_each(|member| member.signal(Signal::STOP));
        // A thread on the other processor goes on for a moment.
        let stopped = poll(DEATH, || new.iter().all(|m| m.has_stopped()).then_some(()));
        must(stopped.is_some(), "SIGSTOP", &new);
        frozen.extend(new);
    }
}

/// Ends the child and all that came of it at once, as a power cut does.
pub(crate) fn kill(child: &mut Child) {
    // Frozen first: a server killed while it forks would leave the newborn behind.
    let members = freeze(child.id());
    members.iter().for_each(|member| member.signal(Signal::KILL));
    let _ = child.wait();
    gone(&members);
}

/// Waits until the killed are gone: they are not our children, and a process in the kernel dies when it comes out.
fn gone(members: &[Member]) {
    let ended = poll(DEATH, || members.iter().all(|m| !m.is_running()).then_some(()));
    must(ended.is_some(), "SIGKILL", members);
}

/// A second panic would end the test program before it has said what the first was.
fn must(obeyed: bool, signal: &str, members: &[Member]) {
    assert!(obeyed || std::thread::panicking(), "{signal} does not reach all of {members:?}");
}

/// Asks the child to end; kills what is left of its tree when it has, or has not after `grace`.
pub(crate) fn stop(child: &mut Child, grace: Duration) {
    let mut members: BTreeSet<Member> = tree(child.id()).into_iter().collect();
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
        let _ = kill_process(pid, Signal::CONT);
    }
    let deadline = Instant::now() + grace;
    while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
        members.extend(tree(child.id()));
        std::thread::sleep(Duration::from_millis(5));
    }
    if matches!(child.try_wait(), Ok(None)) {
        kill(child);
    }
    let members: Vec<Member> = members.into_iter().collect();
    members.iter().for_each(|member| member.signal(Signal::KILL));
    gone(&members);
}
