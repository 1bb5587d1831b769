//! The embedded servers as processes: this test program is its own child, as `dr` is.

// What clippy.toml allows in tests has to be said for what tests call.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs, io,
    io::{BufRead, BufReader, Write},
    net::{IpAddr, Ipv4Addr, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use dr_cli::demo::embedded::{
    Secret,
    host::{self, Options},
    process::{Child, Exit, Service, Start, serve},
};
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::mpsc;

const PASSWORD: &str = "correct-horse-battery";

/// Whether this process was started to be the named part, and not to run tests.
fn is(part: &str) -> bool {
    std::env::args().skip(1).take(2).eq([part.to_owned(), "--exact".to_owned()])
}

fn arguments(part: &str) -> Vec<String> {
    [part, "--exact", "--nocapture", "--quiet"].map(str::to_owned).to_vec()
}

/// Not a test but the child: a host, until its parent is gone.
#[test]
fn child() {
    if is("child") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        if let Err(error) = runtime.block_on(serve::<Options>(io::stdout())) {
            eprintln!("{error}");
            std::process::exit(1);
        }
    }
}

/// Not a test but a parent to be killed: starts a child in the directory it is told and says its process id.
#[test]
fn parent() {
    if is("parent") {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let mut directory = String::new();
            io::stdin().read_line(&mut directory).unwrap();
            let (ends, _ended) = mpsc::unbounded_channel();
            let directory = Path::new(directory.trim());
            let child = Child::start(start(directory), options(directory), ends).await.unwrap();
            writeln!(io::stdout(), "child {} {}", child.pid(), child.ready().http).unwrap();
            std::future::pending::<()>().await;
        });
    }
}

fn options(directory: &Path) -> Options {
    Options {
        name: "uk".into(),
        ip: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3)),
        ssh_port: 0,
        http_port: 0,
        root: directory.join("root"),
        user: "web".into(),
        password: Some(Secret::new(PASSWORD)),
        host_key: host::generate_key().unwrap(),
    }
}

fn start(directory: &Path) -> Start {
    Start {
        name: "host uk".into(),
        program: std::env::current_exe().unwrap(),
        arguments: arguments("child"),
        log: directory.join("uk.log"),
        ready_within: Duration::from_secs(20),
    }
}

/// A child in a directory of its own, and the word of its end.
async fn lab() -> (tempfile::TempDir, Child<Options>, mpsc::UnboundedReceiver<Exit>) {
    let directory = tempfile::tempdir().unwrap();
    let (ends, ended) = mpsc::unbounded_channel();
    let child = Child::start(start(directory.path()), options(directory.path()), ends).await.unwrap();
    (directory, child, ended)
}

async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Gone, or dead and waiting for whoever adopted it.
fn is_dead(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
}

async fn soon(ended: &mut mpsc::UnboundedReceiver<Exit>) -> Exit {
    tokio::time::timeout(Duration::from_secs(10), ended.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn kill9_takes_it_away_and_restart_brings_it_back_as_it_was() {
    let (_directory, mut child, mut ended) = lab().await;
    let (pid, ready) = (child.pid(), child.ready().clone());
    assert!(TcpStream::connect(ready.http).is_ok());
    let exit = child.kill9().await;
    assert_eq!((exit.pid, exit.signal, exit.asked), (pid, Some(9), true));
    assert!(TcpStream::connect(ready.http).is_err());
    assert!(is_dead(pid));
    assert_eq!(soon(&mut ended).await.pid, pid);
    assert_eq!(child.kill9().await.pid, pid, "the dead stay dead");

    child.restart().await.unwrap();
    assert_ne!(child.pid(), pid);
    assert_eq!(*child.ready(), ready, "addresses and key are the same");
    assert!(TcpStream::connect(ready.ssh).is_ok());
    let pid = child.pid();
    let exit = child.stop().await;
    assert_eq!((exit.pid, exit.status, exit.asked), (pid, Some(0), true));
    assert_eq!(soon(&mut ended).await.status, Some(0));
}

#[tokio::test]
async fn a_kill_by_somebody_else_is_told_and_explained() {
    let (_directory, child, mut ended) = lab().await;
    let pid = child.pid();
    kill_process(Pid::from_raw(pid.try_into().unwrap()).unwrap(), Signal::KILL).unwrap();
    let exit = soon(&mut ended).await;
    assert_eq!((exit.signal, exit.asked), (Some(9), false));
    let words = exit.to_string();
    assert!(words.starts_with(&format!("host uk (pid {pid}) was killed by signal 9 at ")), "{words}");
    assert!(words.ends_with(" UTC, not by this program"), "{words}");
    until("the child knows too", || child.exit().is_some()).await;
}

#[tokio::test]
async fn dropping_it_kills_it() {
    let (_directory, child, mut ended) = lab().await;
    let pid = child.pid();
    drop(child);
    assert!(soon(&mut ended).await.asked);
    assert!(is_dead(pid));
}

#[tokio::test]
async fn a_dead_parent_takes_its_children_along() {
    let directory = tempfile::tempdir().unwrap();
    let mut parent = Command::new(std::env::current_exe().unwrap());
    parent.args(arguments("parent")).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut parent = parent.spawn().unwrap();
    writeln!(parent.stdin.as_mut().unwrap(), "{}", directory.path().display()).unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines();
    let line = lines.map(Result::unwrap).find(|line| line.starts_with("child ")).unwrap();
    let mut words = line.split(' ').skip(1);
    let child: u32 = words.next().unwrap().parse().unwrap();
    let http: std::net::SocketAddr = words.next().unwrap().parse().unwrap();
    assert!(!is_dead(child) && TcpStream::connect(http).is_ok());

    parent.kill().unwrap();
    parent.wait().unwrap();
    until("the child of a killed parent is gone", || is_dead(child)).await;
    // A process that is gone closes its sockets a moment later.
    until("nothing listens there any more", || TcpStream::connect(http).is_err()).await;
}

#[tokio::test]
async fn options_can_change_while_it_runs() {
    let (_directory, mut child, _ended) = lab().await;
    let without = Options { password: None, ..child.options().clone() };
    let offers_passwords = |port: u16| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"]);
        ssh.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none"]);
        let output = ssh.args(["-p", &port.to_string(), "web@127.0.0.3", "true"]).output().unwrap();
        String::from_utf8_lossy(&output.stderr).contains("publickey,password")
    };
    let port = child.ready().ssh.port();
    assert!(offers_passwords(port));
    child.update(without).await.unwrap();
    until("no passwords any more", || !offers_passwords(port)).await;
    child.restart().await.unwrap();
    assert!(!offers_passwords(port), "nor after a restart");
}

#[tokio::test]
async fn what_cannot_start_is_explained_with_its_last_words() {
    let (directory, child, mut ended) = lab().await;
    let (ends, _) = mpsc::unbounded_channel();
    let busy = child.options().clone();
    let error = Child::start(start(directory.path()), busy, ends.clone()).await.unwrap_err().to_string();
    assert!(error.contains("could not start host uk") && error.contains("ended before it served"), "{error}");
    assert!(error.contains(&format!("cannot listen on {}", child.ready().ssh)), "{error}");

    let nothing = Start { program: PathBuf::from("/nowhere/dr"), ..start(directory.path()) };
    let error = Child::start(nothing, options(directory.path()), ends.clone()).await.unwrap_err().to_string();
    assert!(error.contains("(/nowhere/dr)") && error.contains("No such file"), "{error}");

    let mut silent =
        Start { program: "sleep".into(), arguments: vec!["60".into()], ..start(directory.path()) };
    silent.ready_within = Duration::from_millis(200);
    let begun = Instant::now();
    let error = Child::start(silent, options(directory.path()), ends).await.unwrap_err().to_string();
    assert!(error.contains("does not serve after 200ms"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(10), "and it is killed");
    assert!(ended.try_recv().is_err(), "the one that runs is not concerned");
}

#[tokio::test]
async fn secrets_are_in_no_argument_log_or_debug_output() {
    let (directory, mut child, _ended) = lab().await;
    let key = child.options().host_key.reveal().lines().nth(1).unwrap().to_owned();
    let command_line = fs::read_to_string(format!("/proc/{}/cmdline", child.pid())).unwrap();
    let environment = fs::read_to_string(format!("/proc/{}/environ", child.pid())).unwrap();
    let debug = format!("{child:?}");
    // Options that are none are refused without being repeated.
    let bad = format!("{{\"password\":\"{PASSWORD}\",\"password\":7,\"x\":\"{key}\"}}\n");
    let output = {
        let mut process = Command::new(std::env::current_exe().unwrap());
        process.args(arguments("child")).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = process.spawn().unwrap();
        process.stdin.as_mut().unwrap().write_all(bad.as_bytes()).unwrap();
        let mut stdin = process.stdin.take();
        let output = process.wait_with_output().unwrap();
        drop(stdin.take());
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(output.contains("the options are not as expected at line 1"), "{output}");
    child.kill9().await;
    let log = fs::read_to_string(directory.path().join("uk.log")).unwrap();
    for place in [command_line, environment, debug, output, log] {
        assert!(!place.contains(PASSWORD) && !place.contains(&key), "{place}");
    }
}

#[test]
fn options_read_back_as_written() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path());
    let text = serde_json::to_string(&options).unwrap();
    let again: Options = serde_json::from_str(&text).unwrap();
    assert_eq!(again.password, options.password);
    fn is_service<S: Service>(_: &S) {}
    is_service(&again);
    assert!(serde_json::from_str::<Options>(&text.replacen("\"name\"", "\"nom\"", 1)).is_err());
}
