//! However a test ends, its servers end too, and a failed one leaves their logs.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "what fails here fails the test")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use dr_tests::{Login, Nginx, Server, Sshd, is_running, wait_for};

/// Runs `test` as a test of this name that panics; gives what it panicked with.
fn fails(name: &str, test: impl FnOnce() + Send + 'static) -> String {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(test).unwrap();
    let panic = thread.join().expect_err("it panics");
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|&s| s.to_owned()))
        .unwrap()
}

/// The kept directory of a test's server, found and removed.
fn kept(test: &str, server: &str) -> Vec<String> {
    let logs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/lab-logs");
    let found = std::fs::read_dir(logs).unwrap().map(Result::unwrap).find(|entry| {
        entry.file_name().to_str().is_some_and(|name| name.starts_with(&format!("{test}-{server}-")))
    });
    let dir = found.expect("kept logs").path();
    let files =
        std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    std::fs::remove_dir_all(dir).unwrap();
    files
}

#[test]
fn a_panic_ends_the_server_and_keeps_its_logs() {
    let (send, receive) = channel();
    let said = fails("lab-panics::on-purpose", move || {
        let nginx = Nginx::start(&[]);
        send.send(nginx.processes()).unwrap();
        panic!("on purpose");
    });
    assert_eq!(said, "on purpose");
    let running = receive.recv().unwrap();
    assert!(!running.is_empty() && running.iter().all(|&pid| !is_running(pid)), "{running:?}");
    let files = kept("lab-panics-on-purpose", "nginx");
    assert!(
        files.contains(&"nginx.conf".to_owned()) && files.contains(&"output.log".to_owned()),
        "{files:?}"
    );
}

#[test]
fn a_server_that_does_not_start_says_why() {
    let said = fails("lab-starts-not", || {
        let _ = Sshd::with(&Login { lines: vec!["NoSuchSetting yes".to_owned()], ..Login::default() });
    });
    assert!(said.contains("NoSuchSetting") && said.contains("sshd ended at once"), "{said}");
    assert!(kept("lab-starts-not", "sshd").contains(&"sshd_config".to_owned()));
}

/// This test runs itself once more, as a program of its own that is killed while its servers run.
#[test]
fn a_killed_test_program_leaves_nothing_running() {
    const INNER: &str = "DR_LAB_INNER";
    if std::env::var_os(INNER).is_some() {
        let (nginx, sshd) = (Nginx::start(&[]), Sshd::start());
        println!("running {:?}", [nginx.processes(), sshd.processes()].concat());
        for dir in [nginx.dir(), sshd.dir(), sshd.home()] {
            println!("directory {}", dir.display());
        }
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let mut program = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_killed_test_program_leaves_nothing_running", "--nocapture"])
        .env(INNER, "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stdout.take().unwrap()).lines().map_while(Result::ok);
    let mut next = |start: &str| {
        lines.find_map(|line| Some(line.split_once(start)?.1.to_owned())).expect("the other program says it")
    };
    let running: Vec<u32> =
        next("running [").trim_end_matches(']').split(", ").map(|pid| pid.parse().unwrap()).collect();
    let dirs = [(); 3].map(|()| next("directory "));
    let before = running.iter().filter(|&&pid| is_running(pid)).count();
    assert!(before >= 3, "a master, a worker and an sshd: {running:?}");
    program.kill().unwrap();
    program.wait().unwrap();
    wait_for("the servers to end", Duration::from_secs(20), || {
        running.iter().all(|&pid| !is_running(pid)).then_some(())
    });
    // What a killed program cannot do any more.
    dirs.iter().for_each(|dir| std::fs::remove_dir_all(dir).unwrap());
}

#[test]
fn two_servers_never_share_a_port() {
    let servers: Vec<Nginx> = (0..4).map(|_| Nginx::start(&[])).collect();
    let mut ports: Vec<u16> = servers.iter().map(|s| Server::addr(s).port()).collect();
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 4);
}
